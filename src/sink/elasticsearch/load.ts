/**
 * A batch under way through the sink, and the ranges of it that travel.
 *
 * A Load belongs to one batch of the pipeline, or to one read from the spill. It knows how many of
 * its documents are unsettled, and how many still need its bytes: when none does, the bytes are let
 * go and leave the books of the memory queue. A batch's whole body counts until then, for that is
 * what the memory holds.
 *
 * A few documents that must wait do not hold the body of a whole batch: `detach` gives them a load
 * of their own, with a copy of their bytes and their part of the batch's credit.
 */
import assert from 'node:assert/strict'
import { TIMESTAMP_TYPES, type TimestampType } from '../../pool/slot-reader.ts'
import type { BodyHold, Outcome, SinkRun } from '../sink.ts'
import { askAt, indexAt, isVersionedAt } from './action-line.ts'

/** What a load is made of: a SinkBatch, or what was read from the spill. */
export interface LoadSource extends BodyHold {
  readonly body: Uint8Array
  readonly ends: Uint32Array
  readonly runs: readonly SinkRun[]
  settle(documentIndex: number, outcome: Outcome): void
  settleAll(outcome: Outcome): void
  /** Only for what was read from the spill: the document waits there again. */
  giveBack?(documentIndex: number): void
}

/** The sums that loads report to. */
export interface LoadBooks {
  /** Documents, and bytes of whole bodies, that the memory holds. */
  held(documents: number, bytes: number): void
  /** Documents that were settled. */
  settled(documents: number, bytes: number, outcome: Outcome): void
}

export interface Partition {
  readonly topic: string
  readonly partition: number
}

export interface Origin extends Partition {
  /** Which log of the topic's name; absent: not known. */
  readonly log?: string | undefined
  readonly offset: number
  readonly timestampMs: number
  readonly timestampType: TimestampType
}

export class Load {
  readonly documentCount: number
  readonly bodyBytes: number
  /** Which documents have moved out to the spill and are not settled; null: none ever. */
  #movedOut: Uint8Array | null = null
  #movedOutCount = 0
  /** Null once no document needs it. */
  #body: Uint8Array | null
  readonly #ends: Uint32Array
  readonly #source: LoadSource
  readonly #books: LoadBooks
  /** Documents not settled. */
  #unsettled: number
  /** Documents that still need the body. */
  #inMemory: number

  constructor(source: LoadSource, books: LoadBooks) {
    this.documentCount = source.ends.length
    assert(this.documentCount > 0)
    assert.equal(source.ends[this.documentCount - 1], source.body.length)
    this.#body = source.body
    this.#ends = source.ends
    this.#source = source
    this.#books = books
    this.bodyBytes = source.body.length
    this.#unsettled = this.documentCount
    this.#inMemory = this.documentCount
    books.held(this.documentCount, this.bodyBytes)
  }

  /** Whether it was read from the spill: its documents go back there without being copied. */
  get isReplay(): boolean {
    return this.#source.giveBack !== undefined
  }

  get unsettledCount(): number {
    return this.#unsettled
  }

