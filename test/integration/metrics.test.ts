/** Metrics from logs, counted by the program on an embedded broker. */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import path from 'node:path'
import { test, type TestContext } from 'node:test'
import { openProducer } from '../../src/kafka/producer.ts'
import { FakeBulk } from '../helpers/fake-bulk.ts'
import { flags, Logpipe } from '../helpers/logpipe.ts'
import { MockKafka } from '../helpers/mock-kafka.ts'

const GROUP = 'g'
const SMALL = {
  'pool-size': 8,
  'batch-bytes': 16_384,
  'batch-msgs': 64,
  'filter-threads': 2,
  'ingress-threads': 1,
  'run-seconds': 0,
  'metrics-listen': '127.0.0.1:0',
}
/** The embedded broker's rebalances take the session's time less a second. */
const env = {
  KAFKA_CONFIG_SESSION_TIMEOUT_MS: '3000',
  KAFKA_CONFIG_HEARTBEAT_INTERVAL_MS: '500',
}

function start(t: TestContext, kafka: MockKafka, args: readonly string[]): Logpipe {
  const place = { brokers: kafka.brokers, topic: kafka.topic, group: GROUP }
  return new Logpipe(t, ['run', ...flags({ ...SMALL, ...place }), ...args], { env })
}

async function scrape(run: Logpipe): Promise<string> {
  const [, url = ''] = /metrics at (http:\S+)/.exec(run.stderr) ?? []
  return (await fetch(url)).text()
}

const LINES = [
  { level: 'ERROR', service: 'a', took: 5 },
  { level: 'ERROR', service: 'b "x"', took: 50 },
  { level: 'ERROR', service: 'a', took: '500' },
  { level: 'INFO', service: 'a', took: 2.5 },
  { level: 'INFO', took: 'long' },
].map((line) => JSON.stringify(line))

test('metrics count beside the output, whatever it keeps', async (t) => {
  const kafka = new MockKafka(t, 2)
  await kafka.produce([...LINES, 'ERROR took=7ms', 'no JSON'])
  const run = start(t, kafka, [
    ...flags({ output: 'file:out', keep: 'service:"b \\"x\\""', format: 'raw' }),
    '--count=errors=level:ERROR by service',
    '--count=all=*',
    '--count=took=histogram(took; 10 100) by level',
    '--count=plain=sum(/took=(\\d+)ms/) by @topic',
  ])
  await run.until('it counted all', () => run.metric('log_all_total') === 7)
  await run.until('it wrote', () => run.metric('written_total') === 1)
  const text = await scrape(run)
  const { stderr } = await run.stop()
  const has = (line: string) => assert.ok(text.split('\n').includes(line), `${line}\n${text}`)
  has('log_errors_total{service="a"} 2')
  has('log_errors_total{service="b \\"x\\""} 1')
  has('log_took_bucket{level="ERROR",le="10"} 1')
  has('log_took_bucket{level="ERROR",le="100"} 2')
  has('log_took_bucket{level="ERROR",le="+Inf"} 3')
  has('log_took_sum{level="ERROR"} 555')
  has('log_took_count{level="INFO"} 1')
  has('log_plain_sum{topic="t"} 7')
  has('log_missing_total{metric="took"} 3')
  assert.deepEqual(readFileSync(path.join(run.folder, 'out'), 'utf8').split('\n'), [LINES[1], ''])
  assert.match(stderr, /^total +7 .*\b6 /m)
  assert.deepEqual(kafka.committed(GROUP), [4, 3])
})

test('a record larger than a slot counts once, and is written whole', async (t) => {
  const kafka = new MockKafka(t, 1)
  const large = JSON.stringify({ level: 'ERROR', text: 'x'.repeat(100_000) })
  await kafka.produce([LINES[0]!, large, LINES[3]!])
  const run = start(t, kafka, [
    ...flags({ output: 'stdout', keep: 'text:xxx*', format: 'raw', 'buffer-bytes': 16_384 }),
    '--count=errors=level:ERROR',
    '--count=all=* by level',
  ])
  await run.until('it counted all', () => run.metric('log_all_total') === 3)
  await run.until('it wrote', () => run.metric('written_total') === 1)
  const text = await scrape(run)
  const { stdout } = await run.stop()
  assert.ok(text.split('\n').includes('log_errors_total 2'), text)
  assert.ok(text.split('\n').includes('log_all_total{level="ERROR"} 2'), text)
  assert.ok(stdout.equals(Buffer.from(`${large}\n`)), `${stdout.length} bytes`)
})

