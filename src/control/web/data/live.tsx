/**
 * What the whole dashboard looks at: pipelines, workers and rates, asked for every few seconds.
 *
 * While the page is hidden nothing is asked. When the control plane does not answer, the last
 * answers stay, and `failure` says since when they are old.
 */
import { createContext, type ComponentChildren } from 'preact'
import { useCallback, useContext, useEffect, useMemo, useRef, useState } from 'preact/hooks'
import { ApiError, get, messageOf } from './api.ts'
import type { Pipeline, Runtime, RuntimeEntry, Worker } from './api-types.ts'
import { useNotices } from '../parts/notices.tsx'
import { Sparks } from '../charts/sparks.ts'
import { stateWord } from '../parts/states.ts'

const POLL_MS = 2000
/** A list of many takes longer to make than it takes to look at: it is asked for less often. */
const POLL_MS_PER_PIPELINE = 10
const PAGE = 500
const PAGES_MAX = 20
/** More changes of state at once are told as a number. */
const CHANGES_TOLD_MAX = 3

export interface Failure {
  readonly message: string
  readonly sinceMs: number
}

export interface Live {
  /** Undefined until the first answer. */
  readonly pipelines: readonly Pipeline[] | undefined
  readonly workers: readonly Worker[]
  readonly runtime: Runtime | undefined
  readonly sparks: Sparks
  readonly failure: Failure | undefined
  /** Asks at once. */
  readonly refresh: () => Promise<void>
}

interface State {
  readonly pipelines: readonly Pipeline[] | undefined
  readonly workers: readonly Worker[]
  readonly runtime: Runtime | undefined
  readonly failure: Failure | undefined
}

const NOTHING: State = { pipelines: undefined, workers: [], runtime: undefined, failure: undefined }
const LiveContext = createContext<Live | undefined>(undefined)

interface Props {
  /** How often somebody signed in: what was asked before the last time says nothing of now. */
  readonly signIns: { readonly current: number }
  readonly onEnded: () => void
  readonly children: ComponentChildren
}

export function LiveProvider({ signIns, onEnded, children }: Props) {
  const { announce } = useNotices()
  const [state, setState] = useState(NOTHING)
  const sparks = useMemo(() => new Sparks(), [])
  const before = useRef(NOTHING)
  const refresh = useCallback(async () => {
    const asked = signIns.current
    try {
      const next = await ask()
      for (const { pipeline_id: id, rates } of next.runtime?.pipelines ?? []) {
        sparks.add(id, rates['polled_per_second'] ?? 0)
      }
      tellChanges(before.current.pipelines, next.pipelines ?? [], announce)
      before.current = next
      setState(next)
    } catch (error) {
      if (error instanceof ApiError && error.status === 401) {
        return asked === signIns.current ? onEnded() : undefined
      }
      const sinceMs = before.current.failure?.sinceMs ?? Date.now()
      before.current = { ...before.current, failure: { message: messageOf(error), sinceMs } }
      setState(before.current)
    }
  }, [announce, onEnded, signIns, sparks])
  useEffect(() => keepAsking(refresh, () => before.current.pipelines?.length ?? 0), [refresh])
  const live = useMemo(() => ({ ...state, sparks, refresh }), [state, sparks, refresh])
  return <LiveContext.Provider value={live}>{children}</LiveContext.Provider>
}

export function useLive(): Live {
  const live = useContext(LiveContext)
  if (live === undefined) throw new ReferenceError('useLive is for what stands in a LiveProvider')
  return live
}

export function useRates(id: number): RuntimeEntry | undefined {
  return useLive().runtime?.pipelines.find(({ pipeline_id: each }) => each === id)
}

async function ask(): Promise<State> {
  const [pipelines, workers, runtime] = await Promise.all([
    everyPage<Pipeline>('/api/pipelines'),
    everyPage<Worker>('/api/workers'),
    get<Runtime>('/api/metrics/runtime'),
  ])
  return { pipelines, workers, runtime, failure: undefined }
}

async function everyPage<Item>(route: string): Promise<Item[]> {
  const all: Item[] = []
  let from = ''
  for (let page = 0; page < PAGES_MAX; page++) {
    const answer: { items: Item[]; next_cursor: string | number | null } = await get(
      `${route}?limit=${PAGE}${from}`,
    )
    all.push(...answer.items)
    if (answer.next_cursor === null) break
    from = `&cursor=${answer.next_cursor}`
  }
  return all
}

/** @returns what ends it. */
function keepAsking(refresh: () => Promise<void>, pipelineCount: () => number): () => void {
  let timer: ReturnType<typeof setTimeout> | undefined
  let ended = false
  const again = async (): Promise<void> => {
    clearTimeout(timer)
    if (!document.hidden) await refresh()
    // Another call may have come meanwhile; there is one timer at most.
    clearTimeout(timer)
    if (ended) return
    timer = setTimeout(
      () => void again(),
      Math.max(POLL_MS, pipelineCount() * POLL_MS_PER_PIPELINE),
    )
  }
  const onVisible = (): void => {
    if (!document.hidden) void again()
  }
  document.addEventListener('visibilitychange', onVisible)
  void again()
  return () => {
    ended = true
    clearTimeout(timer)
    document.removeEventListener('visibilitychange', onVisible)
  }
}

function tellChanges(
  before: readonly Pipeline[] | undefined,
  after: readonly Pipeline[],
  announce: (text: string) => void,
): void {
  if (before === undefined) return
  const states = new Map(before.map(({ id, status }) => [id, status.state]))
  const changed = after.filter(({ id, status }) => {
    const was = states.get(id)
    return was !== undefined && was !== status.state
  })
  if (changed.length === 0) return
  announce(
    changed.length > CHANGES_TOLD_MAX
      ? `${changed.length} pipelines changed their state`
      : changed.map(({ name, status }) => `${name} is ${stateWord(status.state)}`).join(', '),
  )
}
