/**
 * Moves documents between the memory queue and the spill.
 *
 *   out    fresh documents, and those waiting for a retry, while the cluster is down or rejects
 *          requests; fresh ones also while the memory is above OUT_SHARE of its limits; and those
 *          of a held index above its quota of the memory
 *   back   the oldest, one request's worth ahead of the sender, except those of held indices
 *
 * With --commit-on index, a document that moved out is still unsettled: its batch waits here, and
 * the tag finds it. With --commit-on spill, it is settled as `spilled` once it is on disk.
 *
 * Bound. One append of OUT_BYTES and one read of ES_BULK_BYTES at a time; documents read back and
 * still in flight: REPLAY below.
 */
import assert from 'node:assert/strict'
import type { Clock } from '../../core/clock.ts'
import type { OffsetRange } from '../../core/topic-partition.ts'
import type { Outcome } from '../sink.ts'
import type { SourceRange, SpillEntry, SpillQueue, StoredEntry } from '../spill/contract.ts'
import { RangeTally } from '../spill/format.ts'
import type { Health } from './health.ts'
import { LANES_MAX } from './index-lanes.ts'
import {
  type DocumentKey,
  documentKey,
  InFlightBatch,
  type InFlightBooks,
  bytesOf,
  fitCount,
  partOf,
  wholeOf,
  type BatchSlice,
  replaySource,
} from './batch.ts'
import type { Schedule } from './send-queue.ts'
import type { ElasticsearchSettings } from './settings.ts'
import type { SliceQueue } from './slice-queue.ts'

interface OverflowParts {
  readonly settings: ElasticsearchSettings
  readonly clock: Clock
  readonly spill: SpillQueue
  readonly schedule: Schedule
  readonly health: Health
  readonly books: InFlightBooks
  /** How a document ended that was settled when it went to the spill, in whichever process. */
  readonly leftSpill: (topic: string, partition: number, outcome: Outcome) => void
  readonly excess: (share: number) => number
  /** Something changed: look again what can be sent. */
  readonly wake: () => void
  readonly fail: (error: Error) => void
}

/**
 * Share of the memory's bounds at which documents move out: below the bound, so that filtering need
 * not stop while the disk takes them.
 */
const OUT_SHARE = 0.75
/** Bytes of one append: large enough for the disk, small enough to wait for. */
const OUT_BYTES = 4 * 1024 * 1024
/** Documents of a held index that stay in memory, to probe the index with; and their bytes. */
const LANE_DOCUMENTS = 1000
const LANE_BYTES = 1024 * 1024
/** Documents read back to probe whether the cluster accepts them again. */
const LOOK_BYTES = 16 * 1024
/** How long a full spill, or one that has nothing to give, is left alone. */
const PAUSE_MS = 1000

export class SpillOverflow {
  readonly #parts: OverflowParts
  readonly #spilled = new SpilledIndex()
  #isWriting = false
  #isReading = false
  #isStopped = false
  #writeMs = 0
  #readMs = 0
  #inHandCount = 0
  /** Bytes of the bodies that were read back and are in memory still. */
  #replayBytes = 0
  readonly #replayBytesMax: number
  readonly #laneBytesMax: number
  readonly #replayBooks: InFlightBooks

