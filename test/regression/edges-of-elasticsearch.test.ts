/**
 * What went wrong once, and must not again. The first line of each test says what it was.
 */
import assert from 'node:assert/strict'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { test } from 'node:test'
import { ManualClock, systemClock } from '../../src/core/clock.ts'
import { redactUrl } from '../../src/options/config.ts'
import { ElasticTransport } from '../../src/sink/elasticsearch/bulk-transport.ts'
import { parseIndexPattern } from '../../src/sink/elasticsearch/index-name.ts'
import { ELASTICSEARCH_DEFAULTS } from '../helpers/elasticsearch-defaults.ts'
import { batchOf, encodeOne, recordOf, recordsOf } from '../helpers/bulk-batch.ts'
import { FakeBulk } from '../helpers/fake-bulk.ts'
import { SinkBench } from '../helpers/sink-bench.ts'

test('a data stream takes JSON that does not say when it happened', async () => {
  // Nothing of it arrived: a data stream refuses a document without @timestamp, and logpipe sent it
  // as it was, though the record has a time of its own.
  const fake = new FakeBulk()
  const ask = () => Promise.resolve({ status: 200, body: '{"data_streams":[{}]}' })
  const transport = { ...fake.transport(new ManualClock()), ask }
  const bench = new SinkBench({}, { transport }, fake)
  const missing = { status: 400, type: 'document_parsing_exception', reason: 'is missing' }
  fake.script = () => ({
    kind: 'items',
    fault: ({ source }) => (source.includes('"@timestamp"') ? null : missing),
  })
  const batch = batchOf(recordsOf(3))
  bench.sink.write(batch)
  await bench.pass(500)
  assert.deepEqual(batch.outcomes, ['indexed', 'indexed', 'indexed'])
})

test('what an ingest pipeline drops is not said to be indexed', async () => {
  // The answer is 200 with the result "noop", and the books said more than the index had.
  const bench = new SinkBench()
  bench.fake.script = () => ({ kind: 'items', dropped: () => true })
  const batch = batchOf(recordsOf(2))
  bench.sink.write(batch)
  await bench.pass(500)
  assert.deepEqual(batch.outcomes, ['pipeline_dropped', 'pipeline_dropped'])
  assert.equal(bench.fake.documents.size, 0)
})

test('a date of unknown letters does not become the name of an index', () => {
  // logs-{+yyyy.mm.dd} went to logs-2026.mm.01, in silence.
  for (const pattern of ['logs-{+yyyy.mm.dd}', 'logs-%{+yyyy.MM.dd}', 'logs-{+yyyy.MM.dd']) {
    assert.throws(() => parseIndexPattern(pattern), { code: 'USAGE' }, pattern)
  }
})

test('JSON behind a byte order mark is JSON', () => {
  // It went in as text in one field, unlike all of its neighbours.
  assert.equal(encodeOne(recordOf('\uFEFF{"a":1}')).document, '{"a":1}')
})

test('a redirect says where to', async (t) => {
  // "rejects requests: 307", and no word of the place that the server names.
  const location = 'https://es.example.invalid/_bulk'
  const server = createServer((_, outgoing) => outgoing.writeHead(307, { location }).end())
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done))
  t.after(() => server.close())
  const urls = [`http://127.0.0.1:${(server.address() as AddressInfo).port}`]
  const transport = new ElasticTransport({ ...ELASTICSEARCH_DEFAULTS, urls }, systemClock)
  t.after(async () => await transport.close())
  const reply = await transport.send(Buffer.from('{"create":{"_index":"i"}}\n{}\n'), 10_000, 1)
  assert(reply.kind === 'answer')
  assert.match(reply.text, /redirects to https:\/\/es\.example\.invalid \(307\): set ES_URL/)
})

test('a password is taken out of a URL of any scheme', () => {
  // A scheme with a digit, as socks5, was not taken for one, and its password was printed.
  assert.equal(redactUrl('socks5://u:hidden@proxy:1080'), 'socks5://u:(secret)@proxy:1080')
})
