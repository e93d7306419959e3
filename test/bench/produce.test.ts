/** `bench produce`: what it sends, the topic it makes, and what it reports. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { benchProduce, type ProduceSettings } from '../../src/bench/produce.ts'
import { ManualClock } from '../../src/core/clock.ts'
import type { Admin, NewTopic } from '../../src/kafka/admin.ts'

const SETTINGS: ProduceSettings = {
  kafka: { brokers: 'b:9092', config: [], timeoutMs: 1000 },
  topic: 'logs',
  partitions: 6,
  records: 10_000,
  recordBytes: 300,
  throughput: 4000,
  errorShare: 0.001,
  seed: 3,
}

/** @param existsAfter how often the topic is described before it is there; Infinity: never. */
async function run(given: Partial<ProduceSettings>, existsAfter: number) {
  const clock = new ManualClock()
  const made: NewTopic[] = []
  const lines: string[] = []
  const closed: string[] = []
  const state = { sent: 0, matches: 0, described: 0, isDone: false }
  const never = () => Promise.reject(new RangeError('not expected'))
  const admin: Admin = {
    createTopic(topic) {
      made.push(topic)
      return Promise.resolve(true)
    },
    describeTopic: (topic) =>
      Promise.resolve(
        state.described++ < existsAfter ? null : { topic, topicId: null, partitions: [0] },
      ),
    deleteTopic: never,
    listTopics: never,
    endOffsets: never,
    groupLag: never,
    close: () => void closed.push('admin'),
  }
  const result = benchProduce(
    { ...SETTINGS, ...given },
    {
      clock,
      openAdmin: () => Promise.resolve(admin),
      openProducer: () =>
        Promise.resolve({
          send(topic, partition, key, value) {
            assert.deepEqual([topic, partition, key, value.byteLength], ['logs', null, null, 300])
            state.sent++
            if (Buffer.from(value).includes('ERROR')) state.matches++
            return true
          },
          flush: () => Promise.resolve(),
          close: () => Promise.resolve(void closed.push('producer')),
        }),
      usage: () => ({ cpuSeconds: clock.monotonicMs() / 500, peakRssBytes: 1 }),
      progress: (line) => lines.push(line),
      signal: new AbortController().signal,
    },
  )
  const settled = result.catch(() => null).finally(() => (state.isDone = true))
  for (let turn = 0; !state.isDone && turn < 50_000; turn++) {
    clock.advance(1)
    await new Promise((resolve) => setImmediate(resolve))
  }
  await settled
  return { result, made, lines, closed, state, clock }
}

test('it sends what was asked for at the rate asked for, and knows its matches', async () => {
  const { result, made, closed, state, lines } = await run({}, 0)
  const report = await result
  assert.deepEqual([state.sent, state.matches], [10_000, 10])
  assert.deepEqual([report.records, report.bytes, report.matched], [10_000, 3_000_000, 10])
  assert.ok(Math.abs(report.records_per_second - 4000) < 40, `${report.records_per_second}`)
  assert.ok(Math.abs(report.cpu_seconds - 2 * report.seconds) < 0.02)
  assert.deepEqual(made, [])
  assert.deepEqual(closed, ['admin', 'producer'])
  assert.equal(lines.length, 2)
  assert.match(lines[0] ?? '', /^produced=\d+ \(\d+\.\d %\) \| \d+ msg\/s .*\/s$/)
})

test('a topic that is missing is made, and waited for', async () => {
  const { result, made, state } = await run({ throughput: -1 }, 3)
  await result
  assert.deepEqual(made, [{ topic: 'logs', partitions: 6, replicationFactor: null, config: {} }])
  assert.equal(state.described, 4)
})

test('a topic that never appears is an error after a bounded time', async () => {
  const { result, closed, clock } = await run({}, Infinity)
  await assert.rejects(result, { code: 'KAFKA_TOPIC' })
  assert.deepEqual(closed, ['admin'])
  assert.ok(clock.monotonicMs() < 11_000)
})

test('it can be stopped while no broker answers', async () => {
  const stop = new AbortController()
  const never = () => new Promise<never>(() => undefined)
  const result = benchProduce(SETTINGS, {
    clock: new ManualClock(),
    openAdmin: never,
    openProducer: never,
    usage: () => ({ cpuSeconds: 0, peakRssBytes: 0 }),
    progress: () => undefined,
    signal: stop.signal,
  })
  stop.abort()
  await assert.rejects(result, { code: 'KAFKA_UNREACHABLE', message: /^stopped before/ })
})

test('a record too small for a match is refused before anything is opened', async () => {
  const { result, state, closed } = await run({ recordBytes: 4 }, 0)
  await assert.rejects(result, { code: 'USAGE' })
  assert.deepEqual([state.described, closed], [0, []])
})
