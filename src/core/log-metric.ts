/**
 * What a pipeline has counted from its records, as the parts of the program pass it on: from the
 * pipeline to its snapshot, by heartbeat to the control plane, and on either's /metrics.
 *
 *   counter     log_NAME_total
 *   sum         log_NAME_sum, log_NAME_count
 *   histogram   log_NAME_bucket{le}, log_NAME_sum, log_NAME_count
 *
 * Beside them, of all metrics, by the label `metric`: log_late_total, log_undated_total (records
 * that no document counts) and log_missing_total (records without the number).
 */
import type { MetricType } from './expression/metric.ts'
import { METRICS_MAX } from './worker-wire.ts'

/** One label set of a metric. */
export interface LogSeries {
  /** In the order of the metric's labels. */
  readonly labels: readonly string[]
  readonly count: number
  readonly sum: number
  /** Records at or below each bound, and above the last: not cumulative. Null: no histogram. */
  readonly buckets: readonly number[] | null
}

export interface LogMetric {
  readonly name: string
  readonly type: MetricType
  readonly labelNames: readonly string[]
  readonly bounds: readonly number[]
  readonly series: readonly LogSeries[]
  /** Records without the number. */
  readonly missing: number
  /** Records that are in no document: later than METRICS_LATENESS_SECONDS, or of no usable time. */
  readonly late: number
  readonly undated: number
}

/** Of series in a snapshot and a heartbeat; /metrics of the pipeline itself has all. */
const REPORT_BYTES_MAX = 64 * 1024

/** The metrics with as many series as are passed on, the first ones of each. */
export function withinReport(metrics: readonly LogMetric[]): LogMetric[] {
  let left = REPORT_BYTES_MAX
  return metrics.map((metric) => {
    const fits = (one: LogSeries) => (left -= Buffer.byteLength(JSON.stringify(one))) >= 0
    const end = metric.series.findIndex((one) => !fits(one))
    return { ...metric, series: end < 0 ? metric.series : metric.series.slice(0, end) }
  })
}

/**
 * Sums over all label sets, by the names of /metrics without labels: for charts and status; and
 * what no document counts, over all metrics.
 */
export function totalsByName(metrics: readonly LogMetric[]): Record<string, number> {
  const totals: Record<string, number> = {}
  const over = (of: (one: LogMetric) => number) => metrics.reduce((sum, one) => sum + of(one), 0)
  const beside = {
    log_late_total: over(({ late }) => late),
    log_undated_total: over(({ undated }) => undated),
    log_missing_total: over(({ missing }) => missing),
  }
  for (const [name, count] of Object.entries(beside)) if (count > 0) totals[name] = count
  for (const { name, type, series } of metrics) {
    const sumOf = (of: (one: LogSeries) => number) => series.reduce((sum, one) => sum + of(one), 0)
    if (type === 'counter') totals[`log_${name}_total`] = sumOf(({ count }) => count)
    else {
      totals[`log_${name}_count`] = sumOf(({ count }) => count)
      totals[`log_${name}_sum`] = sumOf(({ sum }) => sum)
    }
  }
  return totals
}

const NAME = /^[a-z][a-z0-9_]{0,63}$/
const LABEL_NAME = /^[a-zA-Z_][a-zA-Z0-9_]{0,63}$/
const TYPES: readonly MetricType[] = ['counter', 'sum', 'histogram']

/** Metrics out of JSON that another process wrote, within REPORT_BYTES_MAX; what is none is out. */
export function logMetricsIn(value: unknown): readonly LogMetric[] {
  if (!Array.isArray(value)) return []
  return withinReport(value.slice(0, METRICS_MAX).flatMap((one: unknown) => metricIn(one) ?? []))
}

function metricIn(value: unknown): LogMetric | null {
  const given = Object(value) as Readonly<Record<string, unknown>>
  const { name, series } = given
  const type = TYPES.find((known) => known === given['type'])
  const labelNames = listOf(given['labelNames'], isText)
  const bounds = listOf(given['bounds'], Number.isFinite) as readonly number[] | null
  const isWhole = labelNames?.every((label) => LABEL_NAME.test(label)) === true && bounds !== null
  if (typeof name !== 'string' || !NAME.test(name) || type === undefined || !isWhole) return null
  const countOf = (key: string) => (Number.isFinite(given[key]) ? Number(given[key]) : 0)
  const beside = { missing: countOf('missing'), late: countOf('late'), undated: countOf('undated') }
  const rows: readonly unknown[] = Array.isArray(series) ? series : []
  const all = rows.flatMap((row) => {
    const { labels: values, count, sum, buckets } = Object(row) as Record<string, unknown>
    const labels = listOf(values, isText)
    const counts = type === 'histogram' ? listOf(buckets, Number.isFinite) : null
    const isFull = type !== 'histogram' || counts?.length === bounds.length + 1
    const isSeries = labels?.length === labelNames.length && isFull
    if (!isSeries || typeof count !== 'number' || typeof sum !== 'number') return []
    return [{ labels, count, sum, buckets: counts as readonly number[] | null }]
  })
  return { name, type, labelNames, bounds, series: all, ...beside }
}

