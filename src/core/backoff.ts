/**
 * How long to wait before a try is repeated: twice as long after each failure in a row, up to a
 * maximum, with jitter in the upper half, so that many failures do not come back at one moment.
 *
 * Tries are bounded in rate here; who must give up counts them.
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
