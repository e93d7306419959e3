/**
 * Reads waiting entries back, oldest segment first, in large reads, and verifies every checksum
 * again. Documents are views of the read buffer, so nothing is copied.
 *
 * Bound. The entries that one call may return, plus one chunk.
 */
import { keyOf } from '../../core/topic-partition.ts'
import assert from 'node:assert/strict'
import { BlockCursor, type DamagedBytes } from './block-cursor.ts'
import type { StoredEntry, SourceRange, SpillDamage } from './contract.ts'
import type { DiskFile } from '../../core/disk.ts'
import { HEADER_BYTES, KIND_ENTRY, EntryReader } from './format.ts'
import { scanSegment, type LostRange, type OrdinalSpan } from './scan.ts'
import type { ReadEntry, IntactEntry, Segment, LostEntries } from './segment.ts'
import { type SpillStore, loadStoredMark } from './directory.ts'

/** Of one read of the disk; less when the caller wants less. */
const CHUNK_BYTES_MAX = 4 * 1024 * 1024
const CHUNK_BYTES_MIN = 64 * 1024

/** One call of `read`: its limits, and the entries so far. */
interface ReadCall {
  readonly maxBytes: number
  readonly accepts: ((index: string) => boolean) | undefined
  readonly entries: ReadEntry[]
  bytes: number
}

export class SpillReader {
  readonly #store: SpillStore
  readonly #entry = new EntryReader()
  #reading = false

  constructor(store: SpillStore) {
    this.#store = store
  }

  async read(
    maxBytes: number,
    accepts: ((index: string) => boolean) | undefined,
  ): Promise<StoredEntry[]> {
    assert(!this.#reading, 'one read at a time')
    this.#reading = true
    try {
      const call: ReadCall = { maxBytes, accepts, entries: [], bytes: 0 }
      for (const segment of this.#store.segments.slice()) {
        if (isFilled(call)) break
        if (segment.isRemoved || !segment.hasWaiting(accepts)) continue
        await this.#readSegment(segment, call)
      }
      return call.entries
    } finally {
      this.#reading = false
    }
  }

  /** Takes all that waits in one segment. */
  async readAll(segment: Segment): Promise<ReadEntry[]> {
    const maxBytes = Number.POSITIVE_INFINITY
    const call: ReadCall = { maxBytes, accepts: undefined, entries: [], bytes: 0 }
    await this.#readSegment(segment, call)
    return call.entries
  }

  async #readSegment(segment: Segment, call: ReadCall): Promise<void> {
    segment.beginRead()
    try {
      const file = await this.#store.disk.open(this.#store.pathOf(segment), 'read')
      try {
        const start = segment.readPosition
        await this.#readBlocks(segment, file, start, segment.readableBytes, call)
        // Skipped entries of an index that is accepted now lie before the start.
        if (!isFilled(call) && start > HEADER_BYTES && segment.hasWaiting(call.accepts)) {
          await this.#readBlocks(segment, file, HEADER_BYTES, start, call)
        }
      } finally {
        await file.close()
      }
    } catch (error) {
      this.#giveBack(segment, call)
      throw this.#store.error(`read ${segment.name}`, error)
    } finally {
      segment.endRead()
      this.#store.retire(segment)
    }
  }