const isText = (value: unknown): value is string => typeof value === 'string'

function listOf<T>(value: unknown, isOne: (one: unknown) => one is T): readonly T[] | null
function listOf(value: unknown, isOne: (one: unknown) => boolean): readonly unknown[] | null
function listOf(value: unknown, isOne: (one: unknown) => boolean): readonly unknown[] | null {
  return Array.isArray(value) && value.every(isOne) ? value : null
}

/** Whether a name is one of totalsByName. */
export function isLogTotal(name: string): boolean {
  return name.startsWith('log_')
}

type Labels = Readonly<Record<string, string | number>>

/** What is counted under one name of /metrics. */
interface Family {
  readonly type: 'counter' | 'summary' | 'histogram'
  readonly help: string
  readonly lines: string[]
}

/**
 * Prometheus' text of metrics, of one pipeline or of several: the lines of a name stand together.
 * Values of labels are escaped; `labels` come first in each line.
 */
export function logMetricsText(
  reports: readonly { readonly labels: Labels; readonly metrics: readonly LogMetric[] }[],
): string {
  const families = new Map<string, Family>()
  const add = (name: string, type: Family['type'], help: string, lines: readonly string[]) => {
    const known = families.get(name)
    if (known === undefined) families.set(name, { type, help, lines: [...lines] })
    // Two pipelines may give one name to different things; a name has one type.
    else if (known.type === type) known.lines.push(...lines)
  }
  for (const { labels, metrics } of reports) {
    for (const metric of metrics) {
      const { name, type } = metric
      const family = type === 'counter' ? `log_${name}_total` : `log_${name}`
      const help = type === 'counter' ? 'Records that meet an expression.' : 'Numbers of records.'
      const lines = metric.series.flatMap((one) => seriesLines(labels, metric, one))
      add(family, type === 'sum' ? 'summary' : type, help, lines)
      const beside = (rest: string, count: number, text: string) => {
        const line = `log_${rest}_total${labelsText({ ...labels, metric: name })} ${count}`
        add(`log_${rest}_total`, 'counter', text, [line])
      }
      beside('late', metric.late, 'Records too late for the documents of their window.')
      beside('undated', metric.undated, 'Records without a usable time, in no document.')
      beside('missing', metric.missing, 'Records without the number of the metric.')
    }
  }
  return [...families]
    .map(([name, { type, help, lines }]) => {
      const text = lines.length === 0 ? '' : `${lines.join('\n')}\n`
      return `# HELP ${name} ${help}\n# TYPE ${name} ${type}\n${text}`
    })
    .join('')
}

function seriesLines(
  labels: Labels,
  { name, type, labelNames, bounds }: LogMetric,
  { labels: values, count, sum, buckets }: LogSeries,
): string[] {
  const own = Object.fromEntries(labelNames.map((label, index) => [label, values[index] ?? '']))
  const all = { ...labels, ...own }
  if (type === 'counter') return [`log_${name}_total${labelsText(all)} ${count}`]
  const lines = [
    `log_${name}_sum${labelsText(all)} ${sum}`,
    `log_${name}_count${labelsText(all)} ${count}`,
  ]
  if (buckets === null) return lines
  let below = 0
  const cumulative = [...bounds, '+Inf'].map((le, index) => {
    below += buckets[index] ?? 0
    return `log_${name}_bucket${labelsText({ ...all, le })} ${below}`
  })
  return [...cumulative, ...lines]
}

/** The three signs that the format escapes in values of labels. */
const ESCAPES: Readonly<Record<string, string>> = { '\\': '\\\\', '"': '\\"', '\n': '\\n' }

function labelsText(labels: Labels): string {
  const pairs = Object.entries(labels).map(([name, value]) => {
    const text = String(value).replaceAll(/[\\"\n]/g, (sign) => ESCAPES[sign] ?? sign)
    return `${name}="${text}"`
  })
  return pairs.length === 0 ? '' : `{${pairs.join(',')}}`
}
