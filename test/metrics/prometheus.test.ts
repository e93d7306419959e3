/** The text that Prometheus scrapes. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { prometheusText, federatedMetricsText } from '../../src/metrics/prometheus.ts'
import { TROUBLE_KINDS } from '../../src/core/trouble.ts'
import { RUNTIME_METRICS, type RuntimeMetrics } from '../../src/metrics/runtime-metrics.ts'

const METRICS = Object.fromEntries(
  Object.keys(RUNTIME_METRICS).map((name, index) => [name, index]),
) as unknown as RuntimeMetrics

test('every metric has its help, its type and its value', async () => {
  const lines = (await prometheusText(METRICS, { worker: 'w-1' })).trim().split('\n')
  for (const [index, [name, help]] of Object.entries(RUNTIME_METRICS).entries()) {
    const type = name.endsWith('_total') ? 'counter' : 'gauge'
    assert.ok(lines.includes(`# HELP ${name} ${help}`))
    assert.ok(lines.includes(`# TYPE ${name} ${type}`))
    assert.ok(lines.includes(`${name}{worker="w-1"} ${index}`), name)
  }
})

test('the names that dashboards have are there', async () => {
  const text = await prometheusText(METRICS, {})
  for (const name of ['es_spill_queue_bytes', 'es_mem_queue_len', 'es_429_proxy_rejected_total']) {
    assert.match(text, new RegExp(`^${name} \\d+$`, 'm'))
  }
})

test('a rule has a series for each thing that becomes of records', async () => {
  const ruleCounts = [{ rule: 'errors', documents: 5, dropped: 2, sampled: 0 }]
  const text = await prometheusText(METRICS, { worker: 'w-1' }, { ruleCounts })
  for (const [outcome, count] of Object.entries({ documents: 5, dropped: 2, sampled: 0 })) {
    const labels = `worker="w-1",rule="errors",outcome="${outcome}"`
    assert.match(text, new RegExp(`^pipeline_rule_records_total\\{${labels}\\} ${count}$`, 'm'))
  }
})

test('each partition has a series of its own', async () => {
  const lags = [
    { topic: 'app', partition: 0, lagRecords: 7, lagBytes: 70, lagSeconds: 1.5, drainSeconds: 3 },
    { topic: 'app', partition: 1, lagRecords: 0, lagBytes: 0, lagSeconds: null, drainSeconds: 0 },
  ]
  const text = await prometheusText(METRICS, { worker: 'w-1' }, { lags })
  assert.match(text, /^kafka_partition_lag\{worker="w-1",topic="app",partition="0"\} 7$/m)
  assert.match(text, /^kafka_partition_lag\{worker="w-1",topic="app",partition="1"\} 0$/m)
  const values = [...text.matchAll(/^(kafka_partition_\w+)\{.*partition="(\d)"\} (.+)$/gm)]
  assert.deepEqual(
    values.map(([, name, partition, value]) => `${name} ${partition} ${value}`),
    [
      'kafka_partition_lag 0 7',
      'kafka_partition_lag 1 0',
      'kafka_partition_lag_bytes 0 70',
      'kafka_partition_lag_bytes 1 0',
      'kafka_partition_lag_seconds 0 1.5',
      'kafka_partition_lag_drain_seconds 0 3',
      'kafka_partition_lag_drain_seconds 1 0',
    ],
  )
})

test('what is not known is left out, and two scrapes do not add up', async () => {
  const metrics = { ...METRICS, kafka_lag: null, polled_total: 5 }
  await prometheusText(metrics, {})
  const text = await prometheusText(metrics, {})
  assert.doesNotMatch(text, /kafka_lag /)
  assert.match(text, /^polled_total 5$/m)
})

test('the series of one metric stand together, under its type', () => {
  const text = federatedMetricsText([
    { labels: { worker: 'a', pipeline: 1 }, metrics: { polled_total: 5, kafka_lag: 2 } },
    { labels: { worker: 'b', pipeline: 2 }, metrics: { polled_total: 7 } },
  ])
  assert.equal(
    text,
    '# TYPE polled_total counter\n' +
      'polled_total{worker="a",pipeline="1"} 5\n' +
      'polled_total{worker="b",pipeline="2"} 7\n' +
      '# TYPE kafka_lag gauge\n' +
      'kafka_lag{worker="a",pipeline="1"} 2\n',
  )
})

test('trouble is a gauge by kind, and 0 where all is well', async () => {
  const place = 'app-logs'
  const trouble = { kind: 'index_waits', place, text: 'read-only', since: '2026-12-01T00:00:00Z' }
  const own = await prometheusText(METRICS, {}, { troubles: [trouble, { ...trouble, place: 'b' }] })
  assert.match(own, /^pipeline_trouble\{kind="index_waits"\} 2$/m)
  assert.match(own, /^pipeline_trouble\{kind="elasticsearch_down"\} 0$/m)
  assert.match(await prometheusText(METRICS, {}), /^pipeline_trouble\{kind="index_waits"\} 0$/m)
  const labels = { worker: 'a', pipeline: 1 }
  const troubles = [{ ...trouble, kind: 'of_a_newer_version' }]
  const federated = federatedMetricsText([{ labels, metrics: {}, troubles }])
  assert.match(federated, /^# TYPE pipeline_trouble gauge\n/)
  const kinds = [
    ...federated.matchAll(/^pipeline_trouble\{worker="a",pipeline="1",kind="(.+)"\} 0$/gm),
  ]
  assert.deepEqual(
    kinds.map(([, kind]) => kind),
    Object.keys(TROUBLE_KINDS),
  )
})

test('without reports there is no text', () => {
  assert.equal(federatedMetricsText([]), '')
})
