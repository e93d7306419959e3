/**
 * A bounded queue of small numbers in shared memory: any thread pushes, any thread pops.
 *
 * Hands the READY slots from the ingress threads to the filter threads, first in, first out.
 * The scheme is Dmitry Vyukov's bounded MPMC queue: each cell carries a sequence number that says
 * whose turn it is, so that a push and a pop each take one compareExchange and never hold a lock.
 *
 * ```
 * cell at position p (index p & mask), sequence s:
 *   s == p       empty: the pusher that moves TAIL from p to p+1 owns the cell;
 *                it writes the value, then stores s = p + 1
 *   s == p + 1   full: the popper that moves HEAD from p to p+1 owns the cell;
 *                it reads the value, then stores s = p + capacity (the next lap)
 *   otherwise    another thread is between its two steps
 * ```
 *
 * Positions wrap at 2^32; comparisons are on the wrapped difference, so laps do not matter.
 *
 * Bound. `limit` values at most: a place that a pop frees, a push may use.
 */
import assert from 'node:assert/strict'
import { NOTHING, EventCount, EVENT_COUNT_WORDS } from './event-count.ts'

const TAIL = 0
const HEAD = 1
const LIMIT = 2
/** The words of the EventCount. */
const WAITING_AT = 3
/** Cells begin on a cache line of their own. */
const CELLS_AT = 16

/** How long a pusher sleeps before it checks a cell whose popper was interrupted again. */
const POPPER_WAIT_MS = 1

export class Ring {
  readonly #words: Int32Array
  readonly #waiting: EventCount
  readonly #mask: number

  /** Attaches to memory made by `Ring.allocate`; a ring is passed to a thread as this memory. */
  constructor(memory: SharedArrayBuffer) {
    this.#words = new Int32Array(memory)
    this.#waiting = new EventCount(this.#words.subarray(WAITING_AT, WAITING_AT + EVENT_COUNT_WORDS))
    const capacity = (this.#words.length - CELLS_AT) / 2
    assert(capacity >= 1 && (capacity & (capacity - 1)) === 0)
    this.#mask = capacity - 1
    assert(this.limit >= 1 && this.limit < capacity, 'a full ring never wraps onto its own head')
  }

  /** Memory for a ring of at most `limit` values. */
  static allocate(limit: number): SharedArrayBuffer {
    assert(Number.isInteger(limit) && limit >= 1 && limit <= 1 << 20)
    // One cell more than the limit, so that a full ring never wraps onto its own head.
    const capacity = 2 ** Math.ceil(Math.log2(limit + 1))
    const memory = new SharedArrayBuffer((CELLS_AT + capacity * 2) * 4)
    const words = new Int32Array(memory)
    words[LIMIT] = limit
    for (let index = 0; index < capacity; index++) words[CELLS_AT + index * 2] = index
    return memory
  }

  /** Values in the ring at some moment during the call. */
  get count(): number {
    return (Atomics.load(this.#words, TAIL) - Atomics.load(this.#words, HEAD)) | 0
  }

  get limit(): number {
    return this.#words[LIMIT]!
  }

  /**
   * @returns false when the ring is full. Not on the main thread once others pop (it may sleep).
   */
  tryPush(value: number): boolean {
    assert(Number.isInteger(value) && value >= 0)
    const words = this.#words
    for (;;) {
      const position = Atomics.load(words, TAIL)
      const cell = CELLS_AT + (position & this.#mask) * 2
      const turn = (Atomics.load(words, cell) - position) | 0
      if (turn > 0) continue // Another pusher took this position.
      if (((position - Atomics.load(words, HEAD)) | 0) >= this.limit) return false
      if (turn < 0) {
        // Not full, yet taken: its popper of the last lap has moved HEAD and was put to sleep
        // before its store. Give it the core; a wait is for the cell's own sequence number.
        Atomics.wait(words, cell, Atomics.load(words, cell), POPPER_WAIT_MS)
        continue
      }
      if (Atomics.compareExchange(words, TAIL, position, (position + 1) | 0) !== position) continue
      words[cell + 1] = value
      Atomics.store(words, cell, (position + 1) | 0)
      this.#waiting.announce()
      return true
    }
  }

  /** @returns a value, or NOTHING. */
  tryPop(): number {
    const words = this.#words
    for (;;) {
      const position = Atomics.load(words, HEAD)
      const cell = CELLS_AT + (position & this.#mask) * 2
      const turn = (Atomics.load(words, cell) - ((position + 1) | 0)) | 0
      if (turn < 0) return NOTHING
      if (turn > 0) continue // Another popper took this position.
      if (Atomics.compareExchange(words, HEAD, position, (position + 1) | 0) !== position) continue
      const value = words[cell + 1]!
      assert(value >= 0, 'a cell whose turn it is holds a value')
      Atomics.store(words, cell, (position + this.#mask + 1) | 0)
      return value
    }
  }

  /**
   * Waits at most `timeoutMs` for a value; not on the main thread. @returns a value, or NOTHING.
   */
  pop(timeoutMs: number): number {
    return this.#waiting.waitFor(() => this.tryPop(), timeoutMs)
  }

  wakeAll(): void {
    this.#waiting.wakeAll()
  }
}
