/**
 * A batch in flight in the sink, and the slices of it that move between queues.
 *
 * An InFlightBatch belongs to one batch of the pipeline, or to one read from the spill. It counts
 * its unsettled documents, and those that still need its bytes. When no document needs them, the
 * bytes are released and leave the account of the memory queue; until then the whole body counts,
 * because the memory holds all of it.
 *
 * A few waiting documents do not keep the body of a whole batch: `detach` gives them a batch of
 * their own, with a copy of their bytes and their part of the batch's credit.
 */
import assert from 'node:assert/strict'
import type { TopicPartition } from '../../core/topic-partition.ts'
import { TIMESTAMP_TYPES, type TimestampType } from '../../pool/slot-reader.ts'
import { type Delivery, NO_LEASE, type Outcome, type SinkRun } from '../sink.ts'
import { askAt, indexAt, isVersionedAt } from './action-line.ts'
import type { Suspicion } from './evidence.ts'
import type { SpillEntry, StoredEntry } from '../spill/contract.ts'

/** The source of a batch: a delivery, or a batch read from the spill. */
interface BatchSource extends Delivery {
  /** Only for a batch from the spill: the document waits there again. */
  giveBack?(documentIndex: number): void
}

/** The sums that batches report to. */
export interface InFlightBooks {
  /** Documents, and bytes of whole bodies, that the memory holds. */
  held(documents: number, bytes: number): void
  /** Documents that were settled. */
  settled(documents: number, bytes: number, outcome: Outcome): void
}

export interface Origin extends TopicPartition {
  /** Which log of the topic's name; absent: not known. */
  readonly log?: string | undefined
  readonly offset: number
  readonly timestampMs: number
  readonly timestampType: TimestampType
  /** The number of the rule that made the document; undefined: there are no rules. */
  readonly rule?: number
}

/** Tells the documents of one partition apart: rules may make several of one record. */
export type DocumentKey = number | string

export function documentKey({
  offset,
  rule,
}: {
  readonly offset: number
  readonly rule?: number | undefined
}): DocumentKey {
  return rule === undefined ? offset : `${offset} ${rule}`
}

export class InFlightBatch {
  readonly documentCount: number
  readonly bodyBytes: number
  /** Which documents have moved out to the spill and are not settled; null: none ever. */
  #movedOut: Uint8Array | null = null
  #movedOutCount = 0
  /** Null once no document needs it. */
  #body: Uint8Array | null
  readonly #ends: Uint32Array
  readonly #source: BatchSource
  readonly #books: InFlightBooks
  /** Documents not settled. */
  #unsettled: number
  /** Documents that still need the body. */
  #inMemory: number

