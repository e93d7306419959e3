/**
 * Moves documents between the memory queue and the spill.
 *
 *   out    fresh documents, and those that wait for their next try, while the cluster is down or
 *          refuses us; fresh ones also while the memory is above OUT_SHARE of its bounds; and those
 *          of a held index above its share of the memory
 *   back   the oldest, one request's worth ahead of the sender, except those of held indices
 *
 * Under --commit-on index a document that moved out is still unsettled: its load waits here, found
 * again by the tag. Under --commit-on spill it is settled as `spilled` once it is on the disk.
 *
 * Bound. One append of OUT_BYTES and one read of ES_BULK_BYTES at a time; what was read back and
 * has not ended: REPLAY below.
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
  Load,
  type LoadBooks,
  bytesOf,
  fitCount,
  partOf,
  wholeOf,
  type Parcel,
  replaySource,
} from './batch.ts'
import type { Schedule } from './send-queue.ts'
import type { ElasticsearchSettings } from './settings.ts'
import type { ParcelLine } from './slice-queue.ts'

interface OverspillParts {
  readonly settings: ElasticsearchSettings
  readonly clock: Clock
  readonly overflow: SpillQueue
  readonly schedule: Schedule
  readonly health: Health
  readonly books: LoadBooks
  /** How a document ended that was settled when it went to the spill, in whichever process. */
  readonly leftSpill: (topic: string, partition: number, outcome: Outcome) => void
  readonly isAbove: (share: number) => boolean
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
/** Documents of a held index that stay in memory, to look at the index with; and their bytes. */
const LANE_DOCUMENTS = 1000
const LANE_BYTES = 1024 * 1024
/** What is read back to look with whether the cluster takes it again. */
const LOOK_BYTES = 16 * 1024
/** How long a full spill, or one that has nothing to give, is left alone. */
const PAUSE_MS = 1000

export class Overspill {
  readonly #parts: OverspillParts
  readonly #movedOut = new MovedOut()
  #isWriting = false
  #isReading = false
  #isStopped = false
  #writeMs = 0
  #readMs = 0
  /** Documents read back and not yet settled or given back. */
  #inHandCount = 0
  /** Bytes of the bodies that were read back and are in memory still. */
  #replayBytes = 0
  readonly #replayBytesMax: number
  readonly #laneBytesMax: number
  readonly #replayBooks: LoadBooks

  constructor(parts: OverspillParts) {
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

  get isReplaying(): boolean {
    return this.#inHandCount > 0 && !this.#parts.health.isAway
  }

  /** No document that lies in the spill is unsettled. */
  get isSettled(): boolean {
    return this.#movedOut.isEmpty
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
      const { parcels, where } = this.#pick()
      if (parcels.length > 0) void this.#moveOut(parcels, where)
    }
    if (this.#wantsRead && nowMs >= this.#readMs) void this.#readBack()
  }

  dropPartition(topic: string, partition: number): number {
    const count = this.#parts.overflow.dropPartition(topic, partition)
    this.#movedOut.dropPartition(topic, partition)
    return count
  }

  /** How to settle the documents of a range that lie in the spill and are unsettled, by offset. */
  movedOutIn(range: OffsetRange): Map<number, (outcome: Outcome) => void> {
    return this.#movedOut.within(range)
  }

  /** Where all of those lie. */
  movedOutRanges(): readonly SourceRange[] {
    return this.#movedOut.ranges()
  }

  get #nowMs(): number {
    return this.#parts.clock.monotonicMs()
  }

  get #wantsRead(): boolean {
    const { overflow, schedule } = this.#parts
    if (this.#isReading || schedule.replay.first !== undefined) return false
    return this.#replayBytes < this.#replayBytesMax && overflow.waitingCount > 0
  }

