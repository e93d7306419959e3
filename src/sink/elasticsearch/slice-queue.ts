/**
 * Queues of waiting slices: fresh ones in order, rejected ones until their retry is due.
 *
 * Bound. Both hold parts of the memory queue, which the sink bounds (ES_QUEUE_CAP, ES_QUEUE_BYTES).
 */
import { bytesOf, countOf, type BatchSlice } from './batch.ts'

/** First in, first out; counts documents and bytes. */
export class SliceQueue {
  #slices: BatchSlice[] = []
  #head = 0
  #documentCount = 0
  #byteCount = 0

  get documentCount(): number {
    return this.#documentCount
  }

  get byteCount(): number {
    return this.#byteCount
  }

  get first(): BatchSlice | undefined {
    return this.#slices[this.#head]
  }

  push(slice: BatchSlice): void {
    this.#slices.push(slice)
    this.#count(slice, 1)
  }

  shift(): BatchSlice | undefined {
    const slice = this.first
    if (slice === undefined) return undefined
    this.#head++
    if (this.#head * 2 > this.#slices.length) {
      this.#slices = this.#slices.slice(this.#head)
      this.#head = 0
    }
    this.#count(slice, -1)
    return slice
  }

  /** Takes the newest. */
  pop(): BatchSlice | undefined {
    if (this.first === undefined) return undefined
    const slice = this.#slices.pop()!
    this.#count(slice, -1)
    return slice
  }

  /** Puts the rest of what `shift` gave back to the front. */
  unshift(slice: BatchSlice): void {
    if (this.#head > 0) this.#slices[--this.#head] = slice
    else this.#slices.unshift(slice)
    this.#count(slice, 1)
  }

  #count(slice: BatchSlice, sign: 1 | -1): void {
    this.#documentCount += sign * countOf(slice)
    this.#byteCount += sign * bytesOf(slice)
  }
}

/** Ordered by when they are due: a binary heap. */
export class DueHeap<Value> {
  readonly #entries: { readonly dueMs: number; readonly value: Value }[] = []

  get size(): number {
    return this.#entries.length
  }

  /** When the first is due; Infinity when there is none. */
  get nextMs(): number {
    return this.#entries[0]?.dueMs ?? Infinity
  }

  push(value: Value, dueMs: number): void {
    const entries = this.#entries
    let at = entries.length
    entries.push({ dueMs, value })
    while (at > 0) {
      const parent = (at - 1) >>> 1
      if (entries[parent]!.dueMs <= dueMs) break
      entries[at] = entries[parent]!
      at = parent
    }
    entries[at] = { dueMs, value }
  }

  /** Takes the first if it is due at `nowMs`. */
  popDue(nowMs: number): Value | undefined {
    const first = this.#entries[0]
    if (first === undefined || first.dueMs > nowMs) return undefined
    const last = this.#entries.pop()!
    if (this.#entries.length > 0) this.#sink(last)
    return first.value
  }

  /** Puts `entry` in at the root and lets it sink to its place. */
  #sink(entry: { readonly dueMs: number; readonly value: Value }): void {
    const entries = this.#entries
    let at = 0
    for (;;) {
      let child = at * 2 + 1
      if (child >= entries.length) break
      if (child + 1 < entries.length && entries[child + 1]!.dueMs < entries[child]!.dueMs) child++
      if (entries[child]!.dueMs >= entry.dueMs) break
      entries[at] = entries[child]!
      at = child
    }
    entries[at] = entry
  }
}
