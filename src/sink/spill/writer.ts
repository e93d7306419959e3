/**
 * Appends entries to the newest segment. Two staging buffers: while one is written and synced, the
 * next is filled, so the disk and the checksums work at the same time, and all appends that came
 * meanwhile share one sync.
 *
 *   append --plan--> (full?) --encode, one after another--> staging --write + fdatasync--> stored
 *
 * An append counts only when its last byte is synced: until then the reader does not see it, and
 * when a write fails, every append that is not stored fails and its segment is cut and left.
 * Bound. Two staging buffers, one larger one for a group that does not fit, and the disk's bound.
 */
import assert, { AssertionError } from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { planAppend, type EntryGroup } from './append-plan.ts'
import type { SpillEntry } from './contract.ts'
import { NameBytes, rangesBytes, sealBlock, segmentHeader, SYNC_BYTES } from './format.ts'
import { RangeTally } from './range-tally.ts'
import { AppendPart } from './append-part.ts'
import { type HeldEntry, Segment } from './segment.ts'
import { isFull } from '../../core/disk.ts'
import { encodeGroup, type OpenSegment, Staging, STAGING_BYTES, Ticket } from './staging.ts'
import type { SpillStore } from './store.ts'

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
  /** The write under way; it never rejects. */
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
  copy(held: readonly HeldEntry[]): Promise<'stored' | 'full'> {
    return this.#append(held, held)
  }

  /** What appends can still take, before a segment's worth of overhead. */
  get freeBytes(): number {
    return this.#maxBytes - this.#store.bytes - this.#reservedBytes
  }

  #append(
    entries: readonly SpillEntry[],
    held: readonly HeldEntry[] | null,
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

  /** Entries of appends under way that are not yet encoded will be gone when they are. */
  drop(topic: string, partition: number): void {
    for (const ticket of this.#tickets) ticket.drop(topic, partition)
  }

  /** Lets go of the newest segment when nothing in it is live, so that its disk is free again. */
  retireDrained(): void {
    const open = this.#open
    if (open === null || this.#flushing !== null || this.#current.used > 0) return
    const { segment } = open
    if (segment.entryCount === 0 || segment.liveCount > 0 || segment.unpublishedCount > 0) return
    this.#open = null
    void this.#letGo(open)
  }

  /** Ends the newest segment with a seal once all appends have ended. */
  async close(): Promise<void> {
    await this.#encoding
    if (this.#open !== null) await this.#seal(this.#open)
    while (this.#flushing !== null) await this.#flushing
  }

  /** Never rejects: what goes wrong is the ticket's. */
  async #encode(ticket: Ticket): Promise<void> {
    this.#begun.add(ticket)
    try {
      for (const group of ticket.plan.groups) {
        // Nothing may come between the last look and the writing, so no await lies there.
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

  /** One step towards room for the group; a failed write may undo it, so look again. */
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
    part.endBytes = segment.size
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

  /** Afterwards the current staging buffer is empty; what was in it is being written. */
  async #handOver(): Promise<void> {
    while (this.#flushing !== null && this.#current.used > 0) await this.#flushing
    if (this.#current.used > 0) this.#startFlush()
  }

  #startFlush(): void {
    assert.equal(this.#flushing, null)
    const staging = this.#current
    this.#current = this.#spare
    staging.noteStored(this.#names)
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

  /** Nothing that is not yet stored will be: all appends under way fail, their segments end. */
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
        // Not cut: the reader stays below readableBytes, and the next start checks what is there.
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
    open.segment.closed = true
    this.#store.retire(open.segment)
    await open.mark?.close()
    try {
      await open.file.close()
    } catch (error) {
      this.#store.events.trouble(this.#store.error('close a segment', error).message)
    }
  }
}
