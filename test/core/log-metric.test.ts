/** Metrics from logs as Prometheus reads them, and as they are passed on. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  type LogMetric,
  logMetricsText,
  totalsByName,
  withinReport,
} from '../../src/core/log-metric.ts'

const NONE = { missing: 0, late: 0, undated: 0 }
const ERRORS: LogMetric = {
  ...NONE,
  name: 'errors',
  type: 'counter',
  labelNames: ['service'],
  bounds: [],
  series: [
    { labels: ['a "b"\\\n'], count: 2, sum: 0, buckets: null },
    { labels: [''], count: 1, sum: 0, buckets: null },
  ],
}
const TOOK: LogMetric = {
  missing: 1,
  late: 2,
  undated: 3,
  name: 'took',
  type: 'histogram',
  labelNames: [],
  bounds: [10, 100],
  series: [{ labels: [], count: 6, sum: 1.5, buckets: [1, 2, 3] }],
}

test('series are lines of Prometheus, with cumulative buckets and escaped labels', () => {
  assert.equal(
    logMetricsText([{ labels: { worker: 'w' }, metrics: [ERRORS, TOOK] }]),
    String.raw`# HELP log_errors_total Records that meet an expression.
# TYPE log_errors_total counter
log_errors_total{worker="w",service="a \"b\"\\\n"} 2
log_errors_total{worker="w",service=""} 1
# HELP log_late_total Records too late for the documents of their window.
# TYPE log_late_total counter
log_late_total{worker="w",metric="errors"} 0
log_late_total{worker="w",metric="took"} 2
# HELP log_undated_total Records without a usable time, in no document.
# TYPE log_undated_total counter
log_undated_total{worker="w",metric="errors"} 0
log_undated_total{worker="w",metric="took"} 3
# HELP log_missing_total Records without the number of the metric.
# TYPE log_missing_total counter
log_missing_total{worker="w",metric="errors"} 0
log_missing_total{worker="w",metric="took"} 1
# HELP log_took Numbers of records.
# TYPE log_took histogram
log_took_bucket{worker="w",le="10"} 1
log_took_bucket{worker="w",le="100"} 3
log_took_bucket{worker="w",le="+Inf"} 6
log_took_sum{worker="w"} 1.5
log_took_count{worker="w"} 6
`,
  )
})

test('the lines of a name stand together, whoever reports them', () => {
  const text = logMetricsText([
    { labels: { worker: 'v' }, metrics: [ERRORS] },
    { labels: { worker: 'w' }, metrics: [ERRORS, { ...TOOK, name: 'errors', type: 'counter' }] },
  ])
  const lines = text.split('\n').filter((line) => line.includes('log_errors_total'))
  assert.equal(lines.filter((line) => line.startsWith('#')).length, 2)
  assert.ok(lines.slice(2).every((line) => line.startsWith('log_errors_total{worker="')))
})

test('totals are over all label sets; what is never is left out', () => {
  assert.deepEqual(totalsByName([ERRORS]), { log_errors_total: 3 })
  assert.deepEqual(totalsByName([TOOK]), {
    log_late_total: 2,
    log_undated_total: 3,
    log_missing_total: 1,
    log_took_count: 6,
    log_took_sum: 1.5,
  })
})

test('what is passed on is bounded by its bytes', () => {
  const series = Array.from({ length: 5000 }, (_, index) => {
    return { labels: [`${'l'.repeat(50)}${index}`], count: 1, sum: 0, buckets: null }
  })
  const [cut, behind] = withinReport([{ ...ERRORS, series }, TOOK])
  assert.ok(Buffer.byteLength(JSON.stringify(cut)) < 70_000)
  assert.ok((cut?.series.length ?? 0) > 500)
  assert.deepEqual(behind?.series, [])
  assert.deepEqual(withinReport([ERRORS, TOOK]), [ERRORS, TOOK])
})
