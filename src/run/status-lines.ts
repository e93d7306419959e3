/**
 * The two lines of each second, as the seed prints them.
 *
 *   free=240 ready=4 in_flight=12 total=256 | kafka=85000 msg/s 82.3 MiB/s
 *   polled=85000 msg/s 82.3 MiB/s | matched=12 | drop_filter=84988
 *
 * The first is the pool and what Kafka gave; the second what became of it. What is not normal is
 * added behind: waiting output, spill, replay, trouble.
 */
import { formatBytes } from '../core/units.ts'
import type { CounterValues } from '../pool/counters.ts'
import type { SlotCounts } from '../pool/slots.ts'
import type { SinkGauges } from '../sink/sink.ts'

/** Two readings of everything, and the time between them. */
export interface StatusInput {
  readonly slots: SlotCounts
  readonly now: CounterValues
  readonly before: CounterValues
  readonly elapsedMs: number
  readonly sink: SinkGauges
  readonly sinkBefore: SinkGauges
  /** Records up to the partitions' ends; null: not known. */
  readonly lagRecords: number | null
}

/** What a status holds, per second where it is a rate; also the fields of the JSON form. */
export interface Status {
  readonly free: number
  readonly ready: number
  readonly in_flight: number
  readonly total: number
  readonly polled_per_second: number
  readonly polled_bytes_per_second: number
  readonly matched: number
  readonly drop_filter: number
  readonly dropped: number
  readonly written_per_second: number
  readonly queued: number
  readonly spill_bytes: number
  readonly lag: number | null
  readonly replaying: boolean
  readonly trouble: string | null
}

export function statusOf(input: StatusInput): Status {
  const { slots, now, before, elapsedMs, sink, sinkBefore } = input
  const rate = (difference: number) => Math.round((difference * 1000) / Math.max(1, elapsedMs))
  return {
    free: slots.free,
    ready: slots.ready,
    in_flight: slots.filling + slots.filtering,
    total: slots.free + slots.filling + slots.ready + slots.filtering,
    polled_per_second: rate(now.records - before.records),
    polled_bytes_per_second: rate(now.bytes - before.bytes),
    matched: now.matched - before.matched,
    drop_filter: now.filtered - before.filtered,
    dropped: now.dropped - before.dropped,
    written_per_second: rate(sink.writtenDocuments - sinkBefore.writtenDocuments),
    queued: sink.queuedDocuments,
    spill_bytes: sink.spillBytes,
    lag: input.lagRecords,
    replaying: sink.replaying,
    trouble: sink.trouble,
  }
}

export function statusLines(status: Status): [pool: string, pipeline: string] {
  const { free, ready, in_flight: inFlight, total } = status
  const rate = `${status.polled_per_second} msg/s ${formatBytes(status.polled_bytes_per_second)}/s`
  const extras = [
    status.dropped > 0 ? `dropped=${status.dropped}` : null,
    status.queued > 0 ? `queued=${status.queued}` : null,
    status.written_per_second > 0 ? `written=${status.written_per_second}/s` : null,
    status.spill_bytes > 0 ? `spill=${formatBytes(status.spill_bytes)}` : null,
    status.replaying ? 'replaying the spill' : null,
    status.lag === null ? null : `lag=${status.lag}`,
    status.trouble,
  ].filter((extra) => extra !== null)
  return [
    `free=${free} ready=${ready} in_flight=${inFlight} total=${total} | kafka=${rate}`,
    [
      `polled=${rate}`,
      `matched=${status.matched}`,
      `drop_filter=${status.drop_filter}`,
      ...extras,
    ].join(' | '),
  ]
}
