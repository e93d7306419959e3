/**
 * /api/metrics, /metrics, and what machines ask first: /health and /ready.
 */
import { createRoute, z, type OpenAPIHono } from '@hono/zod-openapi'
import { collectDefaultMetrics, Gauge, Registry } from 'prom-client'
import { booksSchema, historySchema, runtimeSchema } from '../core/control-api.ts'
import { balanceOf, LOST_ENTRIES, NO_BOOKS } from '../core/live-books.ts'
import { readMetricsSnapshot } from '../core/metrics-snapshot.ts'
import { federatedMetricsText, type Reported } from '../metrics/prometheus.ts'
import {
  digits,
  idParam,
  mustPipeline,
  newRouter,
  NUMBER_MAX,
  problems,
  rowId,
  type ControlContext,
} from './control-context.ts'
import { FLEET_ID, HISTORY_NAMES, HISTORY_SECONDS_MAX } from './history.ts'
import { pipelineStatus } from './pipeline-status.ts'

export function metricsRoutes(context: ControlContext): OpenAPIHono {
  const router = newRouter()
  addHealth(router, context)
  addRuntime(router, context)
  addHistory(router, context)
  addElasticsearch(router, context)
  addBooks(router, context)
  const scrape = prometheusText(context)
  router.get('/metrics', async (c) => {
    return c.body(await scrape(), 200, {
      'content-type': 'text/plain; version=0.0.4; charset=utf-8',
    })
  })
  return router
}

/** Open to everybody, so they say nothing but the word. */
function addHealth(router: OpenAPIHono, context: ControlContext): void {
  const answer = (word: string) => ({
    description: 'The state.',
    content: { 'application/json': { schema: z.object({ status: z.literal(word) }) } },
  })
  const base = { method: 'get' as const, tags: ['health'] }
  router.openapi(
    createRoute({
      ...base,
      path: '/health',
      summary: 'Answers 200 while the process works.',
      responses: { 200: answer('ok') },
    }),
    (c) => c.json({ status: 'ok' }, 200),
  )
  router.openapi(
    createRoute({
      ...base,
      path: '/ready',
      summary: 'Answers 200 while the database works.',
      responses: { 200: answer('ready'), 503: answer('not ready') },
    }),
    (c) => {
      try {
        context.pipelines.count()
        return c.json({ status: 'ready' }, 200)
      } catch (error) {
        context.report(error)
        return c.json({ status: 'not ready' }, 503)
      }
    },
  )
}

function addRuntime(router: OpenAPIHono, context: ControlContext): void {
  router.openapi(
    createRoute({
      method: 'get',
      path: '/api/metrics/runtime',
      tags: ['metrics'],
      summary: 'Returns the current metrics of the fleet and of each pipeline.',
      responses: {
        200: {
          description: 'Metrics.',
          content: {
            'application/json': {
              schema: runtimeSchema,
            },
          },
        },
        ...problems(),
      },
    }),
    async (c) => {
      const nowMs = context.clock.wallMs()
      const live = context.fleet
        .all()
        .flatMap(({ id, live: isLive, heartbeat }) =>
          isLive && heartbeat !== null && heartbeat.pipelineId !== null
            ? [{ id, pipelineId: heartbeat.pipelineId, metrics: heartbeat.metrics }]
            : [],
        )
      const rates = context.history.latest()
      const entryOf = (workers: typeof live, pipelineId: number) => ({
        workers: workers.map(({ id }) => id),
        metrics: sum(workers.map(({ metrics }) => metrics)),
        rates: named(rates.get(pipelineId) ?? []),
      })
      const pipelines = [...Map.groupBy(live, ({ pipelineId }) => pipelineId)]
        .map(([id, workers]) => ({ pipeline_id: id, ...entryOf(workers, id) }))
        .sort((left, right) => left.pipeline_id - right.pipeline_id)
      const file = context.runtimeMetricsPath
      const snapshot = file === undefined ? undefined : await readMetricsSnapshot(file, nowMs)
      const local =
        snapshot === undefined
          ? null
          : { at: new Date(snapshot.atMs).toISOString(), metrics: { ...snapshot.metrics } }
      const at = new Date(nowMs).toISOString()
      return c.json({ at, fleet: entryOf(live, FLEET_ID), pipelines, local }, 200)
    },
  )
}

function addHistory(router: OpenAPIHono, context: ControlContext): void {
  router.openapi(
    createRoute({
      method: 'get',
      path: '/api/metrics/runtime/history',
      tags: ['metrics'],
      summary: 'Returns metrics over time: up to seven days, in larger steps for longer spans.',
      request: {
        query: z.object({
          seconds: digits(1, HISTORY_SECONDS_MAX).default(300),
          pipeline_id: digits(FLEET_ID, NUMBER_MAX)
            .default(FLEET_ID)
            .openapi({ description: '0: the whole fleet.' }),
        }),
      },
      responses: {
        200: {
          description:
            'Points in order of time; a rate is the mean of its step, a gauge the maximum.',
          content: {
            'application/json': {
              schema: historySchema,
            },
          },
        },
        ...problems(404),
      },
    }),
    (c) => {
      const { seconds, pipeline_id: pipelineId } = c.req.valid('query')
      if (pipelineId !== FLEET_ID) mustPipeline(context, pipelineId)
      const { stepMs, points } = context.history.range(pipelineId, seconds)
      return c.json(
        {
          pipeline_id: pipelineId,
          seconds,
          step_seconds: stepMs / 1000,
          points: points.map(({ atMs, values }) => ({
            at: new Date(atMs).toISOString(),
            ...named(values),
            ...context.logRates.between(pipelineId, atMs, atMs + stepMs),
          })),
        },
        200,
      )
    },
  )
}

