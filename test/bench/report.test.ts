/** What the benchmarks print. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  type BenchMeasurement,
  makeReport,
  reportJson,
  reportText,
} from '../../src/bench/report.ts'

const MEASURED: BenchMeasurement = {
  benchmark: 'consume',
  topic: 'logs',
  profile: 'aggressive',
  records: 1_000_000,
  bytes: 1_024_000_000,
  matched: 1000,
  seconds: 2.5,
  cpu_seconds: 4.0004,
  peak_rss_bytes: 512 * 1024 * 1024,
}

test('the JSON has the contract names, rates per second and one line', () => {
  const text = reportJson(makeReport(MEASURED))
  assert.ok(!text.includes('\n'))
  assert.deepEqual(JSON.parse(text), {
    benchmark: 'consume',
    topic: 'logs',
    profile: 'aggressive',
    records: 1_000_000,
    bytes: 1_024_000_000,
    matched: 1000,
    seconds: 2.5,
    records_per_second: 400_000,
    bytes_per_second: 409_600_000,
    cpu_seconds: 4,
    peak_rss_bytes: 536_870_912,
  })
})

test('the text says the same for people', () => {
  assert.equal(
    reportText(makeReport(MEASURED)),
    [
      'bench consume: topic logs, profile aggressive',
      '  records      1,000,000  400,000 a second',
      '  bytes        976.6 MiB  390.6 MiB a second',
      '  matched          1,000',
      '  time            2.50 s  from the first record to the last',
      '  cpu             4.00 s  1.60 cores, 4.00 us a record',
      '  peak memory  512.0 MiB',
    ].join('\n'),
  )
})

test('a run of one record has no time, and rates of zero rather than none', () => {
  const report = makeReport({ ...MEASURED, records: 1, seconds: 0, cpu_seconds: 0 })
  assert.equal(report.records_per_second, 0)
  assert.ok(!/NaN|Infinity/.test(reportText(report) + reportJson(report)))
})

test('nothing read at all still renders', () => {
  const report = makeReport({ ...MEASURED, records: 0, bytes: 0, matched: 0, seconds: 0 })
  assert.ok(!/NaN|Infinity/.test(reportText(report)))
})
