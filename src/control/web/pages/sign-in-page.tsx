/**
 * For browsers that need the token: it is exchanged for a cookie that no script can read.
 */
import { useEffect, useRef, useState } from 'preact/hooks'
import { messageOf, post } from '../data/api.ts'
import { useTitle } from '../data/use-route.ts'

export function SignInPage({ onSignedIn }: { readonly onSignedIn: () => void }) {
  useTitle('Sign in')
  const [token, setToken] = useState('')
  const [error, setError] = useState<string>()
  const [busy, setBusy] = useState(false)
  const input = useRef<HTMLInputElement>(null)
  useEffect(() => input.current?.focus(), [])
  const signIn = async (): Promise<void> => {
    setBusy(true)
    setError(undefined)
    try {
      await post('/api/session', { token: token.trim() })
      setToken('')
      onSignedIn()
    } catch (failure) {
      setError(messageOf(failure))
      input.current?.focus()
    }
    setBusy(false)
  }
  return (
    <main class="alone">
      <form
        class="card sign-in"
        onSubmit={(event) => {
          event.preventDefault()
          void signIn()
        }}
      >
        <h1>
          <img src="/assets/icon.svg" alt="" width="32" height="32" />
          Sign in to logpipe
        </h1>
        <div class={`field ${error === undefined ? '' : 'field-wrong'}`}>
          <label for="token">Control token</label>
          <p class="help" id="token-help">
            On the control plane's machine it is in <code>data/control-token</code>, beside the
            database, unless the operator set <code>CONTROL_TOKEN</code>.
          </p>
          <input
            id="token"
            ref={input}
            type="password"
            autocomplete="current-password"
            required
            value={token}
            aria-describedby={error === undefined ? 'token-help' : 'token-help token-error'}
            aria-invalid={error !== undefined}
            onInput={(event) => setToken(event.currentTarget.value)}
          />
          {error !== undefined && (
            <p class="fault" id="token-error" role="alert">
              {error}
            </p>
          )}
        </div>
        <button type="submit" class="button button-main" disabled={busy}>
          Sign in
        </button>
      </form>
    </main>
  )
}
