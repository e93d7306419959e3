/**
 * Moves documents between the memory queue and the spill.
 *
 *   out    fresh documents, while the cluster is down or refuses us, or the memory is above
 *          OUT_SHARE of its bounds; and those of a held index above its share of the memory, until
 *          the index has half of the spill
 *   back   the oldest, one request's worth ahead of the sender, except those of held indices
 *
 * Under --commit-on index a document that moved out is still unsettled: its load waits here, found
 * again by the tag. Under --commit-on spill it is settled as `spilled` once it is on the disk.
 *
 * Bound. One append of OUT_BYTES and one read of ES_BULK_BYTES at a time; what was read back and has
 * not ended: REPLAY below. Loads without their bodies: by the ledger's limit of unresolved offsets.
 */
import assert from 'node:assert/strict'
import type { Clock } from '../../core/clock.ts'
import type { Outcome } from '../sink.ts'
import type { Health } from './health.ts'
import { LANES_MAX } from './lane.ts'
import { bytesOf, fitCount, Load, partOf, type LoadBooks, type Parcel } from './load.ts'
import type { Overflow, OverflowEntry, ReturnedEntry } from './outlets.ts'
import { replaySource } from './replay-source.ts'
import type { Schedule } from './schedule.ts'
import type { ElasticsearchSettings } from './settings.ts'
import type { ParcelLine } from './waiting.ts'

export interface OverspillParts {
  readonly settings: ElasticsearchSettings
  readonly clock: Clock
  readonly overflow: Overflow
  readonly schedule: Schedule
  readonly health: Health
  readonly books: LoadBooks
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
/** How long a full spill, or one that has nothing to give, is left alone. */
const PAUSE_MS = 1000
/** A tag is the load's number times this plus the document's index; 2^53 bounds the product. */
const TAG_LOAD = 2 ** 20

export class Overspill {
  readonly #parts: OverspillParts
  /** Loads with documents that moved out and are unsettled, by number; from 1. */
  readonly #loads = new Map<number, Load>()
  readonly #numbers = new Map<Load, number>()
  #lastNumber = 0
  /** Loads of the append under way: their number must stay. */
  readonly #underWay = new Set<Load>()
  /** Partitions given away while it is: what it stores of them is forgotten as soon as it has. */
  #droppedMeanwhile: { readonly topic: string; readonly partition: number }[] = []
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
    return this.#inHandCount > 0
  }

  /** No document that lies in the spill is unsettled. */
  get isSettled(): boolean {
    return this.#loads.size === 0
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
      const parcels = this.#pick()
      if (parcels.length > 0) void this.#moveOut(parcels)
    }
    if (this.#wantsRead && nowMs >= this.#readMs) void this.#readBack()
  }

  dropPartition(topic: string, partition: number): number {
    const count = this.#parts.overflow.dropPartition(topic, partition)
    if (this.#isWriting) this.#droppedMeanwhile.push({ topic, partition })
    for (const load of this.#loads.values()) {
      load.forgetMovedOut(topic, partition)
      this.#forgetIfBack(load)
    }
    return count
  }

  get #nowMs(): number {
    return this.#parts.clock.monotonicMs()
  }

  get #wantsRead(): boolean {
    const { overflow, schedule } = this.#parts
    if (this.#isReading || schedule.replay.first !== undefined) return false
    return this.#replayBytes < this.#replayBytesMax && overflow.waitingCount > 0
  }

  /** What should move out next. */
  #pick(): Parcel[] {
    const { schedule, health, isAbove, overflow, settings } = this.#parts
    for (const lane of schedule.lanes.all) {
      const { documentCount, byteCount } = lane.line
      const keepCount = byteCount > this.#laneBytesMax ? 1 : LANE_DOCUMENTS
      if (documentCount <= keepCount) continue
      if (overflow.bytesOfIndex(lane.index) >= settings.spillBytesMax / 2) continue
      const parcels = takeBytes(lane.line, documentCount - keepCount)
      const own = parcels.filter((parcel) => !parcel.load.isReplay)
      for (const { load, from, to } of parcels) if (load.isReplay) load.giveBack(from, to)
      if (own.length > 0) return own
    }
    if (health.state === 'up' && !isAbove(OUT_SHARE)) return []
    return takeBytes(schedule.fresh, Infinity)
  }

  async #moveOut(parcels: readonly Parcel[]): Promise<void> {
    const { overflow, settings, schedule, fail, wake } = this.#parts
    const isCache = settings.commitOn === 'index'
    const entries = parcels.flatMap((parcel) => this.#entriesOf(parcel, isCache))
    this.#isWriting = true
    this.#droppedMeanwhile = []
    const answer = await overflow.append(entries).catch(asError)
    this.#isWriting = false
    if (this.#isStopped) return
    if (answer instanceof Error) return fail(answer)
    if (answer === 'full') {
      this.#writeMs = this.#nowMs + PAUSE_MS
      // To the queue, even from a lane: it may have been released meanwhile.
      for (const parcel of parcels.toReversed()) schedule.fresh.unshift(parcel)
    } else {
      for (const { load, from, to } of parcels) {
        if (isCache) load.moveOut(from, to)
        else load.settle(from, to, 'spilled')
      }
      for (const { topic, partition } of this.#droppedMeanwhile) {
        for (const { load } of parcels) load.forgetMovedOut(topic, partition)
      }
    }
    for (const { load } of parcels) {
      this.#underWay.delete(load)
      this.#forgetIfBack(load)
    }
    wake()
  }

  #entriesOf({ load, from, to }: Parcel, isCache: boolean): OverflowEntry[] {
    const entries: OverflowEntry[] = []
    const base = isCache ? this.#numberOf(load) * TAG_LOAD : 0
    for (let index = from; index < to; index++) {
      entries.push({
        ...load.originOf(index),
        index: load.indexOf(index),
        document: load.documentOf(index),
        tag: isCache ? base + index : 0,
      })
    }
    return entries
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

  async #readBack(): Promise<void> {
    const { overflow, schedule, settings, fail, wake, clock } = this.#parts
    this.#isReading = true
    const isFlowing = (index: string) => !schedule.lanes.isHeld(index)
    const entries = await overflow.read(settings.bulkBytes, isFlowing).catch(asError)
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
      assert(this.#replayBytes < this.#replayBytesMax, 'read only below the bound')
      const load = new Load(source, this.#replayBooks)
      const sinceMs = clock.monotonicMs()
      schedule.replay.push({ load, from: 0, to: load.documentCount, tries: 0, sinceMs })
    }
    wake()
  }

  #settled(entry: ReturnedEntry, outcome: Outcome): void {
    this.#inHandCount--
    this.#parts.overflow.release([entry])
    if (entry.leftover || entry.tag === 0) return
    const load = this.#loads.get(Math.floor(entry.tag / TAG_LOAD))
    // Its partition was given away while it was under way.
    if (load === undefined) return
    load.settleElsewhere(entry.tag % TAG_LOAD, outcome)
    this.#forgetIfBack(load)
  }

  #givenBack(entry: ReturnedEntry): void {
    this.#inHandCount--
    this.#parts.overflow.unread([entry])
  }

  #forgetIfBack(load: Load): void {
    const number = this.#numbers.get(load)
    if (load.movedOutCount > 0 || this.#underWay.has(load) || number === undefined) return
    this.#numbers.delete(load)
    this.#loads.delete(number)
  }
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
