/** Waiting, for a time or for something to hold: what the harness does between its steps. */

export const pause = (ms: number) => new Promise<void>((resolve) => setTimeout(resolve, ms))

/**
 * Asks again until it does not throw and does not answer false.
 * @throws Error that names `what`, with the last error, when the time is up.
 */
export async function untilDone(
  what: string,
  withinMs: number,
  attempt: () => Promise<boolean | void>,
): Promise<void> {
  const endMs = performance.now() + withinMs
  let cause: unknown
  do {
    try {
      if ((await attempt()) !== false) return
      cause = undefined
    } catch (error) {
      cause = error
    }
    await pause(200)
  } while (performance.now() < endMs)
  throw new Error(`not done in ${Math.round(withinMs / 1000)} s: ${what}`, { cause })
}
