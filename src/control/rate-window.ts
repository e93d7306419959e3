/**
 * Rates of counters that are told again and again, over the last few seconds.
 *
 * A worker's numbers come from a snapshot that is written once a second, by heartbeats of another
 * pace: two heartbeats may bring the same snapshot, or skip one. So time is taken from the snapshot
 * itself (how long its pipeline runs), what is told twice changes nothing, and the rate is that of
 * a window of some snapshots.
 *
 * Bound: one sample for each snapshot of the window, and one before it.
 */

/** Three snapshots: their time is given to a tenth of a second, so a rate is right to 3 %. */
const WINDOW_MS = 3000

interface Sample {
  readonly atMs: number
  readonly counters: readonly number[]
}

export class RateWindow {
  #samples: Sample[] = []
  #rates: readonly number[] = []

  /**
   * Takes counters in. A smaller one has begun anew, at zero: that is no negative rate.
   * @param atMs when they were so, on the counting process's own clock where that is known.
   * @returns of each counter, its rate a second.
   */
  add(atMs: number, counters: readonly number[]): readonly number[] {
    const last = this.#samples.at(-1)
    const sample = { atMs, counters }
    if (last === undefined) {
      this.#samples = [sample]
      this.#rates = counters.map(() => 0)
      return this.#rates
    }
    if (atMs === last.atMs) return this.#rates
    const isNew = atMs < last.atMs
    if (isNew || counters.some((value, index) => value < (last.counters[index] ?? 0))) {
      const zero = { atMs: isNew ? 0 : last.atMs, counters: counters.map(() => 0) }
      this.#samples = [zero, sample]
    } else {
      this.#samples.push(sample)
    }
    this.#forget(atMs - WINDOW_MS)
    const first = this.#samples[0] ?? sample
    const elapsedMs = atMs - first.atMs
    this.#rates = counters.map((value, index) =>
      elapsedMs <= 0 ? 0 : ((value - (first.counters[index] ?? 0)) * 1000) / elapsedMs,
    )
    return this.#rates
  }

  /** The newest sample that is as old as the window is where it begins. */
  #forget(beforeMs: number): void {
    while ((this.#samples[1]?.atMs ?? Infinity) <= beforeMs) this.#samples.shift()
  }
}
