/**
 * Reads one slot of the pool: its header, its runs, and the records that a scan found.
 *
 * One reader per thread, pointed at slot after slot, so that nothing is allocated for a slot. Legal
 * only while the thread owns the slot (layout.ts). Views that it returns die with that ownership.
 */
import assert from 'node:assert/strict'
import {
  HEADER_BYTES_HIGH,
  HEADER_BYTES_LOW,
  HEADER_FLAGS,
  HEADER_RECORDS,
  HEADER_RUNS,
  RECORD_ALTERNATIVES,
  RECORD_BYTES,
  RECORD_HEADERS_BYTES,
  RECORD_KEY_BYTES,
  RECORD_OFFSET,
  RECORD_START,
  RECORD_TIMESTAMP,
  RECORD_TIMESTAMP_TYPE,
  RECORD_VALUE_BYTES,
  RUN_ASSIGNMENT,
  RUN_BYTES,
  RUN_COVER_FROM,
  RUN_COVER_TO,
  RUN_FIRST_HIT,
  RUN_HITS,
  RUN_LAST_TIMESTAMP,
  RUN_LOW_WATERMARK,
  RUN_MARK_EPOCH,
  RUN_RECORDS,
  RUN_VALUE_BYTES,
  RUNS_MAX,
  SLOT_FLAG_DROPPED,
  SLOT_FLAG_MORE,
  SLOT_FLAG_OVERSIZE,
  slotLayout,
  type SlotShape,
} from './layout.ts'

export type TimestampType = 'none' | 'create' | 'append'
/** By RECORD_TIMESTAMP_TYPE: none, set by the producer, set by the broker. */
export const TIMESTAMP_TYPES: readonly TimestampType[] = ['none', 'create', 'append']

/** Records of one assignment, and the offsets they speak for. */
export interface RunEntry {
  readonly assignmentId: number
  readonly recordCount: number
  /** Bytes of the records as they lie in their batches. */
  readonly valueBytes: number
  /** After a scan: its hits, in the order of their offsets. */
  readonly firstHit: number
  readonly hitCount: number
  /** The leader epoch that marks its records; -1: none (core/log-id.ts). */
  readonly markEpoch: number
  /** The run covers every offset of [coverFrom, coverTo). */
  readonly coverFrom: number
  readonly coverTo: number
  /** The partition's low watermark when there was a gap before the run; -1 otherwise. */
  readonly lowWatermark: number
  /** The latest time in its last batch, in ms since 1970; -1: none. */
  readonly lastTimestampMs: number
}

export class SlotReader {
  /** The whole pool, as bytes, words and doubles; every slot starts at a multiple of 64. */
  readonly #bytes: Buffer
  readonly #words: Int32Array
  readonly #doubles: Float64Array
  readonly #layout: ReturnType<typeof slotLayout>
  readonly #slotCount: number
  /** Byte offset of the slot being read. */
  #base = 0

