/**
 * One GET as a hook: what it answered last, what went wrong, and a way to ask again.
 */
import { useCallback, useEffect, useState } from 'preact/hooks'
import { get, messageOf } from './api.ts'

/** After a failure, where it would take longer otherwise. */
const RETRY_MS = 5000

export interface Requested<T> {
  readonly value: T | undefined
  readonly error: string | undefined
  readonly again: () => void
}

/** @param everyMs asks again and again; undefined: once. A hidden page asks nothing. */
export function useRequest<T>(path: string, everyMs?: number): Requested<T> {
  const [state, setState] = useState<{ path: string; value?: T; error?: string }>({ path })
  const [round, setRound] = useState(0)
  useEffect(() => {
    const abort = new AbortController()
    let timer: ReturnType<typeof setTimeout> | undefined
    const ask = async (): Promise<void> => {
      let waitMs = everyMs
      try {
        const value = document.hidden ? undefined : await get<T>(path, abort.signal)
        if (abort.signal.aborted) return
        if (value !== undefined) setState({ path, value })
      } catch (error) {
        if (abort.signal.aborted) return
        // What was there stays to be looked at.
        if (everyMs !== undefined) waitMs = Math.min(everyMs, RETRY_MS)
        setState((before) => {
          const value = before.path === path ? before.value : undefined
          return { path, error: messageOf(error), ...(value === undefined ? {} : { value }) }
        })
      }
      if (waitMs !== undefined) timer = setTimeout(() => void ask(), waitMs)
    }
    void ask()
    return () => {
      abort.abort()
      clearTimeout(timer)
    }
  }, [path, everyMs, round])
  const again = useCallback(() => setRound((count) => count + 1), [])
  const own = state.path === path
  return { value: own ? state.value : undefined, error: own ? state.error : undefined, again }
}
