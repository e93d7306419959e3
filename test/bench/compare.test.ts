/** What `logpipe bench` makes, reads and deletes, and when it ends. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { compare, type CompareDeps, loadsOf } from '../../src/bench/compare.ts'
import { type ReaderRun, READERS } from '../../src/bench/compare-report.ts'
import { ManualClock } from '../../src/core/clock.ts'

const LOADS = loadsOf('test')
const RUN: ReaderRun = {
  records: 1000,
  recordsPerSecond: 1_000_000,
  cpuSeconds: 1,
  peakRssBytes: 1,
}

interface World {
  readonly calls: string[]
  readonly said: string[]
  readonly clock: ManualClock
  readonly stop: AbortController
}

/** Each reader takes `readMs`; `deps` replaces some of what is asked. */
function world(readMs: number, deps: (world: World) => Partial<CompareDeps> = () => ({})) {
  const made: World = { calls: [], said: [], clock: new ManualClock(), stop: new AbortController() }
  const { calls, clock, said, stop } = made
  return {
    ...made,
    deps: {
      createTopic: (topic: string) => {
        calls.push(`create ${topic}`)
        return Promise.resolve(true)
      },
      deleteTopic: (topic: string) => {
        calls.push(`delete ${topic}`)
        return Promise.resolve()
      },
      fill: () => Promise.resolve(5_000_000),
      read: (reader: string, load: { name: string }, records: number) => {
        calls.push(`${reader} ${load.name} ${records}`)
        clock.advance(readMs)
        return Promise.resolve({ ...RUN, records })
      },
      say: (line: string) => said.push(line),
      clock,
      signal: stop.signal,
      ...deps(made),
    } satisfies CompareDeps,
  }
}

const deleted = (calls: readonly string[]) => calls.filter((call) => call.startsWith('delete'))

test('all readers take turns in every round, each first once; the topic is deleted', async () => {
  const { calls, deps } = world(100)
  const results = await compare(LOADS.slice(0, 1), 3, deps)
  const readers = calls.filter((call) => / 100 B /.test(call)).map((call) => call.split(' ')[0])
  assert.deepEqual(readers.slice(0, 4), [...READERS])
  assert.deepEqual(readers.slice(4, 8), ['direct', 'worker', 'raw', 'plain'])
  assert.equal(readers.length, 12)
  assert.deepEqual(
    results[0]?.runs.map(({ reader, runs }) => [reader, runs.length]),
    READERS.map((reader) => [reader, 3]),
  )
  assert.deepEqual(deleted(calls), [`delete ${LOADS[0]?.topic}`])
})

test('no reader reads more than takes the plain one three seconds', async () => {
  const { calls, deps } = world(100)
  await compare(LOADS.slice(0, 1), 1, deps)
  assert.ok(calls.includes('plain 100 B 5000000'))
  assert.ok(calls.includes('direct 100 B 3000000'))
})

test('a slow machine gets fewer rounds, but one at least of each load', async () => {
  const { calls, said, deps } = world(9000)
  const results = await compare(LOADS, 3, deps)
  assert.deepEqual(
    results.map(({ runs }) => runs[0]?.runs.length),
    [1, 1, 1, 1],
  )
  assert.ok(said.some((line) => /stopped after 1 of 3 rounds, which take too long here/.test(line)))
  assert.equal(deleted(calls).length, 4)
})

test('a topic that is there already is refused, and neither filled nor deleted', async () => {
  const theirs = LOADS[1]!.topic
  const { calls, deps } = world(1, ({ calls: log }) => ({
    createTopic: (topic) => {
      log.push(`create ${topic}`)
      return Promise.resolve(topic !== theirs)
    },
  }))
  await assert.rejects(compare(LOADS, 1, deps), {
    code: 'KAFKA_TOPIC',
    message: /did not create it/,
  })
  assert.deepEqual(deleted(calls), [`delete ${LOADS[0]?.topic}`])
})

test('interrupted, it deletes its topics and has no result', async () => {
  const { calls, deps } = world(1, ({ stop, calls: log }) => ({
    read: (reader) => {
      log.push(reader)
      stop.abort()
      return Promise.resolve(RUN)
    },
  }))
  await assert.rejects(compare(LOADS, 3, deps), { code: 'STOPPED' })
  assert.deepEqual(
    calls.filter((call) => call === 'plain' || call === 'direct'),
    ['plain'],
  )
  assert.deepEqual(deleted(calls), [`delete ${LOADS[0]?.topic}`])
})

test('a reader that fails ends it, and its topics go all the same', async () => {
  const { calls, deps } = world(1, () => ({ read: () => Promise.reject(new Error('no')) }))
  await assert.rejects(compare(LOADS, 3, deps), /^Error: no$/)
  assert.equal(deleted(calls).length, 1)
})

test('a topic that cannot be deleted is named, and the result stands', async () => {
  const { said, deps } = world(1, () => ({
    deleteTopic: () => Promise.reject(new Error('not authorized')),
  }))
  assert.equal((await compare(LOADS.slice(0, 1), 1, deps)).length, 1)
  assert.ok(
    said.includes(`cannot delete topic ${LOADS[0]?.topic}: not authorized; delete it yourself`),
  )
})

test('filling ends after eight seconds', async () => {
  const { clock, deps } = world(1, () => ({
    fill: (_load, signal) =>
      new Promise((resolve) => signal.addEventListener('abort', () => resolve(7))),
  }))
  const result = compare(LOADS.slice(0, 1), 1, deps)
  await new Promise((resolve) => setImmediate(resolve))
  clock.advance(8000)
  assert.equal((await result)[0]?.records, 7)
})
