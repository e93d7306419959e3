/**
 * What the dead letters are to their callers: the durable end of documents that Elasticsearch will
 * never take. `put` resolves when they are safe, and only then may their offsets be committed.
 */
import type { TimestampType } from '../../pool/slot-reader.ts'

export interface DeadLetter {
  /** Elasticsearch's error.reason, or ours. */
  readonly reason: string
  /** Elasticsearch's error.type, for example document_parsing_exception. */
  readonly errorType: string
  /** The item's HTTP status; 0 when no answer was involved. */
  readonly status: number
  readonly index: string
  readonly topic: string
  readonly partition: number
  readonly offset: number
  /** Milliseconds since 1970; -1 when the record has none. */
  readonly timestampMs: number
  /** Who set it: the producer (create) or the broker (append). */
  readonly timestampType: TimestampType
  /** The document as it was sent: action line and source line, as in a _bulk body. */
  readonly payload: Uint8Array
}

export interface DeadLetters {
  /**
   * Stores all of them; durable when resolved. Calls may overlap.
   * @throws LogpipeError DEAD_LETTERS when they cannot be stored; some may be, and putting them
   * again stores those twice, which replay tolerates.
   */
  put(letters: readonly DeadLetter[]): Promise<void>
  close(): Promise<void>
}
