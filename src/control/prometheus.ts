/**
 * GET /metrics: the control plane's own numbers, and what its workers report, for Prometheus.
 *
 * Our own come from prom-client. The workers' are passed on as they came, one line each: a worker
 * that is gone leaves no series behind, and a large fleet has thousands of them. Bounds:
 * WORKERS_MAX workers with at most SNAPSHOT_METRICS_MAX metrics each.
 * The format: https://prometheus.io/docs/instrumenting/exposition_formats/
 */
import { collectDefaultMetrics, Gauge, Registry } from 'prom-client'
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

/** Every line of one metric must stand together, under its type. */
function workerText({ fleet }: ControlContext): string {
  const families = new Map<string, string[]>()
  for (const { id, live, heartbeat } of fleet.all()) {
    if (!live || heartbeat === null || heartbeat.pipelineId === null) continue
    // Neither an id nor a name holds what would need escaping: both are checked as they come in.
    const labels = `{worker="${id}",pipeline="${heartbeat.pipelineId}"}`
    for (const [name, value] of Object.entries(heartbeat.metrics)) {
      // A worker may not speak for the control plane.
      if (name.startsWith('logpipe_')) continue
      const lines = families.get(name) ?? []
      lines.push(`${name}${labels} ${value}`)
      families.set(name, lines)
    }
  }
  return [...families]
    .map(([name, lines]) => {
      const type = name.endsWith('_total') ? 'counter' : 'gauge'
      return `# TYPE ${name} ${type}\n${lines.join('\n')}\n`
    })
    .join('')
}
