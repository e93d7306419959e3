/**
 * Batches as the filter threads make them, for tests of the Elasticsearch output; they remember how
 * each document was settled, and fail when that happens twice.
 */
import assert from 'node:assert/strict'
import { BodyBuilder, type MatchedRecord } from '../../src/pool/record-encoder.ts'
import { TIMESTAMP_TYPES } from '../../src/pool/slot-reader.ts'
import { CreditLease } from '../../src/run/delivery.ts'
import { BulkEncoder } from '../../src/sink/elasticsearch/bulk-encoder.ts'
import type { DocumentSettings } from '../../src/sink/elasticsearch/settings.ts'
import { ELASTICSEARCH_DEFAULTS } from './elasticsearch-defaults.ts'
import type { Outcome, Delivery, SinkRun } from '../../src/sink/sink.ts'

export const SOME_TIME_MS = Date.UTC(2026, 8, 1, 12, 30, 15, 250)

/** A record with everything at its simplest; `value` as text or bytes. */
export function recordOf(
  value: string | Buffer | null,
  rest: Partial<Omit<MatchedRecord, 'value'>> = {},
): MatchedRecord {
  return {
    topic: 'orders',
    partition: 0,
    offset: 0,
    idPrefix: '',
    timestampMs: SOME_TIME_MS,
    timestampType: 'create',
    key: null,
    headers: Buffer.alloc(0),
    value: typeof value === 'string' ? Buffer.from(value) : value,
    ...rest,
  }
}

/** What the encoder makes of one record, as its two lines. */
export function encodeOne(
  record: MatchedRecord,
  settings: Partial<DocumentSettings> = {},
  nowMs = 0,
): { readonly action: string; readonly document: string; readonly text: string } {
  const body = new BodyBuilder()
  const encoder = new BulkEncoder({ ...ELASTICSEARCH_DEFAULTS, ...settings }, () => nowMs)
  encoder.encode(record, body)
  body.endDocument()
  const text = Buffer.from(body.take().body).toString('utf8')
  const [action = '', document = '', ...rest] = text.split('\n')
  assert.deepEqual(rest, [''], `not two lines: ${JSON.stringify(text)}`)
  return { action, document, text }
}

export interface TestBatch extends Delivery {
  /** By document. */
  readonly outcomes: (Outcome | undefined)[]
  readonly isReleased: () => boolean
  /** What the output holds of it in memory, copies included: as its credit has it. */
  readonly heldDocuments: () => number
  readonly unsettledCount: () => number
}

/** A batch of records; those of one partition must lie together. */
export function batchOf(
  records: readonly MatchedRecord[],
  settings: Partial<DocumentSettings> = {},
): TestBatch {
  const builder = new BodyBuilder()
  const encoder = new BulkEncoder({ ...ELASTICSEARCH_DEFAULTS, ...settings })
  for (const record of records) {
    encoder.encode(record, builder)
    builder.endDocument()
  }
  const { body, ends } = builder.take()
  const outcomes = Array.from<Outcome | undefined>({ length: records.length })
  let isReleased = false
  let heldDocuments = records.length
  const share = new CreditLease(records.length, body.length, (documents) => {
    heldDocuments -= documents
  })
  return {
    body,
    ends,
    runs: runsOf(records),
    outcomes,
    isReleased: () => isReleased,
    heldDocuments: () => heldDocuments,
    unsettledCount: () => outcomes.filter((outcome) => outcome === undefined).length,
    settle(from, to, outcome) {
      assert(from < to && to <= outcomes.length)
      for (let index = from; index < to; index++) {
        assert(outcomes[index] === undefined, `document ${index} is settled twice`)
        outcomes[index] = outcome
      }
    },
    release() {
      assert(!isReleased, 'the body is released twice')
      isReleased = true
      share.release()
    },
    splitOff: (documents, bytes) => share.splitOff(documents, bytes),
  }
}

function runsOf(records: readonly MatchedRecord[]): SinkRun[] {
  const runs: { topic: string; partition: number; own: MatchedRecord[] }[] = []
  for (const record of records) {
    const { topic, partition } = record
    const last = runs.at(-1)
    if (last?.topic === topic && last.partition === partition) last.own.push(record)
    else runs.push({ topic, partition, own: [record] })
  }
  return runs.map(({ topic, partition, own }, index) => ({
    topic,
    partition,
    assignmentId: index + 1,
    offsets: Float64Array.from(own, (record) => record.offset),
    timestampsMs: Float64Array.from(own, (record) => record.timestampMs),
    timestampTypes: Uint8Array.from(own, (record) => TIMESTAMP_TYPES.indexOf(record.timestampType)),
  }))
}

/** Records of one partition with offsets from `first` on. */
export function recordsOf(
  count: number,
  first = 0,
  rest: Partial<MatchedRecord> = {},
): MatchedRecord[] {
  return Array.from({ length: count }, (_, index) =>
    recordOf(`{"level":"ERROR","seq":${first + index}}`, { offset: first + index, ...rest }),
  )
}
