/**
 * METRICS_LISTEN: what a running pipeline tells Prometheus and the probes of a scheduler.
 */
import type { Log } from '../core/log.ts'
import type { MetricsServer } from '../metrics/metrics-server.ts'
import type { RuntimeMetrics } from '../metrics/runtime-metrics.ts'
import type { ListenAddress } from '../options/notations.ts'
import type { PipelineStats } from './result.ts'

/** A pipeline at one moment. */
export interface PipelineView {
  readonly stats: PipelineStats
  readonly metrics: RuntimeMetrics
}

/**
 * @param view null until the pipeline has started.
 * @param starting what it waits for until then.
 * @throws LogpipeError LISTEN.
 */
export async function openEndpoint(
  address: ListenAddress,
  log: Log,
  view: () => PipelineView | null,
  starting: () => string,
): Promise<MetricsServer> {
  // Not before it is asked for: the packages behind it would make every start 30 ms longer.
  const { openMetricsServer } = await import('../metrics/metrics-server.ts')
  const { prometheusText } = await import('../metrics/prometheus.ts')
  const server = await openMetricsServer({
    address,
    metrics: async () => {
      const now = view()
      if (now === null) return ''
      return prometheusText(now.metrics, {}, now.stats.lag.partitions, now.stats.patternCounts)
    },
    faults: () => {
      const now = view()
      return now === null ? [starting()] : faultsOf(now.stats)
    },
  })
  log.info(`metrics at http://${address.host === '' ? '*' : address.host}:${server.port}/metrics`)
  return server
}

/** What is down, each in one line; none: the pipeline does its work. */
export function faultsOf(
  stats: Pick<
    PipelineStats,
    'groupFault' | 'canReachKafka' | 'waiting' | 'isStopping' | 'sink'
  > | null,
): readonly string[] {
  if (stats === null) return ['starting']
  const { groupFault, canReachKafka, waiting, isStopping, sink } = stats
  return [
    ...(isStopping ? ['stopping'] : []),
    ...(groupFault === null ? [] : [`kafka: ${groupFault}`]),
    ...(canReachKafka ? [] : ['kafka: no broker can be reached']),
    ...waiting.map(
      ({ topic, partition, problem }) => `kafka: ${topic} [${partition}] is not read: ${problem}`,
    ),
    ...(sink.trouble === null ? [] : [`output: ${sink.trouble}`]),
  ]
}
