/**
 * The spill's file format, version 1, and the functions that write, read and check its blocks. This
 * comment is the specification: a second reader needs nothing else (test/helpers has one).
 *
 * Requirements. A crash at any byte loses no entry that was reported as stored. Damage at any byte
 * costs only the entries that contain it; their number and their offsets in Kafka stay known. A
 * record's content can never be mistaken for structure. Everything read is verified by a checksum.
 *
 * Limits. A segment has at most 64 MiB, or an eighth of ES_SPILL_MAX_BYTES if that is less, and one
 * group of entries that is larger than this. An entry never spans two segments. One process at a
 * time: its writer creates segments and appends to the newest; a segment is deleted as a whole,
 * once all its entries are gone.
 *
 * ```
 * Directory: ES_SPILL_PATH with `.d` behind it, or ES_SPILL_PATH itself when it ends in a slash
 *   lock                           flock(2), exclusive, by the process that uses the directory
 *   manifest.json, progress.json   directory.ts
 *   segment-....spill.stored       the segment's content when its last write ended: directory.ts
 *   segment-....spill.damaged      a damaged segment that a drain set aside, for people to look at
 *   segment-NNNNNNNNNN-SYNC.spill  NNNNNNNNNN: number, decimal, ascending with age
 *                                  SYNC: 8 random bytes in hexadecimal, for this segment alone
 *
 * Numbers are little-endian; text is UTF-8; "crc" is zlib's CRC-32. u64 values are below 2^53.
 * Segment = header, then blocks, one behind the other up to the end of the file.
 *
 *   header    0 magic "LPSPILL\n"    8 u32 version (1)   12 u32 number   16 SYNC, 8 bytes
 *            24 u32 crc of bytes 0..24                    28 u32 zero
 *
 *   block     0 SYNC                 8 u32 crc of bytes 12..length
 *            12 u32 length of the whole block             16 u16 kind
 *
 *   kind 1, entry: one document
 *            18 u16 topic bytes     20 u32 ordinal       24 i32 partition   28 u16 index bytes
 *            30 u16 who set the timestamp: 0 nobody, or not known; 1 the producer; 2 the broker
 *            32 u64 offset          40 i64 timestamp in ms, -1: none
 *            48 u64 tag, for the writing process
 *            56 topic, index, document (action line and source line, each ended by 0x0A)
 *            A topic may be followed by 0x00 and the log, which tells apart topics of one name
 *
 *   kind 2, ranges: the sources of the entries behind it; kind 3, seal: those of all entries
 *            18 u16 0               20 u32 ordinal of the first entry
 *            24 u32 entries         28 u32 ranges        32 ranges, each:
 *               0 u16 topic bytes    2 u16 0              4 i32 partition
 *               8 u64 from offset   16 u64 to offset, exclusive
 *              24 u32 entries       28 topic
 * ```
 *
 * Reading. Entries of a segment are numbered 0, 1, 2 ... by their ordinal, so a gap gives the
 * number of lost entries, and a block whose ordinal does not rise is a copy and no entry. Ranges
 * blocks announce at most RANGES_BYTES_MAX of entries, and only these; they have their own
 * checksum, so lost entries can be fetched again from Kafka. At bytes that are not an intact block,
 * search for the next SYNC that begins one. SYNC is random, so no record can be mistaken for a
 * block. A seal ends a finished segment, and its count of entries is authoritative (ordinals
 * announced beyond it were never stored). Without a seal, the writer crashed: the bytes after the
 * last intact block are an interrupted write, and are cut. Unknown kinds are skipped.
 */
import assert from 'node:assert/strict'
import { crc32 } from 'node:zlib'
import { TIMESTAMP_TYPES, type TimestampType } from '../../pool/slot-reader.ts'
import type { SourceRange, SpillEntry } from './contract.ts'
import { childMap } from './entry-counts.ts'

export const FORMAT_VERSION = 1
export const HEADER_BYTES = 32
export const SYNC_BYTES = 8
const MAGIC = Buffer.from('LPSPILL\n', 'latin1')

export const KIND_ENTRY = 1
export const KIND_RANGES = 2
export const KIND_SEAL = 3

