/**
 * Reads the fields of an entry block. Names come again and again, so each is decoded once.
 *
 * Bound. NAMES_MAX names.
 */
import { TIMESTAMP_TYPES, type TimestampType } from '../../pool/slot-reader.ts'
import { ENTRY_HEAD_BYTES, parseLogName, readInteger } from './format.ts'

/** Places for names, by hash; a name that meets another one takes its place. */
const NAMES_MAX = 1024

interface Name {
  readonly bytes: Buffer
  readonly text: string
  /** What the text says as that of a topic. */
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
