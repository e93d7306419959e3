/**
 * The contract of the spill: a queue of documents on disk, between the memory queue and the
 * requests. The bulk writer appends documents that do not fit in memory, and reads them back when
 * Elasticsearch accepts documents again. `openSpill` (open.ts) creates a spill; format.ts specifies
 * the files.
 *
 *   append --> waiting --read--> in hand --release--> gone (its segment is deleted when all are)
 *                 ^                 |
 *                 +-----unread------+         dropPartition: waiting or in hand --> gone
 *
 * Bound. Disk: ES_SPILL_MAX_BYTES over all segments, including gone entries until their segment is
 * deleted. Memory: two staging buffers, one byte per entry for its state, and the entries that a
 * caller has read.
 */
import type { OffsetRange, TopicPartition } from '../../core/topic-partition.ts'
import type { TimestampType } from '../../pool/slot-reader.ts'

/** One document, with where it came from. The spill reads it, and keeps no reference to it. */
export interface SpillEntry {
  readonly topic: string
  /** Which log of that name, from Kafka's topic id; absent: not known. */
  readonly log?: string | undefined
  readonly partition: number
  readonly offset: number
  /** Milliseconds since 1970; -1 when the record has none. */
  readonly timestampMs: number
  readonly timestampType: TimestampType
  /** The index asked for: the lane. */
  readonly index: string
  /** Action line and source line, as they go into a _bulk body. */
  readonly document: Uint8Array
  /**
   * The caller's own number, 0 to 2^53 - 1, given back by `read`: for example which batch and
   * document to settle. It means nothing to a later process. Absent: 0.
   */
  readonly tag?: number
}

/** An entry as read back. Hand the very object to `release` or `unread`, once. */
export interface StoredEntry extends SpillEntry {
  /** Not read-only: who took the entry lets the bytes go when it needs them no more. */
  document: Uint8Array
  readonly tag: number
  /** Stored by an earlier process: its tag means nothing here. */
  readonly leftover: boolean
}

/**
 * Offsets [from, to) of one partition's log, with `count` entries; others between may not be. The
 * log counts: offsets of one that was deleted mean nothing in its successor.
 */
export interface SourceRange extends OffsetRange {
  readonly count: number
}

/** A count of entries of one partition. */
export interface SpillCount extends TopicPartition {
  readonly count: number
}

/** Entries that can no longer be read. */
export interface SpillDamage {
  /** The segment's file name, and where in it the unreadable bytes are. */
  readonly file: string
  readonly bytesFrom: number
  readonly bytesTo: number
  /** How many entries are known to be lost. */
  readonly lostCount: number
  /** Where they can be read again. May hold offsets of entries that are intact. */
  readonly ranges: readonly SourceRange[]
  /** Of lostCount, those that no intact list of ranges names. */
  readonly unattributedCount: number
  /**
   * At the end of a segment that was never finished: most likely a write that a crash interrupted,
   * of entries that were never reported as stored. Offsets at or above the committed one come again
   * by themselves; only those below it need to be fetched.
   */
  readonly torn: boolean
}

export interface SpillEvents {
  /** Called while reading; damage found at the start is in `Spill.damageAtOpen`. */
  damaged(damage: SpillDamage): void
  /** Something failed that loses nothing, for example a segment that could not be deleted. */
  trouble(message: string): void
}

/** The queue itself, as the bulk writer uses it. */
export interface SpillQueue {
  /** Disk used by the segments. */
  readonly bytes: number
  /** Entries that `read` can give. */
  readonly waitingCount: number
  /**
   * Stores all entries, in order, or none. `stored`: they are on the disk (fdatasync). `full`: the
   * bound, the disk or a quota is reached; try later. Appends may overlap: they share one sync.
   * @throws LogpipeError SPILL when the disk refuses for another reason; nothing was stored.
   */
  append(entries: readonly SpillEntry[]): Promise<'stored' | 'full'>
  /**
   * Takes the oldest waiting entries into the caller's hand, of those indices that `accepts` lets
   * pass (absent: all). Ends above `maxBytes` of documents, with at least one entry when there is
   * one. One call at a time.
   * @throws LogpipeError SPILL when the disk cannot be read.
   */
  read(maxBytes: number, accepts?: (index: string) => boolean): Promise<StoredEntry[]>
  /** They were sent, or are not wanted any more. */
  release(entries: readonly StoredEntry[]): void
  /** They wait again, at their old place. */
  unread(entries: readonly StoredEntry[]): void
  /** Bytes of the entries of one index, waiting or in hand. */
  bytesOfIndex(index: string): number
  /**
   * Forgets the entries of a partition: waiting, in hand (releasing those later is allowed and does
   * nothing), or in an append under way, which resolves all the same. Entries of later appends are
   * not affected. @returns how many waited or were in hand.
   */
  dropPartition(topic: string, partition: number): number
}

/** The queue, and the duties of its opener. */
export interface Spill extends SpillQueue {
  /** Damage found in the entries of an earlier process (`spill` mode). */
  readonly damageAtOpen: readonly SpillDamage[]
  /** Readable entries of an earlier process, by partition (`spill` mode). */
  readonly leftovers: readonly SpillCount[]
  /** Entries that are not gone: waiting or in hand. */
  readonly entryCount: number
  /**
   * The caller has dealt with all damage reported so far: lost entries are fetched again and safe,
   * or counted as lost. Until then the damaged segments stay, so that a crash reports them again.
   */
  resolveDamage(): Promise<void>
  /** Waits for appends in progress, saves the progress, releases the directory. Idempotent. */
  close(): Promise<void>
}
