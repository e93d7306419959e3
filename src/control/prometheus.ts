/**
 * GET /metrics: the control plane's own numbers, and what its workers report, for Prometheus.
 *
 * Our own come from prom-client, the workers' are passed on as they came. Bounds: WORKERS_MAX
 * workers with at most SNAPSHOT_METRICS_MAX metrics each.
 */
import { collectDefaultMetrics, Gauge, Registry } from 'prom-client'
import { federatedMetricsText, type Reported } from '../metrics/prometheus.ts'
import type { ControlContext } from './control-context.ts'
import { pipelineStatus } from './pipeline-status.ts'

/** @returns what makes the text of a scrape. */
export function prometheusText(context: ControlContext): () => Promise<string> {
  const registry = new Registry()
  collectDefaultMetrics({ register: registry, prefix: 'logpipe_control_' })
  const workers = new Gauge({
    name: 'logpipe_workers',
    help: 'Workers that have called, by whether they are live or lost.',
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

function workerText({ fleet }: ControlContext): string {
  const reports: Reported[] = []
  for (const { id, live, heartbeat } of fleet.all()) {
    if (!live || heartbeat === null || heartbeat.pipelineId === null) continue
    // A worker may not speak for the control plane.
    const own = Object.entries(heartbeat.metrics).filter(([name]) => !name.startsWith('logpipe_'))
    reports.push({
      labels: { worker: id, pipeline: heartbeat.pipelineId },
      metrics: Object.fromEntries(own),
    })
  }
  return federatedMetricsText(reports)
}
