/**
 * What a lag means: records that are still to be read, and estimates of their bytes, of how old
 * what is read now is, and of when everything is caught up; for each partition and in total.
 *
 * Fed once a second by the pipeline with positions and sums; everything it tells is of that moment.
 *
 *   records   end - position. Offsets: an upper bound where compaction has left gaps.
 *   bytes     records times the bytes of values that an offset held lately, gaps included.
 *   seconds   now - time of the last record read, as KIP-489 defines a consumer's latency
 *             (https://cwiki.apache.org/confluence/display/KAFKA/KIP-489); 0 where nothing is left
 *             to read, unknown where records have no time. The total is the worst partition's.
 *   drain     backlog / (rate of reading - rate of arrival), the surplus of a queue
 *             (https://www.infoq.com/articles/capacity-planning-queue-recovery/); unknown while it
 *             does not shrink. Partitions share the threads, so the total is of the sums.
 *
 * Rates are exponentially weighted over TIME_CONSTANT_MS, as Linux does it for its load averages
 * (kernel/sched/loadavg.c), here for steps of any length.
 *
 * Bound. One entry for each partition of the last call.
 */
import type { Clock } from '../core/clock.ts'
import type { PartitionLag } from './runtime-metrics.ts'
import { keyOf } from '../core/topic-partition.ts'

/** One partition as it stands. */
export interface PartitionReading {
  readonly topic: string
  readonly partition: number
  /** Everything below went into slots. */
  readonly position: number
  /** -1: unknown. */
  readonly endOffset: number
  /** Bytes of the values read of it so far. */
  readonly bytesRead: number
  /** The time of the last record read, in ms since 1970; -1: none. */
  readonly lastTimestampMs: number
}

/** Null: unknown. */
export interface LagEstimate {
  readonly lagRecords: number
  readonly lagBytes: number | null
  readonly lagSeconds: number | null
  readonly drainSeconds: number | null
}

export interface LagReport {
  /** Over all partitions whose end is known; null: none yet. */
  readonly total: LagEstimate | null
  /** Those same partitions, the furthest behind first. */
  readonly partitions: readonly PartitionLag[]
  /** Until the spill is empty: 0 when it is, null while it does not shrink. */
  readonly spillDrainSeconds: number | null
}

export const NO_LAG: LagReport = { total: null, partitions: [], spillDrainSeconds: 0 }

/** Long against the steps in which fetches and segments come and go, short for an operator. */
const TIME_CONSTANT_MS = 10_000

export class LagMeter {
  #tracks = new Map<string, Track>()
  #spill: SmoothRate | null = null
  #report = NO_LAG

  /** What the last look gave. */
  get report(): LagReport {
    return this.#report
  }

  look(readings: Iterable<PartitionReading>, spillBytes: number, clock: Clock): void {
    const nowMs = clock.monotonicMs()
    const tracks = new Map<string, Track>()
    for (const reading of readings) {
      if (reading.endOffset < 0) continue
      const key = keyOf(reading)
      // The same partition in another assignment may have gone back: it begins anew.
      const known = this.#tracks.get(key)
      const track = known?.follows(reading) === true ? known : new Track(reading, nowMs)
      track.look(reading, nowMs)
      tracks.set(key, track)
    }
    this.#tracks = tracks
    this.#spill ??= new SmoothRate(spillBytes, nowMs)
    this.#spill.look(spillBytes, nowMs)
    const partitions = [...tracks.values()]
      .map((track) => track.estimate(clock.wallMs()))
      .sort((left, right) => right.lagRecords - left.lagRecords)
    this.#report = {
      total: this.#total(partitions),
      partitions,
      spillDrainSeconds: drainSeconds(spillBytes, -this.#spill.perSecond),
    }
  }

  #total(partitions: readonly LagEstimate[]): LagEstimate | null {
    if (partitions.length === 0) return null
    const sum = (values: readonly (number | null)[]) =>
      values.reduce<number | null>(
        (total, value) => (total === null || value === null ? null : total + value),
        0,
      )
    const lagRecords = partitions.reduce((total, one) => total + one.lagRecords, 0)
    const surplus = [...this.#tracks.values()].reduce((total, one) => total + one.surplus, 0)
    const ages = partitions.map((one) => one.lagSeconds)
    return {
      lagRecords,
      lagBytes: sum(partitions.map((one) => one.lagBytes)),
      lagSeconds: ages.reduce<number | null>(
        (worst, age) => (worst === null || age === null ? null : Math.max(worst, age)),
        0,
      ),
      drainSeconds: drainSeconds(lagRecords, surplus),
    }
  }
}

/** One partition from look to look. */
class Track {
  #reading: PartitionReading
  readonly #position: SmoothRate
  readonly #end: SmoothRate
  readonly #bytes: SmoothRate
  /** Of values, for each offset passed; null before the first record. */
  #bytesPerOffset: number | null = null

  constructor(reading: PartitionReading, nowMs: number) {
    this.#reading = reading
    this.#position = new SmoothRate(reading.position, nowMs)
    this.#end = new SmoothRate(reading.endOffset, nowMs)
    this.#bytes = new SmoothRate(reading.bytesRead, nowMs)
  }

  /** Records a second that are read above those that arrive. */
  get surplus(): number {
    return this.#position.perSecond - this.#end.perSecond
  }

  follows({ position, bytesRead }: PartitionReading): boolean {
    return position >= this.#reading.position && bytesRead >= this.#reading.bytesRead
  }

  look(reading: PartitionReading, nowMs: number): void {
    this.#reading = reading
    this.#position.look(reading.position, nowMs)
    this.#end.look(reading.endOffset, nowMs)
    this.#bytes.look(reading.bytesRead, nowMs)
    // Below one record in a thousand seconds both have faded: what was known last holds.
    if (this.#position.perSecond > 0.001) {
      this.#bytesPerOffset = this.#bytes.perSecond / this.#position.perSecond
    }
  }

  estimate(wallMs: number): PartitionLag {
    const { topic, partition, position, endOffset, lastTimestampMs } = this.#reading
    const lagRecords = Math.max(0, endOffset - position)
    const lagBytes = this.#bytesPerOffset === null ? null : lagRecords * this.#bytesPerOffset
    const ageSeconds = lastTimestampMs < 0 ? null : Math.max(0, wallMs - lastTimestampMs) / 1000
    const isBehind = lagRecords > 0
    return {
      topic,
      partition,
      lagRecords,
      lagBytes: isBehind ? lagBytes : 0,
      lagSeconds: isBehind ? ageSeconds : 0,
      drainSeconds: drainSeconds(lagRecords, this.surplus),
    }
  }
}

/** How fast a sum changes, smoothed. */
class SmoothRate {
  #value: number
  #atMs: number
  #perSecond: number | null = null

  constructor(value: number, atMs: number) {
    this.#value = value
    this.#atMs = atMs
  }

  get perSecond(): number {
    return this.#perSecond ?? 0
  }

  look(value: number, atMs: number): void {
    const elapsedMs = atMs - this.#atMs
    if (elapsedMs <= 0) return
    const rate = ((value - this.#value) * 1000) / elapsedMs
    const before = this.#perSecond ?? rate
    this.#perSecond = before + (rate - before) * (1 - Math.exp(-elapsedMs / TIME_CONSTANT_MS))
    this.#value = value
    this.#atMs = atMs
  }
}

/** Null: at this rate it is never done. */
function drainSeconds(backlog: number, perSecond: number): number | null {
  if (backlog <= 0) return 0
  return perSecond > 0 ? backlog / perSecond : null
}
