/** The log of runs without a match. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { RunReports, RUN_FILTERED, type RunReport } from '../../src/pool/run-reports.ts'

const report = (id: number): RunReport => ({
  assignmentId: id,
  coverFrom: id * 10,
  coverTo: id * 10 + 10,
  recordCount: 9,
  valueBytes: 900,
  lowWatermark: -1,
  reason: RUN_FILTERED,
  outsideTime: id,
  lastTimestampMs: 1_700_000_000_000 + id,
})

test('entries come out as they went in, lap after lap, also where the counters wrap', () => {
  const memory = RunReports.allocate(4)
  new Int32Array(memory, 0, 2).fill(-3) // Three entries before the counters pass zero.
  const log = new RunReports(memory)
  for (let lap = 0; lap < 5; lap++) {
    const seen: RunReport[] = []
    for (let id = 0; id < 4; id++) assert(log.tryWrite(report(id)))
    assert.equal(log.tryWrite(report(4)), false)
    assert.equal(
      log.drain((entry) => seen.push(entry)),
      4,
    )
    assert.deepEqual(seen, [0, 1, 2, 3].map(report))
  }
})

test('waiting for room returns at once where there is some', () => {
  const log = new RunReports(RunReports.allocate(1))
  log.waitForRoom(60_000)
  assert(log.tryWrite(report(1)))
  log.waitForRoom(1)
  assert.equal(log.tryWrite(report(2)), false)
})
