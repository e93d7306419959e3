/**
 * The second line of a document: what of a record goes to Elasticsearch.
 *
 *   raw    the record's own JSON object, byte for byte. A line end between its tokens is taken out
 *          (numbers and duplicate names would not survive a parse), and a byte order mark.
 *          What is no JSON object is wrapped, with "tags":["_not_json_object"].
 *   wrap   {"@timestamp","message","kafka":{"topic","partition","offset","timestamp"?,"key"?,
 *          "headers"?}}
 *   auto   raw for one JSON object, wrap for everything else
 *
 * Nothing is altered in silence. Bytes that are not UTF-8 come as base64 in a field of their own:
 * message_base64, kafka.key_base64, value_base64. headers is a list of {"name","value"}: names may
 * repeat, and as field names they would fill the mapping. @timestamp is the record's; where there
 * is none, or none that is a date, it is the time of encoding, and kafka.timestamp has the odd
 * number.
 *
 * Injection. A document is one line: a record that holds 0x0A or 0x0D, or is not one valid JSON
 * object of valid UTF-8, never goes in as it is; `{"m":1}\n{"delete":{...}}` would delete.
 */
import { isUtf8 } from 'node:buffer'
import type { BodyBuilder, MatchedRecord } from '../../pool/record-encoder.ts'
import { decodeHeaders } from '../../pool/slot-reader.ts'
import { isDateable } from './index-name.ts'
import { JSON_OBJECT, JSON_OTHER, scanJson } from './json-scan.ts'
import { writeField, writeNumber } from './json-text.ts'
import type { DocumentMode } from './settings.ts'

/** Appends the document's line, without its line end. */
export function writeDocument(
  body: BodyBuilder,
  record: MatchedRecord,
  mode: DocumentMode,
  nowMs: () => number,
): void {
  if (mode !== 'wrap' && record.value !== null && isUtf8(record.value)) {
    const value = withoutMark(record.value)
    const kind = scanJson(value, 0, value.length)
    if (kind === JSON_OBJECT) return body.bytes(value)
    if (kind !== JSON_OTHER) return writeWithoutLineEnds(body, value)
  }
  writeWrapped(body, record, mode === 'raw', nowMs)
}

/** A byte order mark, with which programs on Windows begin a file, is no part of the JSON. */
function withoutMark(value: Buffer): Buffer {
  return value[0] === 0xef && value[1] === 0xbb && value[2] === 0xbf ? value.subarray(3) : value
}

/** In valid JSON these bytes stand between tokens only, and no two tokens need them to part. */
function writeWithoutLineEnds(body: BodyBuilder, value: Buffer): void {
  const room = body.reserve(value.length)
  let at = body.size
  for (const byte of value) {
    if (byte !== 0x0a && byte !== 0x0d) room[at++] = byte
  }
  body.advance(at - body.size)
}

function writeWrapped(
  body: BodyBuilder,
  record: MatchedRecord,
  isTagged: boolean,
  nowMs: () => number,
): void {
  const { timestampMs, key } = record
  const isDated = isDateable(timestampMs)
  body.text(`{"@timestamp":"${isoText(isDated ? timestampMs : nowMs())}",`)
  writeField(body, 'message', record.value)
  body.text(isTagged ? ',"tags":["_not_json_object"],"kafka":{' : ',"kafka":{')
  body.text(`"topic":${JSON.stringify(record.topic)},"partition":${record.partition},"offset":`)
  writeNumber(body, record.offset)
  if (!isDated && timestampMs !== -1) body.text(`,"timestamp":${timestampMs}`)
  if (key !== null) {
    body.text(',')
    writeField(body, 'key', key)
  }
  if (record.headers.length > 0) writeHeaders(body, record.headers)
  body.text('}}')
}

function writeHeaders(body: BodyBuilder, encoded: Buffer): void {
  let separator = ',"headers":['
  for (const [name, value] of decodeHeaders(encoded)) {
    body.text(`${separator}{`)
    writeField(body, 'name', name)
    body.text(',')
    writeField(body, 'value', value)
    body.text('}')
    separator = ','
  }
  body.text(']')
}

let isoMs = -1
let iso = ''

/** ISO 8601; records of one millisecond come in a row, so the last one is kept. */
function isoText(timestampMs: number): string {
  if (timestampMs !== isoMs) {
    isoMs = timestampMs
    iso = new Date(timestampMs).toISOString()
  }
  return iso
}
