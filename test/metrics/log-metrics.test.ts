/** Series of metrics as main keeps them, and their bounds. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { parseMetric } from '../../src/core/expression/metric.ts'
import { LogMetrics } from '../../src/metrics/log-metrics.ts'
import type { SeriesDelta } from '../../src/pool/record-counter.ts'

function metricsOf(texts: readonly string[], seriesMax = 1000) {
  const warnings: string[] = []
  const metrics = new LogMetrics({
    metrics: texts.map((text) => parseMetric(text).spec),
    seriesMax,
    warn: (message) => warnings.push(message),
  })
  return { metrics, warnings }
}

function deltaOf(labels: readonly string[], count: number, more: Partial<SeriesDelta> = {}) {
  const place = { metric: 0, windowMs: -1, firstOffset: 0, lastMs: -1 }
  return { ...place, labels, count, missing: 0, sum: count * 2, buckets: null, ...more }
}

test('what a metric counts is in its series, or in "other", whatever comes', () => {
  const label = fc.integer({ min: 0, max: 20 }).map((index) => `l${index}`)
  const drawn = fc.array(fc.tuple(label, fc.integer({ min: 1, max: 5 })))
  fc.assert(
    fc.property(drawn, fc.integer({ min: 1, max: 10 }), (deltas, seriesMax) => {
      const { metrics, warnings } = metricsOf(['n=sum(x) by l'], seriesMax)
      const expected = new Map<string, number>()
      const others = new Map<string, number>()
      for (const [name, count] of deltas) {
        metrics.add([deltaOf([name], count)])
        const own = expected.has(name) || expected.size < seriesMax
        const key = own ? name : 'other'
        // "other" has a place of its own beside the bound.
        if (own) expected.set(name, (expected.get(name) ?? 0) + count)
        else others.set(key, (others.get(key) ?? 0) + count)
      }
      const [metric] = metrics.list()
      const found = metric?.series.map(({ labels, count, sum }) => [labels[0], count, sum])
      const rows = [...expected, ...others].map(([name, count]) => [name, count, count * 2])
      assert.deepEqual(found, rows)
      assert.equal(warnings.length, others.size)
    }),
  )
})

test('the bound is said once for each metric', () => {
  const { metrics, warnings } = metricsOf(['a=x by l', 'b=x by l'], 1)
  for (const metric of [0, 1]) {
    for (const name of ['p', 'q', 'r']) metrics.add([deltaOf([name], 1, { metric })])
  }
  assert.deepEqual(warnings, [
    'the metric a has 1 label sets (METRICS_SERIES_MAX): all further ones count as "other"',
    'the metric b has 1 label sets (METRICS_SERIES_MAX): all further ones count as "other"',
  ])
})

test('a metric without labels begins with its 0, and a reading does not change later', () => {
  const { metrics } = metricsOf(['h=histogram(x; 1)'])
  const before = metrics.list()
  metrics.add([deltaOf([], 3, { buckets: [1, 2], missing: 4 })])
  metrics.addLate(0, 5)
  metrics.addUndated(0, 6)
  assert.deepEqual(before[0]?.series, [{ labels: [], count: 0, sum: 0, buckets: [0, 0] }])
  const [now] = metrics.list()
  assert.deepEqual(now?.series, [{ labels: [], count: 3, sum: 6, buckets: [1, 2] }])
  assert.deepEqual([now?.missing, now?.late, now?.undated], [4, 5, 6])
})