/** Of a name. */
const U16_MAX = 0xffff

/** The part that every block has. */
const BLOCK_BYTES_MIN = 18
export const ENTRY_HEAD_BYTES = 56
const RANGES_HEAD_BYTES = 32
const RANGE_HEAD_BYTES = 28

/**
 * Entries announced by one ranges block, in bytes: all are fetched again when one of them is
 * damaged, against the cost of the ranges (under 0.1 % with a few partitions).
 */
export const RANGES_BYTES_MAX = 256 * 1024

export const BLOCK_INCOMPLETE = 0
export const BLOCK_DAMAGED = -1

const TWO_32 = 2 ** 32

export function segmentName(number: number, sync: Uint8Array): string {
  const hex = Buffer.from(sync).toString('hex')
  return `segment-${String(number).padStart(10, '0')}-${hex}.spill`
}

/** The text that stands for a topic and its log; no name of a topic holds 0x00. */
export function logName({ topic, log }: Pick<SpillEntry, 'topic' | 'log'>): string {
  return log === undefined ? topic : `${topic}\0${log}`
}

function parseLogName(text: string): Pick<SpillEntry, 'topic' | 'log'> {
  const end = text.indexOf('\0')
  return end === -1 ? { topic: text } : { topic: text.slice(0, end), log: text.slice(end + 1) }
}

/** A segment's number and sync from its file name; null for any other file. */
export function parseSegmentName(name: string): { number: number; sync: Buffer } | null {
  const match = /^segment-(\d{10})-([0-9a-f]{16})\.spill$/.exec(name)
  const [, number = '', hex = ''] = match ?? []
  return match === null ? null : { number: Number(number), sync: Buffer.from(hex, 'hex') }
}

export function segmentHeader(number: number, sync: Uint8Array): Buffer {
  const header = Buffer.alloc(HEADER_BYTES)
  MAGIC.copy(header)
  header.writeUInt32LE(FORMAT_VERSION, 8)
  header.writeUInt32LE(number, 12)
  header.set(sync, 16)
  header.writeUInt32LE(crc32(header.subarray(0, 24)), 24)
  return header
}

/** Whether a header is intact and matches the file name; its version if it is another. */
export function checkHeader(
  header: Uint8Array,
  number: number,
  sync: Uint8Array,
): 'intact' | 'damaged' | { readonly version: number } {
  const bytes = Buffer.from(header.buffer, header.byteOffset, header.byteLength)
  if (bytes.equals(segmentHeader(number, sync))) return 'intact'
  const checksum = bytes.length < HEADER_BYTES ? -1 : bytes.readUInt32LE(24)
  if (checksum !== crc32(bytes.subarray(0, 24)) || !bytes.subarray(0, 8).equals(MAGIC)) {
    return 'damaged'
  }
  const version = bytes.readUInt32LE(8)
  return version === FORMAT_VERSION ? 'damaged' : { version }
}

/**
 * Checks whether a block begins at `position`.
 * @param filled how many bytes of `bytes` are there
 * @param limit where the segment ends, counted from the start of `bytes`
 * @returns the length of an intact block, BLOCK_INCOMPLETE when it goes on behind `filled`, or
 * BLOCK_DAMAGED.
 */
export function blockAt(
  bytes: Buffer,
  view: DataView,
  position: number,
  filled: number,
  limit: number,
  sync: Buffer,
): number {
  if (filled - position < BLOCK_BYTES_MIN) return BLOCK_INCOMPLETE
  for (let index = 0; index < SYNC_BYTES; index++) {
    if (bytes[position + index] !== sync[index]) return BLOCK_DAMAGED
  }
  const length = view.getUint32(position + 12, true)
  if (length < BLOCK_BYTES_MIN || position + length > limit) return BLOCK_DAMAGED
  if (position + length > filled) return BLOCK_INCOMPLETE
  const checksum = crc32(bytes.subarray(position + 12, position + length))
  if (checksum !== view.getUint32(position + 8, true)) return BLOCK_DAMAGED
  return length
}

