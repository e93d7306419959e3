/**
 * What a pipeline tells while it runs, and when it has ended.
 */
import type { LogpipeError } from '../core/errors.ts'
import type { StuckPartition, WaitingPartition } from '../kafka/ingress-messages.ts'
import type { LagReport } from '../metrics/lag-meter.ts'
import type { PatternCount } from '../metrics/pattern-counts.ts'
import type { Statement } from '../offsets/books.ts'
import type { CounterValues } from '../pool/counters.ts'
import type { SlotCounts } from '../pool/slots.ts'
import type { SinkGauges } from '../sink/sink.ts'

export interface PipelineStats {
  readonly counters: CounterValues
  readonly slots: SlotCounts
  readonly sink: SinkGauges
  /** Of the metrics product line; none otherwise. */
  readonly patternCounts: readonly PatternCount[]
  /** As of the last second. */
  readonly lag: LagReport
  /** Of a replay: how much was to be read, in offsets; null: no replay. */
  readonly replayRecords: number | null
  /** Why the group does not let this process read; null: it has its part, if only to stand by. */
  readonly groupFault: string | null
  /** A broker answers, as far as is known. */
  readonly canReachKafka: boolean
  /** Partitions that are not read, because brokers have not said enough of them. */
  readonly waiting: readonly WaitingPartition[]
  /** Partitions that stand still although their log goes on. */
  readonly stuck: readonly StuckPartition[]
  readonly isStopping: boolean
  /**
   * Results of partitions that had been given away, dead letters, and documents that an ingest
   * pipeline dropped: sums since the start.
   */
  readonly fenced: number
  readonly deadLetters: number
  readonly pipelineDropped: number
  /**
   * When the first record came (monotonic ns), and the CPU time of the process until then; null
   * before.
   */
  readonly first: { readonly atNs: bigint; readonly cpuMicros: number } | null
  /** The process's CPU time when records were last seen; to a tick (20 ms). */
  readonly lastCpuMicros: number
}

/** What of the books is a metric. */
export function outcomesOf({
  total,
}: Statement): Pick<PipelineStats, 'fenced' | 'deadLetters' | 'pipelineDropped'> {
  return {
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
