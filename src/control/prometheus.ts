/**
 * GET /metrics: what the workers report, and how many there are, for Prometheus.
 *
 * A registry is made for each scrape from the fleet as it is: a worker that is gone leaves no
 * series behind. Bounds: WORKERS_MAX workers with at most SNAPSHOT_METRICS_MAX metrics each.
 */
import { Counter, Gauge, Registry } from 'prom-client'
import type { ControlContext } from './control-context.ts'
import { pipelineStatus } from './pipeline-status.ts'

export async function prometheusText(context: ControlContext): Promise<string> {
  const registry = new Registry()
  const workers = context.fleet.all()
  const live = new Gauge({
    name: 'logpipe_workers',
    help: 'Workers that have called, by whether they are live or lost.',
    labelNames: ['state'],
    registers: [registry],
  })
  live.set({ state: 'live' }, workers.filter((worker) => worker.live).length)
  live.set({ state: 'lost' }, workers.filter((worker) => !worker.live).length)

  const pipelines = new Gauge({
    name: 'logpipe_pipelines',
    help: 'Pipelines by state.',
    labelNames: ['state'],
    registers: [registry],
  })
  for (const wish of context.pipelines.wishes()) {
    // The revision matters for the reason only, which is not shown here.
    const { state } = pipelineStatus({ ...wish, revision: 0 }, context.fleet, context.commands)
    pipelines.inc({ state })
  }

  const families = new Map<string, Counter | Gauge>()
  for (const worker of workers) {
    const pipelineId = worker.heartbeat?.pipelineId
    if (!worker.live || pipelineId === null || pipelineId === undefined) continue
    const labels = { worker: worker.id, pipeline: String(pipelineId) }
    for (const [name, value] of Object.entries(worker.heartbeat?.metrics ?? {})) {
      const family = families.get(name) ?? newFamily(name, registry)
      families.set(name, family)
      // A counter of prom-client only goes up, from nothing; a worker's is never negative.
      family.inc(labels, name.endsWith('_total') ? Math.max(0, value) : value)
    }
  }
  return registry.metrics()
}

function newFamily(name: string, registry: Registry): Counter | Gauge {
  const options = {
    name,
    help: 'As the worker reports it.',
    labelNames: ['worker', 'pipeline'],
    registers: [registry],
  }
  return name.endsWith('_total') ? new Counter(options) : new Gauge(options)
}
