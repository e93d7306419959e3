/**
 * Writes and reads the first line of a document: the action.
 *
 *   {"create":{"_index":"logs","_id":"0a1b2c3d-orders-3-42"}}       --document-id offset
 *   {"index":{"_index":"logs","_id":"KEY","version":1764500000000000042,
 *    "version_type":"external_gte"}}                                key
 *   {"create":{"_index":"logs"}}                                    none
 *
 * A rule may name an ingest pipeline, which then ends the line: ,"pipeline":"enrich"}}. Where every
 * rule that holds makes a document, `_id` of `offset` ends with the rule's name: ...-42-errors.
 *
 * Data streams allow only `create`, and `create` makes a retry of the same document harmless:
 * Elasticsearch answers 409. A record without a key gets the `_id` of `offset`; a key that is not
 * UTF-8 becomes `base64:...`.
 *
 * With `key` the record with the latest timestamp stays, and among records of one partition and
 * millisecond the one with the highest offset: the version is the timestamp, followed by the last
 * six digits of the offset. An offset says nothing about a record of another partition, or of a
 * topic that was deleted and created again. A record without a timestamp (message format v0) has
 * its offset as version, so any record with one replaces it.
 *
 * The index is not stored beside a document: it is read from this line when an answer requires it.
 */
import assert from 'node:assert/strict'
import { isUtf8 } from 'node:buffer'
import type { BodyBuilder, MatchedRecord } from '../../pool/record-encoder.ts'
import { writeNumber, writeString } from './json-text.ts'
import type { DocumentId } from './settings.ts'

const CREATE = '{"create":{"_index":"'
const INDEX = '{"index":{"_index":"'

/** Digits of the offset in a version. */
const OFFSET_DIGITS = 6
/** With the digits of an offset behind it, the version is still below 2^63. It is in 2262. */
const VERSION_TIME_MAX = 9_223_372_036_853

/** What all documents of a partition and an index share. */
export class ActionHead {
  readonly #create: Buffer
  readonly #index: Buffer
  readonly #end: Buffer
  readonly #endOfIndex: string
  readonly #documentId: DocumentId
  readonly idPrefix: string
  readonly index: string

  constructor(index: string, record: MatchedRecord, documentId: DocumentId) {
    this.index = index
    const { idPrefix } = record
    this.idPrefix = idPrefix
    const prefix = idPrefix === '' ? '' : `${idPrefix}-`
    const id = JSON.stringify(`${prefix}${record.topic}-${record.partition}-`).slice(0, -1)
    this.#documentId = documentId
    this.#create = Buffer.from(
      documentId === 'none' ? `${CREATE}${index}` : `${CREATE}${index}","_id":${id}`,
    )
    this.#index = Buffer.from(`${INDEX}${index}","_id":`)
    const { idSuffix = '', pipeline = null } = record.rule ?? {}
    this.#endOfIndex = `${pipeline === null ? '' : `,"pipeline":${JSON.stringify(pipeline)}`}}}\n`
    this.#end = Buffer.from(`${documentId === 'none' ? '' : idSuffix}"${this.#endOfIndex}`)
    assert(!index.includes('"') && !index.includes('\\'))
  }

  /** Appends the line, with its line end. */
  write(record: MatchedRecord, body: BodyBuilder): void {
    if (this.#documentId === 'key' && record.key !== null) {
      this.#writeKeyed(record.key, record, body)
      return
    }
    body.bytes(this.#create)
    if (this.#documentId !== 'none') writeNumber(body, record.offset)
    body.bytes(this.#end)
  }

  #writeKeyed(key: Buffer, { timestampMs, offset }: MatchedRecord, body: BodyBuilder): void {
    body.bytes(this.#index)
    writeString(body, isUtf8(key) ? key : Buffer.from(`base64:${key.toString('base64')}`))
    body.text(',"version":')
    if (timestampMs > 0) {
      writeNumber(body, Math.min(timestampMs, VERSION_TIME_MAX))
      body.text(String(offset % 10 ** OFFSET_DIGITS).padStart(OFFSET_DIGITS, '0'))
    } else writeNumber(body, offset)
    body.text(`,"version_type":"external_gte"${this.#endOfIndex}`)
  }
}

/** Whether a document replaces an older version (`index`), and is never in conflict with itself. */
export function isVersionedAt(body: Uint8Array, from: number): boolean {
  return body[from + 2] === INDEX.charCodeAt(2)
}

/** Where the name of the index stands, of the document that starts at `from`. */
function indexPlace(body: Uint8Array, from: number): [start: number, end: number] {
  const start = from + (body[from + 2] === CREATE.charCodeAt(2) ? CREATE.length : INDEX.length)
  const end = body.indexOf(0x22, start)
  assert(end > start)
  return [start, end]
}

/** The index asked for by the document that starts at `from`. */
export function indexAt(body: Uint8Array, from: number): string {
  const [start, end] = indexPlace(body, from)
  return Buffer.from(body.buffer, body.byteOffset + start, end - start).toString('utf8')
}

/**
 * The bytes by which a document asks for its index: those that ask for the same one in the same way
 * begin with the same bytes.
 */
export function askAt(body: Uint8Array, from: number): Uint8Array {
  return body.subarray(from, indexPlace(body, from)[1] + 1)
}

/** Where the document's own line starts, behind the action. */
export function documentLineAt(body: Uint8Array, from: number): number {
  return body.indexOf(0x0a, from) + 1
}
