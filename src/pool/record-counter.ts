/**
 * The contract for counting records where they are filtered: filter threads call it, metrics/
 * implements it, and its sums travel to main beside the runs.
 *
 * Only sums leave the thread, one for each series that a run adds to: a record costs main nothing.
 */
import type { MatchedRecord } from './record-encoder.ts'

/** The amounts that records of one run add to one series. Plain data, posted to main. */
export interface SeriesDelta {
  /** Index among the pipeline's metrics. */
  readonly metric: number
  /** Values, in the order of the metric's labels; empty where a record has none. */
  readonly labels: readonly string[]
  /** Where its window begins, in ms since 1970; -1: no windows, or records without a time. */
  readonly windowMs: number
  /** Of its records; all of them lie on one side of each of the run's cuts. */
  readonly firstOffset: number
  /** The latest time of its records; -1: none. */
  readonly lastMs: number
  /** Records that count, and those that lack the metric's number. */
  count: number
  missing: number
  /** Of the numbers; 0 for a counter. */
  sum: number
  /** Of a histogram, the records for each bound and above the last; otherwise null. */
  readonly buckets: number[] | null
}

export interface RecordCounter {
  /** Adds a record to each of these metrics. Never throws for what a record holds. */
  count(record: MatchedRecord, metrics: Iterable<number>): void
  /** The sums since the last call, in the order in which the series came up. */
  take(): SeriesDelta[]
  /** Records below and above each of these offsets stay apart from now on. */
  cutAt(offsets: readonly number[]): void
}
