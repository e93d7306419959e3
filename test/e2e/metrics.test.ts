/**
 * Documents of metrics against an independent count, on a real Kafka.
 *
 * Goal: whatever is killed or rebalanced, the documents of windows are those that a count of the
 * records gives, and records that come too late are in none and counted as late. Method: a feed
 * numbers its records, so their label, partition and time follow from the number. Two processes of
 * one group count them; one is killed (SIGKILL) or stopped (SIGTERM) again and again. The bulk
 * endpoint answers some requests with an error after it has written, so that documents are sent
 * twice. At the end records follow that are later than allowed.
 */
import assert from 'node:assert/strict'
import { test, type TestContext } from 'node:test'
import { openProducer, type Producer } from '../../src/kafka/producer.ts'
import { FakeBulk } from '../helpers/fake-bulk.ts'
import { flags, Logpipe, testFolder } from '../helpers/logpipe.ts'
import { sharedKafka, uniqueName } from '../servers/shared.ts'
import { serversMissing } from '../servers/stack.ts'

const isFull = process.env['LOGPIPE_TEST_FULL'] === '1'
const STOPS = isFull ? 20 : 4
const PARTITIONS = 4
const LABELS = 5
const WINDOW_MS = 10_000
const LATENESS_MS = 5000
const START_MS = Date.parse('2026-09-01T00:00Z')
/** Of the records' time, between two of them. */
const STEP_MS = 20
/** Records of a round; rounds follow until the process that is killed is at work. */
const ROUND = 500
const FEED_EVERY_MS = 100
const ROUNDS_MAX = 400
const LATE = 40
const MINUTES_MAX = isFull ? 10 : 4

const missing = serversMissing(['kafka'])

interface Count {
  count: number
  sum: number
}

interface Source {
  readonly '@timestamp': string
  readonly metric: { readonly name: string; readonly count: number; readonly sum: number }
  readonly labels: Readonly<Record<string, string>>
  readonly kafka: { readonly partition: number }
}

/** Some records are out of order, within what is allowed. */
const timeOf = (index: number) =>
  START_MS + index * STEP_MS - (index % 11 === 0 ? (index % 5) * 1000 : 0)
const partitionOf = (index: number) => index % PARTITIONS
const labelOf = (index: number) => `s${(index * 7) % LABELS}`

const keyOf = (windowMs: number, partition: number, label: string) =>
  `${new Date(windowMs).toISOString()} ${partition} ${label}`

/** The independent count: what each document must say. */
class Expected {
  readonly documents = new Map<string, Count>()
  sent = 0

  add(index: number): void {
    const windowMs = Math.floor(timeOf(index) / WINDOW_MS) * WINDOW_MS
    const key = keyOf(windowMs, partitionOf(index), labelOf(index))
    const { count, sum } = this.documents.get(key) ?? { count: 0, sum: 0 }
    this.documents.set(key, { count: count + 1, sum: sum + index })
    this.sent++
  }

  /** Those of windows that are closed in every partition, once all records are read. */
  closed(): Map<string, Count> {
    const latestMs = START_MS + (this.sent - LABELS * PARTITIONS) * STEP_MS
    return new Map(
      [...this.documents].filter(([key]) => {
        return Date.parse(key.slice(0, 24)) + WINDOW_MS + LATENESS_MS < latestMs - 6000
      }),
    )
  }
}

function documentsIn(elasticsearch: FakeBulk): Map<string, Count> {
  const documents = new Map<string, Count>()
  for (const text of elasticsearch.documents.values()) {
    const { '@timestamp': at, metric, labels, kafka } = JSON.parse(text) as Source
    const key = keyOf(Date.parse(at), kafka.partition, labels['service'] ?? '')
    assert.ok(!documents.has(key), `two documents of ${key}`)
    documents.set(key, { count: metric.count, sum: metric.sum })
  }
  return documents
}

async function send(producer: Producer, topic: string, index: number, timestampMs: number) {
  const value = Buffer.from(JSON.stringify({ service: labelOf(index), index }))
  const place = { topic, partition: partitionOf(index), key: null, headers: [] }
  await producer.produce({ ...place, value, timestampMs })
}

