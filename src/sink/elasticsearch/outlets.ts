/**
 * Where documents go that are not written: what this output needs of the dead letters and of the
 * spill, the parts of their contracts that it calls. sink/dead-letters/ and sink/spill/ implement
 * more than this.
 */
import type { TimestampType } from '../../pool/slot-reader.ts'

/** A document that Elasticsearch will never take. */
export interface DeadLetter {
  readonly reason: string
  readonly errorType: string
  /** The item's status, or the request's. */
  readonly status: number
  readonly index: string
  readonly topic: string
  readonly partition: number
  readonly offset: number
  /** The record's own: milliseconds since 1970; -1 when it has none. */
  readonly timestampMs: number
  readonly timestampType: TimestampType
  /** The document as it was sent: action line and source line. */
  readonly payload: Uint8Array
  /** Set where `payload` is only a head: the bytes of the whole. */
  readonly payloadBytes?: number
}

export interface DeadLetters {
  /** Durable when resolved; one too large for its store goes without payload. */
  put(letters: readonly DeadLetter[]): Promise<void>
}

/** A document that goes to the spill. */
export interface OverflowEntry {
  readonly topic: string
  /** Which log of that name; absent: not known. */
  readonly log?: string | undefined
  readonly partition: number
  readonly offset: number
  /** The record's own: milliseconds since 1970; -1 when it has none. */
  readonly timestampMs: number
  readonly timestampType: TimestampType
  /** The index asked for, or the one that a pipeline has sent it to. */
  readonly index: string
  /** Action line and source line. */
  readonly document: Uint8Array
  /** Our own number, given back by `read`. */
  readonly tag?: number
}

/** A document as it comes back; hand the very object to `release` or `unread`, once. */
export interface ReturnedEntry extends OverflowEntry {
  /** Not read-only: who took the entry lets the bytes go when it needs them no more. */
  document: Uint8Array
  readonly tag: number
  /** An earlier process left it: its tag means nothing here. */
  readonly leftover: boolean
}

/** The queue on disk. */
export interface Overflow {
  /** Disk in use. */
  readonly bytes: number
  /** Entries that `read` can give. */
  readonly waitingCount: number
  /** Stores all of them, or none; `stored`: they are on the disk. */
  append(entries: readonly OverflowEntry[]): Promise<'stored' | 'full'>
  /** The oldest waiting entries of indices that `accepts` lets pass. One call at a time. */
  read(maxBytes: number, accepts?: (index: string) => boolean): Promise<ReturnedEntry[]>
  /** They are done with. */
  release(entries: readonly ReturnedEntry[]): void
  /** They wait again, at their old place. */
  unread(entries: readonly ReturnedEntry[]): void
  bytesOfIndex(index: string): number
  /** Forgets the entries of a partition. @returns how many. */
  dropPartition(topic: string, partition: number): number
}
