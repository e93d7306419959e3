/**
 * Waiting on the main thread for what has no event of its own: a bounded look-again loop.
 */

/** Between two looks: short against what people notice, long against what a look costs. */
const LOOK_EVERY_MS = 5

/** @returns whether it held within the time. */
export async function waitUntil(holds: () => boolean, timeoutMs: number): Promise<boolean> {
  const endMs = performance.now() + timeoutMs
  while (!holds()) {
    if (performance.now() >= endMs) return false
    await new Promise((resolve) => {
      setTimeout(resolve, LOOK_EVERY_MS)
    })
  }
  return true
}
