/** Documents without @timestamp for a data stream, and how it is known that it is one. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ManualClock } from '../../../src/core/clock.ts'
import { targetOf, Targets, type Ask } from '../../../src/sink/elasticsearch/targets.ts'
import { batchOf, recordOf, SOME_TIME_MS } from '../../helpers/bulk-batch.ts'
import { FakeBulk } from '../../helpers/fake-bulk.ts'
import { SinkBench } from '../../helpers/sink-bench.ts'

const RESOLVE = '/_resolve/index/'
const SIMULATE = '/_index_template/_simulate_index/'
const MISSING = { status: 404, body: '{}' }

/** A server that answers by the path; what is not named is missing. */
function answering(pages: Readonly<Record<string, object | number>>) {
  const asked: string[] = []
  const ask: Ask = (method, path) => {
    asked.push(`${method} ${path}`)
    const page = pages[path] ?? 404
    return Promise.resolve(
      typeof page === 'number'
        ? { ...MISSING, status: page }
        : { status: 200, body: JSON.stringify(page) },
    )
  }
  return { ask, asked }
}

test('a name is a data stream, an index, nothing yet, or not to be known', async () => {
  const stream = { indices: [], aliases: [], data_streams: [{ name: 's' }] }
  const index = { indices: [{ name: 'i' }], aliases: [], data_streams: [] }
  const alias = (behind: string) => ({
    indices: [],
    aliases: [{ name: 'a', indices: [behind] }],
    data_streams: [],
  })
  const template = { template: { mappings: { _data_stream_timestamp: { enabled: true } } } }
  const { ask } = answering({
    [`${RESOLVE}s`]: stream,
    [`${RESOLVE}i`]: index,
    [`${RESOLVE}to-s`]: alias('s'),
    [`${RESOLVE}to-backing`]: alias('.ds-s-000001'),
    [`${RESOLVE}to-i`]: alias('i'),
    [`${RESOLVE}round`]: alias('and-round'),
    [`${RESOLVE}and-round`]: alias('round'),
    [`${SIMULATE}new-s`]: template,
    [`${SIMULATE}new-i`]: { template: { mappings: {} } },
    [`${RESOLVE}forbidden`]: 403,
    [`${SIMULATE}new-forbidden`]: 403,
  })
  const kinds = Object.entries({
    s: 'data_stream',
    'to-s': 'data_stream',
    'to-backing': 'data_stream',
    'new-s': 'data_stream',
    i: 'index',
    'to-i': 'index',
    // No server that means well says so: it would be asked for ever.
    round: 'index',
    'new-i': 'none',
    forbidden: 'unknown',
    'new-forbidden': 'unknown',
  })
  for (const [name, kind] of kinds) assert.equal(await targetOf(ask, name), kind, name)
  assert.equal(await targetOf(() => Promise.reject(new Error('down')), 's'), 'unknown')
  assert.equal(await targetOf(() => Promise.resolve({ status: 200, body: '<p>' }), 's'), 'unknown')
})

test('of OpenSearch the templates say what a missing name becomes', async () => {
  const nothing = { indices: [], aliases: [], data_streams: [] }
  const template = (index_patterns: string[], rest: object) => ({
    index_template: { index_patterns, ...rest },
  })
  const names = ['logs-a', 'logs-plain', 'a-mid-z', 'a-z', 'other', 'exact']
  const { ask, asked } = answering({
    ...Object.fromEntries(names.map((name) => [`${RESOLVE}${name}`, nothing])),
    '/_index_template': {
      index_templates: [
        template(['logs-*'], { data_stream: { timestamp_field: { name: '@timestamp' } } }),
        template(['x', 'logs-p*n'], { priority: 7 }),
        template(['a-*-z'], { priority: 1, data_stream: {} }),
        template(['exact'], { data_stream: {} }),
        {},
      ],
    },
  })
  const kinds = await Promise.all(names.map((name) => targetOf(ask, name)))
  assert.deepEqual(kinds, ['data_stream', 'none', 'data_stream', 'none', 'none', 'data_stream'])
  assert.ok(!asked.some((path) => path.includes(SIMULATE)))
  const refused = answering({ [`${RESOLVE}s`]: nothing, '/_index_template': 403 })
  assert.equal(await targetOf(refused.ask, 's'), 'unknown')
})

