/**
 * Lets a thread wait until another puts something into shared memory; for the ring and the stack.
 *
 * A waiter (1) counts itself in WAITERS, (2) reads SIGNAL, (3) tries once more, (4) waits for
 * SIGNAL to change, with a timeout. A thread that puts something in (a) publishes it, (b) adds to
 * SIGNAL, (c) notifies if WAITERS is not zero. A put between (3) and (4) has changed SIGNAL, so (4)
 * returns at once; (3) finds a put before (2). The timeout covers threads that die in between.
 */
import assert from 'node:assert/strict'

const SIGNAL = 0
const WAITERS = 1

/** Int32 words that an EventCount takes. */
export const EVENT_COUNT_WORDS = 2

/** The result of an attempt that found nothing. */
export const NOTHING = -1

export class EventCount {
  readonly #words: Int32Array

  /** @param words EVENT_COUNT_WORDS words, zero at first. */
  constructor(words: Int32Array) {
    assert.equal(words.length, EVENT_COUNT_WORDS)
    this.#words = words
  }

  /** Something was put in: wakes one waiter. */
  announce(): void {
    Atomics.add(this.#words, SIGNAL, 1)
    if (Atomics.load(this.#words, WAITERS) > 0) Atomics.notify(this.#words, SIGNAL, 1)
  }

  /** Wakes all waiters, so that they check again. */
  wakeAll(): void {
    Atomics.add(this.#words, SIGNAL, 1)
    Atomics.notify(this.#words, SIGNAL)
  }

  /** Waits at most `timeoutMs` for an attempt to succeed; not on the main thread. */
  waitFor(attempt: () => number, timeoutMs: number): number {
    const value = attempt()
    if (value !== NOTHING) return value
    const words = this.#words
    Atomics.add(words, WAITERS, 1)
    const signal = Atomics.load(words, SIGNAL)
    let late = attempt()
    if (late === NOTHING) {
      Atomics.wait(words, SIGNAL, signal, timeoutMs)
      late = attempt()
    }
    assert(Atomics.sub(words, WAITERS, 1) > 0, 'a waiter was counted')
    return late
  }
}
