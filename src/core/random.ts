/**
 * A small, fast, seeded random number generator: the same seed gives the same numbers everywhere.
 *
 * For generated data and for jitter in tests; never for secrets. sfc32 by Chris Doty-Humphrey
 * (PractRand):
 * 128 bits of state, 32 bits a call, a few nanoseconds.
 */
export interface Random {
  /** A number from 0 to 2^32 - 1. */
  next(): number
  /**
   * An index from 0 to count - 1. `count` is 1 to 2^31; its bias of count / 2^32 does not matter
   * here.
   */
  index(count: number): number
}

/** Calls thrown away at the start, so that near seeds part; PractRand's author advises 12 to 15. */
const WARM_UP_CALLS = 15

export function seededRandom(seed: number): Random {
  let a = seed | 0
  let b = Math.floor(seed / 2 ** 32) | 0
  let c = 0x9e3779b9 | 0
  let counter = 1

  function next(): number {
    const sum = (((a + b) | 0) + counter) | 0
    counter = (counter + 1) | 0
    a = b ^ (b >>> 9)
    b = (c + (c << 3)) | 0
    c = (((c << 21) | (c >>> 11)) + sum) | 0
    return sum >>> 0
  }

  for (let call = 0; call < WARM_UP_CALLS; call++) next()
  return { next, index: (count) => next() % count }
}
