/** What a lag means in bytes, in seconds, and in time until it is gone. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ManualClock } from '../../src/core/clock.ts'
import { LagMeter, type PartitionReading } from '../../src/metrics/lag-meter.ts'

const START_MS = Date.parse('2026-01-01T00:00:00Z')

const readingOf = (changes: Partial<PartitionReading> = {}): PartitionReading => ({
  topic: 'app',
  partition: 0,
  position: 0,
  endOffset: 0,
  bytesRead: 0,
  lastTimestampMs: -1,
  ...changes,
})

/** Looks once a second at what `readings` says of the second. @returns the last report. */
function afterSeconds(
  count: number,
  readings: (second: number) => readonly PartitionReading[],
  spillBytes: (second: number) => number = () => 0,
) {
  const clock = new ManualClock(START_MS)
  const meter = new LagMeter()
  for (let second = 0; second <= count; second++) {
    meter.look(readings(second), spillBytes(second), clock)
    if (second < count) clock.advance(1000)
  }
  return meter.report
}

function assertNear(actual: number | null | undefined, expected: number): void {
  assert.ok(
    typeof actual === 'number' && Math.abs(actual - expected) < 1e-6 * expected,
    `${actual}`,
  )
}

test('steady rates give the exact figures', () => {
  // 300 offsets a second are read, 100 arrive; each offset holds 50 bytes (gaps included).
  const { total, partitions } = afterSeconds(60, (second) => [
    readingOf({
      position: 300 * second,
      endOffset: 100_000 + 100 * second,
      bytesRead: 15_000 * second,
      lastTimestampMs: START_MS - 5000,
    }),
  ])
  const lagRecords = 100_000 - 200 * 60
  assert.equal(total?.lagRecords, lagRecords)
  assertNear(total?.lagBytes, lagRecords * 50)
  assertNear(total?.lagSeconds, 65)
  assertNear(total?.drainSeconds, lagRecords / 200)
  assert.deepEqual(partitions, [{ topic: 'app', partition: 0, ...total }])
})

test('a lag that does not shrink has no end, and one that is read has none to wait for', () => {
  const growing = afterSeconds(20, (second) => [
    readingOf({ position: 10 * second, endOffset: 100 + 20 * second, bytesRead: second }),
  ])
  assert.equal(growing.total?.drainSeconds, null)
  const done = afterSeconds(20, (second) => [
    readingOf({ position: 10 * second, endOffset: 10 * second, lastTimestampMs: 0 }),
  ])
  assert.deepEqual(done.total, { lagRecords: 0, lagBytes: 0, lagSeconds: 0, drainSeconds: 0 })
})

test('what is not known is told as such', () => {
  assert.equal(afterSeconds(1, () => [readingOf({ endOffset: -1 })]).total, null)
  // Nothing was read yet, so neither the size nor the age of a record is known.
  const { total } = afterSeconds(5, () => [readingOf({ endOffset: 70 })])
  const unknown = { lagBytes: null, lagSeconds: null, drainSeconds: null }
  assert.deepEqual(total, { lagRecords: 70, ...unknown })
})

test('the total is the sum, its age the worst, and the furthest behind comes first', () => {
  const { total, partitions } = afterSeconds(30, (second) => [
    readingOf({ position: second, endOffset: 40, bytesRead: second, lastTimestampMs: START_MS }),
    readingOf({
      partition: 1,
      position: 9 * second,
      endOffset: 400,
      bytesRead: 18 * second,
      lastTimestampMs: START_MS - 60_000,
    }),
    // A position runs ahead of an end that was asked for earlier.
    readingOf({ partition: 2, position: 9, endOffset: 8 }),
  ])
  assert.deepEqual(
    partitions.map((one) => [one.partition, one.lagRecords]),
    [
      [1, 130],
      [0, 10],
      [2, 0],
    ],
  )
  assert.equal(total?.lagRecords, 140)
  assertNear(total?.lagBytes, 10 + 130 * 2)
  assertNear(total?.lagSeconds, 90)
  assertNear(total?.drainSeconds, 14)
})

test('a partition that was given away and came back begins anew', () => {
  const { total } = afterSeconds(40, (second) => [
    second < 20
      ? readingOf({ position: 1000 * second, endOffset: 50_000, bytesRead: 1000 * second })
      : readingOf({ position: 10 * second, endOffset: 50_000, bytesRead: 30 * (second - 20) }),
  ])
  assertNear(total?.lagBytes, (50_000 - 400) * 3)
})

test('the spill is drained at the rate at which it shrinks', () => {
  const shrinking = afterSeconds(
    30,
    () => [],
    (second) => 1000 - 10 * second,
  )
  assertNear(shrinking.spillDrainSeconds, 70)
  assert.equal(
    afterSeconds(
      30,
      () => [],
      (second) => 10 * second,
    ).spillDrainSeconds,
    null,
  )
  assert.equal(afterSeconds(30, () => []).spillDrainSeconds, 0)
})

test('rates follow a change within its time constant, not at once', () => {
  const at = (seconds: number) =>
    afterSeconds(60 + seconds, (second) => [
      readingOf({
        position: second <= 60 ? 0 : 100 * (second - 60),
        endOffset: 1_000_000,
        bytesRead: 0,
      }),
    ]).total?.drainSeconds ?? Infinity
  const exact = (seconds: number) => (1_000_000 - 100 * seconds) / 100
  assert.ok(at(1) > 5 * exact(1))
  assertNear(at(10), exact(10) / (1 - Math.exp(-1)))
  assert.ok(at(60) < 1.01 * exact(60))
})
