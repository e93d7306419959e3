/**
 * Encodes the lines of stdout and files in the filter threads: `--format json` and `--format raw`.
 *
 * `--format json`: one JSON object per line, from which the record can be reconstructed.
 *
 *   {"topic":"logs","partition":3,"offset":42,"timestamp":1714564800000,"timestamp_type":"create",
 *    "key":"k","headers":[["trace","ab12"],["raw",{"base64":"/w=="}]],"value":"a line"}
 *
 *   timestamp       milliseconds since 1970, as Kafka has it; null when the record has none
 *   timestamp_type  "create", "append" (set by the broker) or "none"
 *   headers         pairs of name and value in the record's order, because names may repeat
 *   key, value, header names and values
 *                   null                  there is none (a null value is a tombstone)
 *                   "text"                the bytes are valid UTF-8
 *                   {"base64": "..."}     any other bytes
 *
 * Never throws, whatever a record contains: a value is decoded chunk by chunk, so that no string
 * has to hold the whole value.
 */
import { isUtf8 } from 'node:buffer'
import type { BodyBuilder, MatchedRecord, RecordEncoder } from '../pool/record-encoder.ts'
import { decodeHeaders } from '../pool/slot-reader.ts'

/** Text is decoded in chunks of this size: few for most values, and no string limit for any. */
const TEXT_CHUNK_BYTES = 64 * 1024
/** A multiple of 3, so that base64 pads the last chunk only. */
const BASE64_CHUNK_BYTES = 3 * 8192

const QUOTE = 0x22
const NEWLINE = 0x0a

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
    body.text(separator)
    appendBytes(name, body)
    body.text(',')
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

/** Valid UTF-8 as a JSON string. */
function appendText(bytes: Buffer, body: BodyBuilder): void {
  body.byte(QUOTE)
  for (let from = 0; from < bytes.length;) {
    let to = Math.min(from + TEXT_CHUNK_BYTES, bytes.length)
    while (isContinuation(bytes[to])) to--
    // V8's own escaping is nearly twice as fast on plain text as a loop over the bytes.
    body.text(JSON.stringify(bytes.toString('utf8', from, to)).slice(1, -1))
    from = to
  }
  body.byte(QUOTE)
}

/** Whether a byte is inside a UTF-8 sequence, so that no chunk may begin with it. */
function isContinuation(byte: number | undefined): boolean {
  return byte !== undefined && (byte & 0xc0) === 0x80
}

function appendBase64(bytes: Buffer, body: BodyBuilder): void {
  body.text('{"base64":"')
  for (let from = 0; from < bytes.length; from += BASE64_CHUNK_BYTES) {
    body.text(bytes.toString('base64', from, Math.min(from + BASE64_CHUNK_BYTES, bytes.length)))
  }
  body.text('"}')
}

/**
 * `--format raw`: the value's bytes as they are, and a newline.
 *
 * Nothing is escaped: a value that holds newlines gives several lines, and binary stays binary. A
 * null value (tombstone) and an empty value both give an empty line, as kcat does; who must tell
 * them apart takes `--format json`.
 */
export class RawEncoder implements RecordEncoder {
  encode(record: MatchedRecord, body: BodyBuilder): void {
    // Read once: it makes a view.
    const value = record.value
    if (value !== null) body.bytes(value)
    body.byte(NEWLINE)
  }
}
