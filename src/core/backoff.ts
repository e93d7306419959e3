/**
 * Computes the wait before a retry: it doubles with each failure in a row, up to a maximum, with
 * jitter in the upper half, so that many failures do not retry at the same moment.
 *
 * This bounds the rate of retries; a caller that must give up counts them.
 */

export interface BackoffTimes {
  readonly firstMs: number
  readonly maxMs: number
}

/**
 * @param tries how often it failed, from 1
 * @param random from 0 to 1; always 1 where there is nobody to meet: the whole time
 */
export function backoffMs(times: BackoffTimes, tries: number, random: number): number {
  const ceilingMs = Math.min(times.maxMs, times.firstMs * 2 ** Math.min(tries - 1, 30))
  return ceilingMs * (0.5 + random / 2)
}
