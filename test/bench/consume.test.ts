/** When `bench consume` stops, and what it says. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  benchConsume,
  type ConsumeCounters,
  type ConsumeSettings,
} from '../../src/bench/consume.ts'
import { ManualClock } from '../../src/core/clock.ts'

const SETTINGS: ConsumeSettings = {
  topic: 'logs',
  profile: 'balanced',
  runSeconds: 20,
  recordsMax: Infinity,
}
const NOTHING: ConsumeCounters = {
  records: 0,
  bytes: 0,
  matched: 0,
  firstRecordMs: null,
  lastRecordMs: null,
  cpuSeconds: 0,
}

/** Reads `perMs` records a ms from 100 ms on. */
async function run(settings: Partial<ConsumeSettings>, perMs: number, failure?: Error) {
  const clock = new ManualClock()
  const abort = new AbortController()
  const ended = Promise.withResolvers<undefined>()
  const state = { stops: 0, isDone: false }
  const counters = (): ConsumeCounters => {
    const ms = Math.max(0, clock.monotonicMs() - 100)
    if (ms === 0 || perMs === 0) return NOTHING
    const records = ms * perMs
    const times = { firstRecordMs: 100, lastRecordMs: 100 + ms, cpuSeconds: (1.5 * ms) / 1000 }
    return { records, bytes: records * 1000, matched: records / 10, ...times }
  }
  const result = benchConsume(
    { ...SETTINGS, ...settings },
    {
      clock,
      signal: abort.signal,
      usage: () => ({ cpuSeconds: 99, peakRssBytes: 4096 }),
      startPipeline: () =>
        Promise.resolve({
          counters,
          stop() {
            state.stops++
            ended.resolve(undefined)
            return Promise.resolve()
          },
          done: ended.promise,
        }),
    },
  )
  const settled = result.catch(() => null).finally(() => (state.isDone = true))
  for (let turn = 0; !state.isDone && turn < 50_000; turn++) {
    if (failure !== undefined && clock.monotonicMs() >= 500) ended.reject(failure)
    clock.advance(10)
    await new Promise((resolve) => setImmediate(resolve))
  }
  await settled
  return { result, clock, stops: state.stops }
}

test('time and CPU count from the first record to the last', async () => {
  const { result, clock, stops } = await run({ runSeconds: 2 }, 10)
  const report = await result
  assert.ok(clock.monotonicMs() >= 2000 && clock.monotonicMs() < 2100)
  assert.equal(stops, 1)
  assert.ok(Math.abs(report.seconds - 1.9) < 0.1, `${report.seconds} s`)
  assert.equal(report.records_per_second, 10_000)
  assert.ok(Math.abs(report.cpu_seconds / report.seconds - 1.5) < 0.01)
  assert.equal(report.peak_rss_bytes, 4096)
})

test('enough records end it before the time does', async () => {
  const { result, clock } = await run({ recordsMax: 5000 }, 10)
  const report = await result
  assert.ok(report.records >= 5000 && report.records < 5500, `${report.records}`)
  assert.ok(clock.monotonicMs() < 1000)
})

test('no record at all is an error that says what to do', async () => {
  const { result } = await run({ runSeconds: 1 }, 0)
  await assert.rejects(result, { code: 'NO_RECORDS', message: /logpipe bench produce/ })
})

test('an error of the pipeline ends it and comes through', async () => {
  const failure = new RangeError('a thread died')
  const { result, clock } = await run({}, 10, failure)
  await assert.rejects(result, failure)
  assert.ok(clock.monotonicMs() < 1000)
})
