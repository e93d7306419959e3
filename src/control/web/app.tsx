/**
 * The frame: who may come in, the header, and the page of the address.
 */
import { useCallback, useRef, useState } from 'preact/hooks'
import type { Session } from './data/api-types.ts'
import { Header } from './parts/header.tsx'
import { LiveProvider } from './data/live.tsx'
import { LostContact } from './parts/lost-contact.tsx'
import { MetricsPage } from './pages/metrics-page.tsx'
import { NewPipelinePage } from './pages/new-pipeline-page.tsx'
import { NoticesProvider } from './parts/notices.tsx'
import { OptionsProvider } from './form/options.tsx'
import { PipelinePage } from './pages/pipeline-page.tsx'
import { PipelinesPage } from './pages/pipelines-page.tsx'
import type { Route } from './data/route.ts'
import { SignInPage } from './pages/sign-in-page.tsx'
import { UnknownPage } from './pages/unknown-page.tsx'
import { Unreachable } from './parts/unreachable.tsx'
import { useRequest } from './data/use-request.ts'
import { useRoute } from './data/use-route.ts'
import { WorkersPage } from './pages/workers-page.tsx'

export function App() {
  return (
    <NoticesProvider>
      <Gate />
    </NoticesProvider>
  )
}

/**
 * A session that ends while somebody types must not cost what was typed: the page stays, out of
 * sight, until they have signed in again. Who signs out leaves nothing behind.
 */
function Gate() {
  const { value: session, error, again } = useRequest<Session>('/api/session')
  const [hasEnded, setHasEnded] = useState(false)
  const onEnded = useCallback(() => setHasEnded(true), [])
  const signIns = useRef(0)
  const onSignedIn = useCallback(() => {
    signIns.current++
    setHasEnded(false)
    again()
  }, [again])
  if (session === undefined) {
    return error === undefined ? null : <Unreachable message={error} onRetry={again} />
  }
  if (!session.signed_in) return <SignInPage onSignedIn={onSignedIn} />
  return (
    <>
      <div hidden={hasEnded}>
        <Inside
          canSignOut={session.token_needed}
          signIns={signIns}
          onEnded={onEnded}
          onSignedOut={again}
        />
      </div>
      {hasEnded && <SignInPage onSignedIn={onSignedIn} />}
    </>
  )
}

interface InsideProps {
  readonly canSignOut: boolean
  readonly signIns: { readonly current: number }
  /** The session is over, by time or by a restart of the control plane. */
  readonly onEnded: () => void
  readonly onSignedOut: () => void
}

function Inside({ canSignOut, signIns, onEnded, onSignedOut }: InsideProps) {
  const route = useRoute()
  return (
    <LiveProvider signIns={signIns} onEnded={onEnded}>
      <OptionsProvider>
        <a class="skip" href="#main" onClick={skipToMain}>
          Skip to the content
        </a>
        <Header route={route} canSignOut={canSignOut} onSignedOut={onSignedOut} />
        <main id="main" tabIndex={-1}>
          <LostContact />
          <Page route={route} />
        </main>
      </OptionsProvider>
    </LiveProvider>
  )
}

/** The address says which page it is, so the link must not change it. */
function skipToMain(event: Event): void {
  event.preventDefault()
  document.getElementById('main')?.focus()
}

function Page({ route }: { readonly route: Route }) {
  switch (route.page) {
    case 'pipelines':
      return <PipelinesPage />
    case 'new':
      return <NewPipelinePage />
    case 'pipeline':
      return <PipelinePage key={route.id} id={route.id} tab={route.tab} />
    case 'workers':
      return <WorkersPage />
    case 'metrics':
      return <MetricsPage id={route.id} />
    case 'unknown':
      return <UnknownPage />
  }
}