  constructor(memory: SharedArrayBuffer, shape: SlotShape) {
    this.#layout = slotLayout(shape)
    this.#slotCount = shape.slotCount
    assert(memory.byteLength >= shape.slotCount * this.#layout.slotBytes)
    this.#bytes = Buffer.from(memory)
    this.#words = new Int32Array(memory)
    this.#doubles = new Float64Array(memory)
  }

  /** Points the reader at a slot that this thread owns. */
  open(slotIndex: number): void {
    assert(slotIndex >= 0 && slotIndex < this.#slotCount)
    this.#base = slotIndex * this.#layout.slotBytes
    assert(this.runCount >= 0 && this.runCount <= RUNS_MAX, `${this.runCount} runs in a slot`)
  }

  get recordCount(): number {
    return this.#header(HEADER_RECORDS)
  }

  get runCount(): number {
    return this.#header(HEADER_RUNS)
  }

  get isOversize(): boolean {
    return (this.#header(HEADER_FLAGS) & SLOT_FLAG_OVERSIZE) !== 0
  }

  /** The scan has to go on. */
  get hasMore(): boolean {
    return (this.#header(HEADER_FLAGS) & SLOT_FLAG_MORE) !== 0
  }

  /** Alternatives of a set have dropped records: slotDropped says how many. */
  get hasDropped(): boolean {
    return (this.#header(HEADER_FLAGS) & SLOT_FLAG_DROPPED) !== 0
  }

  /** Bytes of all records as they lie in their batches. */
  get valueBytes(): number {
    const low = this.#header(HEADER_BYTES_LOW) >>> 0
    return this.#header(HEADER_BYTES_HIGH) * 2 ** 32 + low
  }

  run(runIndex: number): RunEntry {
    assert(runIndex >= 0 && runIndex < this.runCount)
    const word = (this.#base + this.#layout.runsAt + runIndex * RUN_BYTES) / 4
    const double = word / 2
    const entry = {
      assignmentId: this.#words[word + RUN_ASSIGNMENT]!,
      recordCount: this.#words[word + RUN_RECORDS]!,
      firstHit: this.#words[word + RUN_FIRST_HIT]!,
      hitCount: this.#words[word + RUN_HITS]!,
      markEpoch: this.#words[word + RUN_MARK_EPOCH]!,
      valueBytes: this.#words[word + RUN_VALUE_BYTES]!,
      coverFrom: this.#doubles[double + RUN_COVER_FROM]!,
      coverTo: this.#doubles[double + RUN_COVER_TO]!,
      lowWatermark: this.#doubles[double + RUN_LOW_WATERMARK]!,
      lastTimestampMs: this.#doubles[double + RUN_LAST_TIMESTAMP]!,
    }
    assert(entry.coverFrom < entry.coverTo, 'a run covers offsets')
    assert(entry.firstHit >= 0 && entry.hitCount >= 0 && entry.recordCount >= 0)
    return entry
  }

  offset(recordIndex: number): number {
    return this.#doubles[this.#recordWord(recordIndex) / 2 + RECORD_OFFSET]!
  }

  /** Milliseconds since 1970; -1 when the record has none. */
  timestampMs(recordIndex: number): number {
    return this.#doubles[this.#recordWord(recordIndex) / 2 + RECORD_TIMESTAMP]!
  }

  timestampType(recordIndex: number): TimestampType {
    return TIMESTAMP_TYPES[this.timestampTypeCode(recordIndex)] ?? 'none'
  }

  /** The type's place in TIMESTAMP_TYPES. */
  timestampTypeCode(recordIndex: number): number {
    return this.#word(recordIndex, RECORD_TIMESTAMP_TYPE)
  }

  /** A view of the value, or null for a tombstone. */
  value(recordIndex: number): Buffer | null {
    const size = this.#word(recordIndex, RECORD_VALUE_BYTES)
    return size < 0 ? null : this.#slice(this.#word(recordIndex, RECORD_START), size)
  }

  /** A view of the key, or null where there is none. */
  key(recordIndex: number): Buffer | null {
    const size = this.#word(recordIndex, RECORD_KEY_BYTES)
    return size < 0 ? null : this.#slice(this.#keyStart(recordIndex), size)
  }

  /** A view of the encoded headers (layout.ts); empty where there are none. */
  headers(recordIndex: number): Buffer {
    const keySize = Math.max(0, this.#word(recordIndex, RECORD_KEY_BYTES))
    const start = this.#keyStart(recordIndex) + keySize
    return this.#slice(start, this.#word(recordIndex, RECORD_HEADERS_BYTES))
  }

  /**
   * The alternatives of a set that hold of the record, by their numbers, ascending; empty where the
   * filter is no set.
   */
  alternatives(recordIndex: number): number[] {
    const count = this.#word(recordIndex, RECORD_ALTERNATIVES)
    if (count === 0) return []
    const keySize = Math.max(0, this.#word(recordIndex, RECORD_KEY_BYTES))
    const start =
      this.#keyStart(recordIndex) + keySize + this.#word(recordIndex, RECORD_HEADERS_BYTES)
    const bytes = this.#slice(start, count * 2)
    return Array.from({ length: count }, (_, index) => bytes.readUInt16LE(index * 2))
  }

  #keyStart(recordIndex: number): number {
    const valueSize = Math.max(0, this.#word(recordIndex, RECORD_VALUE_BYTES))
    return this.#word(recordIndex, RECORD_START) + valueSize
  }

  #header(word: number): number {
    return this.#words[this.#base / 4 + word]!
  }

  #recordWord(recordIndex: number): number {
    return (this.#base + this.#layout.recordsAt + recordIndex * RECORD_BYTES) / 4
  }

  #word(recordIndex: number, word: number): number {
    return this.#words[this.#recordWord(recordIndex) + word]!
  }

  #slice(start: number, size: number): Buffer {
    const from = this.#base + this.#layout.payloadAt + start
    return this.#bytes.subarray(from, from + size)
  }
}

/** The headers of a record as a slot has them (layout.ts); of none: nothing. */
export function encodeHeaders(
  headers: readonly (readonly [name: string, value: Uint8Array | null])[],
): Buffer {
  if (headers.length === 0) return Buffer.alloc(0)
  const number = (write: (buffer: Buffer) => void) => {
    const buffer = Buffer.alloc(4)
    write(buffer)
    return buffer
  }
  const parts = headers.flatMap(([name, value]) => {
    const bytes = Buffer.from(name, 'utf8')
    return [
      number((buffer) => buffer.writeUInt32LE(bytes.length)),
      bytes,
      number((buffer) => buffer.writeInt32LE(value === null ? -1 : value.length)),
      value ?? Buffer.alloc(0),
    ]
  })
  return Buffer.concat([number((buffer) => buffer.writeUInt32LE(headers.length)), ...parts])
}

/**
 * Decodes a record's headers. @returns name and value, in order; names may repeat, and are bytes:
 * Kafka does not see to it that they are text.
 */
export function decodeHeaders(encoded: Buffer): [name: Buffer, value: Buffer | null][] {
  if (encoded.length === 0) return []
  const headers: [Buffer, Buffer | null][] = []
  let at = 4
  for (let left = encoded.readUInt32LE(0); left > 0; left--) {
    const nameSize = encoded.readUInt32LE(at)
    const name = encoded.subarray(at + 4, at + 4 + nameSize)
    at += 4 + nameSize
    const valueSize = encoded.readInt32LE(at)
    at += 4
    headers.push([name, valueSize < 0 ? null : encoded.subarray(at, at + valueSize)])
    at += Math.max(0, valueSize)
  }
  assert.equal(at, encoded.length)
  return headers
}
