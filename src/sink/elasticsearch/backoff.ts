/**
 * How long to wait before a try is repeated: exponential, with full jitter in the upper half, so
 * that many refused documents do not come back at one moment.
 *
 * Tries are not bounded in number, only in rate: giving up would lose the document.
 */

export interface BackoffTimes {
  readonly firstMs: number
  readonly maxMs: number
}

/** Documents and batches that were refused for the moment. */
export const RETRY_TIMES: BackoffTimes = { firstMs: 100, maxMs: 10_000 }
/** A held index, and a cluster that is down or refuses us: one small request is sent to look. */
export const PROBE_TIMES: BackoffTimes = { firstMs: 500, maxMs: 15_000 }

/** @param tries how often it failed, from 1. @param random from 0 up to 1. */
export function backoffMs(times: BackoffTimes, tries: number, random: number): number {
  const ceilingMs = Math.min(times.maxMs, times.firstMs * 2 ** Math.min(tries - 1, 30))
  return ceilingMs * (0.5 + random / 2)
}
