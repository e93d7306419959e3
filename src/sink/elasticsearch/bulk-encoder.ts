/**
 * Turns records into the two lines of a _bulk document. Each filter thread has one.
 *
 * Bound. One ActionHead for each rule, partition and date of the index, at most HEADS_MAX; above
 * that, all are recreated. A head takes some hundred bytes.
 */
import { isUtf8 } from 'node:buffer'
import { messageOf } from '../../core/errors.ts'
import { formatBytes } from '../../core/units.ts'
import type {
  BodyBuilder,
  MatchedRecord,
  RecordEncoder,
  RuleRoute,
} from '../../pool/record-encoder.ts'
import { decodeHeaders } from '../../pool/slot-reader.ts'
import { ActionHead } from './action-line.ts'
import {
  dateBucketOf,
  indexNameOf,
  parseIndexPattern,
  type IndexPattern,
  isDateable,
} from './index-name.ts'
import { JSON_OBJECT, JSON_OTHER, scanJson } from '../../core/json-scan.ts'
import { writeField, writeNumber } from './json-text.ts'
import type { DocumentSettings, DocumentMode } from './settings.ts'
import { writeStub } from './unsendable.ts'

/** Twice the partitions that one consumer may reasonably have, for two days each. */
const HEADS_MAX = 16_384

const LINE_END = 0x0a

/** Where the documents of a rule go. */
interface Target {
  readonly pattern: IndexPattern
  /** By topic, then partition, then bucket of time. */
  readonly heads: Map<string, Map<number, ActionHead>[]>
}

export class BulkEncoder implements RecordEncoder {
  readonly #settings: DocumentSettings
  readonly #pattern: IndexPattern
  readonly #nowMs: () => number
  /** One for each rule, and for those that a reload has replaced; null: there are none. */
  readonly #targets = new Map<RuleRoute | null, Target>()
  #headCount = 0
  #redatedCount = 0

  /** @throws LogpipeError USAGE for a pattern that can give no index name. */
  constructor(settings: DocumentSettings, nowMs: () => number = Date.now) {
    this.#settings = settings
    this.#pattern = parseIndexPattern(settings.index)
    this.#nowMs = nowMs
  }

  /** Records, since it was asked last, whose index has the date of their arrival. */
  takeRedated(): number {
    const count = this.#redatedCount
    this.#redatedCount = 0
    return count
  }

  encode(record: MatchedRecord, body: BodyBuilder): void {
    const head = this.#headOf(record)
    const { maxRecordBytes, document } = this.#settings
    const start = body.size
    let bytes = record.value?.length ?? 0
    if (bytes <= maxRecordBytes) {
      try {
        head.write(record, body)
        writeDocument(body, record, document, this.#nowMs)
        body.byte(LINE_END)
      } catch (error) {
        // Whatever it is, it is of this record: the others of its thread go on.
        body.rewind(start)
        return writeStub(body, head.index, record, 'record_not_encoded', messageOf(error))
      }
      // A value of control characters is six times as long in JSON.
      bytes = body.size - start
      if (bytes <= maxRecordBytes) return
      body.rewind(start)
    }
    const limit = `--max-record-bytes (${formatBytes(maxRecordBytes)})`
    const reason = `the document is at least ${formatBytes(bytes)}, more than ${limit}`
    writeStub(body, head.index, record, 'record_too_large', reason)
  }

  refuse(record: MatchedRecord, reason: string, body: BodyBuilder): void {
    writeStub(body, this.#headOf(record).index, { value: null }, 'fields_not_edited', reason)
  }

  #headOf(record: MatchedRecord): ActionHead {
    if (this.#headCount === HEADS_MAX) this.#forgetHeads()
    const target = this.#targetOf(record.rule ?? null)
    const { pattern, heads } = target
    const dateMs = this.#indexDate(pattern, record.timestampMs)
    const bucket = dateBucketOf(pattern, dateMs)
    const head = heads.get(record.topic)?.[record.partition]?.get(bucket)
    // A recreated topic has another prefix.
    return head?.idPrefix === record.idPrefix
      ? head
      : this.#makeHead(record, target, dateMs, bucket)
  }

  #targetOf(rule: RuleRoute | null): Target {
    const known = this.#targets.get(rule)
    if (known !== undefined) return known
    const index = rule?.index ?? null
    const pattern = index === null ? this.#pattern : parseIndexPattern(index)
    const target: Target = { pattern, heads: new Map() }
    this.#targets.set(rule, target)
    return target
  }

  /** The date of the record, set by its producer, if it is near enough; otherwise now. */
  #indexDate(pattern: IndexPattern, timestampMs: number): number {
    const { indexDateSpan: span } = this.#settings
    if (span === null || pattern.bucketMs === Infinity || timestampMs === -1) {
      return timestampMs
    }
    const nowMs = this.#nowMs()
    if (timestampMs >= nowMs - span.pastMs && timestampMs <= nowMs + span.futureMs) {
      return timestampMs
    }
    this.#redatedCount++
    return nowMs
  }

  #makeHead(
    record: MatchedRecord,
    { pattern, heads }: Target,
    dateMs: number,
    bucket: number,
  ): ActionHead {
    const { topic, partition } = record
    const index = indexNameOf(pattern, topic, dateMs)
    const head = new ActionHead(index, record, this.#settings.documentId)
    const partitions = heads.get(topic) ?? []
    const buckets = partitions[partition] ?? new Map<number, ActionHead>()
    heads.set(topic, partitions)
    partitions[partition] = buckets.set(bucket, head)
    this.#headCount++
    return head
  }

  #forgetHeads(): void {
    this.#targets.clear()
    this.#headCount = 0
  }
}

/*
 * The second line of a document: what of a record goes to Elasticsearch.
 *
 *   raw    the record's own JSON object, byte for byte. A line end between its tokens is taken out
 *          (numbers and duplicate names would not survive a parse), and a byte order mark.
 *          What is no JSON object is wrapped, with "tags":["_not_json_object"].
 *   wrap   {"@timestamp","message","kafka":{"topic","partition","offset","timestamp"?,"key"?,
 *          "headers"?}}, and what fields are added (filter/field-editor.ts)
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

/** Appends the document's line, without its line end. */
function writeDocument(
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
  const { added = '' } = record
  body.text(added === '' ? '}}' : `},${added}}`)
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
