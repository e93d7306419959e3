/**
 * The bar at the top: where one is, and whether the control plane answers.
 */
import { request } from '../data/api.ts'
import { useLive } from '../data/live.tsx'
import type { Route } from '../data/route.ts'

interface Props {
  readonly route: Route
  readonly canSignOut: boolean
  readonly onSignedOut: () => void
}

export function Header({ route, canSignOut, onSignedOut }: Props) {
  const signOut = async (): Promise<void> => {
    try {
      await request('DELETE', '/api/session')
    } finally {
      onSignedOut()
    }
  }
  const link = (href: string, text: string, isHere: boolean) => (
    <a href={href} aria-current={isHere ? 'page' : undefined}>
      {text}
    </a>
  )
  return (
    <header class="top">
      <div class="top-inner">
        <a class="brand" href="#/">
          <img src="/assets/icon.svg" alt="" width="24" height="24" />
          logpipe
        </a>
        <nav aria-label="Main">
          {link('#/', 'Pipelines', ['pipelines', 'new', 'pipeline'].includes(route.page))}
          {link('#/workers', 'Workers', route.page === 'workers')}
          {link('#/metrics', 'Metrics', route.page === 'metrics')}
        </nav>
        <Contact />
        {canSignOut && (
          <button type="button" class="button-quiet" onClick={() => void signOut()}>
            Sign out
          </button>
        )}
      </div>
    </header>
  )
}

function Contact() {
  const { failure, pipelines } = useLive()
  const [word, tone] =
    failure !== undefined
      ? ['No answer', 'bad']
      : pipelines === undefined
        ? ['Connecting', 'busy']
        : ['Live', 'good']
  return (
    <span class={`contact tone-${tone}`} data-test="contact">
      <span class="dot" aria-hidden="true" />
      <span class="contact-word">{word}</span>
    </span>
  )
}
