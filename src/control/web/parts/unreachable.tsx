/**
 * The whole page when the control plane does not answer at all.
 */
import { useTitle } from '../data/use-route.ts'

interface Props {
  readonly message: string
  readonly onRetry: () => void
}

export function Unreachable({ message, onRetry }: Props) {
  useTitle('No answer')
  return (
    <main class="alone">
      <div class="card" role="alert">
        <h1>No answer</h1>
        <p>{message}</p>
        <p class="muted">
          Pipelines keep running. Is <code>logpipe control</code> running, and is this its address?
        </p>
        <button type="button" class="button button-main" onClick={onRetry}>
          Try again
        </button>
      </div>
    </main>
  )
}