  constructor(source: BatchSource, books: InFlightBooks) {
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
  sourcesOf(from: number, to: number): TopicPartition[] {
    const sources: TopicPartition[] = []
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
        const rule = run.rules?.[place]
        return {
          topic,
          partition,
          offset,
          timestampMs,
          timestampType,
          ...(rule === undefined ? {} : { rule }),
          ...(log === undefined ? {} : { log }),
        }
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

  /** Documents [from, to), but not the whole batch, as a batch with its own bytes. */
  detach(from: number, to: number): InFlightBatch {
    const count = to - from
    assert(count > 0 && count < this.documentCount)
    const start = this.startOf(from)
    const body = Buffer.from(this.body.subarray(start, this.startOf(to)))
    const lease = this.#source.splitOff(count, body.length)
    const source: BatchSource = {
      body,
      ends: this.#ends.slice(from, to).map((end) => end - start),
      runs: runsWithin(this.#source.runs, from, to),
      settle: (first, end, outcome) => this.#settleAtSource(from + first, from + end, outcome),
      release: () => lease.release(),
      splitOff: (documents, bytes) => lease.splitOff(documents, bytes),
      ...(this.isReplay ? { giveBack: (index) => this.#giveBackOne(from + index) } : {}),
    }
    const batch = new InFlightBatch(source, this.#books)
    this.#leaveMemory(count)
    return batch
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
    this.#unsettled -= count
    this.#source.settle(from, to, outcome)
  }

  #leaveMemory(count: number): void {
    assert(count > 0 && count <= this.#inMemory)
    this.#inMemory -= count
    const isLast = this.#inMemory === 0
    if (isLast) {
      this.#body = null
      this.#source.release()
    }
    this.#books.held(-count, isLast ? -this.bodyBytes : 0)
  }
}

function isAt(body: Uint8Array, start: number, bytes: Uint8Array): boolean {
  let at = 0
  while (at < bytes.length && body[start + at] === bytes[at]) at++
  return at === bytes.length
}

/** The parts of runs that hold documents [from, to), counted over all runs. */
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
        rules: run.rules?.subarray(start, end),
      })
    }
    first += run.offsets.length
  }
  return parts
}

/*
 * A BatchSlice is a range of documents of one batch that stay together: a whole batch on the happy
 * path, single documents after a partial refusal. No object is made for a document before that.
 */

/** Documents [from, to) of a batch. */
export interface BatchSlice {
  readonly batch: InFlightBatch
  readonly from: number
  readonly to: number
  /** Times these documents were sent and refused. */
  readonly tries: number
  /** When they came into the queue, by the monotonic clock. */
  readonly sinceMs: number
  /** When they were first sent and refused for a reason that may be theirs (Sent); -1: never. */
  readonly refusedAt: number
  /** The longest time that they were sent with and got no answer in; 0: never. */
  readonly lateMs: number
  /** Of a document that fails alone; null for others. */
  readonly suspicion: Suspicion | null
}

/** All documents of a batch, not sent yet. */
export function wholeOf(batch: InFlightBatch, sinceMs: number): BatchSlice {
  const never = { tries: 0, refusedAt: -1, lateMs: 0, suspicion: null }
  return { batch, from: 0, to: batch.documentCount, sinceMs, ...never }
}

export function countOf(slice: BatchSlice): number {
  return slice.to - slice.from
}

export function bytesOf(slice: BatchSlice): number {
  return slice.batch.startOf(slice.to) - slice.batch.startOf(slice.from)
}

/** The part [from, to) of a slice, counted in its batch. */
export function partOf(slice: BatchSlice, from: number, to: number): BatchSlice {
  assert(from >= slice.from && to <= slice.to && from < to)
  return from === slice.from && to === slice.to ? slice : { ...slice, from, to }
}

/** Documents keep a body if they are at least this share; otherwise they are copied out. */
const HOLDING_PART = 1 / 2

/** The slice, in a batch of its own where it would hold much more memory than it needs. */
export function detached(slice: BatchSlice): BatchSlice {
  const { batch, from, to } = slice
  if (bytesOf(slice) >= batch.bodyBytes * HOLDING_PART) return slice
  return { ...slice, batch: batch.detach(from, to), from: 0, to: to - from }
}

/**
 * How many of a slice's documents fit into `bytesMax` and `documentsMax`: at least one, if
 * `isFirst`, for a document larger than a whole request must go alone.
 */
export function fitCount(
  slice: BatchSlice,
  documentsMax: number,
  bytesMax: number,
  isFirst: boolean,
): number {
  const { batch, from } = slice
  const start = batch.startOf(from)
  let low = 0
  let high = Math.min(documentsMax, countOf(slice))
  while (low < high) {
    const middle = (low + high + 1) >>> 1
    if (batch.startOf(from + middle) - start <= bytesMax) low = middle
    else high = middle - 1
  }
  return low === 0 && isFirst && documentsMax > 0 ? 1 : low
}

/*
 * Makes one batch of entries read from the spill, or of dead letters: its documents in one piece,
 * its origins as runs.
 */

interface ReplayEvents {
  settled(entry: StoredEntry, outcome: Outcome): void
  givenBack(entry: StoredEntry): void
}

/** A document as it was sent, and where it came from. */
export type PlacedDocument = Omit<SpillEntry, 'index' | 'tag'> & {
  /** As in Origin. */
  readonly rule?: number | undefined
}

const NO_BYTES = new Uint8Array(0)

/** Copies the entries' documents, and lets go of the large reads that they were views of. */
export function replaySource(entries: readonly StoredEntry[], events: ReplayEvents): BatchSource {
  const batch = batchOf(entries, (index, outcome) => events.settled(entries[index]!, outcome))
  for (const entry of entries) entry.document = NO_BYTES
  return { ...batch, giveBack: (index) => events.givenBack(entries[index]!) }
}

/** @param settled is called once for each document, with its place in `documents`. */
export function batchOf(
  documents: readonly PlacedDocument[],
  settled: (index: number, outcome: Outcome) => void,
): Delivery {
  const ends = new Uint32Array(documents.length)
  let size = 0
  for (const [index, { document }] of documents.entries()) {
    size += document.length
    ends[index] = size
  }
  const body = Buffer.allocUnsafeSlow(size)
  let at = 0
  for (const { document } of documents) {
    body.set(document, at)
    at += document.length
  }
  return {
    body,
    ends,
    runs: runsOf(documents),
    settle: (from, to, outcome) => {
      for (let index = from; index < to; index++) settled(index, outcome)
    },
    ...NO_LEASE,
  }
}

/** Documents of one partition's log that follow one another make a run. */
function runsOf(documents: readonly PlacedDocument[]): SinkRun[] {
  const runs: SinkRun[] = []
  for (let first = 0; first < documents.length;) {
    const { topic, log, partition } = documents[first]!
    const isOfRun = (each: PlacedDocument | undefined) =>
      each?.topic === topic && each.log === log && each.partition === partition
    let end = first + 1
    while (isOfRun(documents[end])) end++
    const own = documents.slice(first, end)
    const rules = own.flatMap(({ rule }) => rule ?? [])
    assert(rules.length === 0 || rules.length === own.length, 'all by rules, or none')
    runs.push({
      topic,
      log,
      partition,
      // Assignments are the pipeline's matter, which settles by the document that moved out.
      assignmentId: 0,
      offsets: Float64Array.from(own, (each) => each.offset),
      timestampsMs: Float64Array.from(own, (each) => each.timestampMs),
      timestampTypes: Uint8Array.from(own, (each) => TIMESTAMP_TYPES.indexOf(each.timestampType)),
      rules: rules.length === 0 ? undefined : Uint16Array.from(rules),
    })
    first = end
  }
  return runs
}
