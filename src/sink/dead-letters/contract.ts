/**
 * The contract of the dead letters: durable storage for documents that Elasticsearch will never
 * accept. `put` resolves when they are safe; only then may their offsets be committed.
 *
 * A dead letter that is too large for its store is stored without its payload (`withoutPayload`),
 * so that one document never ends the pipeline; its topic, partition and offset lead to the record
 * in Kafka.
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
  /** Set where `payload` is only the head of the document: the bytes of the whole. */
  readonly payloadBytes?: number
}

/** Larger documents than Elasticsearch takes (http.max_content_length) are never sent again. */
export const PAYLOAD_BYTES_MAX = 100 * 1024 * 1024

/** Bytes kept of a letter without its payload: enough to recognise it, and small for any store. */
const HEAD_BYTES = 1024
const HEAD_REASON_CHARS = 500

/** A letter of 2 KiB at most: its place, the reason, and the size and head of the document. */
export function withoutPayload(letter: DeadLetter): DeadLetter {
  const { payload, reason } = letter
  let end = Math.min(payload.length, HEAD_BYTES)
  // Not within a character, so that text stays text.
  while (end > 0 && end < payload.length && (payload[end]! & 0xc0) === 0x80) end--
  return {
    ...letter,
    reason: reason.slice(0, HEAD_REASON_CHARS),
    payload: payload.subarray(0, end),
    payloadBytes: letter.payloadBytes ?? payload.length,
  }
}

export interface DeadLetters {
  /**
   * Stores all letters, without payload where it does not fit; durable when resolved. Calls may
   * overlap.
   * @throws LogpipeError DEAD_LETTERS when they cannot be stored; some may be, and putting them
   * again stores those twice, which replay tolerates.
   */
  put(letters: readonly DeadLetter[]): Promise<void>
}

export interface OpenDeadLetters extends DeadLetters {
  close(): Promise<void>
}
