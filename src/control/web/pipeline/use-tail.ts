/**
 * The server-sent events of a live tail, newest first.
 *
 * The browser connects again by itself, except when an answer was no stream: then we do.
 */
import { useCallback, useEffect, useRef, useState } from 'preact/hooks'

const LINES_MAX = 300
const RETRY_MS = 3000

export interface TailEntry {
  readonly key: number
  readonly atMs: number
  readonly workerId: string
  readonly text: string
}

interface Tail {
  readonly lines: readonly TailEntry[]
  readonly state: 'opening' | 'open' | 'lost'
  readonly droppedCount: number
  readonly clear: () => void
}

interface Batch {
  readonly worker_id: string
  readonly entries: readonly string[]
  readonly dropped: number
}

export function useTail(pipelineId: number, isPaused: boolean): Tail {
  const [lines, setLines] = useState<readonly TailEntry[]>([])
  const [state, setState] = useState<Tail['state']>('opening')
  const [droppedCount, setDroppedCount] = useState(0)
  const counter = useRef(0)
  useEffect(() => {
    if (isPaused) return
    let source: EventSource
    let timer: ReturnType<typeof setTimeout> | undefined
    const onMatch = ({ data }: MessageEvent<string>): void => {
      const batch = JSON.parse(data) as Batch
      const atMs = Date.now()
      const fresh = batch.entries.map((text) => ({
        key: counter.current++,
        atMs,
        workerId: batch.worker_id,
        text,
      }))
      setLines((before) => [...fresh.reverse(), ...before].slice(0, LINES_MAX))
      setDroppedCount((before) => before + batch.dropped)
    }
    const open = (): void => {
      source = new EventSource(`/api/pipelines/${pipelineId}/tail`)
      source.addEventListener('open', () => setState('open'))
      source.addEventListener('match', onMatch)
      source.addEventListener('error', () => {
        setState('lost')
        if (source.readyState !== EventSource.CLOSED) return
        clearTimeout(timer)
        timer = setTimeout(open, RETRY_MS)
      })
    }
    open()
    return () => {
      clearTimeout(timer)
      source.close()
    }
  }, [pipelineId, isPaused])
  const clear = useCallback(() => {
    setLines([])
    setDroppedCount(0)
  }, [])
  return { lines, state, droppedCount, clear }
}
