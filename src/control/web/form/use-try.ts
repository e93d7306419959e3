/**
 * Tries a filter on real records while somebody types it.
 *
 * It begins when the filter is changed or somebody asks; from then on each change is tried once
 * nothing was typed for DEBOUNCE_MS. One is under way at a time: what is typed meanwhile is tried
 * when that has ended, and what was typed in between is not. Brokers and topic are those that are
 * saved until somebody asks: no worker looks for the half of an address.
 *
 * Bound. The control plane lets a command expire after 30 s; so does the waiting.
 */
import { useEffect, useRef, useState } from 'preact/hooks'
import { ApiError, get, messageOf, post } from '../data/api.ts'
import type { Command, FieldFault } from '../data/api-types.ts'
import { isFinished } from '../parts/states.ts'
import { type Tried, triedOf } from './try-result.ts'

const DEBOUNCE_MS = 500
const ASK_MS = 250

interface Outcome {
  readonly tried: Tried | undefined
  /** Why there is nothing to show. */
  readonly problem: string | undefined
  readonly faults: readonly FieldFault[]
}

export interface TryState extends Outcome {
  /** Waiting for a worker, or for the end of typing. */
  readonly isBusy: boolean
  readonly start: () => void
}

const NOTHING: Outcome = { tried: undefined, problem: undefined, faults: [] }

type Body = Readonly<Record<string, unknown>>

/**
 * @param pipelineId null: there is nobody to ask
 * @param place where the form has the records.
 */
export function useTry(pipelineId: number | null, filter: Body, place: Body): TryState {
  const [asksAt, setAsksAt] = useState<Body>({})
  const text = JSON.stringify({ ...filter, ...asksAt })
  const [outcome, setOutcome] = useState(NOTHING)
  const [isBusy, setIsBusy] = useState(false)
  // What is shown, what shall be tried, and what is under way.
  const wanted = useRef(text)
  const asked = useRef<string | undefined>(undefined)
  const isRunning = useRef(false)
  const timer = useRef<ReturnType<typeof setTimeout> | undefined>(undefined)
  const gone = useRef(new AbortController())
  const run = async (): Promise<void> => {
    if (isRunning.current || pipelineId === null) return
    isRunning.current = true
    setIsBusy(true)
    while (asked.current !== wanted.current && !gone.current.signal.aborted) {
      asked.current = wanted.current
      const next = await outcomeOf(pipelineId, wanted.current, gone.current.signal)
      // The records of the last filter that was right stay in sight while the next is typed.
      setOutcome((before) => ({ ...next, tried: next.tried ?? before.tried }))
    }
    isRunning.current = false
    setIsBusy(false)
  }
  useEffect(() => {
    gone.current = new AbortController()
    return () => gone.current.abort()
  }, [pipelineId])
  useEffect(() => {
    if (wanted.current === text || pipelineId === null) return
    wanted.current = text
    setIsBusy(true)
    timer.current = setTimeout(() => void run(), DEBOUNCE_MS)
    return () => clearTimeout(timer.current)
  }, [text, pipelineId])
  const start = (): void => {
    clearTimeout(timer.current)
    setAsksAt(place)
    wanted.current = JSON.stringify({ ...filter, ...place })
    asked.current = undefined
    void run()
  }
  return { ...outcome, isBusy, start }
}

async function outcomeOf(pipelineId: number, body: string, signal: AbortSignal): Promise<Outcome> {
  try {
    let command = await post<Command>(
      `/api/pipelines/${pipelineId}/try`,
      JSON.parse(body) as unknown,
      signal,
    )
    while (!isFinished(command)) {
      await new Promise((resolve) => setTimeout(resolve, ASK_MS))
      command = await get<Command>(`/api/commands/${command.id}`, signal)
    }
    const found = triedOf(command)
    return typeof found === 'string' ? { ...NOTHING, problem: found } : { ...NOTHING, tried: found }
  } catch (error) {
    if (error instanceof ApiError && error.faults.length > 0) {
      return { ...NOTHING, faults: error.faults }
    }
    return { ...NOTHING, problem: messageOf(error) }
  }
}