  get body(): Uint8Array {
    assert(this.#body !== null, 'the body was let go')
    return this.#body
  }

  /** Where document i starts; also valid for i = documentCount: the end of the body. */
  startOf(documentIndex: number): number {
    return documentIndex === 0 ? 0 : this.#ends[documentIndex - 1]!
  }

  /** The index that a document asks for. */
  indexOf(documentIndex: number): string {
    return indexAt(this.body, this.startOf(documentIndex))
  }

  /** Documents [from, to) in ranges that ask for one index each. */
  *indexRuns(from: number, to: number): Generator<{ index: string; from: number; to: number }> {
    const { body } = this
    for (let first = from; first < to;) {
      const ask = askAt(body, this.startOf(first))
      let end = first + 1
      while (end < to && isAt(body, this.startOf(end), ask)) end++
      yield { index: this.indexOf(first), from: first, to: end }
      first = end
    }
  }

  /** The time of each record of documents [from, to), in order. */
  *timestampsOf(from: number, to: number): Generator<number> {
    for (const { timestampsMs } of runsWithin(this.#source.runs, from, to)) yield* timestampsMs
  }

  /** The bytes of a document, both lines: a view. */
  documentOf(documentIndex: number): Uint8Array {
    return this.body.subarray(this.startOf(documentIndex), this.startOf(documentIndex + 1))
  }

  /** The partitions of documents [from, to); one may come twice. */
  sourcesOf(from: number, to: number): Partition[] {
    const sources: Partition[] = []
    let first = 0
    for (const { topic, partition, offsets } of this.#source.runs) {
      if (first < to && first + offsets.length > from) sources.push({ topic, partition })
      first += offsets.length
    }
    return sources
  }

  originOf(documentIndex: number): Origin {
    let first = 0
    for (const run of this.#source.runs) {
      const place = documentIndex - first
      const offset = run.offsets[place]
      if (offset !== undefined) {
        const timestampMs = run.timestampsMs[place]!
        const timestampType = TIMESTAMP_TYPES[run.timestampTypes[place]!] ?? 'none'
        const { topic, partition, log } = run
        const origin = { topic, partition, offset, timestampMs, timestampType }
        return log === undefined ? origin : { ...origin, log }
      }
      first += run.offsets.length
    }
    return assert.fail(`document ${documentIndex} is in no run`)
  }

  /**
   * Settles documents [from, to), which were in memory. A versioned document that is said to be
   * there already has met a later version, never itself: it is superseded.
   */
  settle(from: number, to: number, outcome: Outcome): void {
    if (outcome !== 'duplicate') return this.#settleAs(from, to, outcome)
    for (let start = from; start < to;) {
      const isVersioned = isVersionedAt(this.body, this.startOf(start))
      let end = start + 1
      while (end < to && isVersionedAt(this.body, this.startOf(end)) === isVersioned) end++
      this.#settleAs(start, end, isVersioned ? 'superseded' : 'duplicate')
      start = end
    }
  }

  #settleAs(from: number, to: number, outcome: Outcome): void {
    const count = to - from
    this.#books.settled(count, this.startOf(to) - this.startOf(from), outcome)
    this.#settleAtSource(from, to, outcome)
    this.#leaveMemory(count)
  }

  /** Documents [from, to) lie elsewhere now; they are settled later by `settleElsewhere`. */
  moveOut(from: number, to: number): void {
    this.#movedOut ??= new Uint8Array(this.documentCount)
    this.#movedOut.fill(1, from, to)
    this.#movedOutCount += to - from
    this.#leaveMemory(to - from)
  }

  /** Documents that lie in the spill and are unsettled. */
  get movedOutCount(): number {
    return this.#movedOutCount
  }

  /** Which documents these are. */
  *movedOutDocuments(): Generator<{ readonly index: number; readonly origin: Origin }> {
    if (this.#movedOut === null || this.#movedOutCount === 0) return
    for (const [index, isOut] of this.#movedOut.entries()) {
      if (isOut === 1) yield { index, origin: this.originOf(index) }
    }
  }

  /** Settles a document that had moved out; one that was forgotten meanwhile is left alone. */
  settleElsewhere(documentIndex: number, outcome: Outcome): void {
    if (this.#movedOut?.[documentIndex] !== 1) return
    this.#movedOut[documentIndex] = 0
    this.#movedOutCount--
    this.#settleAtSource(documentIndex, documentIndex + 1, outcome)
  }

  /** Gives documents [from, to) back to the spill; they are not settled. */
  giveBack(from: number, to: number): void {
    assert(this.isReplay)
    for (let index = from; index < to; index++) this.#giveBackOne(index)
    this.#leaveMemory(to - from)
  }

  #giveBackOne(documentIndex: number): void {
    this.#unsettled--
    this.#source.giveBack?.(documentIndex)
  }

  /** Documents [from, to), not all of them, as a load of their own with its own bytes. */
  detach(from: number, to: number): Load {
    const count = to - from
    assert(count > 0 && count < this.documentCount)
    const start = this.startOf(from)
    const body = Buffer.from(this.body.subarray(start, this.startOf(to)))
    const hold = this.#source.splitOff(count, body.length)
    const source: LoadSource = {
      body,
      ends: this.#ends.slice(from, to).map((end) => end - start),
      runs: runsWithin(this.#source.runs, from, to),
      settle: (index, outcome) => this.#settleAtSource(from + index, from + index + 1, outcome),
      settleAll: (outcome) => this.#settleAtSource(from, to, outcome),
      releaseBody: () => hold.releaseBody(),
      splitOff: (documents, bytes) => hold.splitOff(documents, bytes),
      ...(this.isReplay ? { giveBack: (index) => this.#giveBackOne(from + index) } : {}),
    }
    const load = new Load(source, this.#books)
    this.#leaveMemory(count)
    return load
  }

  /** The spill has forgotten the documents of a partition that moved out. */
  forgetMovedOut(topic: string, partition: number): void {
    let first = 0
    for (const run of this.#source.runs) {
      const end = first + run.offsets.length
      if (run.topic === topic && run.partition === partition) {
        for (let index = first; index < end; index++) this.settleElsewhere(index, 'fenced')
      }
      first = end
    }
  }

  #settleAtSource(from: number, to: number, outcome: Outcome): void {
    const count = to - from
    assert(count > 0 && count <= this.#unsettled)
    const isWhole = count === this.documentCount
    this.#unsettled -= count
    if (isWhole) this.#source.settleAll(outcome)
    else for (let index = from; index < to; index++) this.#source.settle(index, outcome)
  }

  #leaveMemory(count: number): void {
    assert(count > 0 && count <= this.#inMemory)
    this.#inMemory -= count
    const isLast = this.#inMemory === 0
    if (isLast) {
      this.#body = null
      this.#source.releaseBody()
    }
    this.#books.held(-count, isLast ? -this.bodyBytes : 0)
  }
}

function isAt(body: Uint8Array, start: number, bytes: Uint8Array): boolean {
  let at = 0
  while (at < bytes.length && body[start + at] === bytes[at]) at++
  return at === bytes.length
}

/** The parts of runs that hold documents [from, to), counted over all of them. */
function runsWithin(runs: readonly SinkRun[], from: number, to: number): SinkRun[] {
  const parts: SinkRun[] = []
  let first = 0
  for (const run of runs) {
    const [start, end] = [Math.max(from - first, 0), Math.min(to - first, run.offsets.length)]
    if (start < end) {
      parts.push({
        ...run,
        offsets: run.offsets.subarray(start, end),
        timestampsMs: run.timestampsMs.subarray(start, end),
        timestampTypes: run.timestampTypes.subarray(start, end),
      })
    }
    first += run.offsets.length
  }
  return parts
}