test('each name is asked for once at a time, and again when it may have changed', async () => {
  const { ask, asked } = answering({ [`${RESOLVE}s`]: { data_streams: [{}] } })
  const clock = new ManualClock()
  const targets = new Targets({ ask }, clock)
  await Promise.all([targets.learn(['s', 'n']), targets.learn(['s'])])
  assert.equal(targets.learn(['s', 'n']), null)
  assert.deepEqual([targets.isDataStream('s'), targets.isDataStream('n')], [true, false])
  const once = [`GET ${RESOLVE}s`, `GET ${RESOLVE}n`, `POST ${SIMULATE}n`]
  assert.deepEqual(asked, once)
  clock.advance(24 * 3_600_000)
  await targets.learn(['s', 'n'])
  assert.deepEqual(asked, [...once, `GET ${RESOLVE}n`, `POST ${SIMULATE}n`])
  assert.equal(new Targets({}, clock).learn(['s']), null)
})

test('of many names the oldest are forgotten', async () => {
  const { ask, asked } = answering({})
  const targets = new Targets({ ask }, new ManualClock())
  const names = Array.from({ length: 1001 }, (_, index) => `i-${index}`)
  await targets.learn(names)
  assert.equal(asked.length, 2002)
  assert.equal(targets.learn(names.slice(1)), null)
  assert.notEqual(targets.learn(names.slice(0, 1)), null)
})

/** An output whose server knows one data stream. */
function benchWithStream(name: string): SinkBench {
  const fake = new FakeBulk()
  const { ask } = answering({ [`${RESOLVE}${name}`]: { data_streams: [{ name }] } })
  const transport = { ...fake.transport(new ManualClock()), ask }
  return new SinkBench({ index: '{topic}' }, { transport }, fake)
}

test('JSON without @timestamp goes into a data stream with the time of its record', async () => {
  const bench = benchWithStream('stream')
  const values = [
    '{"n":1}',
    '{}',
    ' { "a" : { "@timestamp" : 1 }, "b":["@timestamp"], "c":"\\"@timestamp\\":"}',
    '{"@timestamp":"2020-01-01"}',
    '{"a":1,"\\u0040timestamp":"2020-01-01"}',
    'no JSON',
  ]
  const topics = ['plain', 'stream', 'plain-too']
  const batch = batchOf(
    topics.flatMap((topic) =>
      values.map((value, offset) =>
        recordOf(value, { topic, offset, timestampMs: SOME_TIME_MS + offset }),
      ),
    ),
    { index: '{topic}' },
  )
  bench.sink.write(batch)
  await bench.pass(500)
  assert(batch.outcomes.every((outcome) => outcome === 'indexed'))
  const time = (offset: number) => new Date(SOME_TIME_MS + offset).toISOString()
  const wanted = [
    `{"@timestamp":"${time(0)}","n":1}`,
    `{"@timestamp":"${time(1)}"}`,
    ` {"@timestamp":"${time(2)}",${values[2]?.slice(2)}`,
    values[3],
    values[4],
  ]
  for (const [offset, value] of wanted.entries()) {
    assert.equal(bench.fake.documents.get(`stream/stream-0-${offset}`), value)
    assert.equal(bench.fake.documents.get(`plain/plain-0-${offset}`), values[offset])
    assert.equal(bench.fake.documents.get(`plain-too/plain-too-0-${offset}`), values[offset])
  }
  assert.match(bench.fake.documents.get('stream/stream-0-5') ?? '', /^\{"@timestamp":/)
})

test('a record without a time of its own gets one that is a date', async () => {
  const bench = benchWithStream('stream')
  const batch = batchOf(
    [-1, 1e15].map((timestampMs, offset) =>
      recordOf('{"n":1}', { topic: 'stream', offset, timestampMs }),
    ),
    { index: '{topic}' },
  )
  bench.sink.write(batch)
  await bench.pass(500)
  for (const document of bench.fake.documents.values()) {
    assert.match(document, /^\{"@timestamp":"20\d\d-[\d-]+T[\d:.]+Z","n":1\}$/)
  }
  assert.equal(bench.fake.documents.size, 2)
})
