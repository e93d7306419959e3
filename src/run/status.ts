/**
 * The two lines of each second. Scripts read them: their words and their order stay.
 *
 *   free=240 ready=4 in_flight=12 total=256 | kafka=85000 msg/s 82.3 MiB/s
 *   polled=85000 msg/s 82.3 MiB/s | matched=12 | drop_filter=84988
 *
 * The first is the pool and what Kafka gave; the second what became of it. What is not normal is
 * added behind: waiting output, spill, replay, trouble.
 */
import process from 'node:process'
import type { LogpipeError } from '../core/errors.ts'
import type { LiveBooks } from '../core/live-books.ts'
import type { LogMetric } from '../core/log-metric.ts'
import type { RuleCount } from '../core/rules.ts'
import type { Trouble } from '../core/trouble.ts'
import { formatBytes, formatDuration } from '../core/units.ts'
import type { StuckPartition, WaitingPartition } from '../kafka/ingress-messages.ts'
import type { LagReport } from '../metrics/lag-meter.ts'
import type { PatternCount } from '../metrics/pattern-counts.ts'
import type { Statement } from '../offsets/books.ts'
import { liveBooks } from '../offsets/books-text.ts'
import type { CounterValues } from '../pool/counters.ts'
import type { SlotCounts } from '../pool/slots.ts'
import type { SinkGauges } from '../sink/sink.ts'
import type { Reading } from './threads.ts'

/** Two readings of everything, and the time between them. */
export interface StatusInput {
  readonly slots: SlotCounts
  readonly now: CounterValues
  readonly before: CounterValues
  readonly elapsedMs: number
  readonly sink: SinkGauges
  readonly sinkBefore: SinkGauges
  readonly counted: Readonly<Record<string, number>>
  readonly countedBefore: Readonly<Record<string, number>>
  /** By the names of /metrics, without labels. */
  readonly metrics: Readonly<Record<string, number>>
  readonly metricsBefore: Readonly<Record<string, number>>
  readonly lag: LagReport
  readonly waiting: readonly WaitingPartition[]
  readonly stuck: readonly StuckPartition[]
  /** Of a replay: how much was to be read, in offsets; null: no replay. */
  readonly replayRecords: number | null
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
  /** Records up to the partitions' ends, and estimates (lag-meter.ts); null: not known. */
  readonly lag: number | null
  readonly lag_bytes: number | null
  readonly lag_seconds: number | null
  readonly lag_drain_seconds: number | null
  readonly spill_drain_seconds: number | null
  /** Of a replay: the share that was read, 0 to 1. */
  readonly progress: number | null
  /** Of the metrics product line: records by pattern; empty otherwise. */
  readonly counted: Readonly<Record<string, number>>
  /** What metrics count; empty without them. */
  readonly metrics: Readonly<Record<string, number>>
  readonly replaying: boolean
  readonly trouble: string | null
  /** Partitions that are not read, because their brokers do not answer. */
  readonly waiting: readonly string[]
  /** Partitions that stand still although their log goes on: `app [0] at 20`. */
  readonly stuck: readonly string[]
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
    ...lagOf(input),
    counted: sinceBefore(input.counted, input.countedBefore),
    metrics: sinceBefore(input.metrics, input.metricsBefore),
    replaying: sink.replaying,
    trouble: sink.trouble,
    waiting: input.waiting.map(({ topic, partition }) => `${topic} [${partition}]`),
    stuck: input.stuck.map(
      ({ topic, partition, offset }) => `${topic} [${partition}] at ${offset}`,
    ),
  }
}

function sinceBefore(
  now: Readonly<Record<string, number>>,
  before: Readonly<Record<string, number>>,
): Record<string, number> {
  return Object.fromEntries(
    Object.entries(now).map(([name, count]) => [name, count - (before[name] ?? 0)]),
  )
}

function lagOf({
  lag: { total, spillDrainSeconds },
  replayRecords,
}: StatusInput): Pick<
  Status,
  'lag' | 'lag_bytes' | 'lag_seconds' | 'lag_drain_seconds' | 'spill_drain_seconds' | 'progress'
