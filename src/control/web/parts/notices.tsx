/**
 * What happened: shown for a moment at the edge of the page, and read out by screen readers.
 *
 * Bound: NOTICES_MAX at a time; good news goes by itself, bad news stays until it is closed.
 */
import { createContext, type ComponentChildren } from 'preact'
import { useCallback, useContext, useMemo, useRef, useState } from 'preact/hooks'

const NOTICES_MAX = 4
const SHOWN_MS = 6000

interface Notice {
  readonly key: number
  readonly text: string
  readonly tone: 'good' | 'bad'
}

export interface Notices {
  /** Shows it, and has it read out. */
  readonly tell: (text: string, tone?: Notice['tone']) => void
  /** Has it read out only: what changed on the page is there to be seen. */
  readonly announce: (text: string) => void
}

const NoticesContext = createContext<Notices>({ tell: () => undefined, announce: () => undefined })

export function useNotices(): Notices {
  return useContext(NoticesContext)
}

export function NoticesProvider({ children }: { readonly children: ComponentChildren }) {
  const [shown, setShown] = useState<readonly Notice[]>([])
  const [spoken, setSpoken] = useState('')
  const counter = useRef(0)
  const close = useCallback((key: number) => {
    setShown((now) => now.filter((notice) => notice.key !== key))
  }, [])
  const tell = useCallback<Notices['tell']>(
    (text, tone = 'good') => {
      const key = counter.current++
      setShown((now) => [...now, { key, text, tone }].slice(-NOTICES_MAX))
      if (tone === 'good') setTimeout(() => close(key), SHOWN_MS)
    },
    [close],
  )
  const notices = useMemo(() => ({ tell, announce: setSpoken }), [tell])
  return (
    <NoticesContext.Provider value={notices}>
      {children}
      <p class="unseen" aria-live="polite" data-test="announcer">
        {spoken}
      </p>
      <div class="notices" role="status">
        {shown.map(({ key, text, tone }) => (
          <p key={key} class={`notice notice-${tone}`} role={tone === 'bad' ? 'alert' : undefined}>
            <span>{text}</span>
            <button
              type="button"
              class="button-icon"
              aria-label="Close this message"
              onClick={() => close(key)}
            >
              ×
            </button>
          </p>
        ))}
      </div>
    </NoticesContext.Provider>
  )
}