  /** What should move out next, and the index it was going to; null: the one it asks for. */
  #pick(): { readonly parcels: readonly Parcel[]; readonly where: string | null } {
    const { schedule, health, isAbove } = this.#parts
    for (const lane of schedule.lanes.all) {
      const { documentCount, byteCount } = lane.line
      const fitting = Math.floor((documentCount * this.#laneBytesMax) / byteCount)
      const keepCount = Math.max(1, Math.min(LANE_DOCUMENTS, fitting))
      if (documentCount <= keepCount) continue
      const parcels = takeBytes(lane.line, documentCount - keepCount)
      const own = parcels.filter((parcel) => !parcel.load.isReplay)
      for (const { load, from, to } of parcels) if (load.isReplay) load.giveBack(from, to)
      if (own.length > 0) return { parcels: own, where: lane.index }
    }
    if (!health.isAway && !isAbove(OUT_SHARE)) return { parcels: [], where: null }
    const fresh = takeBytes(schedule.fresh, Infinity)
    if (fresh.length > 0 || !health.isAway) return { parcels: fresh, where: null }
    const waiting = schedule.takeRetries(OUT_BYTES)
    for (const { load, from, to } of waiting) if (load.isReplay) load.giveBack(from, to)
    return { parcels: waiting.filter(({ load }) => !load.isReplay), where: null }
  }

  async #moveOut(parcels: readonly Parcel[], where: string | null): Promise<void> {
    const { overflow, settings, schedule, books, fail, wake } = this.#parts
    const isCache = settings.commitOn === 'index'
    const tags = isCache ? this.#movedOut.begin(parcels) : null
    const entries = parcels.flatMap((parcel) =>
      entriesOf(parcel, where, tags?.get(parcel.load) ?? null),
    )
    this.#isWriting = true
    const answer = await overflow.append(entries).catch(asError)
    this.#isWriting = false
    if (this.#isStopped) return
    if (answer instanceof Error) return fail(answer)
    if (isCache) {
      this.#movedOut.end(parcels, answer === 'stored')
      // What was given away meanwhile may have been all that was unsettled: who waits looks again.
      books.held(0, 0)
    }
    if (answer === 'full') {
      this.#writeMs = this.#nowMs + PAUSE_MS
      // To the queue, even from a lane: it may have been released meanwhile.
      for (const parcel of parcels.toReversed()) schedule.fresh.unshift(parcel)
    } else if (!isCache) {
      for (const { load, from, to } of parcels) load.settle(from, to, 'spilled')
    }
    wake()
  }

  async #readBack(): Promise<void> {
    const { overflow, schedule, settings, health, fail, wake, clock } = this.#parts
    this.#isReading = true
    const isFlowing = (index: string) => !schedule.lanes.isHeld(index)
    const bytesMax = health.isAway ? LOOK_BYTES : settings.bulkBytes
    // By when the entries are there, documents of a load that was refused may count once more.
    assert(this.#replayBytes < this.#replayBytesMax, 'read only below the bound')
    const entries = await overflow.read(bytesMax, isFlowing).catch(asError)
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
      const load = new Load(source, this.#replayBooks)
      schedule.replay.push(wholeOf(load, clock.monotonicMs()))
    }
    wake()
  }

  #settled(entry: StoredEntry, outcome: Outcome): void {
    this.#inHandCount--
    this.#parts.overflow.release([entry])
    if (this.#parts.settings.commitOn === 'index') this.#movedOut.settle(entry.tag, outcome)
    else this.#parts.leftSpill(entry.topic, entry.partition, outcome)
  }

  #givenBack(entry: StoredEntry): void {
    this.#inHandCount--
    this.#parts.overflow.unread([entry])
  }
}

/** @param firstTag of the load's first document; null: they need none. */
function entriesOf(
  { load, from, to }: Parcel,
  where: string | null,
  firstTag: number | null,
): SpillEntry[] {
  const entries: SpillEntry[] = []
  for (let index = from; index < to; index++) {
    entries.push({
      ...load.originOf(index),
      index: where ?? load.indexOf(index),
      document: load.documentOf(index),
      tag: firstTag === null ? 0 : firstTag + index,
    })
  }
  return entries
}

function asError(thrown: unknown): Error {
  return thrown instanceof Error ? thrown : assert.fail(String(thrown))
}

/** Takes parcels from a line, up to OUT_BYTES and so many documents; at least one document. */
function takeBytes(line: ParcelLine, documentsMax: number): Parcel[] {
  const parcels: Parcel[] = []
  let bytesLeft = OUT_BYTES
  let documentsLeft = documentsMax
  for (;;) {
    const parcel = line.shift()
    if (parcel === undefined) return parcels
    const count = fitCount(parcel, documentsLeft, bytesLeft, parcels.length === 0)
    const to = parcel.from + count
    if (to < parcel.to) line.unshift(partOf(parcel, to, parcel.to))
    if (count === 0) return parcels
    const taken = partOf(parcel, parcel.from, to)
    parcels.push(taken)
    bytesLeft -= bytesOf(taken)
    documentsLeft -= count
  }
}

