/**
 * Feeds records to a topic at a settable rate, and never further ahead of a reader than its limit.
 *
 * The demo (which must wait for its consumer) and `bench produce` run it. Memory is bounded by the
 * producer's queue; the loop yields to the event loop after every slice.
 */
import assert from 'node:assert/strict'
import { type Clock, sleep } from '../core/clock.ts'
import type { BulkProducer } from './producer.ts'

/** A record to send; it stays as it is until the next one is asked for. */
export interface FeedRecord {
  readonly bytes: Uint8Array
  readonly key: string | null
  /** Whether it is one of the known matches. */
  readonly isMatch: boolean
}

export interface FeedOptions {
  readonly producer: Pick<BulkProducer, 'send'>
  readonly topic: string
  /** Records go to partitions 0 to this - 1 in turns; null leaves the choice to librdkafka. */
  readonly partitionCount: number | null
  readonly next: (wallMs: number) => FeedRecord
  /** Stop after this many records; Infinity: no limit. */
  readonly recordsMax: number
  /** Records a second; Infinity for no limit. */
  readonly recordsPerSecond: number
  /** The most records that may have been sent by now: those read, plus the allowed lead. */
  readonly sentMax: () => number
  readonly signal: AbortSignal
  readonly clock: Clock
}

/** Sums since the start, kept up to date while the feed runs. */
export interface FeedTotals {
  records: number
  bytes: number
  matches: number
}

/** Records between two turns of the event loop: a millisecond or two. */
const SLICE_RECORDS_MAX = 2048
/** Records after which the turn of the partitions moves on by one. */
const TURN_RECORDS = 1000
/** How long to wait when nothing may be sent; short, or a rate comes in bursts that are felt. */
const WAIT_MS = 2
/** A feed that was held up catches up this much at most, and drops the rest of its schedule. */
const CATCH_UP_MS_MAX = 1000

/**
 * Runs until recordsMax are queued or the signal is aborted.
 * @param totals is kept up to date while it runs, to show progress.
 * @throws LogpipeError of the producer.
 */
export async function feed(options: FeedOptions, totals: FeedTotals): Promise<void> {
  const { clock, signal } = options
  assert.ok(options.recordsPerSecond > 0, 'a rate above 0, or Infinity')
  const pace = new Pace(options.recordsPerSecond, clock)
  const slices = new Slices(options, totals)
  while (!signal.aborted && totals.records < options.recordsMax) {
    const allowed = Math.min(
      SLICE_RECORDS_MAX,
      options.recordsMax - totals.records,
      options.sentMax() - totals.records,
      pace.allowed(),
    )
    const sent = allowed > 0 ? slices.send(allowed) : 0
    assert(sent >= 0 && sent <= Math.max(0, allowed), `${sent} records of ${allowed}`)
    pace.took(sent)
    if (sent > 0 && sent === allowed) await new Promise((resolve) => setImmediate(resolve))
    else await sleep(clock, WAIT_MS)
  }
}

/** Every 25,000th record would meet the same one of four partitions, if they took plain turns. */
export function turnOf(recordNumber: number, partitionCount: number): number {
  return (recordNumber + Math.floor(recordNumber / TURN_RECORDS)) % partitionCount
}

class Slices {
  readonly #options: FeedOptions
  readonly #totals: FeedTotals
  /** The record that a full producer did not take; sent first the next time. */
  #refused: FeedRecord | null = null

  constructor(options: FeedOptions, totals: FeedTotals) {
    this.#options = options
    this.#totals = totals
  }

  /** @returns how many of `count` records the producer took. */
  send(count: number): number {
    const { producer, topic, partitionCount, clock } = this.#options
    const totals = this.#totals
    const wallMs = clock.wallMs()
    for (let index = 0; index < count; index++) {
      const record: FeedRecord = this.#refused ?? this.#options.next(wallMs)
      const partition = partitionCount === null ? null : turnOf(totals.records, partitionCount)
      this.#refused = producer.send(topic, partition, record.key, record.bytes) ? null : record
      if (this.#refused !== null) return index
      totals.records++
      totals.bytes += record.bytes.byteLength
      if (record.isMatch) totals.matches++
    }
    return count
  }
}

/** How many records a rate allows by now. */
class Pace {
  readonly #perMs: number
  readonly #clock: Clock
  #lastMs: number
  #credit = 1

  constructor(recordsPerSecond: number, clock: Clock) {
    this.#perMs = recordsPerSecond / 1000
    this.#clock = clock
    this.#lastMs = clock.monotonicMs()
  }

  allowed(): number {
    if (this.#perMs === Infinity) return Infinity
    const nowMs = this.#clock.monotonicMs()
    this.#credit += (nowMs - this.#lastMs) * this.#perMs
    this.#lastMs = nowMs
    // At least one: a rate below one a second still sends.
    this.#credit = Math.min(this.#credit, Math.max(1, CATCH_UP_MS_MAX * this.#perMs))
    return Math.floor(this.#credit)
  }

  took(count: number): void {
    if (this.#perMs !== Infinity) this.#credit -= count
  }
}
