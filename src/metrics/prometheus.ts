/**
 * A pipeline's metrics as Prometheus reads them.
 *
 * A registry for each scrape: nothing is kept between two, so nothing can go stale.
 */
import { Counter, Gauge, Registry } from 'prom-client'
import { RUNTIME_METRICS, type RuntimeMetricName, type RuntimeMetrics } from './runtime-metrics.ts'

/** The media type of the text. */
export const PROMETHEUS_CONTENT_TYPE = 'text/plain; version=0.0.4; charset=utf-8'

/** The text of one scrape. @param labels on every series, for example the worker. */
export function prometheusText(
  metrics: RuntimeMetrics,
  labels: Readonly<Record<string, string>>,
): Promise<string> {
  const registry = new Registry()
  for (const [name, help] of Object.entries(RUNTIME_METRICS)) {
    const value = metrics[name as RuntimeMetricName]
    if (value === null) continue
    const options = { name, help, labelNames: Object.keys(labels), registers: [registry] }
    if (name.endsWith('_total')) new Counter(options).inc(labels, value)
    else new Gauge(options).set(labels, value)
  }
  return registry.metrics()
}
