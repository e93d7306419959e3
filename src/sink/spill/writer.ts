/**
 * Appends entries to the newest segment, with two staging buffers: while one is written and synced,
 * the next is filled. Disk and checksums thus work at the same time, and all appends that arrive
 * meanwhile share one sync.
 *
 *   append --plan--> (full?) --encode, one after another--> staging --write + fdatasync--> stored
 *
 * An append counts only when its last byte is synced: until then the reader does not see it. If a
 * write fails, every append that is not stored fails, and the segment is cut and closed.
 * Bound. Two staging buffers, one larger one for a group that does not fit, and the disk's bound.
 */
import assert, { AssertionError } from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import type { SpillEntry, SourceRange } from './contract.ts'
import {
  NameBytes,
  rangesBytes,
  sealBlock,
  segmentHeader,
  SYNC_BYTES,
  ENTRY_HEAD_BYTES,
  HEADER_BYTES,
  logName,
  RANGES_BYTES_MAX,
  KIND_RANGES,
  writeEntry,
  writeRanges,
  RangeTally,
} from './format.ts'
import { type ReadEntry, Segment, AppendPart } from './segment.ts'
import { isFull, type DiskFile } from '../../core/disk.ts'
import type { SpillStore, StoredMark } from './directory.ts'

export class SpillWriter {
  readonly #store: SpillStore
  readonly #maxBytes: number
  readonly #segmentBytes: number
  readonly #names = new NameBytes()
  #current = new Staging(0)
  #spare = new Staging(0)
  #open: OpenSegment | null = null
  #nextNumber: number
  /** The last append's encoding; the next one begins behind it. */
  #encoding: Promise<void> = Promise.resolve()
  /** The write in progress; it never rejects. */
  #flushing: Promise<void> | null = null
  /** Appends that have not ended. */
  readonly #tickets = new Set<Ticket>()
  /** Of these, the ones that began to be encoded. */
  readonly #begun = new Set<Ticket>()
  /** Promised to appends, and not yet in the store's bytes. */
  #reservedBytes = 0

  constructor(store: SpillStore, maxBytes: number, segmentBytes: number, nextNumber: number) {
    this.#store = store
    this.#maxBytes = maxBytes
    this.#segmentBytes = segmentBytes
    this.#nextNumber = nextNumber
  }

  append(entries: readonly SpillEntry[]): Promise<'stored' | 'full'> {
    return this.#append(entries, null)
  }

  /** Copies held entries to the newest segment; those dropped until they are written are left. */
  copy(held: readonly ReadEntry[]): Promise<'stored' | 'full'> {
    return this.#append(held, held)
  }

  /** Bytes left for appends, before a segment's overhead. */
  get freeBytes(): number {
    return this.#maxBytes - this.#store.bytes - this.#reservedBytes
  }

