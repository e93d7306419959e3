/**
 * The frame: who may come in, the header, and the page of the address.
 */
import { useCallback, useState } from 'preact/hooks'
import type { Session } from './api-types.ts'
import { Header } from './header.tsx'
import { LiveProvider } from './live.tsx'
import { LostContact } from './lost-contact.tsx'
import { MetricsPage } from './metrics-page.tsx'
import { NewPipelinePage } from './new-pipeline-page.tsx'
import { NoticesProvider } from './notices.tsx'
import { OptionsProvider } from './options.tsx'
import { PipelinePage } from './pipeline-page.tsx'
import { PipelinesPage } from './pipelines-page.tsx'
import type { Route } from './route.ts'
import { SignInPage } from './sign-in-page.tsx'
import { UnknownPage } from './unknown-page.tsx'
import { Unreachable } from './unreachable.tsx'
import { useRequest } from './use-request.ts'
import { useRoute } from './use-route.ts'
import { WorkersPage } from './workers-page.tsx'

export function App() {
  return (
    <NoticesProvider>
      <Gate />
    </NoticesProvider>
  )
}

function Gate() {
  const session = useRequest<Session>('/api/session')
  const [isOut, setIsOut] = useState(false)
  const onSignedOut = useCallback(() => setIsOut(true), [])
  const onSignedIn = useCallback(() => {
    setIsOut(false)
    session.again()
  }, [session.again])
  if (session.value === undefined) {
    return session.error === undefined ? null : (
      <Unreachable message={session.error} onRetry={session.again} />
    )
  }
  if (isOut || !session.value.signed_in) return <SignInPage onSignedIn={onSignedIn} />
  return <Inside canSignOut={session.value.token_needed} onSignedOut={onSignedOut} />
}

interface InsideProps {
  readonly canSignOut: boolean
  readonly onSignedOut: () => void
}

function Inside({ canSignOut, onSignedOut }: InsideProps) {
  const route = useRoute()
  return (
    <LiveProvider onSignedOut={onSignedOut}>
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
