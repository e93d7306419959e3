/**
 * The pattern that all filtering threads scan for, and its renewal while they run.
 *
 *   renew: a new matcher is made -> every thread is told -> each says that it took it -> the older
 *   ones are closed
 *
 * A thread that scans uses the one it was told last, so an old one may not be closed before.
 * Bound: one matcher, plus one for each renewal that not all threads have taken yet.
 */
import assert from 'node:assert/strict'
import type { Bridge, BridgeId, MatcherOptions } from '../bridge/bridge.ts'

export class Matchers {
  readonly #bridge: Pick<Bridge, 'matcherOpen' | 'matcherClose'>
  readonly #threadCount: number
  /** Open ones, the oldest first, with the number of threads that have taken each. */
  readonly #taken = new Map<BridgeId, number>()
  #current: BridgeId

  constructor(
    bridge: Pick<Bridge, 'matcherOpen' | 'matcherClose'>,
    options: MatcherOptions,
    threadCount: number,
  ) {
    this.#bridge = bridge
    this.#threadCount = threadCount
    this.#current = bridge.matcherOpen(options)
    this.#taken.set(this.#current, threadCount)
  }

  get current(): BridgeId {
    return this.#current
  }

  /** @returns what the threads are to be told. */
  renew(options: MatcherOptions): BridgeId {
    this.#current = this.#bridge.matcherOpen(options)
    this.#taken.set(this.#current, 0)
    return this.#current
  }

  /** One more thread scans with this one, and will not use an older one again. */
  take(matcher: BridgeId): void {
    const before = this.#taken.get(matcher)
    assert(before !== undefined && before < this.#threadCount, 'a matcher that a thread was told')
    const count = before + 1
    this.#taken.set(matcher, count)
    if (count < this.#threadCount) return
    for (const older of this.#taken.keys()) {
      if (older === matcher) return
      this.#taken.delete(older)
      this.#bridge.matcherClose(older)
    }
  }

  /** When no thread is left. */
  close(): void {
    for (const matcher of this.#taken.keys()) this.#bridge.matcherClose(matcher)
    this.#taken.clear()
  }
}
