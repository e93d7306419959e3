/**
 * The pool: slots in shared memory, and their way through the states of layout.ts.
 *
 * Main allocates it; every thread attaches to the same memory. A slot's index travels through the
 * stack of FREE slots and the ring of READY ones; its state word must agree at every step, and each
 * step asserts that.
 */
import assert from 'node:assert/strict'
import {
  HEADER_STATE,
  SLOT_FILLING,
  SLOT_FILTERING,
  SLOT_FREE,
  SLOT_READY,
  slotLayout,
  type SlotShape,
  type SlotState,
} from './layout.ts'
import { Ring } from './ring.ts'
import { Stack } from './stack.ts'
import { NOTHING } from './event-count.ts'

/** The data that a thread needs to attach; passed as workerData. */
export interface SlotsMemory {
  readonly shape: SlotShape
  readonly slots: SharedArrayBuffer
  readonly free: SharedArrayBuffer
  readonly ready: SharedArrayBuffer
}

/** How many slots are in each state, at some moment. */
export interface SlotCounts {
  readonly free: number
  readonly filling: number
  readonly ready: number
  readonly filtering: number
}

export class Slots {
  readonly memory: SlotsMemory
  readonly #words: Int32Array
  readonly #slotWords: number
  readonly #free: Stack
  readonly #ready: Ring

  constructor(memory: SlotsMemory) {
    const { slotBytes } = slotLayout(memory.shape)
    const bytes = memory.shape.slotCount * slotBytes
    assert.equal(memory.slots.byteLength, bytes, 'the memory has the shape it was allocated with')
    this.memory = memory
    this.#words = new Int32Array(memory.slots)
    this.#slotWords = slotBytes / 4
    this.#free = new Stack(memory.free)
    this.#ready = new Ring(memory.ready)
  }

  /**
   * @param readyMax READY slots at most (TASK_QUEUE_CAP); effective is the smaller of it and the
   * pool.
   */
  static allocate(shape: SlotShape, readyMax: number): SlotsMemory {
    const { slotBytes } = slotLayout(shape)
    assert(Number.isSafeInteger(shape.slotCount) && shape.slotCount > 0, 'a pool has slots')
    const memory = {
      shape,
      slots: new SharedArrayBuffer(shape.slotCount * slotBytes),
      free: Stack.allocate(shape.slotCount),
      ready: Ring.allocate(Math.min(readyMax, shape.slotCount)),
    }
    const free = new Stack(memory.free)
    // The first is on top: a pipeline that needs few slots uses the same few.
    for (let slotIndex = shape.slotCount - 1; slotIndex >= 0; slotIndex--) free.push(slotIndex)
    return memory
  }

  /** FREE -> FILLING. @returns a slot, or undefined when none came free in time. */
  acquire(timeoutMs: number): number | undefined {
    const slotIndex = timeoutMs === 0 ? this.#free.tryPop() : this.#free.pop(timeoutMs)
    if (slotIndex === NOTHING) return undefined
    this.#move(slotIndex, SLOT_FREE, SLOT_FILLING)
    return slotIndex
  }

  /** FILLING -> FREE: nothing was put in it, or its content is given up. */
  giveBack(slotIndex: number): void {
    this.#move(slotIndex, SLOT_FILLING, SLOT_FREE)
    this.#free.push(slotIndex)
  }

  /**
   * FILLING -> READY. @returns false, and the slot stays with the caller, when the queue is full.
   */
  trySeal(slotIndex: number): boolean {
    // The state leaves FILLING before the index can be popped: a filter thread must find READY.
    this.#move(slotIndex, SLOT_FILLING, SLOT_READY)
    if (this.#ready.tryPush(slotIndex)) return true
    this.#move(slotIndex, SLOT_READY, SLOT_FILLING)
    return false
  }

  /** READY -> FILTERING. @returns a slot, or undefined when none came in time. */
  claim(timeoutMs: number): number | undefined {
    const slotIndex = timeoutMs === 0 ? this.#ready.tryPop() : this.#ready.pop(timeoutMs)
    if (slotIndex === NOTHING) return undefined
    this.#move(slotIndex, SLOT_READY, SLOT_FILTERING)
    return slotIndex
  }

  /** FILLING -> FILTERING: direct mode, the thread that filled goes on by itself. */
  claimOwn(slotIndex: number): void {
    this.#move(slotIndex, SLOT_FILLING, SLOT_FILTERING)
  }

  /** FILTERING -> FREE. */
  release(slotIndex: number): void {
    this.#move(slotIndex, SLOT_FILTERING, SLOT_FREE)
    this.#free.push(slotIndex)
  }

  /** Wakes the threads that wait for a slot. */
  wakeAll(): void {
    this.#free.wakeAll()
    this.#ready.wakeAll()
  }

  get slotCount(): number {
    return this.memory.shape.slotCount
  }

  get freeCount(): number {
    return this.#free.count
  }

  counts(): SlotCounts {
    const counts = [0, 0, 0, 0]
    for (let slotIndex = 0; slotIndex < this.slotCount; slotIndex++) {
      const state = this.state(slotIndex)
      assert(state < counts.length, `slot ${slotIndex} is in state ${state}`)
      counts[state]!++
    }
    const [free = 0, filling = 0, ready = 0, filtering = 0] = counts
    return { free, filling, ready, filtering }
  }

  state(slotIndex: number): SlotState {
    return Atomics.load(this.#words, slotIndex * this.#slotWords + HEADER_STATE) as SlotState
  }

  #move(slotIndex: number, from: SlotState, to: SlotState): void {
    assert(slotIndex >= 0 && slotIndex < this.slotCount, `slot ${slotIndex} of ${this.slotCount}`)
    const at = slotIndex * this.#slotWords + HEADER_STATE
    const found = Atomics.compareExchange(this.#words, at, from, to)
    assert.equal(found, from, `slot ${slotIndex} should have been in state ${from}`)
  }
}
