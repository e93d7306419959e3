/**
 * Words in shared memory between main and all its threads: the phase of the pipeline, and how much
 * the output has accepted and not released.
 *
 *   PHASE_RUN --> PHASE_DRAIN --> PHASE_END        main stores it; threads read it in every turn
 *        stop intake     all released, or the deadline
 *
 * Credit. A filter thread adds the bytes it passes to the output, main subtracts what the output
 * has released: settled documents, and those that lie in the spill.
 * Above a limit, filter threads wait; the overshoot is what each has gathered plus one slot's
 * worth. Backpressure thus travels from the output to the filter threads, then to the pool, then to
 * Kafka.
 */

import assert from 'node:assert/strict'

const PHASE = 0
const DOCUMENTS = 1
const KIBIBYTES = 2
/** Counts releases and new phases; threads that wait for room wait on it. */
const ROOM_EVENTS = 3
const ARRIVED = 4
const WORDS = 16

export const PHASE_RUN = 0
/** Nothing more is fetched; records already fetched are finished. */
export const PHASE_DRAIN = 1
/** Threads end at once; unfinished records are left to the next start. */
export const PHASE_END = 2

export interface CreditLimits {
  readonly documents: number
  readonly bytes: number
}

/** Bytes are counted in KiB, rounded up, so that 2 TiB fit the word. */
export const CREDIT_BYTES = 1024
const kibibytes = (bytes: number) => Math.ceil(bytes / CREDIT_BYTES)

export class Signals {
  readonly memory: SharedArrayBuffer
  readonly #words: Int32Array

  constructor(memory: SharedArrayBuffer) {
    this.memory = memory
    this.#words = new Int32Array(memory)
    assert.equal(this.#words.length, WORDS)
  }

  static allocate(): SharedArrayBuffer {
    return new SharedArrayBuffer(WORDS * 4)
  }

  get phase(): number {
    return Atomics.load(this.#words, PHASE)
  }

  /** Only ever onwards. */
  setPhase(phase: number): void {
    const before = Atomics.exchange(this.#words, PHASE, phase)
    assert(before <= phase && phase <= PHASE_END, `phase ${before} to ${phase}`)
    this.wakeAll()
  }

  /** A thread has loaded its code and is about to work. */
  arrive(): void {
    Atomics.add(this.#words, ARRIVED, 1)
  }

  get arrivedCount(): number {
    return Atomics.load(this.#words, ARRIVED)
  }

  /** The output was handed this much. */
  take(documents: number, bytes: number): void {
    assert(documents >= 0 && bytes >= 0)
    Atomics.add(this.#words, DOCUMENTS, documents)
    Atomics.add(this.#words, KIBIBYTES, kibibytes(bytes))
  }

  /**
   * The output has released this much: the numbers given to `take`, or parts of these in whole
   * CREDIT_BYTES and the rest.
   */
  release(documents: number, bytes: number): void {
    assert(documents >= 0 && bytes >= 0)
    const heldDocuments = Atomics.sub(this.#words, DOCUMENTS, documents)
    const heldKibibytes = Atomics.sub(this.#words, KIBIBYTES, kibibytes(bytes))
    assert(heldDocuments >= documents && heldKibibytes >= kibibytes(bytes), 'it was taken before')
    this.wakeAll()
  }

  /** Whether the output holds nothing. */
  get isAllReleased(): boolean {
    return Atomics.load(this.#words, DOCUMENTS) === 0 && Atomics.load(this.#words, KIBIBYTES) === 0
  }

  isFull(limits: CreditLimits): boolean {
    return (
      Atomics.load(this.#words, DOCUMENTS) >= limits.documents ||
      Atomics.load(this.#words, KIBIBYTES) >= kibibytes(limits.bytes)
    )
  }

  /** Waits at most `timeoutMs` for a release or a new phase; not on the main thread. */
  waitForRoom(limits: CreditLimits, timeoutMs: number): void {
    const seen = Atomics.load(this.#words, ROOM_EVENTS)
    if (this.isFull(limits)) Atomics.wait(this.#words, ROOM_EVENTS, seen, timeoutMs)
  }

  wakeAll(): void {
    Atomics.add(this.#words, ROOM_EVENTS, 1)
    Atomics.notify(this.#words, ROOM_EVENTS)
  }
}