/** Topic and index of an entry as they lie in its block. */
interface EntryNames {
  readonly topic: string
  readonly index: string
  readonly topicBytes: number
  /** The topic, then the index. */
  readonly bytes: Buffer
}

/** The text of names, encoded once: topics and indices are few and come again and again. */
export class NameBytes {
  readonly #known = new Map<string, Buffer>()
  readonly #pairs = new Map<string, Map<string, EntryNames>>()
  /** Of the last call: entries come in runs. */
  #last: EntryNames = { topic: '', index: '', topicBytes: 0, bytes: Buffer.alloc(0) }
  #pairCount = 0
  /** More than the topics and indices of one pipeline; at the limit it is cleared. */
  static readonly NAMES_MAX = 4096

  of(name: string): Buffer {
    const known = this.#known.get(name)
    if (known !== undefined) return known
    const bytes = Buffer.from(name, 'utf8')
    if (this.#known.size >= NameBytes.NAMES_MAX) this.#known.clear()
    this.#known.set(name, bytes)
    return bytes
  }

  ofEntry(topic: string, index: string): EntryNames {
    const last = this.#last
    if (last.index === index && last.topic === topic) return last
    let names = this.#pairs.get(topic)?.get(index)
    if (names === undefined) {
      if (this.#pairCount >= NameBytes.NAMES_MAX) {
        this.#pairs.clear()
        this.#pairCount = 0
      }
      this.#pairCount++
      const bytes = Buffer.from(topic + index, 'utf8')
      names = { topic, index, topicBytes: Buffer.byteLength(topic, 'utf8'), bytes }
      childMap(this.#pairs, topic).set(index, names)
    }
    this.#last = names
    return names
  }
}

/** Writes an entry at `position`; the room must be there. @returns its length. */
export function writeEntry(
  bytes: Buffer,
  view: DataView,
  position: number,
  sync: Buffer,
  ordinal: number,
  entry: SpillEntry,
  names: EntryNames,
): number {
  const documentStart = position + ENTRY_HEAD_BYTES + names.bytes.length
  const length = ENTRY_HEAD_BYTES + names.bytes.length + entry.document.length
  const indexBytes = names.bytes.length - names.topicBytes
  assert(names.topicBytes <= U16_MAX && indexBytes <= U16_MAX, 'names fit their 16 bits')
  // A timestamp may be any 64 bits that a producer set.
  assert(Number.isSafeInteger(entry.offset) && Number.isSafeInteger(entry.tag ?? 0))
  for (let index = 0; index < SYNC_BYTES; index++) bytes[position + index] = sync[index] ?? 0
  view.setUint32(position + 12, length, true)
  view.setUint16(position + 16, KIND_ENTRY, true)
  view.setUint16(position + 18, names.topicBytes, true)
  view.setUint32(position + 20, ordinal, true)
  view.setInt32(position + 24, entry.partition, true)
  view.setUint16(position + 28, indexBytes, true)
  view.setUint16(position + 30, TIMESTAMP_TYPES.indexOf(entry.timestampType), true)
  writeInteger(view, position + 32, entry.offset)
  writeInteger(view, position + 40, entry.timestampMs)
  writeInteger(view, position + 48, entry.tag ?? 0)
  bytes.set(names.bytes, position + ENTRY_HEAD_BYTES)
  bytes.set(entry.document, documentStart)
  view.setUint32(position + 8, crc32(bytes.subarray(position + 12, position + length)), true)
  return length
}

/** How long a ranges or seal block is. */
export function rangesBytes(ranges: readonly SourceRange[], names: NameBytes): number {
  let length = RANGES_HEAD_BYTES
  for (const range of ranges) length += RANGE_HEAD_BYTES + names.of(logName(range)).length
  return length
}

export interface Ranges {
  readonly firstOrdinal: number
  readonly entryCount: number
  readonly ranges: readonly SourceRange[]
}

/** Writes a ranges or seal block; the room must be there. @returns its length. */
export function writeRanges(
  bytes: Buffer,
  view: DataView,
  position: number,
  sync: Buffer,
  kind: typeof KIND_RANGES | typeof KIND_SEAL,
  content: Ranges,
  names: NameBytes,
): number {
  bytes.set(sync, position)
  view.setUint16(position + 16, kind, true)
  view.setUint16(position + 18, 0, true)
  view.setUint32(position + 20, content.firstOrdinal, true)
  view.setUint32(position + 24, content.entryCount, true)
  view.setUint32(position + 28, content.ranges.length, true)
  let at = position + RANGES_HEAD_BYTES
  for (const range of content.ranges) {
    const topic = names.of(logName(range))
    assert(topic.length <= U16_MAX, 'the name fits its 16 bits')
    view.setUint16(at, topic.length, true)
    view.setUint16(at + 2, 0, true)
    view.setInt32(at + 4, range.partition, true)
    writeInteger(view, at + 8, range.from)
    writeInteger(view, at + 16, range.to)
    view.setUint32(at + 24, range.count, true)
    bytes.set(topic, at + RANGE_HEAD_BYTES)
    at += RANGE_HEAD_BYTES + topic.length
  }
  const length = at - position
  view.setUint32(position + 12, length, true)
  view.setUint32(position + 8, crc32(bytes.subarray(position + 12, at)), true)
  return length
}

/** The block that ends a segment of `entryCount` entries. */
export function sealBlock(
  sync: Buffer,
  entryCount: number,
  ranges: readonly SourceRange[],
  names: NameBytes,
): Buffer {
  const bytes = Buffer.alloc(rangesBytes(ranges, names))
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length)
  writeRanges(bytes, view, 0, sync, KIND_SEAL, { firstOrdinal: 0, entryCount, ranges }, names)
  return bytes
}

/** The content of an intact ranges or seal block. */
export function readRanges(bytes: Buffer, view: DataView, position: number): Ranges {
  const rangeCount = view.getUint32(position + 28, true)
  const ranges: SourceRange[] = []
  let at = position + RANGES_HEAD_BYTES
  for (let index = 0; index < rangeCount; index++) {
    const topicBytes = view.getUint16(at, true)
    const textStart = at + RANGE_HEAD_BYTES
    ranges.push({
      ...parseLogName(bytes.toString('utf8', textStart, textStart + topicBytes)),
      partition: view.getInt32(at + 4, true),
      from: readInteger(view, at + 8),
      to: readInteger(view, at + 16),
      count: view.getUint32(at + 24, true),
    })
    at = textStart + topicBytes
  }
  return {
    firstOrdinal: view.getUint32(position + 20, true),
    entryCount: view.getUint32(position + 24, true),
    ranges,
  }
}

/** A 64-bit integer within plus or minus 2^53, without a BigInt for each. */
function writeInteger(view: DataView, position: number, value: number): void {
  const high = Math.floor(value / TWO_32)
  view.setUint32(position, value - high * TWO_32, true)
  view.setInt32(position + 4, high, true)
}

function readInteger(view: DataView, position: number): number {
  return view.getInt32(position + 4, true) * TWO_32 + view.getUint32(position, true)
}

/*
 * Reads the fields of an entry block. Names come again and again, so each is decoded once.
 *
 * Bound. NAMES_MAX names.
 */

/** Places for names, by hash; a name that meets another one takes its place. */
const NAMES_MAX = 1024

interface Name {
  readonly bytes: Buffer
  readonly text: string
  /** The topic and log that the text names. */
  readonly of: ReturnType<typeof parseLogName>
}

export class EntryReader {
  readonly #names: (Name | undefined)[] = []
  topic = ''
  log: string | undefined
  index = ''
  ordinal = 0
  partition = 0
  offset = 0
  timestampMs = 0
  timestampType: TimestampType = 'none'
  tag = 0
  /** Where the document begins in the chunk. */
  documentStart = 0

