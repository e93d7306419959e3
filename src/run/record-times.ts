/**
 * When records came, and the process's CPU time then: rates and benchmarks count from the first
 * record to the last. Used by the pipeline, which looks at it in each tick.
 */
import process from 'node:process'

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