/*
 * Loads with documents that lie in the spill and are unsettled (--commit-on index), found again by
 * the tag of an entry or by its offset.
 *
 * Bound. Loads without their bodies: as many as the ledger's limit of unresolved offsets allows.
 */

/** A tag is the load's number times this plus the document's index; 2^53 bounds the product. */
const TAG_LOAD = 2 ** 20

class MovedOut {
  /** By number; from 1, so that no tag is 0. */
  readonly #loads = new Map<number, Load>()
  readonly #numbers = new Map<Load, number>()
  #lastNumber = 0
  /** Loads of the append under way: their number must stay. */
  readonly #underWay = new Set<Load>()
  /** Partitions given away while it is: what it stores of them is forgotten as soon as it has. */
  #droppedMeanwhile: { readonly topic: string; readonly partition: number }[] = []

  get isEmpty(): boolean {
    return this.#loads.size === 0
  }

  /** An append begins. @returns the tag of the first document of each of its loads. */
  begin(parcels: readonly Parcel[]): Map<Load, number> {
    assert.equal(this.#underWay.size, 0, 'one append at a time')
    this.#droppedMeanwhile = []
    return new Map(parcels.map(({ load }) => [load, this.#numberOf(load) * TAG_LOAD]))
  }

  /** It has ended. @param isStored the documents lie in the spill now, and nowhere else. */
  end(parcels: readonly Parcel[], isStored: boolean): void {
    if (isStored) {
      for (const { load, from, to } of parcels) load.moveOut(from, to)
      for (const { topic, partition } of this.#droppedMeanwhile) {
        for (const load of this.#underWay) load.forgetMovedOut(topic, partition)
      }
    }
    const loads = [...this.#underWay]
    this.#underWay.clear()
    for (const load of loads) this.#forgetIfBack(load)
  }

  settle(tag: number, outcome: Outcome): void {
    const load = this.#loads.get(Math.floor(tag / TAG_LOAD))
    // Its partition was given away while it was under way.
    if (load === undefined) return
    load.settleElsewhere(tag % TAG_LOAD, outcome)
    this.#forgetIfBack(load)
  }

  dropPartition(topic: string, partition: number): void {
    if (this.#underWay.size > 0) this.#droppedMeanwhile.push({ topic, partition })
    for (const load of this.#loads.values()) {
      load.forgetMovedOut(topic, partition)
      this.#forgetIfBack(load)
    }
  }

  /** How to settle the documents of a range, by offset; settled meanwhile, they are left alone. */
  within(range: OffsetRange): Map<number, (outcome: Outcome) => void> {
    const { topic, log, partition, from, to } = range
    const found = new Map<number, (outcome: Outcome) => void>()
    for (const [number, load] of this.#loads) {
      for (const { index, origin } of load.movedOutDocuments()) {
        const { offset } = origin
        if (origin.partition !== partition || origin.topic !== topic) continue
        if (offset < from || offset >= to) continue
        if (log !== undefined && origin.log !== undefined && origin.log !== log) continue
        found.set(offset, (outcome) => this.settle(number * TAG_LOAD + index, outcome))
      }
    }
    return found
  }

  /** Where all of them lie. */
  ranges(): readonly SourceRange[] {
    const tally = new RangeTally()
    for (const load of this.#loads.values()) {
      for (const { origin } of load.movedOutDocuments()) {
        tally.addOne(origin)
      }
    }
    return tally.ranges
  }

  #numberOf(load: Load): number {
    assert(load.documentCount <= TAG_LOAD)
    this.#underWay.add(load)
    const known = this.#numbers.get(load)
    if (known !== undefined) return known
    const number = ++this.#lastNumber
    this.#loads.set(number, load)
    this.#numbers.set(load, number)
    return number
  }

  #forgetIfBack(load: Load): void {
    const number = this.#numbers.get(load)
    if (load.movedOutCount > 0 || this.#underWay.has(load) || number === undefined) return
    this.#numbers.delete(load)
    this.#loads.delete(number)
  }
}