  /** Reads the entry at `at`. @returns false when its lengths contradict each other. */
  read(bytes: Buffer, view: DataView, at: number, length: number): boolean {
    const topicBytes = view.getUint16(at + 18, true)
    const indexBytes = view.getUint16(at + 28, true)
    const topicStart = at + ENTRY_HEAD_BYTES
    const indexStart = topicStart + topicBytes
    this.documentStart = indexStart + indexBytes
    if (length < ENTRY_HEAD_BYTES || this.documentStart > at + length) return false
    const { of } = this.#name(bytes, topicStart, indexStart)
    this.topic = of.topic
    this.log = of.log
    this.index = this.#name(bytes, indexStart, this.documentStart).text
    this.ordinal = view.getUint32(at + 20, true)
    this.partition = view.getInt32(at + 24, true)
    this.offset = readInteger(view, at + 32)
    this.timestampMs = readInteger(view, at + 40)
    this.timestampType = TIMESTAMP_TYPES[view.getUint16(at + 30, true)] ?? 'none'
    this.tag = readInteger(view, at + 48)
    return true
  }

  #name(bytes: Buffer, start: number, end: number): Name {
    // FNV-1a.
    let hash = 0x811c9dc5
    for (let at = start; at < end; at++) {
      hash = Math.imul(hash ^ (bytes[at] ?? 0), 0x01000193)
    }
    const place = (hash >>> 0) % NAMES_MAX
    const known = this.#names[place]
    if (known !== undefined && isEqual(known.bytes, bytes, start, end)) return known
    const text = bytes.toString('utf8', start, end)
    const copy = Buffer.from(bytes.subarray(start, end))
    const name = { bytes: copy, text, of: parseLogName(text) }
    this.#names[place] = name
    return name
  }
}