test('PRODUCT_LINE=metrics counts, and writes nothing', async (t) => {
  const kafka = new MockKafka(t, 2)
  await kafka.produce([...LINES, 'ERROR'])
  const run = start(t, kafka, [
    ...flags({ 'product-line': 'metrics', 'series-max': 1 }),
    '--count=errors=level:ERROR by service',
    '--count=slow=took:500',
  ])
  await run.until('it counted all', () => run.metric('log_errors_total') === 3)
  await run.until('it committed', () => kafka.committed(GROUP).join() === '3,3')
  const text = await scrape(run)
  const { stderr, stdout } = await run.stop()
  assert.match(text, /^log_errors_total\{service="other"\} [12]$/m)
  assert.match(text, /^log_slow_total 1$/m)
  assert.doesNotMatch(text, /pattern_matched_total/)
  assert.match(stderr, /the metric errors has 1 label sets \(METRICS_SERIES_MAX\).* "other"/)
  assert.equal(stdout.length, 0)
  // Three count, and three do not.
  assert.match(stderr, /^total +6 .*\b3 .*\b3 /m)
  assert.match(stderr, /read 6 records .*; 3 matched$/m)
})

test('metrics count beside rules, whatever those take, drop and sample', async (t) => {
  const kafka = new MockKafka(t, 1)
  await kafka.produce([...LINES, 'ERROR'])
  const rules = JSON.stringify([
    { name: 'b', keep: 'service:b*' },
    { name: 'info', keep: 'level:INFO', drop: 'took:long' },
  ])
  const run = start(t, kafka, [
    ...flags({ output: 'file:out', format: 'raw', rules }),
    '--count=levels=level:* by level',
  ])
  await run.until('it counted all', () => run.metric('log_levels_total') === 5)
  await run.until('it wrote', () => run.metric('written_total') === 2)
  const text = await scrape(run)
  await run.stop()
  assert.match(text, /^log_levels_total\{level="ERROR"\} 3$/m)
  assert.match(text, /^log_levels_total\{level="INFO"\} 2$/m)
  const lines = readFileSync(path.join(run.folder, 'out'), 'utf8').trimEnd().split('\n')
  assert.deepEqual(lines, [LINES[1], LINES[3]])
  assert.deepEqual(kafka.committed(GROUP), [6])
})

const WINDOW_MS = 10_000
const START_MS = Date.parse('2026-09-01T00:00Z')

test('windows are written once, whatever is killed', async (t) => {
  const kafka = new MockKafka(t, 2)
  const elasticsearch = new FakeBulk()
  const url = await elasticsearch.listen()
  t.after(() => elasticsearch.close())
  const producer = await openProducer({
    brokers: kafka.brokers,
    config: [],
    tokenFile: null,
    timeoutMs: 20_000,
    inFlightMax: 10_000,
    deliveryMs: 20_000,
  })
  t.after(() => producer.close(1000))
  const expected = new Map<string, number>()
  const produce = async (index: number) => {
    const timestampMs = START_MS + index * 100 - (index % 7) * 500
    const [partition, service] = [index % 2, `s${index % 3}`]
    const window = new Date(Math.floor(timestampMs / WINDOW_MS) * WINDOW_MS).toISOString()
    const key = `${window} ${partition} ${service}`
    expected.set(key, (expected.get(key) ?? 0) + index)
    const value = Buffer.from(JSON.stringify({ service, index }))
    await producer.produce({ topic: 't', partition, key: null, value, headers: [], timestampMs })
  }
  const args = [
    ...flags({ 'product-line': 'metrics', 'es-url': url, 'metrics-index': 'm' }),
    ...flags({ 'metrics-window': '10s', 'metrics-lateness': '5s' }),
    '--count=index=sum(index) by service',
  ]
  for (let round = 0; round < 4; round++) {
    const run = start(t, kafka, args)
    const indices = Array.from({ length: 1000 }, (_, index) => round * 1000 + index)
    await Promise.all(indices.map(produce))
    const documents = round * 50
    await run.until('it wrote more', () => elasticsearch.documents.size > documents + 20)
    run.signal('SIGKILL')
    await run.ended
  }
  const last = START_MS + 4000 * 100
  const isClosed = (key: string) => Date.parse(key.slice(0, 24)) + WINDOW_MS + 5000 < last - 1000
  const run = start(t, kafka, args)
  const wanted = new Map([...expected].filter(([key]) => isClosed(key)))
  await run.until('all are written', () => wanted.size <= elasticsearch.documents.size)
  await run.stop()
  const found = [...elasticsearch.documents.values()].map((source): [string, number] => {
    const document = JSON.parse(source) as Source
    const { labels, kafka: place, metric } = document
    return [`${document['@timestamp']} ${place.partition} ${labels['service']}`, metric.sum]
  })
  assert.equal(new Map(found).size, found.length)
  for (const [key, sum] of found) assert.equal(sum, expected.get(key), key)
  for (const key of wanted.keys()) assert.ok(new Map(found).has(key), key)
  // Open windows are read again, and stay open.
  const size = elasticsearch.documents.size
  const { status, stderr } = await start(t, kafka, [...args, '--until', 'end']).ended
  assert.equal(status, 0, stderr)
  assert.equal(elasticsearch.documents.size, size)
})

interface Source {
  readonly '@timestamp': string
  readonly labels: Readonly<Record<string, string>>
  readonly kafka: { readonly partition: number }
  readonly metric: { readonly sum: number }
}
