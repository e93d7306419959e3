/** How long sync waits before it tries again what failed: longer after each failure in a row. */

const BACKOFF_MS_MIN = 1000
export const BACKOFF_MS_MAX = 60_000

export function backoffMs(failureCount: number): number {
  const power = Math.max(0, Math.min(failureCount - 1, 10))
  return Math.min(BACKOFF_MS_MIN * 2 ** power, BACKOFF_MS_MAX)
}
