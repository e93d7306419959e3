/** The two producers on the embedded broker: confirmation, bounds, back-pressure, errors. */
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { systemClock } from '../../src/core/clock.ts'
import { makeLogLines } from '../../src/core/log-lines.ts'
import { feed, type FeedTotals } from '../../src/kafka/feed.ts'
import { openBulkProducer, openProducer, type ProducerRecord } from '../../src/kafka/producer.ts'
import { type MockCluster, openMockCluster } from './mock-cluster.ts'

let cluster: MockCluster
before(async () => {
  cluster = await openMockCluster()
})
after(() => cluster.close())

const settings = () => ({ brokers: cluster.brokers, config: [], timeoutMs: 5000 })

function record(topic: string, partition: number | null): ProducerRecord {
  const headers = [
    ['reason', Buffer.from('too large')],
    ['empty', null],
  ] as const
  const value = Buffer.from('value')
  return { topic, partition, key: Buffer.from('key'), value, headers, timestampMs: 1234 }
}

test('each record is confirmed with its offset, tombstones and empty values too', async (t) => {
  const producer = await openProducer({ ...settings(), inFlightMax: 10, deliveryMs: 5000 })
  t.after(() => producer.close(5000))
  const base = record('confirmed', 1)
  for (const [offset, value] of [base.value, null, Buffer.alloc(0)].entries()) {
    assert.deepEqual(await producer.produce({ ...base, value }), { partition: 1, offset })
  }
})

test('more calls than may be in flight all get their turn', async (t) => {
  const producer = await openProducer({ ...settings(), inFlightMax: 3, deliveryMs: 5000 })
  t.after(() => producer.close(5000))
  const calls = Array.from({ length: 50 }, () => producer.produce(record('turns', 0)))
  assert.equal(producer.inFlight(), 50)
  const offsets = (await Promise.all(calls)).map((each) => each.offset)
  assert.deepEqual(
    offsets.sort((left, right) => left - right),
    Array.from({ length: 50 }, (_unused, index) => index),
  )
  assert.equal(producer.inFlight(), 0)
})

test('closing confirms what is on its way, and closes only once', async () => {
  const producer = await openProducer({ ...settings(), inFlightMax: 2, deliveryMs: 5000 })
  const calls = Array.from({ length: 10 }, () => producer.produce(record('closing', 0)))
  await Promise.all([producer.close(5000), producer.close(5000)])
  assert.equal((await Promise.all(calls)).length, 10)
})

test('a partition that does not exist is an error of that record alone', async (t) => {
  const producer = await openProducer({ ...settings(), inFlightMax: 2, deliveryMs: 5000 })
  t.after(() => producer.close(5000))
  await producer.produce(record('partitions', 0))
  await assert.rejects(producer.produce(record('partitions', 99)), { code: 'KAFKA_TOPIC' })
  assert.equal((await producer.produce(record('partitions', 0))).offset, 1)
})

test('a record that no broker takes in time is rejected, not kept for ever', async () => {
  const own = await openMockCluster()
  const client = { brokers: own.brokers, config: [], timeoutMs: 5000 }
  const producer = await openProducer({ ...client, inFlightMax: 2, deliveryMs: 300 })
  await producer.produce(record('gone', 0))
  await own.close()
  const waiting = [0, 0, 0].map((partition) => producer.produce(record('gone', partition)))
  for (const call of waiting) await assert.rejects(call, { code: 'KAFKA_UNREACHABLE' })
  await producer.close(1000)
})

test('an unreachable broker is named, with the reason, in the time that was given', async () => {
  const nobody = { brokers: '127.0.0.1:1', config: [], timeoutMs: 300 }
  const expected = { code: 'KAFKA_UNREACHABLE', message: /Connection refused.*\(127\.0\.0\.1:1\)/ }
  await assert.rejects(openBulkProducer(nobody), expected)
})

test('an unknown property is an error of the configuration', async () => {
  const config = [['no.such.thing', '1']] as const
  const expected = { code: 'KAFKA_CONFIG', message: /no\.such\.thing/ }
  await assert.rejects(openBulkProducer({ ...settings(), config }), expected)
})

test('the bulk producer pushes back when its queue is full, and loses nothing', async (t) => {
  const config = [['queue.buffering.max.messages', '100']] as const
  const producer = await openBulkProducer({ ...settings(), config })
  t.after(() => producer.close())
  const lines = makeLogLines({ seed: 1, errorShare: 0.01, recordBytes: 200, multiLine: false })
  const totals: FeedTotals = { records: 0, bytes: 0, matches: 0 }
  let refused = 0
  await feed(
    {
      producer: {
        send(...args) {
          const isTaken = producer.send(...args)
          if (!isTaken) refused++
          return isTaken
        },
      },
      topic: 'bulk',
      partitionCount: 1,
      next(wallMs) {
        const line = lines.next(wallMs)
        return { bytes: line.bytes, key: null, isMatch: line.isError }
      },
      recordsMax: 5000,
      recordsPerSecond: Infinity,
      sentMax: () => Infinity,
      signal: new AbortController().signal,
      clock: systemClock,
    },
    totals,
  )
  await producer.flush(5000)
  assert.ok(refused > 0, 'the queue was full at times')
  assert.deepEqual(totals, { records: 5000, bytes: 1_000_000, matches: 50 })
  // The next offset of the partition says how many records arrived.
  const probe = await openProducer({ ...settings(), inFlightMax: 1, deliveryMs: 5000 })
  t.after(() => probe.close(5000))
  assert.equal((await probe.produce(record('bulk', 0))).offset, 5000)
})
