/**
 * Where partitions end, while nothing comes of them: a fetch tells the end of its partition, but a
 * stalled thread and a held partition fetch nothing, a response that is too large never arrives,
 * and their lag would seem to stand still.
 *
 * Used by the ingress thread. Bound. One question in ENDS_EVERY_MS, beside reading.
 */

const ENDS_EVERY_MS = 5000
/** Ends are a matter of display: what is not answered by then is asked for again. */
export const ENDS_TIMEOUT_MS = 1000

/** When brokers have to be asked. */
export class EndsDue {
  #hasFetched = false
  #askedMs = -Infinity

  noteFetch(): void {
    this.#hasFetched = true
  }

  /** Once a second. @param hasStill whether a partition is paused by itself, or does not move. */
  look(nowMs: number, hasStill: boolean): boolean {
    const isStill = hasStill || !this.#hasFetched
    this.#hasFetched = false
    if (!isStill || nowMs - this.#askedMs < ENDS_EVERY_MS) return false
    this.#askedMs = nowMs
    return true
  }
}
