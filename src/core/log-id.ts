/**
 * The id of the log that a record belongs to, because a topic's name may stand for several logs
 * over time. It is the prefix of topic-partition-offset in `_id`, and distinguishes documents in
 * the spill.
 *
 *   0a1b2c3d       Kafka's id of the topic, or what --id-prefix says; empty: nothing is known
 *   0a1b2c3d-@7    the same, and the epoch of the leader that wrote the record: its log was cut off
 *   @7             before that, so its offset may be another record's (bridge/native/log-past.h)
 *
 * Topic names contain no `@`, so the second kind never collides with another topic's document.
 */
import assert from 'node:assert/strict'

export interface LogId {
  readonly prefix: string
  /** -1: none. */
  readonly markEpoch: number
}

const MARKED = /^(?:(.*)-)?@(\d+)$/s

export function formatLogId({ prefix, markEpoch }: LogId): string {
  assert(markEpoch >= -1)
  if (markEpoch < 0) return prefix
  return prefix === '' ? `@${markEpoch}` : `${prefix}-@${markEpoch}`
}

export function parseLogId(text: string): LogId {
  const [, prefix = '', epoch] = MARKED.exec(text) ?? []
  return epoch === undefined
    ? { prefix: text, markEpoch: -1 }
    : { prefix, markEpoch: Number(epoch) }
}
