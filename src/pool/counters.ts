/**
 * Counters in shared memory: one row a thread, written by that thread alone, read by main.
 *
 * 64-bit sums since start, so that a rate is the difference of two readings.
 */
import assert from 'node:assert/strict'

export const COUNTERS = [
  /** Records and bytes of values that a fill has put in slots. */
  'records',
  'bytes',
  /** Records that matched, and that the pattern filtered out. */
  'matched',
  'filtered',
  /** Records dropped with OVERFLOW_DROP_NEWEST. */
  'dropped',
  /** When the thread finished its latest slot: monotonic nanoseconds (process.hrtime). */
  'lastNs',
  /** How long the thread has waited for a free slot, in ms. */
  'stalledMs',
  /** Records that matched and whose index has the date of their arrival. */
  'redated',
] as const

export type Counter = (typeof COUNTERS)[number]
export type CounterValues = Record<Counter, number>

/** Rows are a cache line apart, so that threads do not slow one another. */
const ROW_COUNTERS = 8

export class Counters {
  readonly memory: SharedArrayBuffer
  readonly #values: BigInt64Array

  constructor(memory: SharedArrayBuffer) {
    assert(COUNTERS.length <= ROW_COUNTERS)
    this.memory = memory
    this.#values = new BigInt64Array(memory)
    assert(this.#values.length % ROW_COUNTERS === 0, 'whole rows')
  }

  static allocate(threadCount: number): SharedArrayBuffer {
    return new SharedArrayBuffer(threadCount * ROW_COUNTERS * 8)
  }

  /** The writing end of one thread's row. */
  row(threadIndex: number): CounterRow {
    return new CounterRow(this.#values, threadIndex * ROW_COUNTERS)
  }

  get threadCount(): number {
    return this.#values.length / ROW_COUNTERS
  }

  /** Sums over all threads; `lastNs` is the latest. */
  read(): CounterValues {
    const sums = Object.fromEntries(COUNTERS.map((name) => [name, 0])) as CounterValues
    for (let thread = 0; thread < this.threadCount; thread++) {
      COUNTERS.forEach((name, index) => {
        const value = Number(Atomics.load(this.#values, thread * ROW_COUNTERS + index))
        sums[name] = name === 'lastNs' ? Math.max(sums[name], value) : sums[name] + value
      })
    }
    return sums
  }
}

export class CounterRow {
  readonly #values: BigInt64Array
  readonly #base: number

  constructor(values: BigInt64Array, base: number) {
    assert(base >= 0 && base + ROW_COUNTERS <= values.length)
    this.#values = values
    this.#base = base
  }

  add(name: Counter, by: number): void {
    assert(by >= 0, 'a sum since the start never falls')
    Atomics.add(this.#values, this.#base + COUNTERS.indexOf(name), BigInt(by))
  }

  set(name: Counter, value: bigint): void {
    Atomics.store(this.#values, this.#base + COUNTERS.indexOf(name), value)
  }
}