  /** Reads from `from` until `end`, or until enough is taken. */
  async #readBlocks(
    segment: Segment,
    file: DiskFile,
    from: number,
    end: number,
    call: ReadCall,
  ): Promise<void> {
    const wanted = Math.max(CHUNK_BYTES_MIN, call.maxBytes - call.bytes)
    const chunkBytes = Math.min(CHUNK_BYTES_MAX, wanted)
    const cursor = new BlockCursor(file, segment.sync, from, end, chunkBytes, false)
    let chunkFirst = call.entries.length
    for (;;) {
      const step = cursor.next()
      if (step === 'more') {
        compact(call.entries, chunkFirst, cursor.bytes.length)
        chunkFirst = call.entries.length
        await cursor.load()
        continue
      }
      if (step === 'end') break
      segment.readOn(cursor.position + cursor.length)
      if (cursor.view.getUint16(cursor.at + 16, true) === KIND_ENTRY) {
        this.#readEntry(segment, cursor, call)
        if (isFilled(call)) break
      }
    }
    compact(call.entries, chunkFirst, cursor.bytes.length)
    if (cursor.end < end) cursor.damaged.push({ from: cursor.end, to: end })
    const damaged = cursor.damaged.filter((bytes) => !segment.isKnownDamage(bytes))
    if (damaged.length > 0) await this.#reportDamage(segment, file, damaged)
  }

  #readEntry(segment: Segment, cursor: BlockCursor, call: ReadCall): void {
    const entry = this.#entry
    if (!entry.read(cursor.bytes, cursor.view, cursor.at, cursor.length)) return
    if (!segment.isWaiting(entry.ordinal, entry.topic, entry.partition)) return
    if (call.accepts !== undefined && !call.accepts(entry.index)) return
    const group = segment.groups.of(entry.topic, entry.partition, entry.index)
    segment.handOut(entry.ordinal, group, cursor.length)
    const document = cursor.bytes.subarray(entry.documentStart, cursor.at + cursor.length)
    call.bytes += document.length
    call.entries.push({
      topic: entry.topic,
      ...(entry.log === undefined ? {} : { log: entry.log }),
      partition: entry.partition,
      offset: entry.offset,
      timestampMs: entry.timestampMs,
      timestampType: entry.timestampType,
      index: entry.index,
      document,
      tag: entry.tag,
      leftover: segment.leftover,
      segment,
      ordinal: entry.ordinal,
      group,
      position: cursor.position,
      bytes: cursor.length,
    })
  }

  /** A failed read leaves nothing in hand that the caller does not know of. */
  #giveBack(segment: Segment, call: ReadCall): void {
    for (const entry of call.entries) {
      entry.segment.unread(entry)
      if (entry.segment !== segment) this.#store.retire(entry.segment)
    }
    call.entries.length = 0
  }

  /** Scans the whole segment to report lost entries, and counts the remaining ones again. */
  async #reportDamage(
    segment: Segment,
    file: DiskFile,
    damaged: readonly DamagedBytes[],
  ): Promise<void> {
    segment.knowDamage(damaged)
    const { disk, events } = this.#store
    const readable = segment.readableBytes
    const intact: IntactEntry[] = []
    const stored = await loadStoredMark(disk, this.#store.pathOf(segment), segment.sync)
    const scan = await scanSegment(file, segment, readable, stored, (entry, bytes) => {
      const { ordinal, topic, partition, index } = entry
      intact.push({ ordinal, topic, partition, index, bytes })
    })
    // More was published while the scan was under way: it was just written, so it is intact, and
    // the next read looks again.
    if (segment.readableBytes !== readable) {
      segment.rescan()
      return
    }
    // The reader ends before a seal, so entries lost at the end are known only by ordinal.
    const missing = [...scan.lostOrdinals, [scan.ordinalEnd, segment.readableCount] as const]
    const lost = segment.keepIntact(intact, missing)
    if (lost.counts.length === 0) return
    segment.pin(lost.ordinals[0] ?? Infinity)
    events.damaged(damageOf(segment.name, damaged, lost, scan.lostRanges))
  }
}

function isFilled(call: ReadCall): boolean {
  return call.entries.length > 0 && call.bytes >= call.maxBytes
}

/** Copies the documents of a chunk of which little was taken, so that the chunk can go. */
function compact(entries: ReadEntry[], first: number, chunkBytes: number): void {
  let bytes = 0
  for (let index = first; index < entries.length; index++) {
    bytes += entries[index]?.document.length ?? 0
  }
  if (bytes * 4 > chunkBytes) return
  for (let index = first; index < entries.length; index++) {
    const entry = entries[index]
    if (entry !== undefined) entries[index] = { ...entry, document: Buffer.from(entry.document) }
  }
}

/*
 * Reports the entries that the reader lost: only those that waited, because a scan cannot tell
 * which entries were sent before the damage, or reported before.
 */

/** @param ranges of entries that a scan did not find; those of other ordinals are left out. */
function damageOf(
  file: string,
  damaged: readonly DamagedBytes[],
  { counts, ordinals }: LostEntries,
  ranges: readonly LostRange[],
): SpillDamage {
  const lostCount = counts.reduce((sum, { count }) => sum + count, 0)
  const left = new Map<string, number>()
  for (const { topic, partition, count } of counts) {
    const key = keyOf({ topic, partition })
    left.set(key, (left.get(key) ?? 0) + count)
  }
  const named: SourceRange[] = []
  for (const { range, ordinals: span } of ranges) {
    const key = keyOf(range)
    const leftCount = left.get(key)
    if (leftCount === undefined || !ordinals.some((ordinal) => isWithin(ordinal, span))) continue
    // Sent entries count in the range too, so other ranges may overlap this one: all stay.
    const count = Math.min(range.count, leftCount)
    left.set(key, leftCount - count)
    named.push({ ...range, count })
  }
  const [first, last] = [damaged[0], damaged.at(-1)]
  return {
    file,
    bytesFrom: first?.from ?? 0,
    bytesTo: last?.to ?? 0,
    lostCount,
    ranges: named,
    unattributedCount: [...left.values()].reduce((sum, count) => sum + count, 0),
    torn: false,
  }
}

function isWithin(ordinal: number, [from, to]: OrdinalSpan): boolean {
  return from <= ordinal && ordinal < to
}
