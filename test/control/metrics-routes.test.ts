/** Metrics over the API: runtime, history, Elasticsearch, Prometheus, OpenAPI. */
import assert from 'node:assert/strict'
import { utimesSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { test } from 'node:test'
import type { Fetch } from '../../src/control/es-collector.ts'
import { controlFixture, SEED_PIPELINE, temporaryFolder } from './control-fixture.ts'

const metrics = {
  polled_total: 100,
  es_spill_queue_bytes: 5,
  es_mem_queue_len: 3,
  es_429_proxy_rejected_total: 2,
}

test('the fleet and each pipeline are told, with rates, and what runs locally', async (t) => {
  const snapshot = path.join(temporaryFolder(t), 'metrics.json')
  const { call, beat, clock } = controlFixture(t, { runtimeMetricsPath: snapshot })
  writeFileSync(snapshot, JSON.stringify({ polled_total: 7, name: 'x', Bad: 1 }))
  utimesSync(snapshot, clock.wallMs() / 1000, clock.wallMs() / 1000)
  await call('POST', '/api/pipelines', SEED_PIPELINE)
  const running = { state: 'running', pipeline_id: 1, revision: 1 }
  await beat('w1', { ...running, metrics })
  clock.advance(1000)
  await beat('w1', { ...running, metrics: { ...metrics, polled_total: 350 } })
  const { body } = await call('GET', '/api/metrics/runtime')
  assert.equal(body.fleet.metrics.polled_total, 350)
  assert.equal(body.fleet.rates.polled_per_second, 250)
  assert.deepEqual(body.pipelines[0].workers, ['w1'])
  assert.equal(body.pipelines[0].metrics.es_mem_queue_len, 3)
  assert.deepEqual(body.local.metrics, { polled_total: 7 })
  clock.advance(20_000)
  const later = (await call('GET', '/api/metrics/runtime')).body
  assert.equal(later.local, null, 'an old snapshot is nobody')
  assert.deepEqual(later.pipelines, [])
})

test('several workers are as far behind as the last of them', async (t) => {
  const { call, beat } = controlFixture(t)
  await call('POST', '/api/pipelines', { ...SEED_PIPELINE, replicas: 2 })
  for (const [id, seconds] of [
    ['w1', 40],
    ['w2', 7],
  ] as const) {
    const lag = { kafka_lag: 10, kafka_lag_seconds: seconds }
    await beat(id, { state: 'running', pipeline_id: 1, revision: 1, metrics: lag })
  }
  const { body } = await call('GET', '/api/metrics/runtime')
  assert.deepEqual(body.fleet.metrics, { kafka_lag: 20, kafka_lag_seconds: 40 })
})

test('history answers with named points, and refuses what it does not keep', async (t) => {
  const { call, beat, context, clock } = controlFixture(t)
  await call('POST', '/api/pipelines', SEED_PIPELINE)
  await beat('w1', { state: 'running', pipeline_id: 1, metrics })
  context.history.tick()
  clock.advance(1000)
  const { body } = await call('GET', '/api/metrics/runtime/history?seconds=300')
  assert.equal(body.seconds, 300)
  assert.equal(body.points.length, 1)
  assert.equal(body.points[0].es_spill_queue_bytes, 5)
  assert.equal(Date.parse(body.points[0].at), clock.wallMs() - 1000)
  const wrong = await call('GET', '/api/metrics/runtime/history?seconds=604801')
  assert.equal(wrong.status, 422)
  const none = await call('GET', '/api/metrics/runtime/history?pipeline_id=4')
  assert.equal(none.status, 404)
})

test('Elasticsearch is asked at its own addresses only, and no redirect is followed', async (t) => {
  const asked: { url: string; init: RequestInit }[] = []
  const answers: Record<string, unknown> = {
    '/_cluster/health': { cluster_name: 'c', status: 'green', number_of_nodes: 3 },
    '/_nodes/stats/thread_pool': {
      nodes: {
        a: { thread_pool: { write: { active: 1, queue: 2, rejected: 3 } } },
        b: { thread_pool: { write: { active: 1, queue: 0, rejected: 4 } } },
      },
    },
  }
  const fetcher: Fetch = async (url, init) => {
    asked.push({ url, init })
    const { pathname } = new URL(url)
    if (pathname.includes('_stats/docs')) {
      return new Response('', { status: 302, headers: { location: 'http://169.254.169.254/' } })
    }
    return Response.json(answers[pathname])
  }
  const { call, beat, clock } = controlFixture(t, { fetch: fetcher })
  const secret = { es_index: 'app-{topic}-{+yyyy.MM.dd}', es_api_key: 'hunter2' }
  await call('POST', '/api/pipelines', { ...SEED_PIPELINE, ...secret })
  await beat('w1', { state: 'running', pipeline_id: 1, metrics })
  const { body } = await call('GET', '/api/metrics/es?pipeline_id=1')
  assert.equal(body.es_spill_queue_bytes, 5)
  assert.equal(body.es_mem_queue_len, 3)
  assert.equal(body.es_429_proxy_rejected_total, 2)
  assert.deepEqual(body.elasticsearch.cluster, { name: 'c', status: 'green', nodes: 3 })
  assert.deepEqual(body.elasticsearch.write_pool, { active: 2, queue: 2, rejected: 7 })
  assert.equal(body.elasticsearch.index, null)
  const [error] = body.elasticsearch.errors
  assert.match(error, /_stats.*: no Elasticsearch there that accepts these credentials/)
  assert.doesNotMatch(error, /302|169/)
  assert.doesNotMatch(JSON.stringify(body), /hunter2/)
  assert.equal(asked.length, 3)
  for (const { url, init } of asked) {
    assert.ok(url.startsWith('http://localhost:9200/'), url)
    assert.equal(init.redirect, 'manual')
    assert.deepEqual(init.headers, { authorization: 'ApiKey hunter2' })
  }
  assert.ok(asked.some(({ url }) => url.includes(encodeURIComponent('app-*-*'))))
  await call('GET', '/api/metrics/es?pipeline_id=1')
  assert.equal(asked.length, 3, 'kept for a moment')
  clock.advance(5000)
  await call('GET', '/api/metrics/es?pipeline_id=1')
  assert.equal(asked.length, 6)
  assert.equal((await call('GET', '/api/metrics/es?pipeline_id=9')).status, 404)
  assert.equal((await call('GET', '/api/metrics/es')).status, 422)
})

test('of an answer that is not from Elasticsearch nothing is told', async (t) => {
  for (const answer of [
    () => new Response('{"aws_secret_access_key": hunter2', { status: 200 }),
    () => new Response('hunter2', { status: 401 }),
    () => new Response('hunter2'.repeat(200_000)),
  ]) {
    const { call } = controlFixture(t, { fetch: async () => answer() })
    await call('POST', '/api/pipelines', SEED_PIPELINE)
    const { body } = await call('GET', '/api/metrics/es?pipeline_id=1')
    assert.equal(body.elasticsearch.reachable, false)
    const [error = ''] = body.elasticsearch.errors
    assert.match(error, /no Elasticsearch there that accepts these credentials/)
    assert.doesNotMatch(error, /hunter2|aws|401|position|JSON/)
  }
})

test('of a name without end a part is kept', async (t) => {
  const answer = { status: 'green', cluster_name: 'x'.repeat(500_000), number_of_nodes: 1 }
  const { call } = controlFixture(t, { fetch: async () => Response.json(answer) })
  await call('POST', '/api/pipelines', SEED_PIPELINE)
  const { body } = await call('GET', '/api/metrics/es?pipeline_id=1')
  assert.equal(body.elasticsearch.cluster.name.length, 200)
})

test('an Elasticsearch that does not answer is told as such', async (t) => {
  const { call } = controlFixture(t)
  await call('POST', '/api/pipelines', SEED_PIPELINE)
  const { status, body } = await call('GET', '/api/metrics/es?pipeline_id=1')
  assert.equal(status, 200)
  assert.equal(body.elasticsearch.reachable, false)
  assert.equal(body.elasticsearch.errors.length, 3)
})

test('Prometheus gets what live workers report, under its own names', async (t) => {
  const { call, beat, clock } = controlFixture(t)
  await call('POST', '/api/pipelines', SEED_PIPELINE)
  await beat('w1', { state: 'running', pipeline_id: 1, revision: 1, metrics })
  const text = String((await call('GET', '/metrics')).body)
  assert.match(text, /# TYPE es_429_proxy_rejected_total counter/)
  assert.match(text, /es_spill_queue_bytes\{worker="w1",pipeline="1"\} 5/)
  assert.match(text, /logpipe_workers\{state="live"\} 1/)
  assert.match(text, /logpipe_pipelines\{state="running"\} 1/)
  clock.advance(60_000)
  assert.doesNotMatch(String((await call('GET', '/metrics')).body), /w1/)
})

test('OpenAPI tells every route, and every field with its bounds', async (t) => {
  const { call, app } = controlFixture(t)
  const { body } = await call('GET', '/openapi.json')
  assert.equal(body.openapi, '3.1.0')
  for (const { method, path: route } of app.routes) {
    if (method === 'ALL' || ['/metrics', '/openapi.json'].includes(route)) continue
    const documented = body.paths[route.replaceAll(/:(\w+)/g, '{$1}')]
    assert.ok(documented?.[method.toLowerCase()] !== undefined, `${method} ${route}`)
  }
  const { properties } = body.components.schemas.PipelineBody
  assert.equal(properties.pool_size.maximum, 4096)
  assert.equal(properties.es_password.writeOnly, true)
  assert.deepEqual(properties.commit_on.enum, ['index', 'spill'])
  assert.equal(body.components.schemas.Pipeline.properties.es_password, undefined)
  assert.equal(properties.bridge_lib, undefined)
  const options = (await call('GET', '/api/options')).body.items
  assert.equal(options.find(({ field }: { field: string }) => field === 'pool_size').max, 4096)
})

test('what a pipeline counts is on /metrics by label, and over time', async (t) => {
  const { call, beat, context, clock } = controlFixture(t)
  await call('POST', '/api/pipelines', SEED_PIPELINE)
  const counted = (count: number) => ({
    state: 'running',
    pipeline_id: 1,
    revision: 1,
    metrics: { log_errors_total: count, uptime_seconds: count / 10 },
    log_metrics: [
      {
        name: 'errors',
        type: 'counter',
        labelNames: ['service'],
        bounds: [],
        missing: 0,
        late: 0,
        undated: 0,
        series: [{ labels: ['a "b"'], count, sum: 0, buckets: null }],
      },
      { name: 'No metric', type: 'counter', series: [] },
    ],
  })
  for (const count of [10, 20, 30]) {
    await beat('w1', counted(count))
    context.history.tick()
    context.logRates.tick()
    clock.advance(1000)
  }
  const text = String((await call('GET', '/metrics')).body)
  const lines = text.split('\n').filter((line) => line.startsWith('log_errors_total'))
  assert.deepEqual(lines, [
    String.raw`log_errors_total{worker="w1",pipeline="1",service="a \"b\""} 30`,
  ])
  const path = '/api/metrics/runtime/history?seconds=300&pipeline_id=1'
  const { points } = (await call('GET', path)).body
  assert.ok(points.at(-1).log_errors_per_second > 0, JSON.stringify(points))
})