async function feed(producer: Producer, topic: string, expected: Expected): Promise<void> {
  const from = expected.sent
  const indices = Array.from({ length: ROUND }, (_, index) => from + index)
  await Promise.all(
    indices.map((index) => {
      expected.add(index)
      return send(producer, topic, index, timeOf(index))
    }),
  )
}

const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms))

/** Every third request is written and then fails. */
function troubled(t: TestContext): FakeBulk {
  const elasticsearch = new FakeBulk()
  t.after(() => elasticsearch.close())
  elasticsearch.script = ({ number }) =>
    number % 3 === 0 ? { kind: 'reset', isApplied: true } : { kind: 'items' }
  return elasticsearch
}

test(
  'the documents of metrics equal an independent count, whatever is killed or rebalanced',
  { skip: missing ?? false, timeout: MINUTES_MAX * 60_000 },
  async (t) => {
    const kafka = await sharedKafka(t)
    const [topic, group] = [uniqueName('metrics'), uniqueName('metrics')]
    await kafka.createTopic(topic, PARTITIONS)
    const elasticsearch = troubled(t)
    const url = await elasticsearch.listen()
    const client = { brokers: kafka.bootstrapServers, config: [], tokenFile: null }
    const limits = { timeoutMs: 20_000, inFlightMax: ROUND, deliveryMs: 60_000 }
    const producer = await openProducer({ ...client, ...limits })
    t.after(() => producer.close(1000))
    const folder = testFolder(t)
    const start = (name: string) => {
      const args = [
        ...flags({ brokers: kafka.bootstrapServers, topic, group, 'run-seconds': 0 }),
        ...flags({ 'product-line': 'metrics', 'metrics-index': 'm', 'es-url': url }),
        ...flags({ 'metrics-window': '10s', 'metrics-lateness': '5s', 'filter-threads': 2 }),
        ...flags({ 'pool-size': 32, 'runtime-metrics-path': `${name}.metrics` }),
        ...flags({ 'kafka-config': 'session.timeout.ms=6000' }),
        '--count=index=sum(index) by service',
      ]
      return new Logpipe(t, ['run', ...args], { folder, runMsMax: MINUTES_MAX * 60_000 })
    }
    const late = (run: Logpipe, name: string) => run.metric('log_late_total', `${name}.metrics`)

    const expected = new Expected()
    const steady = start('steady')
    for (let stop = 0; stop < STOPS; stop++) {
      const name = `restless-${stop}`
      const restless = start(name)
      const written = elasticsearch.documents.size
      const isAtWork = () =>
        restless.metric('log_index_count', `${name}.metrics`) > 0 &&
        elasticsearch.documents.size > written
      for (let round = 0; round < ROUNDS_MAX && !isAtWork(); round++) {
        assert.ok(!restless.hasEnded && !steady.hasEnded, restless.stderr + steady.stderr)
        await feed(producer, topic, expected)
        await pause(FEED_EVERY_MS)
      }
      assert.ok(isAtWork(), restless.stderr)
      if (stop % 2 === 0) restless.signal('SIGKILL')
      else await restless.stop()
      await restless.ended
    }
    const wanted = expected.closed()
    const missingKeys = () => {
      const found = documentsIn(elasticsearch)
      return [...wanted.keys()].filter((key) => !found.has(key))
    }
    await steady.until('all windows are written', () => missingKeys().length === 0)
    assertEqual(documentsIn(elasticsearch), expected)

    const before = late(steady, 'steady')
    const size = elasticsearch.documents.size
    for (let index = 0; index < LATE; index++) {
      await send(producer, topic, index, START_MS + (index % 3) * WINDOW_MS)
    }
    await steady.until('they are late', () => late(steady, 'steady') === before + LATE)
    await steady.stop()
    assert.equal(elasticsearch.documents.size, size)
    assertEqual(documentsIn(elasticsearch), expected)
    t.diagnostic(`${size} documents of ${expected.sent} records, ${wanted.size} had to be there`)
  },
)

/** Each document says what the count says; those of windows that are open are not there. */
function assertEqual(found: ReadonlyMap<string, Count>, { documents }: Expected): void {
  for (const [key, count] of found) assert.deepEqual(count, documents.get(key), key)
}
