/**
 * A stack of small numbers in shared memory: any thread pushes, any thread pops, last in, first
 * out.
 *
 * Holds the FREE slots. The slot that was freed last is the next to be filled, so that its memory
 * is still in a cache, and slots that are never needed are never touched: they stay unmapped.
 *
 * Treiber's stack. HEAD holds the top's number plus one (0: empty) and, above it, a count of all
 * changes; NEXT has, for each number, the one below it.
 *
 *   push: NEXT[n] = top; compareExchange HEAD (top, count) -> (n, count + 1)
 *   pop:  below = NEXT[top]; compareExchange HEAD (top, count) -> (below, count + 1)
 *
 * Race. A popper (1) reads HEAD = a and NEXT[a] = b and is put to sleep; (2) others pop a, pop b,
 * and push a again; (3) the popper finds a on top, as before, and would make b the top, which
 * somebody holds. The count has changed, so its compareExchange fails: it counts 2^31 changes
 * before it wraps.
 *
 * Bound. The numbers 0 to `size` - 1, each in it at most once (pool/slots.ts asserts it by state).
 */
import assert from 'node:assert/strict'
import { NOTHING, EventCount, EVENT_COUNT_WORDS } from './event-count.ts'

/** HEAD is the first 8 bytes; then a word for the count, then the words of the EventCount. */
const COUNT = 2
const WAITING_AT = 3
const NEXT_AT = 16

const NUMBER_MASK = 0xffff_ffffn
const CHANGE = 1n << 32n
const CHANGES_MASK = (1n << 63n) - 1n

export class Stack {
  readonly #head: BigInt64Array
  readonly #words: Int32Array
  readonly #waiting: EventCount
  readonly #size: number

  /** Attaches to memory made by `Stack.allocate`. */
  constructor(memory: SharedArrayBuffer) {
    this.#head = new BigInt64Array(memory, 0, 1)
    this.#words = new Int32Array(memory)
    this.#waiting = new EventCount(this.#words.subarray(WAITING_AT, WAITING_AT + EVENT_COUNT_WORDS))
    this.#size = this.#words.length - NEXT_AT
  }

  /** Memory for a stack of the numbers below `size`; empty. */
  static allocate(size: number): SharedArrayBuffer {
    assert(Number.isInteger(size) && size >= 1 && size <= 1 << 20)
    return new SharedArrayBuffer((NEXT_AT + size + (size % 2)) * 4)
  }

  /** Numbers in the stack at some moment during the call. */
  get count(): number {
    return Atomics.load(this.#words, COUNT)
  }

  push(value: number): void {
    assert(Number.isInteger(value) && value >= 0 && value < this.#size)
    for (;;) {
      const head = Atomics.load(this.#head, 0)
      Atomics.store(this.#words, NEXT_AT + value, Number(head & NUMBER_MASK))
      if (this.#replaceHead(head, value + 1)) break
    }
    Atomics.add(this.#words, COUNT, 1)
    this.#waiting.announce()
  }

  /** @returns a number, or NOTHING. */
  tryPop(): number {
    for (;;) {
      const head = Atomics.load(this.#head, 0)
      const top = Number(head & NUMBER_MASK)
      if (top === 0) return NOTHING
      assert(top <= this.#size)
      const below = Atomics.load(this.#words, NEXT_AT + top - 1)
      if (!this.#replaceHead(head, below)) continue
      Atomics.sub(this.#words, COUNT, 1)
      return top - 1
    }
  }

  /** Waits at most `timeoutMs`; not on the main thread. @returns a number, or NOTHING. */
  pop(timeoutMs: number): number {
    return this.#waiting.waitFor(() => this.tryPop(), timeoutMs)
  }

  wakeAll(): void {
    this.#waiting.wakeAll()
  }

  #replaceHead(head: bigint, top: number): boolean {
    const changes = ((head & ~NUMBER_MASK) + CHANGE) & CHANGES_MASK
    return Atomics.compareExchange(this.#head, 0, head, changes | BigInt(top)) === head
  }
}
