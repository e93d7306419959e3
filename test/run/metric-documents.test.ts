/** Documents of windows: what is written, under which id, and what may be committed meanwhile. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { parseMetric } from '../../src/core/expression/metric.ts'
import type { SeriesDelta } from '../../src/pool/record-counter.ts'
import type { AssignmentState } from '../../src/run/assignments.ts'
import { MetricDocuments } from '../../src/run/metric-documents.ts'
import { NoneSink } from '../../src/sink/none-sink.ts'
import type { Delivery, Sink } from '../../src/sink/sink.ts'
import { FakeBulk } from '../helpers/fake-bulk.ts'
import { ELASTICSEARCH_DEFAULTS } from '../helpers/elasticsearch-defaults.ts'

const ID = '0a1b2c3d'.padEnd(32, '0')
const START_MS = Date.parse('2026-09-01T00:00Z')

function documentsOf(...metrics: string[]) {
  const deliveries: Delivery[] = []
  const sink = Object.assign(new NoneSink(), {
    write: (delivery: Delivery) => void deliveries.push(delivery),
  })
  return { documents: documentsTo({ sink }, ...metrics), deliveries }
}

interface Given {
  readonly sink?: Sink
  readonly urls?: readonly string[]
  readonly fail?: (error: Error) => void
}

function documentsTo({ sink, urls = [], fail }: Given, ...metrics: string[]): MetricDocuments {
  const elasticsearch = { ...ELASTICSEARCH_DEFAULTS, urls, index: 'm-{+yyyy.MM.dd}' }
  const documents = new MetricDocuments({
    settings: { specs: metrics.map((text) => parseMetric(text).spec), seriesMax: 10 },
    windows: { windowMs: 60_000, latenessMs: 0, elasticsearch, idPrefix: 'auto' },
    metrics: { addLate: () => undefined, addUndated: () => undefined },
    wallMs: () => START_MS + 3_600_000,
    fail: fail ?? ((error) => assert.fail(error)),
    notice: assert.fail,
    ...(sink !== undefined && { sink }),
  })
  const state = { assignmentId: 1, topic: 'orders', partition: 3, startOffset: 5 }
  documents.assign(state as AssignmentState, ID, null)
  return documents
}

const delta = (more: Partial<SeriesDelta>): SeriesDelta => ({
  metric: 0,
  labels: [],
  windowMs: START_MS,
  firstOffset: 5,
  lastMs: START_MS,
  count: 1,
  missing: 0,
  sum: 0,
  buckets: null,
  ...more,
})

/** A run that counts these, and whose last record is dated an hour later. */
function cover(documents: MetricDocuments, deltas: readonly SeriesDelta[]): void {
  const lastTimestampMs = START_MS + 3_600_000
  documents.cover({ assignmentId: 1, coverFrom: 5, coverTo: 9, lastTimestampMs, deltas })
}

test('a document says what a label set counted, under an id of its own', () => {
  const { documents, deliveries } = documentsOf('errors=x by service, h', 'took=histogram(t; 10)')
  cover(documents, [
    delta({ labels: ['a', ''], count: 2 }),
    delta({ labels: ['b', 'x'] }),
    delta({ metric: 1, count: 3, sum: 4.5, buckets: [1, 2] }),
  ])
  documents.tick()
  assert.equal(deliveries.length, 0, 'the group has no mark yet')
  const { offset, windows } = documents.committable(1, 9)
  assert.equal(offset, 5)
  documents.marked(1, windows)
  documents.tick()
  const [delivery] = deliveries
  assert.ok(delivery !== undefined)
  const lines = Buffer.from(delivery.body).toString('utf8').trimEnd().split('\n')
  const parsed = lines.map((line): unknown => JSON.parse(line))
  const [action, first, , second, , third] = parsed
  const { create } = action as { create: { _index: string; _id: string } }
  assert.equal(create._index, 'm-2026.09.01')
  assert.match(create._id, /^0a1b2c3d-orders-3-errors-60-1788220800-[0-9a-f]{16}$/)
  const shared = {
    '@timestamp': '2026-09-01T00:00:00.000Z',
    kafka: { topic: 'orders', partition: 3 },
  }
  const counter = { name: 'errors', type: 'counter', window_seconds: 60 }
  assert.deepEqual(first, { ...shared, metric: { ...counter, count: 2 }, labels: { service: 'a' } })
  assert.deepEqual(second, {
    ...shared,
    metric: { ...counter, count: 1 },
    labels: { service: 'b', h: 'x' },
  })
  assert.deepEqual(third, {
    ...shared,
    metric: {
      name: 'took',
      type: 'histogram',
      window_seconds: 60,
      count: 3,
      sum: 4.5,
      bounds: [10],
      counts: [1, 2],
    },
    labels: {},
  })
  assert.equal(new Set(lines.filter((_, index) => index % 2 === 0)).size, 3)
  delivery.settle(0, 1, 'indexed')
  delivery.settle(1, 2, 'duplicate')
  assert.equal(documents.committable(1, 9).offset, 5)
  assert.ok(documents.isBusy)
  delivery.settle(2, 3, 'indexed')
  assert.equal(documents.committable(1, 9).offset, 9)
  assert.ok(!documents.isBusy)
})

test('another log of the same topic goes on with its windows, and another topic without', () => {
  const { documents } = documentsOf('errors=x')
  cover(documents, [delta({ firstOffset: 7 })])
  const { mark, offset } = documents.handOver(1, ID)
  assert.deepEqual([offset, mark?.closedTo], [7, -1])
  assert.deepEqual(documents.handOver(1, 'f'.repeat(32)), { offset: Infinity, mark: null })
})

test('what was given away while it is written changes nothing more', () => {
  const { documents, deliveries } = documentsOf('errors=x')
  cover(documents, [delta({})])
  documents.tick()
  documents.marked(1, documents.committable(1, 9).windows)
  documents.tick()
  documents.unassign(1)
  deliveries[0]?.settle(0, 1, 'indexed')
  assert.ok(!documents.isBusy)
})

test('a document that is refused for good ends the pipeline with advice that helps', async (t) => {
  const fake = new FakeBulk()
  t.after(() => fake.close())
  const fault = { status: 400, type: 'document_parsing_exception', reason: 'no such field' }
  fake.script = () => ({ kind: 'items', fault: () => fault })
  const { promise, resolve } = Promise.withResolvers<Error>()
  const documents = documentsTo({ urls: [await fake.listen()], fail: resolve }, 'errors=x')
  await documents.open()
  t.after(() => documents.close(1))
  cover(documents, [delta({})])
  documents.tick()
  documents.marked(1, documents.committable(1, 9).windows)
  documents.tick()
  const { message } = await promise
  assert.match(message, /rejected a document of metrics for the index m-2026.09.01 .*no such field/)
  assert.match(message, /Fix the mapping of that index, or set another METRICS_INDEX/)
  assert.doesNotMatch(message, /--dlq|offset -?\d/)
})
