/** Medians, spreads and ratios of `logpipe bench`, and how they are shown. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { loadsOf } from '../../src/bench/compare.ts'
import { compareHtml } from '../../src/bench/compare-html.ts'
import {
  compareReport,
  compareText,
  type CompareHead,
  type LoadResult,
  median,
  type ReaderName,
  READERS,
  spreadOf,
} from '../../src/bench/compare-report.ts'

const HEAD: CompareHead = {
  logpipe: '1.2.3',
  librdkafka: '2.15.1',
  node: '24.0.0',
  machine: { cpu: 'A <fast> CPU', cores: 2, memory_bytes: 8 * 2 ** 30, system: 'Linux 6' },
  broker: 'kafka',
  brokers: 'kafka:9092',
  profile: 'aggressive',
  time: '2026-01-01T00:00:00.000Z',
}

const [LOAD] = loadsOf('test')

/** @param rates of each reader, records a second a round. */
function result(rates: Readonly<Record<ReaderName, readonly number[]>>): LoadResult {
  const runsOf = (reader: ReaderName) =>
    rates[reader].map((recordsPerSecond) => ({
      records: 10_000_000,
      recordsPerSecond,
      // A GB of 100 B each: so many CPU seconds a GB.
      cpuSeconds: 1e6 / recordsPerSecond,
      peakRssBytes: recordsPerSecond,
    }))
  const runs = READERS.map((reader) => ({ reader, runs: runsOf(reader) }))
  return { load: LOAD!, records: 10_000_000, runs }
}

const RESULT = result({
  plain: [1e6, 3e6, 2e6],
  direct: [10e6, 8e6, 9e6],
  worker: [8e6, 8e6, 8e6],
  raw: [20e6, 20e6, 20e6],
})

test('each reader has the median of its rounds, and its ratio to the plain loop', () => {
  const [load] = compareReport(HEAD, [RESULT]).loads
  const direct = load?.readers.find(({ reader }) => reader === 'direct')
  assert.deepEqual(direct, {
    reader: 'direct',
    rounds: 3,
    records_per_second: 9e6,
    bytes_per_second: 9e8,
    cpu_seconds_per_gb: 0.111,
    spread: 0.222,
    rate_ratio: 4.5,
    cpu_ratio: 0.222,
    peak_rss_bytes: 10e6,
  })
})

test('the embedded broker gives figures and no ratio, and the text says so', () => {
  const report = compareReport({ ...HEAD, broker: 'embedded' }, [RESULT])
  for (const reader of report.loads[0]!.readers) {
    assert.equal(reader.rate_ratio, null)
    assert.equal(reader.cpu_ratio, null)
  }
  assert.match(compareText(report), /embedded in this process: .* not how fast it is/)
})

test('the median lies between the least and the most, and a single value has no spread', () => {
  assert.equal(median([]), 0)
  assert.equal(median([4, 1]), 2.5)
  assert.equal(spreadOf([0, 0]), 0)
  const values = fc.array(fc.double({ min: 0, max: 1e12, noNaN: true }), { minLength: 1 })
  fc.assert(
    fc.property(values, (list) => {
      const middle = median(list)
      assert.ok(middle >= Math.min(...list) && middle <= Math.max(...list))
      assert.ok(spreadOf(list) >= 0)
      assert.equal(spreadOf([list[0]!]), 0)
    }),
  )
})

test('the text has the machine and a table for each load', () => {
  const lines = compareText(compareReport(HEAD, [RESULT])).split('\n')
  assert.equal(lines[0], 'machine   A <fast> CPU, 2 cores, 8.0 GiB, Linux 6')
  assert.ok(lines.includes('100 B: 10,000,000 records, median of 3 rounds'))
  const direct = lines.find((line) => line.includes('logpipe, direct'))
  assert.match(direct ?? '', /9,000,000 +858\.3 MiB +4\.50 +0\.11 +0\.22 +22 % +9\.5 MiB$/)
})

test('the HTML file stands alone, and what it is told is text', () => {
  const html = compareHtml(compareReport(HEAD, [RESULT]))
  assert.doesNotMatch(html, /https?:|<script|<link|src=|url\(|@import/)
  assert.match(html, /A &lt;fast&gt; CPU/)
  assert.equal(html.match(/<svg /g)?.length, 2)
  assert.equal(html.match(/<rect /g)?.length, 2 * READERS.length)
})
