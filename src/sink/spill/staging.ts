/**
 * What is on its way to the disk: appends, and the buffers that their entries are encoded into.
 * Used by the writer alone.
 */
import assert from 'node:assert/strict'
import type { AppendPlan, EntryGroup } from './append-plan.ts'
import type { SpillEntry } from './contract.ts'
import type { DiskFile } from '../../core/disk.ts'
import {
  KIND_RANGES,
  logName,
  type NameBytes,
  sealBlock,
  writeEntry,
  writeRanges,
} from './format.ts'
import type { RangeTally } from './range-tally.ts'
import type { StoredMark } from './stored-mark.ts'
import type { AppendPart } from './append-part.ts'
import type { HeldEntry, Segment } from './segment.ts'

/** Written and synced at a time: large enough that the sync is a small part of it. */
export const STAGING_BYTES = 4 * 1024 * 1024

/** The segment that is being written. */
export interface OpenSegment {
  readonly segment: Segment
  readonly file: DiskFile
  readonly tally: RangeTally
  /** Null: nothing is noted beside this segment. */
  readonly mark: StoredMark | null
}

/** One append under way. */
export class Ticket {
  readonly entries: readonly SpillEntry[]
  /** The entries as they are held, when they are copied from an older segment; null otherwise. */
  readonly held: readonly HeldEntry[] | null
  readonly plan: AppendPlan
  readonly parts: AppendPart[] = []
  /** Of the plan, what is not yet counted in the store's bytes. */
  reservedBytes: number
  settled = false
  readonly resolve: (outcome: 'stored' | 'full') => void
  readonly reject: (error: unknown) => void
  /** Partitions dropped since the append was called, by topic. */
  #dropped: Map<string, Set<number>> | null = null

  constructor(
    entries: readonly SpillEntry[],
    held: readonly HeldEntry[] | null,
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
    if (this.held?.[index]?.group.dropped === true) return true
    return this.#dropped?.get(entry.topic)?.has(entry.partition) ?? false
  }
}

export class Staging {
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
  /** What its segment will hold once this is written, as a seal. */
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

  /** Before it is written: what its segment will hold then. */
  noteStored(names: NameBytes): void {
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
export function encodeGroup(
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