/** Faster than Buffer.compare for names of a few dozen bytes. */
function isEqual(name: Buffer, bytes: Buffer, start: number, end: number): boolean {
  if (name.length !== end - start) return false
  for (let index = 0; index < name.length; index++) {
    if (name[index] !== bytes[start + index]) return false
  }
  return true
}

/*
 * Adds up source ranges: for each partition's log the lowest and highest offset seen, and how many.
 *
 * Used for the ranges blocks and the seal (writer.ts) and to find missing entries (scan.ts).
 * Bounded by the partitions that one segment holds.
 */

type Log = Pick<SpillEntry, 'topic' | 'log' | 'partition'>

interface MutableRange extends Log {
  from: number
  to: number
  count: number
}

export class RangeTally {
  readonly #logs = new Map<string, Map<number, MutableRange>>()
  readonly #ranges: MutableRange[] = []
  /** The range of the last call: most entries come in runs of one partition. */
  #last: MutableRange | null = null

  get ranges(): readonly SourceRange[] {
    return this.#ranges
  }

  addOne(entry: Log & { readonly offset: number }): void {
    this.#add(entry, entry.offset, entry.offset + 1, 1)
  }

  addAll(ranges: readonly SourceRange[]): void {
    for (const range of ranges) this.#add(range, range.from, range.to, range.count)
  }

  countOf(log: Log): number {
    return this.#logs.get(logName(log))?.get(log.partition)?.count ?? 0
  }

  #add(log: Log, from: number, to: number, count: number): void {
    const range = this.#rangeOf(log)
    if (range.count === 0) {
      range.from = from
      range.to = to
    } else {
      range.from = Math.min(range.from, from)
      range.to = Math.max(range.to, to)
    }
    range.count += count
  }

  #rangeOf(of: Log): MutableRange {
    const { topic, log, partition } = of
    const last = this.#last
    if (last?.partition === partition && last.topic === topic && last.log === log) return last
    const name = logName(of)
    let partitions = this.#logs.get(name)
    if (partitions === undefined) {
      partitions = new Map()
      this.#logs.set(name, partitions)
    }
    let range = partitions.get(partition)
    if (range === undefined) {
      range = { topic, ...(log === undefined ? {} : { log }), partition, from: 0, to: 0, count: 0 }
      partitions.set(partition, range)
      this.#ranges.push(range)
    }
    this.#last = range
    return range
  }
}

/** The entries of `all` that are not in `seen`, with the offsets of `all`. */
export function missingRanges(all: readonly SourceRange[], seen: RangeTally): SourceRange[] {
  return all.flatMap((range) => {
    const count = range.count - seen.countOf(range)
    return count > 0 ? [{ ...range, count }] : []
  })
}
