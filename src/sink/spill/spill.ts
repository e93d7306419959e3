/**
 * The spill of one directory: combines the writer, the reader and the store, and implements
 * contract.ts. Created by open.ts.
 */
import assert from 'node:assert/strict'
import path from 'node:path'
import { messageOf } from '../../core/errors.ts'
import type { Spill, SpillCount, SpillDamage, SpillEntry, StoredEntry } from './contract.ts'
import { SpillReader } from './reader.ts'
import { finishRecovery, type RecoveredSegment } from './recover.ts'
import type { ReadEntry, Segment } from './segment.ts'
import { asideName, type SpillStore, saveProgress } from './directory.ts'
import { SpillWriter } from './writer.ts'

/** A segment's size: large for the disk's sake; small enough that deleting one makes room soon. */
const SEGMENT_BYTES_MAX = 64 * 1024 * 1024
/** With a small limit, this many segments share it. */
const SEGMENTS_MIN = 8

/** Entries released between two saves of the progress: a crash sends at least these again. */
const PROGRESS_BYTES = 4 * 1024 * 1024

interface SpillParts {
  readonly store: SpillStore
  readonly maxBytes: number
  /** Number of the first segment that will be made. */
  readonly nextNumber: number
  readonly recovered: readonly RecoveredSegment[]
  /** Leftovers at the end are deleted, and no progress is kept. */
  readonly isCache: boolean
  readonly unlock: () => void
}

export class DirectorySpill implements Spill {
  readonly #store: SpillStore
  readonly #parts: SpillParts
  readonly #writer: SpillWriter
  readonly #reader: SpillReader
  readonly #compactor: Compactor
  readonly damageAtOpen: readonly SpillDamage[]
  readonly leftovers: readonly SpillCount[]
  #unfinished: readonly RecoveredSegment[]
  #releasedBytes = 0
  /** The save in progress; it never rejects. */
  #saving: Promise<void> | null = null
  #closing: Promise<void> | null = null

  constructor(parts: SpillParts) {
    this.#parts = parts
    this.#store = parts.store
    const segmentBytes = Math.min(SEGMENT_BYTES_MAX, Math.ceil(parts.maxBytes / SEGMENTS_MIN))
    this.#writer = new SpillWriter(parts.store, parts.maxBytes, segmentBytes, parts.nextNumber)
    this.#reader = new SpillReader(parts.store)
    this.#compactor = new Compactor(parts.store, this.#writer, segmentBytes)
    this.damageAtOpen = parts.recovered.flatMap((one) => one.damage)
    this.leftovers = parts.recovered.flatMap(({ segment }) =>
      [...segment.groups.all()].map(({ topic, partition, liveCount: count }) => ({
        topic,
        partition,
        count,
      })),
    )
    this.#unfinished = parts.recovered.filter((one) => one.segment.isPinned)
  }

  get bytes(): number {
    return this.#store.bytes
  }

  get entryCount(): number {
    return this.#store.segments.reduce((sum, segment) => sum + segment.liveCount, 0)
  }

  get waitingCount(): number {
    return this.#store.segments.reduce((sum, segment) => sum + segment.waitingCount, 0)
  }

  bytesOfIndex(index: string): number {
    return this.#store.segments.reduce((sum, segment) => sum + segment.bytesOfIndex(index), 0)
  }