  constructor(parts: OverflowParts) {
    const { settings, books } = parts
    this.#parts = parts
    this.#laneBytesMax = Math.min(LANE_BYTES, settings.bulkBytes)
    // REPLAY: as much as may be in flight and one read ahead, beside what lanes hold of it: refused
    // documents wait in memory, and a spill is larger than that.
    this.#replayBytesMax =
      (settings.concurrencyMax + 1) * settings.bulkBytes + LANES_MAX * this.#laneBytesMax
    this.#replayBooks = {
      held: (documents, bytes) => {
        this.#replayBytes += bytes
        books.held(documents, bytes)
      },
      settled: (documents, bytes, outcome) => books.settled(documents, bytes, outcome),
    }
  }

  /** The last append found no room. */
  get isFull(): boolean {
    return this.#nowMs < this.#writeMs
  }

  /** Documents that were read back, and are neither settled nor given back. */
  get inHandCount(): number {
    return this.#inHandCount
  }

  get isReplaying(): boolean {
    return this.#inHandCount > 0 && !this.#parts.health.isAway
  }

  /** No document that lies in the spill is unsettled. */
  get isSettled(): boolean {
    return this.#spilled.isEmpty
  }

  /** When to look again without being called; Infinity: not needed. */
  get nextMs(): number {
    return this.#wantsRead ? Math.max(this.#readMs, this.#nowMs) : Infinity
  }

  stop(): void {
    this.#isStopped = true
  }

  pump(): void {
    const nowMs = this.#nowMs
    if (!this.#isWriting && nowMs >= this.#writeMs) {
      const { slices, where } = this.#pick()
      if (slices.length > 0) void this.#moveOut(slices, where)
    }
    if (this.#wantsRead && nowMs >= this.#readMs) void this.#readBack()
  }

  dropPartition(topic: string, partition: number): number {
    const count = this.#parts.spill.dropPartition(topic, partition)
    this.#spilled.dropPartition(topic, partition)
    return count
  }

  /** How to settle the documents of a range that lie in the spill and are unsettled. */
  movedOutIn(range: OffsetRange): Map<DocumentKey, (outcome: Outcome) => void> {
    return this.#spilled.within(range)
  }

  /** Where all of those lie. */
  movedOutRanges(): readonly SourceRange[] {
    return this.#spilled.ranges()
  }

  get #nowMs(): number {
    return this.#parts.clock.monotonicMs()
  }

  get #wantsRead(): boolean {
    const { spill, schedule } = this.#parts
    if (this.#isReading || schedule.replay.first !== undefined) return false
    return this.#replayBytes < this.#replayBytesMax && spill.waitingCount > 0
  }

  /** What should move out next, and the index it was going to; null: the one it asks for. */
  #pick(): { readonly slices: readonly BatchSlice[]; readonly where: string | null } {
    const { settings, schedule, health, excess } = this.#parts
    for (const lane of schedule.lanes.all) {
      const { documentCount, byteCount } = lane.line
      const fitting = Math.floor((documentCount * this.#laneBytesMax) / byteCount)
      const keepCount = Math.max(1, Math.min(LANE_DOCUMENTS, fitting))
      if (documentCount <= keepCount) continue
      const slices = takeBytes(lane.line, documentCount - keepCount)
      const own = slices.filter((slice) => !slice.batch.isReplay)
      for (const { batch, from, to } of slices) if (batch.isReplay) batch.giveBack(from, to)
      if (own.length > 0) return { slices: own, where: lane.index }
    }
    if (!health.isAway && excess(OUT_SHARE) === 0) return { slices: [], where: null }
    const fresh = takeBytes(schedule.fresh, Infinity)
    if (fresh.length > 0 || !health.isAway) return { slices: fresh, where: null }
    const waiting = schedule.takeRetries(OUT_BYTES)
    // Offsets wait for what is probed with until it lies in the spill, too.
    if (settings.commitOn === 'spill') waiting.push(...schedule.takeUnspilledProbes())
    for (const { batch, from, to } of waiting) if (batch.isReplay) batch.giveBack(from, to)
    return { slices: waiting.filter(({ batch }) => !batch.isReplay), where: null }
  }

  async #moveOut(slices: readonly BatchSlice[], where: string | null): Promise<void> {
    const { spill, settings, schedule, books, fail, wake } = this.#parts
    const isCache = settings.commitOn === 'index'
    const tags = isCache ? this.#spilled.begin(slices) : null
    const entries = slices.flatMap((slice) =>
      entriesOf(slice, where, tags?.get(slice.batch) ?? null),
    )
    this.#isWriting = true
    const answer = await spill.append(entries).catch(asError)
    this.#isWriting = false
    if (this.#isStopped) return
    if (answer instanceof Error) return fail(answer)
    if (isCache) {
      this.#spilled.end(slices, answer === 'stored')
      // Perhaps only documents of revoked partitions were unsettled: waiters check again.
      books.held(0, 0)
    }
    if (answer === 'full') {
      this.#writeMs = this.#nowMs + PAUSE_MS
      // To the queue, even from a lane: it may have been released meanwhile.
      for (const slice of slices.toReversed()) schedule.fresh.unshift(slice)
    } else if (!isCache) {
      for (const { batch, from, to } of slices) batch.settle(from, to, 'spilled')
    }
    wake()
  }

  async #readBack(): Promise<void> {
    const { spill, schedule, settings, health, fail, wake, clock } = this.#parts
    this.#isReading = true
    const isFlowing = (index: string) => !schedule.lanes.isHeld(index)
    const bytesMax = health.isAway ? LOOK_BYTES : settings.bulkBytes
    // By the time the entries arrive, rejected documents of a batch may count again.
    assert(this.#replayBytes < this.#replayBytesMax, 'read only below the bound')
    const entries = await spill.read(bytesMax, isFlowing).catch(asError)
    this.#isReading = false
    if (this.#isStopped) return
    if (entries instanceof Error) return fail(entries)
    if (entries.length === 0) this.#readMs = this.#nowMs + PAUSE_MS
    else {
      this.#inHandCount += entries.length
      const source = replaySource(entries, {
        settled: (entry, outcome) => this.#settled(entry, outcome),
        givenBack: (entry) => this.#givenBack(entry),
      })
      const batch = new InFlightBatch(source, this.#replayBooks)
      schedule.replay.push(wholeOf(batch, clock.monotonicMs()))
    }
    wake()
  }

  #settled(entry: StoredEntry, outcome: Outcome): void {
    this.#inHandCount--
    this.#parts.spill.release([entry])
    if (this.#parts.settings.commitOn === 'index') this.#spilled.settle(entry.tag, outcome)
    else this.#parts.leftSpill(entry.topic, entry.partition, outcome)
  }

  #givenBack(entry: StoredEntry): void {
    this.#inHandCount--
    this.#parts.spill.unread([entry])
  }
}

/** @param firstTag of the batch's first document; null: they need none. */
function entriesOf(
  { batch, from, to }: BatchSlice,
  where: string | null,
  firstTag: number | null,
): SpillEntry[] {
  const entries: SpillEntry[] = []
  for (let index = from; index < to; index++) {
    entries.push({
      ...batch.originOf(index),
      index: where ?? batch.indexOf(index),
      document: batch.documentOf(index),
      tag: firstTag === null ? 0 : firstTag + index,
    })
  }
  return entries
}

function asError(thrown: unknown): Error {
  return thrown instanceof Error ? thrown : assert.fail(String(thrown))
}

/** Takes slices from a line, up to OUT_BYTES and a number of documents; at least one document. */
function takeBytes(line: SliceQueue, documentsMax: number): BatchSlice[] {
  const slices: BatchSlice[] = []
  let bytesLeft = OUT_BYTES
  let documentsLeft = documentsMax
  for (;;) {
    const slice = line.shift()
    if (slice === undefined) return slices
    const count = fitCount(slice, documentsLeft, bytesLeft, slices.length === 0)
    const to = slice.from + count
    if (to < slice.to) line.unshift(partOf(slice, to, slice.to))
    if (count === 0) return slices
    const taken = partOf(slice, slice.from, to)
    slices.push(taken)
    bytesLeft -= bytesOf(taken)
    documentsLeft -= count
  }
}

/*
 * Batches with documents that lie in the spill and are unsettled (--commit-on index), found again
 * by the tag of an entry or by its offset.
 *
 * Bound. Batches without their bodies: as many as the ledger's limit of unresolved offsets allows.
 */

/** A tag is the batch's number times this plus the document's index; 2^53 bounds the product. */
const TAG_BATCH = 2 ** 20

class SpilledIndex {
  /** By number; from 1, so that no tag is 0. */
  readonly #batches = new Map<number, InFlightBatch>()
  readonly #numbers = new Map<InFlightBatch, number>()
  #lastNumber = 0
  /** Batches of the append in progress: their number must stay. */
  readonly #underWay = new Set<InFlightBatch>()
  /** Partitions revoked meanwhile: their documents are dropped as soon as the append ends. */
  #droppedMeanwhile: { readonly topic: string; readonly partition: number }[] = []

  get isEmpty(): boolean {
    return this.#batches.size === 0
  }

  /** An append begins. @returns the tag of the first document of each of its batches. */
  begin(slices: readonly BatchSlice[]): Map<InFlightBatch, number> {
    assert.equal(this.#underWay.size, 0, 'one append at a time')
    this.#droppedMeanwhile = []
    return new Map(slices.map(({ batch }) => [batch, this.#numberOf(batch) * TAG_BATCH]))
  }

  /** It has ended. @param isStored the documents lie in the spill now, and nowhere else. */
  end(slices: readonly BatchSlice[], isStored: boolean): void {
    if (isStored) {
      for (const { batch, from, to } of slices) batch.moveOut(from, to)
      for (const { topic, partition } of this.#droppedMeanwhile) {
        for (const batch of this.#underWay) batch.forgetMovedOut(topic, partition)
      }
    }
    const batches = [...this.#underWay]
    this.#underWay.clear()
    for (const batch of batches) this.#forgetIfBack(batch)
  }

  settle(tag: number, outcome: Outcome): void {
    const batch = this.#batches.get(Math.floor(tag / TAG_BATCH))
    // Its partition was revoked during the append.
    if (batch === undefined) return
    batch.settleElsewhere(tag % TAG_BATCH, outcome)
    this.#forgetIfBack(batch)
  }

  dropPartition(topic: string, partition: number): void {
    if (this.#underWay.size > 0) this.#droppedMeanwhile.push({ topic, partition })
    for (const batch of this.#batches.values()) {
      batch.forgetMovedOut(topic, partition)
      this.#forgetIfBack(batch)
    }
  }

  /** How to settle the documents of a range; settled meanwhile, they are left alone. */
  within(range: OffsetRange): Map<DocumentKey, (outcome: Outcome) => void> {
    const { topic, log, partition, from, to } = range
    const found = new Map<DocumentKey, (outcome: Outcome) => void>()
    for (const [number, batch] of this.#batches) {
      for (const { index, origin } of batch.movedOutDocuments()) {
        const { offset } = origin
        if (origin.partition !== partition || origin.topic !== topic) continue
        if (offset < from || offset >= to) continue
        if (log !== undefined && origin.log !== undefined && origin.log !== log) continue
        found.set(documentKey(origin), (outcome) =>
          this.settle(number * TAG_BATCH + index, outcome),
        )
      }
    }
    return found
  }

  /** The sources of all documents that moved out. */
  ranges(): readonly SourceRange[] {
    const tally = new RangeTally()
    for (const batch of this.#batches.values()) {
      for (const { origin } of batch.movedOutDocuments()) {
        tally.addOne(origin)
      }
    }
    return tally.ranges
  }

  #numberOf(batch: InFlightBatch): number {
    assert(batch.documentCount <= TAG_BATCH)
    this.#underWay.add(batch)
    const known = this.#numbers.get(batch)
    if (known !== undefined) return known
    const number = ++this.#lastNumber
    this.#batches.set(number, batch)
    this.#numbers.set(batch, number)
    return number
  }

  #forgetIfBack(batch: InFlightBatch): void {
    const number = this.#numbers.get(batch)
    if (batch.movedOutCount > 0 || this.#underWay.has(batch) || number === undefined) return
    this.#numbers.delete(batch)
    this.#batches.delete(number)
  }
}