function addElasticsearch(router: OpenAPIHono, context: ControlContext): void {
  router.openapi(
    createRoute({
      method: 'get',
      path: '/api/metrics/es',
      tags: ['metrics'],
      summary: 'Returns the state that Elasticsearch reports, and what the sink observes.',
      request: { query: z.object({ pipeline_id: rowId }) },
      responses: {
        200: {
          description: 'State.',
          content: { 'application/json': { schema: z.record(z.string(), z.unknown()) } },
        },
        ...problems(404),
      },
    }),
    async (c) => {
      const pipeline = mustPipeline(context, c.req.valid('query').pipeline_id)
      const ownDefault = (env: string) =>
        context.fields.rows.find((row) => row.env === env)?.default ?? ''
      const state = await context.elasticsearch.state(pipeline, {
        url: ownDefault('ES_URL'),
        index: ownDefault('ES_INDEX'),
      })
      const reported = sum(
        context.fleet.running(pipeline.id).map(({ heartbeat }) => heartbeat?.metrics ?? {}),
      )
      const sink = {
        es_spill_queue_bytes: reported['es_spill_queue_bytes'] ?? 0,
        es_mem_queue_len: reported['es_mem_queue_len'] ?? 0,
        es_429_proxy_rejected_total: reported['es_429_proxy_rejected_total'] ?? 0,
      }
      const at = new Date(context.clock.wallMs()).toISOString()
      return c.json({ pipeline_id: pipeline.id, at, ...sink, elasticsearch: state }, 200)
    },
  )
}

function addBooks(router: OpenAPIHono, context: ControlContext): void {
  router.openapi(
    createRoute({
      method: 'get',
      path: '/api/pipelines/{id}/books',
      tags: ['metrics'],
      summary: 'Where the records of a pipeline went, over all workers, revisions and restarts.',
      description:
        'sources = ends at any moment; pending are under way. What a process left unsettled at ' +
        'its end is handed_on, and counted anew by the next.',
      request: { params: idParam },
      responses: {
        200: {
          description: 'The books; nought before a worker has reported any.',
          content: { 'application/json': { schema: booksSchema } },
        },
        ...problems(404),
      },
    }),
    (c) => {
      const { id } = mustPipeline(context, c.req.valid('param').id)
      const { entries, homes } = context.books.of(id) ?? { entries: NO_BOOKS, homes: 0 }
      const lost = LOST_ENTRIES.reduce((sum, entry) => sum + entries[entry], 0)
      const view = { pipeline_id: id, entries: { ...entries }, ...balanceOf(entries), lost }
      return c.json({ ...view, processes: homes }, 200)
    },
  )
}

/** Of times, the longest: how far several workers are behind is how far the last of them is. */
function sum(each: readonly Readonly<Record<string, number>>[]): Record<string, number> {
  // Names come from workers: no name may reach Object.prototype.
  const total = new Map<string, number>()
  for (const [name, value] of each.flatMap((metrics) => Object.entries(metrics))) {
    const before = total.get(name) ?? 0
    total.set(name, name.endsWith('_seconds') ? Math.max(before, value) : before + value)
  }
  return Object.fromEntries(total)
}

function named(values: readonly number[]): Record<string, number> {
  return Object.fromEntries(HISTORY_NAMES.map((name, index) => [name, values[index] ?? 0]))
}

/*
 * GET /metrics: the control plane's own numbers, and what its workers report, for Prometheus.
 *
 * Our own come from prom-client, the workers' are passed on as they came. Bounds: WORKERS_MAX
 * workers with at most SNAPSHOT_METRICS_MAX metrics each, and the series of log-metric.ts.
 */

/** @returns what makes the text of a scrape. */
export function prometheusText(context: ControlContext): () => Promise<string> {
  const registry = new Registry()
  collectDefaultMetrics({ register: registry, prefix: 'logpipe_control_' })
  const workers = new Gauge({
    name: 'logpipe_workers',
    help: 'Known workers, live or lost.',
    labelNames: ['state'],
    registers: [registry],
  })
  const pipelines = new Gauge({
    name: 'logpipe_pipelines',
    help: 'Pipelines by state.',
    labelNames: ['state'],
    registers: [registry],
  })
  return async () => {
    const all = context.fleet.all()
    workers.set({ state: 'live' }, all.filter((worker) => worker.live).length)
    workers.set({ state: 'lost' }, all.filter((worker) => !worker.live).length)
    pipelines.reset()
    for (const wish of context.pipelines.wishes()) {
      // The revision matters for the reason only, which is not shown here.
      const { state } = pipelineStatus({ ...wish, revision: 0 }, context.fleet, context.commands)
      pipelines.inc({ state })
    }
    return (await registry.metrics()) + workerText(context)
  }
}

function workerText({ fleet, pipelines, books }: ControlContext): string {
  const reports: Reported[] = []
  for (const { id } of pipelines.wishes()) {
    const sum = books.of(id)
    if (sum !== null) reports.push({ labels: { pipeline: id }, metrics: {}, books: sum.entries })
  }
  for (const { id, live, heartbeat } of fleet.all()) {
    if (!live || heartbeat === null) continue
    // Between two children it runs nothing, and tells of the crash of what it shall run.
    const pipeline = heartbeat.pipelineId ?? fleet.assignment(id)
    if (pipeline === null) continue
    // A worker may not speak for the control plane.
    const own = Object.entries(heartbeat.metrics).filter(([name]) => !name.startsWith('logpipe_'))
    reports.push({
      labels: { worker: id, pipeline },
      metrics: Object.fromEntries(own),
      troubles: heartbeat.troubles,
      logMetrics: heartbeat.logMetrics,
    })
  }
  return federatedMetricsText(reports)
}
