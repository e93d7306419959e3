/**
 * Metrics that another process has reported, passed on to Prometheus as they came, one line each: a
 * process that is gone leaves no series behind, and a large fleet has thousands of them.
 * The format: https://prometheus.io/docs/instrumenting/exposition_formats/
 */

export interface Reported {
  /** Values must hold nothing that would need escaping: ids are checked as they come in. */
  readonly labels: Readonly<Record<string, string | number>>
  /** At most SNAPSHOT_METRICS_MAX of them; a name that ends in _total is a counter. */
  readonly metrics: Readonly<Record<string, number>>
}

/** Every line of one metric stands together, under its type, as the format asks. */
export function passedOnText(reports: readonly Reported[]): string {
  const families = new Map<string, string[]>()
  for (const { labels, metrics } of reports) {
    const pairs = Object.entries(labels).map(([name, value]) => `${name}="${value}"`)
    for (const [name, value] of Object.entries(metrics)) {
      const lines = families.get(name) ?? []
      lines.push(`${name}{${pairs.join(',')}} ${value}`)
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