  append(entries: readonly SpillEntry[]): Promise<'stored' | 'full'> {
    assert(this.#closing === null, 'no append after close')
    this.#compactor.start()
    return this.#writer.append(entries)
  }

  read(maxBytes: number, accepts?: (index: string) => boolean): Promise<StoredEntry[]> {
    assert(this.#closing === null, 'no read after close')
    return this.#reader.read(maxBytes, accepts)
  }

  release(entries: readonly StoredEntry[]): void {
    for (const entry of entries) {
      const held = asRead(entry)
      if (held.segment.release(held)) this.#releasedBytes += held.bytes
      if (held.segment.liveCount === 0) this.#store.retire(held.segment)
    }
    this.#writer.retireDrained()
    if (this.#releasedBytes >= PROGRESS_BYTES && !this.#parts.isCache) this.#saveSoon()
  }

  unread(entries: readonly StoredEntry[]): void {
    for (const entry of entries) {
      const held = asRead(entry)
      held.segment.unread(held)
    }
  }

  dropPartition(topic: string, partition: number): number {
    this.#writer.drop(topic, partition)
    let count = 0
    for (const segment of this.#store.segments.slice()) {
      count += segment.drop(topic, partition)
      this.#store.retire(segment)
    }
    this.#writer.retireDrained()
    return count
  }

  async resolveDamage(): Promise<void> {
    const unfinished = this.#unfinished
    this.#unfinished = []
    // At once: damage reported from here on is not handled yet.
    for (const segment of this.#store.segments.slice()) {
      segment.unpin()
      this.#store.retire(segment)
    }
    for (const one of unfinished) await finishRecovery(this.#store, one)
    await this.#store.settled()
  }

  /**
   * The end of a drain, with nothing in hand: the rest of a partly sent segment moves to a new one,
   * so that the next drain begins there. @param damaged segments whose damage was
   * reported; null: not all is known yet, and damaged ones stay. @returns those set aside.
   */
  async putAway(damaged: ReadonlySet<string> | null): Promise<readonly string[]> {
    for (const segment of this.#store.segments.slice()) {
      const { liveCount, isPinned } = segment
      if (liveCount === 0 || (damaged === null && isPinned)) continue
      if (isPinned || liveCount < segment.readableCount) await this.#compactor.copy(segment)
    }
    if (damaged === null) return []
    const aside = this.#store.segments.filter(
      ({ name, liveCount }) => liveCount === 0 && damaged.has(name),
    )
    for (const segment of aside) segment.setAside()
    await this.resolveDamage()
    return aside.map(({ name }) => asideName(name))
  }

  close(): Promise<void> {
    this.#closing ??= this.#close()
    return this.#closing
  }

  async #close(): Promise<void> {
    const { store } = this.#parts
    await this.#compactor.idle()
    await this.#writer.close()
    while (this.#saving !== null) await this.#saving
    if (this.#parts.isCache) await this.#removeAll()
    else await this.#save()
    await store.settled()
    this.#parts.unlock()
  }

  async #removeAll(): Promise<void> {
    const { disk, segments } = this.#store
    for (const segment of segments.splice(0)) {
      segment.remove()
      try {
        await disk.remove(this.#store.pathOf(segment))
        this.#store.bytes -= segment.size
      } catch (error) {
        // The next start deletes it.
        this.#store.events.trouble(`the spill cannot delete ${segment.name}: ${messageOf(error)}`)
      }
    }
  }

  #saveSoon(): void {
    if (this.#saving !== null) return
    this.#releasedBytes = 0
    this.#saving = this.#save().finally(() => {
      this.#saving = null
    })
  }

  /** Without it the next start sends more again than it must: nothing is lost. */
  async #save(): Promise<void> {
    const { disk, directory, segments } = this.#store
    const progress = segments
      .map((segment) => [segment.name, segment.goneBelow] as const)
      .filter(([, ordinal]) => ordinal > 0)
    try {
      await saveProgress(disk, directory, progress)
    } catch (error) {
      const file = path.join(directory, 'progress.json')
      this.#store.events.trouble(`the spill cannot save ${file}: ${messageOf(error)}`)
    }
  }
}

/** The caller returns only entries that `read` gave it, which are ReadEntry. */
function asRead(entry: StoredEntry): ReadEntry {
  assert('segment' in entry && 'ordinal' in entry, 'an entry of a read')
  return entry as ReadEntry
}

/*
 * Makes room when the spill is nearly full of segments of which little is live: copies the live
 * entries of one to the newest segment, and so frees the old one.
 *
 * That happens when one lane is held up while the others drain: its entries lie scattered over many
 * segments, and each keeps its whole segment on the disk.
 * Bound. One segment at a time, at most half of it live but at the end of a drain. Leftovers stay
 * where they are until then: their tags mean nothing, and a copy would not say so.
 */

class Compactor {
  readonly #store: SpillStore
  readonly #writer: SpillWriter
  readonly #segmentBytes: number
  /** Its own: the caller's read may be in progress. */
  readonly #reader: SpillReader
  /** The copy in progress; it never rejects. */
  #working: Promise<void> | null = null

  constructor(store: SpillStore, writer: SpillWriter, segmentBytes: number) {
    this.#store = store
    this.#writer = writer
    this.#segmentBytes = segmentBytes
    this.#reader = new SpillReader(store)
  }

  /** Starts a copy when less than two segments' room is left and one is worth it. */
  start(): void {
    const { freeBytes } = this.#writer
    if (this.#working !== null || freeBytes > 2 * this.#segmentBytes) return
    // Half of the free space: the copy adds ranges, a header and a seal of its own.
    const segment = this.#store.segments.find(
      (one) => one.isSparse && one.liveBytes * 2 <= freeBytes,
    )
    if (segment === undefined) return
    this.#working = this.copy(segment).finally(() => {
      this.#working = null
    })
  }

  async idle(): Promise<void> {
    while (this.#working !== null) await this.#working
  }

  /** Moves all that waits in a segment; on a full disk it stays where it is. */
  async copy(segment: Segment): Promise<void> {
    let held: ReadEntry[] = []
    let outcome = 'full'
    try {
      held = await this.#reader.readAll(segment)
      outcome = await this.#writer.copy(held)
    } catch (error) {
      // Nothing is lost: the entries wait where they were.
      this.#store.events.trouble(`the spill cannot copy ${segment.name}: ${messageOf(error)}`)
    }
    for (const entry of held) {
      if (outcome === 'stored') segment.release(entry)
      else segment.unread(entry)
    }
    this.#store.retire(segment)
  }
}
