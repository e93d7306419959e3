import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  batchOf,
  documentKey,
  InFlightBatch,
  type PlacedDocument,
} from '../../../src/sink/elasticsearch/batch.ts'

const BOOKS = { held: () => undefined, settled: () => undefined }

/** As a range of offsets that was read again from Kafka gives them. */
const DOCUMENTS: readonly PlacedDocument[] = [
  { log: 'one', partition: 0, offset: 5, rule: 0 },
  { log: 'one', partition: 0, offset: 5, rule: 2 },
  { log: 'two', partition: 0, offset: 0, rule: 1 },
  { log: 'two', partition: 1, offset: 9, rule: 1 },
].map((place, index) => ({
  topic: 'orders',
  ...place,
  timestampMs: 1_700_000_000_000 + index,
  timestampType: 'create',
  document: Buffer.from(`{"create":{}}\n{"n":${index}}\n`),
}))

test('documents that were read again keep their log and their rule', () => {
  const batch = new InFlightBatch(
    batchOf(DOCUMENTS, () => undefined),
    BOOKS,
  )
  for (const [index, { document, ...origin }] of DOCUMENTS.entries()) {
    assert.deepEqual(batch.originOf(index), origin)
    assert.equal(documentKey(batch.originOf(index)), documentKey(origin))
    assert.deepEqual(Buffer.from(batch.documentOf(index)), document)
  }
  const { runs } = batchOf(DOCUMENTS, () => undefined)
  assert.deepEqual(
    runs.map(({ log, partition, offsets }) => [log, partition, offsets.length]),
    [
      ['one', 0, 2],
      ['two', 0, 1],
      ['two', 1, 1],
    ],
  )
})

test('documents without rules, of a log that is not known, say neither', () => {
  const plain = DOCUMENTS.map(({ rule: _rule, log: _log, ...rest }) => rest)
  const batch = new InFlightBatch(
    batchOf(plain, () => undefined),
    BOOKS,
  )
  const { document: _document, ...origin } = plain[0]!
  assert.deepEqual(batch.originOf(0), origin)
})
