/**
 * `--format json`: one JSON object a line, from which the record can be made again.
 *
 *   {"topic":"logs","partition":3,"offset":42,"timestamp":1714564800000,"timestamp_type":"create",
 *    "key":"k","headers":[["trace","ab12"],["raw",{"base64":"/w=="}]],"value":"a line"}
 *
 *   timestamp       milliseconds since 1970, as Kafka has it; null when the record has none
 *   timestamp_type  "create", "append" (set by the broker) or "none"
 *   headers         pairs of name and value in the record's order, for names may repeat
 *   key, value, header values
 *                   null                  there is none (a null value is a tombstone)
 *                   "text"                the bytes are valid UTF-8, and these are they
 *                   {"base64": "..."}     any other bytes
 *
 * Used by the filter threads for stdout and files. Never throws for what a record holds: bytes are
 * escaped in place, chunk by chunk, so that no string has to hold a whole value. About 1.7 ns a
 * byte, like JSON.stringify of a decoded string on plain text and faster on text full of quotes.
 */
import { isUtf8 } from 'node:buffer'
import type { BodyBuilder, MatchedRecord, RecordEncoder } from '../pool/record-encoder.ts'
import { decodeHeaders } from '../pool/slot-reader.ts'

/** Room is made for one chunk at its worst (six bytes for each), not for a whole value. */
const ESCAPE_CHUNK_BYTES = 8192
/** A multiple of 3, so that base64 pads the last chunk only. */
const BASE64_CHUNK_BYTES = 3 * 8192

const QUOTE = 0x22
const BACKSLASH = 0x5c
const LETTER_U = 0x75
const DIGIT_ZERO = 0x30
const NEWLINE = 0x0a
const HEX_DIGITS = Buffer.from('0123456789abcdef')

/** By byte: 0 goes as it is, LETTER_U as \u00XX, all others as a backslash and this letter. */
const ESCAPES = escapeTable()

function escapeTable(): Uint8Array {
  const escapes = new Uint8Array(256)
  escapes.fill(LETTER_U, 0, 0x20)
  for (const [byte, letter] of ['\bb', '\tt', '\nn', '\ff', '\rr', '""', '\\\\']) {
    escapes[byte?.charCodeAt(0) ?? 0] = letter?.charCodeAt(0) ?? 0
  }
  return escapes
}

export class JsonEncoder implements RecordEncoder {
  /** The topic of the last record and how it begins: topics change rarely. */
  #topic = ''
  #opening = '{"topic":"","partition":'

  encode(record: MatchedRecord, body: BodyBuilder): void {
    if (record.topic !== this.#topic) {
      this.#topic = record.topic
      this.#opening = `{"topic":${JSON.stringify(record.topic)},"partition":`
    }
    const timestamp = record.timestampMs === -1 ? 'null' : String(record.timestampMs)
    body.text(
      `${this.#opening}${record.partition},"offset":${record.offset},"timestamp":${timestamp}` +
        `,"timestamp_type":"${record.timestampType}","key":`,
    )
    appendBytes(record.key, body)
    body.text(',"headers":[')
    appendHeaders(record.headers, body)
    body.text('],"value":')
    appendBytes(record.value, body)
    body.text('}')
    body.byte(NEWLINE)
  }
}

function appendHeaders(encoded: Buffer, body: BodyBuilder): void {
  let separator = '['
  for (const [name, value] of decodeHeaders(encoded)) {
    body.text(`${separator}${JSON.stringify(name)},`)
    appendBytes(value, body)
    body.text(']')
    separator = ',['
  }
}

function appendBytes(bytes: Buffer | null, body: BodyBuilder): void {
  if (bytes === null) body.text('null')
  else if (isUtf8(bytes)) appendText(bytes, body)
  else appendBase64(bytes, body)
}

/** Valid UTF-8 as a JSON string; only ASCII needs escapes, so sequences may be cut by chunks. */
function appendText(bytes: Buffer, body: BodyBuilder): void {
  body.byte(QUOTE)
  for (let from = 0; from < bytes.length; from += ESCAPE_CHUNK_BYTES) {
    const to = Math.min(from + ESCAPE_CHUNK_BYTES, bytes.length)
    const room = body.reserve((to - from) * 6)
    let at = body.size
    for (let index = from; index < to; index++) {
      const byte = bytes[index] ?? 0
      const escape = ESCAPES[byte] ?? 0
      if (escape === 0) {
        room[at++] = byte
        continue
      }
      room[at++] = BACKSLASH
      room[at++] = escape
      if (escape !== LETTER_U) continue
      room[at++] = DIGIT_ZERO
      room[at++] = DIGIT_ZERO
      room[at++] = HEX_DIGITS[byte >> 4] ?? 0
      room[at++] = HEX_DIGITS[byte & 15] ?? 0
    }
    body.advance(at - body.size)
  }
  body.byte(QUOTE)
}

function appendBase64(bytes: Buffer, body: BodyBuilder): void {
  body.text('{"base64":"')
  for (let from = 0; from < bytes.length; from += BASE64_CHUNK_BYTES) {
    body.text(bytes.toString('base64', from, Math.min(from + BASE64_CHUNK_BYTES, bytes.length)))
  }
  body.text('"}')
}
