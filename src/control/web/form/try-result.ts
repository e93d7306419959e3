/**
 * What a worker answers when it has tried a filter, as the Try panel shows it.
 */
import type { Command } from '../data/api-types.ts'

export interface TriedRecord {
  /** Where it lies: topic [partition] offset. */
  readonly at: string
  /** Null: it has none. */
  readonly value: string | null
  /** Which term said no; null: it is kept. */
  readonly reason: string | null
}

export interface Tried {
  readonly kept: number
  readonly dropped: number
  readonly noJson: number
  /** The most frequent first. */
  readonly reasons: readonly { readonly reason: string; readonly records: number }[]
  /** The latest last. */
  readonly records: readonly TriedRecord[]
}

/** Of what was said instead. */
const LINES_MAX = 20

/** The result of a finished command, or in words why there is none. */
export function triedOf({ state, result, worker_id: worker }: Command): Tried | string {
  if (state === 'expired') {
    return `${worker} did not answer in time: it is busy, or cannot reach the brokers.`
  }
  const { output, message } = Object(result) as { output?: unknown; message?: unknown }
  if (state === 'done' && !Array.isArray(output)) return readTried(output)
  const lines = Array.isArray(output) ? output.filter((line) => typeof line === 'string') : []
  const said = [...lines.slice(-LINES_MAX), ...(typeof message === 'string' ? [message] : [])]
  return said.join('\n') || `${worker} could not try it.`
}

/** By the API's own description; what does not fit is left out rather than shown wrongly. */
function readTried(output: unknown): Tried {
  const all = Object(output) as Readonly<Record<string, unknown>>
  const count = (name: string) => (typeof all[name] === 'number' ? all[name] : 0)
  const list = (name: string) =>
    (Array.isArray(all[name]) ? all[name] : []).map(
      (one: unknown) => Object(one) as Readonly<Record<string, unknown>>,
    )
  const reasons = list('reasons').map(({ reason, records }) => ({
    reason: String(reason),
    records: Number(records),
  }))
  return {
    kept: count('kept'),
    dropped: count('dropped'),
    noJson: count('no_json'),
    reasons,
    records: list('each').map(({ topic, partition, offset, value, reason }) => ({
      at: `${String(topic)} [${String(partition)}] ${String(offset)}`,
      value: typeof value === 'string' ? value : null,
      reason: typeof reason === 'number' ? (reasons[reason]?.reason ?? 'dropped') : null,
    })),
  }
}
