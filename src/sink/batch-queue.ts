/**
 * The batches that a plain output (stdout, file) has accepted but not settled, in order, gathered
 * into groups that are written at once.
 *
 *   push --> waiting --dequeue--> in a group, the output's --settle--> gone
 *
 * Bound. None here: the pipeline stops filtering at the output's credit (run/), so the queue holds
 * at most the credit plus one batch per filter thread.
 */
import assert from 'node:assert/strict'
import type { Clock } from '../core/clock.ts'
import type { Outcome, Delivery, SinkGauges } from './sink.ts'

/** Batches that are written, and settled, together. */
export interface Group {
  readonly batches: readonly Delivery[]
  readonly documentCount: number
  /** All their documents, one after another. */
  readonly bytes: Uint8Array
}

/** Waits until this many documents are settled. */
interface Waiter {
  readonly target: number
  readonly resolve: () => void
}

export class BatchQueue {
  readonly #clock: Clock
  #waiting: Delivery[] = []
  /** Index of the first batch in #waiting that was not taken: shifting a long array is slow. */
  #taken = 0
  /** Documents since the start. Order is kept, so these sums say which are where. */
  #pushedDocuments = 0
  #takenDocuments = 0
  #settledDocuments = 0
  #bytes = 0
  #settledBytes = 0
  #isAbandoned = false
  /** In the order of their targets. */
  #waiters: Waiter[] = []

  constructor(clock: Clock) {
    this.#clock = clock
  }

  push(batch: Delivery): void {
    this.#waiting.push(batch)
    this.#pushedDocuments += batch.ends.length
    this.#bytes += batch.body.length
  }

  get hasWaiting(): boolean {
    return this.#taken < this.#waiting.length
  }

  /** Whether someone waits for documents of which all were taken. */
  get isAwaited(): boolean {
    const [first] = this.#waiters
    return first !== undefined && first.target <= this.#takenDocuments
  }

  /** The next batches: one, and as many more as fit into `bytesMax` with it. */
  dequeue(bytesMax: number): Group | null {
    const batches: Delivery[] = []
    let size = 0
    let documentCount = 0
    for (;;) {
      const batch = this.#waiting[this.#taken]
      if (batch === undefined) break
      if (batches.length > 0 && size + batch.body.length > bytesMax) break
      batches.push(batch)
      size += batch.body.length
      documentCount += batch.ends.length
      this.#taken++
    }
    this.#takenDocuments += documentCount
    this.#forgetTaken()
    const [first] = batches
    if (first === undefined) return null
    const bytes = batches.length === 1 ? first.body : Buffer.concat(batches.map((one) => one.body))
    return { batches, documentCount, bytes }
  }

  /** Settles all documents of a group; groups in the order in which they were taken. */
  settle(group: Group, outcome: Outcome): void {
    this.#settledDocuments += group.documentCount
    this.#settledBytes += group.bytes.length
    this.#bytes -= group.bytes.length
    assert(this.#settledDocuments <= this.#takenDocuments && this.#bytes >= 0)
    for (const batch of group.batches) {
      batch.settle(0, batch.ends.length, outcome)
      batch.release()
    }
    this.#wake(this.#settledDocuments)
  }

  /** Nothing more will be settled: all waiters, now and later, are released. */
  abandon(): void {
    this.#isAbandoned = true
    this.#waiting = []
    this.#taken = 0
    this.#wake(Infinity)
  }

  /** Resolves when all pushed so far is settled or abandoned, or when the time has passed. */
  whenSettled(timeoutMs: number): Promise<void> {
    const target = this.#pushedDocuments
    if (this.#settledDocuments === target || this.#isAbandoned) return Promise.resolve()
    return new Promise((resolve) => {
      const cancel = this.#clock.after(timeoutMs, () => {
        this.#waiters = this.#waiters.filter((other) => other !== waiter)
        resolve()
      })
      const waiter: Waiter = {
        target,
        resolve: () => {
          cancel()
          resolve()
        },
      }
      this.#waiters.push(waiter)
    })
  }

  gauges(trouble: string | null): SinkGauges {
    return {
      queuedDocuments: this.#pushedDocuments - this.#settledDocuments,
      queuedBytes: this.#bytes,
      spillBytes: 0,
      writtenDocuments: this.#settledDocuments,
      writtenBytes: this.#settledBytes,
      retries: 0,
      rejected429: 0,
      replaying: false,
      trouble,
      troubles: trouble === null ? [] : [{ kind: 'output_failed', place: null, text: trouble }],
    }
  }

  #forgetTaken(): void {
    const isEmpty = this.#taken === this.#waiting.length
    if (!isEmpty && this.#taken < 1024) return
    this.#waiting = isEmpty ? [] : this.#waiting.slice(this.#taken)
    this.#taken = 0
  }

  #wake(settled: number): void {
    const isDue = (waiter: Waiter) => waiter.target <= settled
    if (!this.#waiters.some(isDue)) return
    const due = this.#waiters.filter(isDue)
    this.#waiters = this.#waiters.filter((waiter) => !isDue(waiter))
    for (const waiter of due) waiter.resolve()
  }
}
