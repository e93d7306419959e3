/**
 * A pipeline's metrics as Prometheus reads them.
 *
 * A registry for each scrape: nothing is kept between two, so nothing can go stale.
 */
import { Counter, Gauge, Registry } from 'prom-client'
import {
  PARTITION_METRICS,
  RUNTIME_METRICS,
  type PartitionLag,
  type RuntimeMetricName,
  type RuntimeMetrics,
} from './runtime-metrics.ts'

/** The media type of the text. */
export const PROMETHEUS_CONTENT_TYPE = 'text/plain; version=0.0.4; charset=utf-8'

/** The text of one scrape. @param labels on every series, for example the worker. */
export function prometheusText(
  metrics: RuntimeMetrics,
  labels: Readonly<Record<string, string>>,
  partitionLags: readonly PartitionLag[] = [],
): Promise<string> {
  const registry = new Registry()
  for (const [name, help] of Object.entries(RUNTIME_METRICS)) {
    const value = metrics[name as RuntimeMetricName]
    if (value === null) continue
    const options = { name, help, labelNames: Object.keys(labels), registers: [registry] }
    if (name.endsWith('_total')) new Counter(options).inc(labels, value)
    else new Gauge(options).set(labels, value)
  }
  if (partitionLags.length > 0) addPartitionLags(registry, labels, partitionLags)
  return registry.metrics()
}

/** A series for each partition that this process reads: as many as the group gave it. */
function addPartitionLags(
  registry: Registry,
  labels: Readonly<Record<string, string>>,
  partitionLags: readonly PartitionLag[],
): void {
  const labelNames = [...Object.keys(labels), 'topic', 'partition']
  for (const [name, { help, of }] of Object.entries(PARTITION_METRICS)) {
    const gauge = new Gauge({ name, help, labelNames, registers: [registry] })
    for (const lag of partitionLags) {
      const value = of(lag)
      const { topic, partition } = lag
      if (value !== null) gauge.set({ ...labels, topic, partition }, value)
    }
  }
}