> {
  const rounded = (value: number | null | undefined) =>
    value === null || value === undefined ? null : Math.round(value)
  const left = total?.lagRecords ?? null
  return {
    lag: left,
    lag_bytes: rounded(total?.lagBytes),
    lag_seconds: rounded(total?.lagSeconds),
    lag_drain_seconds: rounded(total?.drainSeconds),
    spill_drain_seconds: rounded(spillDrainSeconds),
    progress:
      replayRecords === null || left === null || replayRecords === 0
        ? null
        : Math.min(1, Math.max(0, 1 - left / replayRecords)),
  }
}

export function statusLines(status: Status): [pool: string, pipeline: string] {
  const { free, ready, in_flight: inFlight, total } = status
  const rate = `${status.polled_per_second} msg/s ${formatBytes(status.polled_bytes_per_second)}/s`
  const extras = [
    status.dropped > 0 ? `dropped=${status.dropped}` : null,
    status.queued > 0 ? `queued=${status.queued}` : null,
    status.written_per_second > 0 && Object.keys(status.counted).length === 0
      ? `written=${status.written_per_second}/s`
      : null,
    countedText('counted', status.counted),
    countedText('metrics', status.metrics),
    status.spill_bytes > 0 ? spillText(status) : null,
    status.replaying ? 'replaying the spill' : null,
    status.progress === null ? lagText(status) : progressText(status),
    partitionsText('not read', status.waiting),
    partitionsText('stuck', status.stuck),
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

/** Patterns named in one line; the snapshot and /metrics have all. */
const PATTERNS_SHOWN = 4

/** `counted ERROR=12 FATAL=0`; null where nothing is counted. */
function countedText(what: string, counted: Readonly<Record<string, number>>): string | null {
  const parts = Object.entries(counted).map(([name, count]) => `${name}=${roundedCount(count)}`)
  if (parts.length === 0) return null
  const more = parts.length > PATTERNS_SHOWN ? ' ...' : ''
  return `${what} ${parts.slice(0, PATTERNS_SHOWN).join(' ')}${more}`
}

/** Sums may have fractions. */
function roundedCount(count: number): number {
  return Math.round(count * 1000) / 1000
}

/** Partitions named in one line; /ready and the log have all. */
const PARTITIONS_SHOWN = 3

/** `not read: app [2], app [5]` or `stuck: app [0] at 20`. */
function partitionsText(what: string, partitions: readonly string[]): string | null {
  if (partitions.length === 0) return null
  const more = partitions.length - PARTITIONS_SHOWN
  const shown = partitions.slice(0, PARTITIONS_SHOWN).join(', ')
  return `${what}: ${shown}${more > 0 ? ` and ${more} more` : ''}`
}

/** `spill=1.2 GiB, empty in 3m 20s`. */
function spillText({ spill_bytes: bytes, spill_drain_seconds: drain }: Status): string {
  return `spill=${formatBytes(bytes)}${drain === null ? '' : `, empty in ${seconds(drain)}`}`
}

/** `lag=1200000, 1.1 GiB, 5m 3s behind, drained in 12.0 s`; what is not known is left out. */
function lagText(status: Status): string | null {
  const { lag, lag_bytes: bytes, lag_seconds: behind, lag_drain_seconds: drain } = status
  if (lag === null || lag === 0) return lag === null ? null : 'lag=0'
  const facts = [
    `lag=${lag}`,
    bytes === null ? null : formatBytes(bytes),
    behind === null ? null : `${seconds(behind)} behind`,
    drain === null ? null : `drained in ${seconds(drain)}`,
  ]
  return facts.filter((fact) => fact !== null).join(', ')
}

/** `replayed=42.1%, 12.0 s to go`. */
function progressText({ progress, lag_drain_seconds: drain }: Status): string {
  const share = `replayed=${((progress ?? 0) * 100).toFixed(1)}%`
  return drain === null || progress === 1 ? share : `${share}, ${seconds(drain)} to go`
}

function seconds(count: number): string {
  return formatDuration(count * 1000)
}

/*
 * When records came, and the process's CPU time then: rates and benchmarks count from the first
 * record to the last. Used by the pipeline, which looks at it in each tick.
 */

interface FirstRecord {
  /** Monotonic. */
  readonly atNs: bigint
  readonly cpuMicros: number
}

export class RecordTimes {
  #first: FirstRecord | null = null
  #lastNs = 0
  #lastCpuMicros = 0

  /** `first`: null before the first record. `lastCpuMicros`: when a tick last saw new records. */
  stats(): { readonly first: FirstRecord | null; readonly lastCpuMicros: number } {
    return { first: this.#first, lastCpuMicros: this.#lastCpuMicros }
  }

  /** A thread's first record; the earliest of all threads counts. */
  noteFirst({ atNs, cpuMicros }: FirstRecord): void {
    if (this.#first === null || atNs < this.#first.atNs) this.#first = { atNs, cpuMicros }
  }

  /** @param lastNs when a thread last finished a slot. */
  look(lastNs: number): void {
    if (lastNs === this.#lastNs) return
    this.#lastNs = lastNs
    const { user, system } = process.cpuUsage()
    this.#lastCpuMicros = user + system
  }
}

/*
 * What a pipeline tells while it runs, and when it has ended.
 */

export interface PipelineStats {
  readonly counters: CounterValues
  readonly slots: SlotCounts
  readonly sink: SinkGauges
  /** Of the metrics product line; none otherwise. */
  readonly patternCounts: readonly PatternCount[]
  /** What is counted beside the output; none: no metrics are set. */
  readonly logMetrics: readonly LogMetric[]
  /** By rule; none where there are no rules. */
  readonly ruleCounts: readonly RuleCount[]
  /** As of the last second. */
  readonly lag: LagReport
  /** Of a replay: how much was to be read, in offsets; null: no replay. */
  readonly replayRecords: number | null
  /** How far it is from reading. */
  readonly reading: Reading
  /** Why the group does not let this process read; null: it has its part, if only to stand by. */
  readonly groupFault: string | null
  /** A broker answers, as far as is known. */
  readonly canReachKafka: boolean
  /** Partitions that are not read, because brokers have not said enough of them. */
  readonly waiting: readonly WaitingPartition[]
  /** Partitions that stand still although their log goes on. */
  readonly stuck: readonly StuckPartition[]
  readonly isStopping: boolean
  /** What keeps it from its work now, whatever keeps everything from it first. */
  readonly troubles: readonly Trouble[]
  /**
   * Results of partitions that had been given away, dead letters, and documents that an ingest
   * pipeline dropped: sums since the start.
   */
  readonly fenced: number
  readonly deadLetters: number
  readonly pipelineDropped: number
  /** Where every record went, as far as it went. */
  readonly books: LiveBooks
  /**
   * When the first record came (monotonic ns), and the CPU time of the process until then; null
   * before.
   */
  readonly first: { readonly atNs: bigint; readonly cpuMicros: number } | null
  /** The process's CPU time when records were last seen; to a tick (20 ms). */
  readonly lastCpuMicros: number
}

/** What of the books is a metric. */
export function outcomesOf(
  statement: Statement,
): Pick<PipelineStats, 'fenced' | 'deadLetters' | 'pipelineDropped' | 'books'> {
  const { total } = statement
  return {
    books: liveBooks(statement),
    fenced: total.count('fenced'),
    deadLetters: total.count('dead_lettered'),
    pipelineDropped: total.count('pipeline_dropped'),
  }
}

export interface PipelineResult {
  readonly error: LogpipeError | null
  readonly statement: Statement
  readonly stats: PipelineStats
  /** Records read that were not settled in time; their offsets are not committed. */
  readonly pendingRecords: number
  /** Something that lay damaged in the spill is still to be read again. */
  readonly isOutputBusy: boolean
  readonly seconds: number
}
