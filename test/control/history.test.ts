/** Metrics over time: rates, steps, bounds. */
import assert from 'node:assert/strict'
import path from 'node:path'
import { test, type TestContext } from 'node:test'
import fc from 'fast-check'
import { openDatabase } from '../../src/control/database.ts'
import {
  FLEET_ID,
  History,
  HISTORY_NAMES,
  HISTORY_METRICS,
  HistoryStore,
  RateWindow,
} from '../../src/control/history.ts'
import { ManualClock } from '../../src/core/clock.ts'
import { memoryLock, temporaryFolder } from './control-fixture.ts'

function historyFixture(t: TestContext, rowsMax?: number) {
  const database = openDatabase(path.join(temporaryFolder(t), 'control.db'), memoryLock())
  t.after(() => database.close())
  const clock = new ManualClock(1_800_000_000_000)
  const store = new HistoryStore(database.db, rowsMax)
  return { clock, store, history: new History(store, clock) }
}

const value = (values: readonly number[] | undefined, name: string) =>
  values?.[HISTORY_NAMES.indexOf(name)]

test('counters become rates, gauges stay, and a restart is no negative rate', (t) => {
  const { clock, history } = historyFixture(t)
  history.record('w1', 1, { polled_total: 1000, kafka_lag: 7 }, 5000)
  clock.advance(1000)
  history.record('w1', 1, { polled_total: 3000, kafka_lag: 9 }, 5000)
  history.record('w2', 1, { polled_total: 50, kafka_lag: 1 }, 5000)
  assert.equal(value(history.latest().get(1), 'polled_per_second'), 2000)
  assert.equal(value(history.latest().get(1), 'kafka_lag'), 10)
  clock.advance(1000)
  history.record('w1', 1, { polled_total: 500 }, 5000)
  assert.equal(value(history.latest().get(1), 'polled_per_second'), 500, 'begun anew at zero')
  history.record('w2', 2, { polled_total: 9e9 }, 5000)
  assert.equal(
    value(history.latest().get(2), 'polled_per_second'),
    0,
    'another pipeline, other counters',
  )
  clock.advance(5001)
  assert.equal(history.latest().get(1), undefined, 'silent workers count no more')
  assert.equal(value(history.latest().get(FLEET_ID), 'polled_per_second'), 0)
})

test('a longer range has a coarser step, with means of rates and the highest gauge', (t) => {
  const { clock, history } = historyFixture(t)
  for (let second = 0; second <= 1800; second++) {
    const lag = second % 60 === 30 ? 99 : 1
    history.record('w1', 1, { polled_total: second * 100, kafka_lag: lag }, 5000)
    history.tick()
    clock.advance(1000)
  }
  const seconds = history.range(1, 300)
  assert.equal(seconds.stepMs, 1000)
  assert.equal(seconds.points.length, 300)
  assert.equal(value(seconds.points[9]?.values, 'polled_per_second'), 100)
  const tens = history.range(1, 1200)
  assert.equal(tens.stepMs, 10_000)
  assert.ok(tens.points.length >= 118 && tens.points.length <= 120)
  assert.equal(value(tens.points[5]?.values, 'polled_per_second'), 100)
  const minutes = history.range(1, 7 * 86_400)
  assert.equal(minutes.stepMs, 60_000)
  assert.equal(value(minutes.points[10]?.values, 'kafka_lag'), 99)
})

test('a restart keeps what was written', (t) => {
  const { clock, store, history } = historyFixture(t)
  for (let second = 0; second < 120; second++) {
    history.record('w1', 1, { kafka_lag: 5 }, 5000)
    history.tick()
    clock.advance(1000)
  }
  history.flush()
  const after = new History(store, clock)
  assert.equal(value(after.range(1, 100).points[0]?.values, 'kafka_lag'), 5)
})

// Goal: the database stays bounded over a month. Method: every tenth row that tick would make.
test('thirty days leave seven of minutes and six hours of tens', (t) => {
  const { clock, store } = historyFixture(t)
  const startMs = clock.wallMs()
  const values = HISTORY_METRICS.map(() => 1)
  for (let hour = 0; hour < 30 * 24; hour += 6) {
    const atMs = startMs + hour * 3_600_000
    const row = (stepMs: number) => (index: number) => ({
      stepMs,
      atMs: atMs + index * 10 * stepMs,
      pipelineId: 1,
      values,
    })
    const tens = Array.from({ length: 6 * 36 }, (_, index) => index).map(row(10_000))
    const minutes = Array.from({ length: 6 * 6 }, (_, index) => index).map(row(60_000))
    store.write([...tens, ...minutes], atMs + 6 * 3_600_000)
  }
  const endMs = startMs + 30 * 86_400_000
  assert.equal(store.rowCount, 6 * 36 + 7 * 144)
  assert.equal(store.range(60_000, 1, 0, endMs)[0]?.atMs, endMs - 7 * 86_400_000)
})

test('beyond the bound of rows the oldest go before their time', (t) => {
  const { clock, store } = historyFixture(t, 100)
  const rows = Array.from({ length: 250 }, (_, index) => ({
    stepMs: 10_000,
    atMs: clock.wallMs() + index * 10_000,
    pipelineId: 1,
    values: [1],
  }))
  store.write(rows, clock.wallMs())
  assert.equal(store.rowCount, 100)
  assert.equal(store.range(10_000, 1, 0, Infinity)[0]?.atMs, rows[150]?.atMs)
})

/* Rates over a few snapshots, whatever the pace of the heartbeats that bring them. */

test('a snapshot that is told twice is no standstill', () => {
  const window = new RateWindow()
  assert.deepEqual(window.add(1000, [100]), [0])
  assert.deepEqual(window.add(2000, [300]), [200])
  assert.deepEqual(window.add(2000, [300]), [200])
  assert.deepEqual(window.add(3000, [500]), [200])
})

test('what lies before the window counts no more', () => {
  const window = new RateWindow()
  for (const [atMs, count] of [
    [0, 0],
    [1000, 9000],
    [2000, 9000],
    [3000, 9000],
  ] as const) {
    window.add(atMs, [count])
  }
  assert.deepEqual(window.add(4000, [9000]), [0])
})

test('a worker whose time hardly goes on fills no memory', () => {
  const window = new RateWindow()
  for (let beat = 0; beat < 1000; beat++) window.add(beat / 1000, [beat])
  assert.ok(window.sampleCount <= 41, `${window.sampleCount}`)
})

test('a counter that begins anew has no negative rate', () => {
  const window = new RateWindow()
  window.add(5000, [1000])
  window.add(6000, [2000])
  assert.deepEqual(window.add(500, [100]), [200], 'its process runs for half a second')
  const other = new RateWindow()
  other.add(5000, [1000])
  assert.deepEqual(other.add(6000, [50]), [50], 'without a clock of its own: since the last time')
})

test('a steady counter has its rate at any pace of heartbeats', () => {
  const paces = fc.array(fc.integer({ min: 50, max: 2500 }), { minLength: 2, maxLength: 50 })
  fc.assert(
    fc.property(paces, fc.integer({ min: 1, max: 1e6 }), (steps, rate) => {
      const window = new RateWindow()
      let nowMs = 0
      window.add(0, [0])
      for (const step of steps) {
        nowMs += step
        const snapshotMs = nowMs - (nowMs % 1000)
        const [found = -1] = window.add(snapshotMs, [(rate * snapshotMs) / 1000])
        assert.ok(Math.abs(found - (snapshotMs === 0 ? 0 : rate)) < 1e-6 * rate, `${found}`)
      }
    }),
  )
})