  #append(
    entries: readonly SpillEntry[],
    held: readonly ReadEntry[] | null,
  ): Promise<'stored' | 'full'> {
    if (entries.length === 0) return Promise.resolve('stored')
    const plan = planAppend(entries, this.#segmentBytes, this.#names)
    const wanted = plan.bytes + plan.overheadBytes
    const taken = this.#store.bytes + this.#reservedBytes + this.#sealBytes()
    if (taken + wanted > this.#maxBytes) return Promise.resolve('full')
    this.#reservedBytes += wanted
    return new Promise((resolve, reject) => {
      const ticket = new Ticket(entries, held, plan, resolve, reject)
      this.#tickets.add(ticket)
      this.#encoding = this.#encoding.then(() => this.#encode(ticket))
    })
  }

  /** Entries of appends in progress that are not yet encoded will be gone when they are. */
  drop(topic: string, partition: number): void {
    for (const ticket of this.#tickets) ticket.drop(topic, partition)
  }

  /** Lets go of the newest segment when nothing in it is live, so that its disk is free again. */
  retireDrained(): void {
    const open = this.#open
    if (open === null || this.#flushing !== null || this.#current.used > 0) return
    const { segment } = open
    if (!segment.isDrained) return
    this.#open = null
    void this.#letGo(open)
  }

  /** Ends the newest segment with a seal once all appends have ended. */
  async close(): Promise<void> {
    await this.#encoding
    if (this.#open !== null) await this.#seal(this.#open)
    while (this.#flushing !== null) await this.#flushing
  }

  /** Never rejects: an error rejects the ticket. */
  async #encode(ticket: Ticket): Promise<void> {
    this.#begun.add(ticket)
    try {
      for (const group of ticket.plan.groups) {
        // Nothing may come between the last check and the writing, so no await lies there.
        while (!ticket.settled && !this.#hasRoom(group)) await this.#makeRoom(group)
        if (ticket.settled) return
        this.#writeGroup(ticket, group)
      }
      this.#current.tickets.push(ticket)
      if (this.#flushing === null) this.#startFlush()
    } catch (error) {
      this.#failTicket(ticket, error)
    }
  }

  #hasRoom(group: EntryGroup): boolean {
    if (this.#open === null || this.#isSegmentFull(this.#open, group)) return false
    return this.#current.used + group.bytes <= this.#current.bytes.length
  }

  #isSegmentFull({ segment }: OpenSegment, group: EntryGroup): boolean {
    return segment.entryCount > 0 && segment.size + group.bytes > this.#segmentBytes
  }

  /** One step towards room for the group; a failed write may undo it, so check again. */
  async #makeRoom(group: EntryGroup): Promise<void> {
    if (this.#open === null) await this.#openSegment()
    else if (this.#isSegmentFull(this.#open, group)) await this.#seal(this.#open)
    else if (this.#current.used > 0) await this.#handOver()
    else this.#growStaging(group.bytes)
  }

  /**
   * Buffers are made at the first use: most spills are never used. One that is larger than usual,
   * for a huge document, lives this once.
   */
  #growStaging(bytes: number): void {
    assert.equal(this.#current.used, 0)
    this.#current = new Staging(Math.max(STAGING_BYTES, bytes))
  }

  async #openSegment(): Promise<void> {
    const { disk, directory } = this.#store
    // The staging buffer may still hold the end of the segment before.
    await this.#handOver()
    const sync = randomBytes(SYNC_BYTES)
    const segment = new Segment(this.#nextNumber, sync, false)
    this.#nextNumber++
    const file = await disk.open(this.#store.pathOf(segment), 'create')
    try {
      await disk.syncDirectory(directory)
    } catch (error) {
      await file.close()
      await disk.remove(this.#store.pathOf(segment))
      throw error
    }
    this.#store.add(segment)
    const mark = await this.#store.markFor(segment)
    this.#open = { segment, file, tally: new RangeTally(), mark }
    this.#stage(this.#open, segmentHeader(segment.number, sync))
  }

  #writeGroup(ticket: Ticket, group: EntryGroup): void {
    const open = this.#open
    assert(open !== null)
    const { segment } = open
    let part = ticket.parts.at(-1)
    if (part === undefined || part.segment !== segment) {
      part = new AppendPart(segment)
      ticket.parts.push(part)
    }
    encodeGroup(this.#current, open, ticket, part, group, this.#names)
    open.tally.addAll(group.ranges)
    this.#store.grow(segment, group.bytes)
    part.endAt(segment.size)
    ticket.reservedBytes -= group.bytes
    this.#reservedBytes -= group.bytes
  }

  /** Ends a segment: its last bytes are staged, and it is closed when they are written. */
  async #seal(open: OpenSegment): Promise<void> {
    const { segment } = open
    const bytes = sealBlock(segment.sync, segment.entryCount, open.tally.ranges, this.#names)
    if (this.#current.used + bytes.length > this.#current.bytes.length) await this.#handOver()
    // A failed write may have closed it meanwhile.
    if (this.#open !== open) return
    this.#stage(open, bytes)
    this.#current.closes = true
    this.#open = null
    await this.#handOver()
  }

  #sealBytes(): number {
    return this.#open === null ? 0 : rangesBytes(this.#open.tally.ranges, this.#names)
  }

  #stage(open: OpenSegment, bytes: Buffer): void {
    if (bytes.length > this.#current.bytes.length) this.#growStaging(bytes.length)
    const staging = this.#current
    staging.begin(open)
    staging.bytes.set(bytes, staging.used)
    staging.used += bytes.length
    this.#store.grow(open.segment, bytes.length)
  }

  /** Afterwards the current staging buffer is empty; its content is being written. */
  async #handOver(): Promise<void> {
    while (this.#flushing !== null && this.#current.used > 0) await this.#flushing
    if (this.#current.used > 0) this.#startFlush()
  }

  #startFlush(): void {
    assert.equal(this.#flushing, null)
    const staging = this.#current
    this.#current = this.#spare
    staging.recordStored(this.#names)
    this.#flushing = this.#flush(staging).then(() => {
      staging.reset()
      this.#spare = staging.bytes.length > STAGING_BYTES ? new Staging(0) : staging
      this.#flushing = null
      if (this.#current.used > 0) this.#startFlush()
      else this.retireDrained()
    })
  }

  async #flush(staging: Staging): Promise<void> {
    const { open } = staging
    assert(open !== null)
    try {
      await open.file.write(staging.bytes.subarray(0, staging.used), staging.position)
      await open.file.datasync()
    } catch (error) {
      await this.#fail(staging, error)
      return
    }
    if (staging.stored !== null) await open.mark?.write(staging.stored)
    for (const ticket of staging.tickets) {
      for (const part of ticket.parts) part.segment.publish(part)
      this.#settle(ticket)
      for (const part of ticket.parts) this.#store.retire(part.segment)
      ticket.resolve('stored')
    }
    if (staging.closes) await this.#letGo(open)
  }

  /** No unstored entry will be stored: all appends in progress fail, their segments end. */
  async #fail(staging: Staging, error: unknown): Promise<void> {
    const segments = new Set<OpenSegment>()
    if (staging.open !== null) segments.add(staging.open)
    if (this.#open !== null) segments.add(this.#open)
    this.#open = null
    this.#current.reset()
    const failed = [...this.#begun]
    for (const ticket of failed) this.#failTicket(ticket, error)
    for (const open of segments) {
      const { segment } = open
      try {
        await open.file.truncate(segment.readableBytes)
        this.#store.grow(segment, segment.readableBytes - segment.size)
      } catch {
        // Not cut: the reader stays below readableBytes, and the next start checks the rest.
      }
      await this.#letGo(open)
    }
  }

  #failTicket(ticket: Ticket, error: unknown): void {
    if (ticket.settled) return
    for (const part of ticket.parts) part.segment.discard(part)
    this.#settle(ticket)
    for (const part of ticket.parts) this.#store.retire(part.segment)
    if (isFull(error)) ticket.resolve('full')
    else if (error instanceof AssertionError) ticket.reject(error)
    else ticket.reject(this.#store.error('write', error))
  }

  #settle(ticket: Ticket): void {
    ticket.settled = true
    this.#tickets.delete(ticket)
    this.#begun.delete(ticket)
    this.#reservedBytes -= ticket.reservedBytes
    ticket.reservedBytes = 0
  }

  async #letGo(open: OpenSegment): Promise<void> {
    open.segment.end()
    this.#store.retire(open.segment)
    await open.mark?.close()
    try {
      await open.file.close()
    } catch (error) {
      this.#store.events.trouble(this.#store.error('close a segment', error).message)
    }
  }
}

/*
 * Plans one append before a byte of it is written: which entries share a ranges block, and how much
 * of the disk it can take at most, so that `full` is known at once.
 */

/** Entries [from, to) of an append, behind one ranges block. */
interface EntryGroup {
  readonly from: number
  readonly to: number
  readonly ranges: readonly SourceRange[]
  /** Of the ranges block and the entries. */
  readonly bytes: number
}

interface AppendPlan {
  readonly groups: readonly EntryGroup[]
  readonly bytes: number
  /** Headers and seals of the segments that it may begin, at most. */
  readonly overheadBytes: number
}

function planAppend(
  entries: readonly SpillEntry[],
  segmentBytes: number,
  names: NameBytes,
): AppendPlan {
  const groups: EntryGroup[] = []
  const all = new RangeTally()
  let totalBytes = 0
  for (let from = 0; from < entries.length;) {
    const tally = new RangeTally()
    let to = from
    let entriesBytes = 0
    for (; to < entries.length; to++) {
      const entry = entries[to]
      if (entry === undefined) break
      const bytes = entryBytes(entry, names)
      if (to > from && entriesBytes + bytes > RANGES_BYTES_MAX) break
      entriesBytes += bytes
      tally.addOne(entry)
    }
    const bytes = rangesBytes(tally.ranges, names) + entriesBytes
    groups.push({ from, to, ranges: tally.ranges, bytes })
    all.addAll(tally.ranges)
    totalBytes += bytes
    from = to
  }
  // Every segment holds at least one group, and segments end at most one group early.
  const room = Math.max(1, segmentBytes - RANGES_BYTES_MAX)
  const segmentCount = Math.min(groups.length, Math.ceil(totalBytes / room)) + 1
  const segmentOverhead = HEADER_BYTES + rangesBytes(all.ranges, names)
  return { groups, bytes: totalBytes, overheadBytes: segmentCount * segmentOverhead }
}

function entryBytes(entry: SpillEntry, names: NameBytes): number {
  const nameBytes = names.ofEntry(logName(entry), entry.index).bytes.length
  return ENTRY_HEAD_BYTES + nameBytes + entry.document.length
}

/*
 * Entries on their way to the disk: appends, and the buffers that they are encoded into.
 * Used by the writer alone.
 */

/** Bytes written and synced at a time: large enough that the sync is a small share. */
const STAGING_BYTES = 4 * 1024 * 1024

/** The segment that is being written. */
interface OpenSegment {
  readonly segment: Segment
  readonly file: DiskFile
  readonly tally: RangeTally
  /** Null: nothing is noted beside this segment. */
  readonly mark: StoredMark | null
}

/** An append in progress. */
class Ticket {
  readonly entries: readonly SpillEntry[]
  /** The entries as they are held, when they are copied from an older segment; null otherwise. */
  readonly held: readonly ReadEntry[] | null
  readonly plan: AppendPlan
  readonly parts: AppendPart[] = []
  /** Of the plan, the bytes not yet counted in the store. */
  reservedBytes: number
  settled = false
  readonly resolve: (outcome: 'stored' | 'full') => void
  readonly reject: (error: unknown) => void
  /** Partitions dropped since the append was called, by topic. */
  #dropped: Map<string, Set<number>> | null = null

  constructor(
    entries: readonly SpillEntry[],
    held: readonly ReadEntry[] | null,
    plan: AppendPlan,
    resolve: (outcome: 'stored' | 'full') => void,
    reject: (error: unknown) => void,
  ) {
    this.entries = entries
    this.held = held
    this.plan = plan
    this.reservedBytes = plan.bytes + plan.overheadBytes
    this.resolve = resolve
    this.reject = reject
  }

  drop(topic: string, partition: number): void {
    this.#dropped ??= new Map()
    const partitions = this.#dropped.get(topic) ?? new Set()
    this.#dropped.set(topic, partitions.add(partition))
  }

  isDropped(entry: SpillEntry, index: number): boolean {
    if (this.held?.[index]?.group.isDropped === true) return true
    return this.#dropped?.get(entry.topic)?.has(entry.partition) ?? false
  }
}

class Staging {
  bytes: Buffer
  view: DataView
  used = 0
  open: OpenSegment | null = null
  /** Where its first byte goes in the segment's file. */
  position = 0
  /** It ends with the seal: nothing follows in its segment. */
  closes = false
  /** Appends whose last byte is in it. */
  tickets: Ticket[] = []
  /** Its segment's content once this is written, as a seal. */
  stored: Buffer | null = null

  constructor(size: number) {
    this.bytes = Buffer.allocUnsafeSlow(size)
    this.view = new DataView(this.bytes.buffer, this.bytes.byteOffset, size)
  }

  /** Before bytes of a segment are added: all in one buffer are of one segment. */
  begin(open: OpenSegment): void {
    if (this.used === 0) {
      this.open = open
      this.position = open.segment.size
    }
    assert.equal(this.open, open)
  }

  /** Called before it is written: the segment's content afterwards. */
  recordStored(names: NameBytes): void {
    const { open } = this
    if (open === null || open.mark === null) return
    const { segment, tally } = open
    this.stored = sealBlock(segment.sync, segment.entryCount, tally.ranges, names)
  }

  reset(): void {
    this.used = 0
    this.open = null
    this.closes = false
    this.tickets = []
    this.stored = null
  }
}

/** Adds a ranges block and its entries to a buffer that has room for them. */
function encodeGroup(
  staging: Staging,
  open: OpenSegment,
  ticket: Ticket,
  part: AppendPart,
  group: EntryGroup,
  names: NameBytes,
): void {
  staging.begin(open)
  const { segment } = open
  const { sync } = segment
  const { bytes, view } = staging
  const { ranges } = group
  const content = { firstOrdinal: segment.entryCount, entryCount: group.to - group.from, ranges }
  let at = staging.used
  at += writeRanges(bytes, view, at, sync, KIND_RANGES, content, names)
  for (let index = group.from; index < group.to; index++) {
    const entry = ticket.entries[index]
    assert(entry !== undefined)
    const entryNames = names.ofEntry(logName(entry), entry.index)
    const length = writeEntry(bytes, view, at, sync, segment.entryCount, entry, entryNames)
    at += length
    if (ticket.isDropped(entry, index)) {
      segment.encodedGone(part)
    } else {
      const counted = segment.groups.of(entry.topic, entry.partition, entry.index)
      segment.encoded(part, counted, length)
    }
  }
  assert.equal(at - staging.used, group.bytes)
  staging.used = at
}
