/** The two lines of each second: what is not normal, the lag, and how far a replay has come. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { NO_LAG, type LagReport } from '../../src/metrics/lag-meter.ts'
import { COUNTERS, type CounterValues } from '../../src/pool/counters.ts'
import { statusLines, statusOf, type StatusInput } from '../../src/run/status.ts'
import { NoneSink } from '../../src/sink/none-sink.ts'

const NOTHING = Object.fromEntries(COUNTERS.map((name) => [name, 0])) as CounterValues
const sink = new NoneSink().gauges()

function statusFor(changes: Partial<StatusInput>) {
  return statusOf({
    slots: { free: 240, filling: 2, ready: 4, filtering: 10 },
    now: { ...NOTHING, records: 85_000, bytes: 86_302_720, matched: 12, filtered: 84_988 },
    before: NOTHING,
    elapsedMs: 1000,
    sink,
    sinkBefore: sink,
    counted: {},
    metrics: {},
    metricsBefore: {},
    countedBefore: {},
    lag: NO_LAG,
    waiting: [],
    stuck: [],
    replayRecords: null,
    ...changes,
  })
}

function lagOf(total: Partial<NonNullable<LagReport['total']>>): LagReport {
  const unknown = { lagRecords: 0, lagBytes: null, lagSeconds: null, drainSeconds: null }
  return { ...NO_LAG, total: { ...unknown, ...total } }
}

test('the lines are those that operators know', () => {
  assert.deepEqual(statusLines(statusFor({})), [
    'free=240 ready=4 in_flight=12 total=256 | kafka=85000 msg/s 82.3 MiB/s',
    'polled=85000 msg/s 82.3 MiB/s | matched=12 | drop_filter=84988',
  ])
})

test('a lag is told with what is known of it', () => {
  const told = (lag: LagReport) => statusLines(statusFor({ lag }))[1].split(' | ').slice(3)
  const known = { lagRecords: 1_200_000, lagBytes: 2 ** 30, lagSeconds: 303.2, drainSeconds: 12.4 }
  assert.deepEqual(told(lagOf(known)), ['lag=1200000, 1.0 GiB, 5m 3s behind, drained in 12.0 s'])
  assert.deepEqual(told(lagOf({ lagRecords: 7 })), ['lag=7'])
  assert.deepEqual(told(lagOf({ lagBytes: 0, lagSeconds: 0, drainSeconds: 0 })), ['lag=0'])
  const { lag, lag_bytes: bytes, lag_seconds: behind } = statusFor({ lag: lagOf(known) })
  assert.deepEqual([lag, bytes, behind], [1_200_000, 2 ** 30, 303])
})

test('partitions that are not read are named, a few of them', () => {
  const waiting = [0, 1, 2, 3, 4].map((partition) => ({ topic: 'app', partition, problem: 'x' }))
  const told = (count: number) =>
    statusLines(statusFor({ waiting: waiting.slice(0, count) }))[1]
      .split(' | ')
      .at(-1)
  assert.equal(told(1), 'not read: app [0]')
  assert.equal(told(5), 'not read: app [0], app [1], app [2] and 2 more')
})

test('the spill is told with when it is empty, where it shrinks', () => {
  const told = (spillDrainSeconds: number | null) =>
    statusLines(
      statusFor({ sink: { ...sink, spillBytes: 2 ** 20 }, lag: { ...NO_LAG, spillDrainSeconds } }),
    )[1]
  assert.match(told(61), /\| spill=1\.0 MiB, empty in 1m 1s$/)
  assert.match(told(null), /\| spill=1\.0 MiB$/)
})

test('a replay tells how far it has come instead of a lag', () => {
  const told = (lagRecords: number, drainSeconds: number | null) =>
    statusLines(statusFor({ lag: lagOf({ lagRecords, drainSeconds }), replayRecords: 1000 }))[1]
  assert.match(told(579, 12), /\| replayed=42\.1%, 12\.0 s to go$/)
  assert.match(told(579, null), /\| replayed=42\.1%$/)
  assert.match(told(0, 0), /\| replayed=100\.0%$/)
})

test('nothing filtered and much written is told as the replay that it is', () => {
  const before = { ...sink, spillBytes: 2 * 1024 * 1024, writtenDocuments: 1000, replaying: true }
  const status = statusFor({
    now: NOTHING,
    sink: { ...before, writtenDocuments: 9000 },
    sinkBefore: before,
  })
  assert.equal(status.replaying, true)
  const [, line] = statusLines(status)
  assert.match(line, /matched=0 .*written=8000\/s .*spill=2\.0 MiB.* replaying the spill/)
})

test('partitions that stand still are named, the first of them', () => {
  const stuck = [0, 1, 2, 3, 4].map((partition) => ({
    topic: 'app',
    partition,
    offset: 20 + partition,
    reason: 'bad CRC',
    canSkip: true,
    isDue: false,
  }))
  const [, one] = statusLines(statusFor({ stuck: stuck.slice(0, 1) }))
  assert.match(one, / \| stuck: app \[0\] at 20$/)
  const [, many] = statusLines(statusFor({ stuck }))
  assert.match(many, / \| stuck: app \[0\] at 20, app \[1\] at 21, app \[2\] at 22 and 2 more$/)
})
