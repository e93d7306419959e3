/**
 * The contract for turning matches into the bytes of an output: filter threads call it, the outputs
 * implement it (sink/).
 *
 * A filter thread owns one BodyBuilder and one encoder. For each hit it asks the encoder to append
 * one document; the body of several slots then leaves the thread in one transfer.
 */
import assert from 'node:assert/strict'

/** The rule that makes a document of a record: where it goes. */
export interface RuleRoute {
  readonly name: string
  /** Null: the output's own index. */
  readonly index: string | null
  readonly pipeline: string | null
  /** Appended to the offset in the id of the document; empty for nothing. */
  readonly idSuffix: string
}

/** A record that matched, wherever its bytes lie. Valid only during the call it is given to. */
export interface MatchedRecord {
  readonly topic: string
  readonly partition: number
  readonly offset: number
  /** The prefix of topic-partition-offset in the id of a document; empty for none. */
  readonly idPrefix: string
  /** Milliseconds since 1970; -1 when the record has none. */
  readonly timestampMs: number
  readonly timestampType: 'none' | 'create' | 'append'
  readonly value: Buffer | null
  readonly key: Buffer | null
  /** Encoded headers (layout.ts); decodeHeaders reads them. */
  readonly headers: Buffer
  /** Null or absent: there are no rules. The same object for each record of a rule. */
  readonly rule?: RuleRoute | null
  /** Members of JSON, joined by commas, for whoever wraps the value; absent or empty: none. */
  readonly added?: string
}

export interface RecordEncoder {
  /**
   * Appends the document for this record; its end is set by the caller. Never throws for what a
   * record holds.
   */
  encode(record: MatchedRecord, body: BodyBuilder): void
  /**
   * Appends what stands for a record whose fields could not be edited, without a byte of its value.
   * Absent: there is nothing such, and the error ends the thread.
   */
  refuse?(record: MatchedRecord, reason: string, body: BodyBuilder): void
  /** Records since the last call that were not dated by their own timestamp. */
  takeRedated?(): number
}

/** The first size of a body; a slot's worth of matches is usually small. */
const BODY_BYTES_INITIAL = 64 * 1024

/** Bytes that grow by doubling, with the end of each document. */
export class BodyBuilder {
  #bytes = Buffer.allocUnsafeSlow(BODY_BYTES_INITIAL)
  #size = 0
  #ends: number[] = []

  /** Bytes written so far. */
  get size(): number {
    return this.#size
  }

  get documentCount(): number {
    return this.#ends.length
  }

  /** Makes room; the bytes from `size` on may then be written directly, followed by `advance`. */
  reserve(byteCount: number): Buffer {
    const needed = this.#size + byteCount
    if (needed > this.#bytes.length) {
      const grown = Buffer.allocUnsafeSlow(Math.max(needed, this.#bytes.length * 2))
      this.#bytes.copy(grown, 0, 0, this.#size)
      this.#bytes = grown
    }
    return this.#bytes
  }

  advance(byteCount: number): void {
    assert(byteCount >= 0)
    this.#size += byteCount
    assert(this.#size <= this.#bytes.length)
  }

  bytes(source: Uint8Array): void {
    this.reserve(source.length).set(source, this.#size)
    this.#size += source.length
  }

  byte(value: number): void {
    this.reserve(1)[this.#size] = value
    this.#size += 1
  }

  /** Text as UTF-8. */
  text(source: string): void {
    const room = this.reserve(source.length * 3)
    this.#size += room.write(source, this.#size, 'utf8')
  }

  /** Discards the bytes written behind `size`: the document was abandoned. */
  rewind(size: number): void {
    assert(size >= (this.#ends.at(-1) ?? 0) && size <= this.#size)
    this.#size = size
  }

  /** Ends the document that was being written. */
  endDocument(): void {
    this.#ends.push(this.#size)
  }

  /** Hands over the finished body and begins another. `ends`: each document's end in `body`. */
  take(): { readonly body: Uint8Array<ArrayBuffer>; readonly ends: Uint32Array<ArrayBuffer> } {
    assert.equal(this.#ends.at(-1) ?? 0, this.#size, 'the last document was ended')
    const ends = Uint32Array.from(this.#ends)
    // A copy of the exact size: it is transferred, and the builder keeps its grown buffer.
    const body = new Uint8Array(this.#size)
    body.set(this.#bytes.subarray(0, this.#size))
    this.#size = 0
    this.#ends = []
    return { body, ends }
  }
}
