/** A batch that remembers how its documents were settled; shared by the tests of the outputs. */
import assert from 'node:assert/strict'
import type { BufferLease, Outcome, Delivery, SinkEvents } from '../../src/sink/sink.ts'

export class RecordedBatch implements Delivery {
  splitOff(): BufferLease {
    return assert.fail('documents were copied out')
  }

  readonly body: Uint8Array
  readonly ends: Uint32Array
  readonly runs: Delivery['runs']
  readonly outcomes: (Outcome | null)[]
  #isReleased = false

  constructor(documents: readonly string[]) {
    this.body = Buffer.from(documents.join(''))
    let end = 0
    this.ends = Uint32Array.from(documents, (text) => (end += Buffer.byteLength(text)))
    const offsets = Float64Array.from(documents.keys())
    const timestampsMs = offsets.map(() => -1)
    const timestampTypes = new Uint8Array(offsets.length)
    const place = { topic: 'logs', partition: 0, assignmentId: 1 }
    this.runs = [{ ...place, offsets, timestampsMs, timestampTypes }]
    this.outcomes = documents.map(() => null)
  }

  get isSettled(): boolean {
    return this.outcomes.every((outcome) => outcome === 'written')
  }

  settle(from: number, to: number, outcome: Outcome): void {
    for (let index = from; index < to; index++) {
      assert.equal(this.outcomes[index], null)
      this.outcomes[index] = outcome
    }
  }

  /** These outputs keep a batch's bytes until it is settled. */
  release(): void {
    assert(this.isSettled, 'the body was let go')
    assert(!this.#isReleased, 'once')
    this.#isReleased = true
  }
}

export class RecordedEvents implements SinkEvents {
  readonly failures: Error[] = []
  endCount = 0

  fail(error: Error): void {
    this.failures.push(error)
  }

  endOfOutput(): void {
    this.endCount++
  }
}

/** Lets the event loop turn until it holds; fails after 5 s. */
export async function until(condition: () => boolean): Promise<void> {
  const deadlineMs = performance.now() + 5000
  while (!condition()) {
    assert(performance.now() < deadlineMs, 'what was waited for did not come')
    await new Promise((resolve) => setImmediate(resolve))
  }
}
