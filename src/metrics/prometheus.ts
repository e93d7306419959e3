/**
 * Metrics as Prometheus reads them: a pipeline's own, and those that workers have reported.
 *
 * A registry for each scrape: nothing is kept between two, so nothing can go stale.
 */
import { Counter, Gauge, Registry } from 'prom-client'
import { type LiveBooks, OPEN_ENTRIES } from '../core/live-books.ts'
import { isLogTotal, type LogMetric, logMetricsText } from '../core/log-metric.ts'
import type { RuleCount } from '../core/rules.ts'
import { countsByKind, type Trouble } from '../core/trouble.ts'
import { PATTERN_METRIC, type PatternCount } from './pattern-counts.ts'
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
export async function prometheusText(
  metrics: RuntimeMetrics,
  labels: Readonly<Record<string, string>>,
  {
    lags = [],
    patternCounts = [],
    logMetrics = [],
    ruleCounts = [],
    troubles = [],
    books,
  }: {
    readonly lags?: readonly PartitionLag[]
    readonly patternCounts?: readonly PatternCount[]
    readonly logMetrics?: readonly LogMetric[]
    readonly ruleCounts?: readonly RuleCount[]
    readonly troubles?: readonly Trouble[]
    readonly books?: LiveBooks
  } = {},
): Promise<string> {
  const registry = new Registry()
  for (const [name, help] of Object.entries(RUNTIME_METRICS)) {
    const value = metrics[name as RuntimeMetricName]
    if (value === null) continue
    const options = { name, help, labelNames: Object.keys(labels), registers: [registry] }
    if (name.endsWith('_total')) new Counter(options).inc(labels, value)
    else new Gauge(options).set(labels, value)
  }
  addTroubles(registry, labels, troubles)
  if (books !== undefined) addBooks(registry, labels, books)
  if (lags.length > 0) addPartitionLags(registry, labels, lags)
  if (patternCounts.length > 0) addPatternCounts(registry, labels, patternCounts)
  if (ruleCounts.length > 0) addRuleCounts(registry, labels, ruleCounts)
  return (await registry.metrics()) + logMetricsText([{ labels, metrics: logMetrics }])
}

/** The gauge of trouble, with a series for each kind: 0 where all is well. */
const TROUBLE_METRIC = 'pipeline_trouble'
const TROUBLE_HELP = 'How much keeps the pipeline from its work now, by kind; 0: nothing.'

function addTroubles(
  registry: Registry,
  labels: Readonly<Record<string, string>>,
  troubles: readonly Trouble[],
): void {
  const labelNames = [...Object.keys(labels), 'kind']
  const gauge = new Gauge({
    name: TROUBLE_METRIC,
    help: TROUBLE_HELP,
    labelNames,
    registers: [registry],
  })
  for (const [kind, count] of Object.entries(countsByKind(troubles))) {
    gauge.set({ ...labels, kind }, count)
  }
}

/** The books: what only grows, and what is open now. */
const BOOKS_METRIC = 'pipeline_books_total'
const OPEN_METRIC = 'pipeline_books_open'

function addBooks(
  registry: Registry,
  labels: Readonly<Record<string, string>>,
  books: LiveBooks,
): void {
  const labelNames = [...Object.keys(labels), 'entry']
  const registers = [registry]
  const help = 'Where the records went: fetched + carried_in + copied are all others.'
  const counter = new Counter({ name: BOOKS_METRIC, help, labelNames, registers })
  const openHelp = 'Records that are under way, or in the spill with committed offsets.'
  const gauge = new Gauge({ name: OPEN_METRIC, help: openHelp, labelNames, registers })
  for (const [entry, count] of Object.entries(books)) {
    if (isOpen(entry)) gauge.set({ ...labels, entry }, count)
    else counter.inc({ ...labels, entry }, count)
  }
}

const isOpen = (entry: string) => OPEN_ENTRIES.some((open) => open === entry)

/** Of the metrics product line: a series for each pattern in each partition. */
function addPatternCounts(
  registry: Registry,
  labels: Readonly<Record<string, string>>,
  patternCounts: readonly PatternCount[],
): void {
  const labelNames = [...Object.keys(labels), 'pattern', 'topic', 'partition']
  const [name, help] = [PATTERN_METRIC, 'Records that contain a pattern.']
  const counter = new Counter({ name, help, labelNames, registers: [registry] })
  for (const { count, ...place } of patternCounts) counter.inc({ ...labels, ...place }, count)
}

/** What rules made of records: three series for each rule. */
function addRuleCounts(
  registry: Registry,
  labels: Readonly<Record<string, string>>,
  ruleCounts: readonly RuleCount[],
): void {
  const labelNames = [...Object.keys(labels), 'rule', 'outcome']
  const name = 'pipeline_rule_records_total'
  const help = 'Records that a rule made documents of, dropped again, or left out by its sample.'
  const counter = new Counter({ name, help, labelNames, registers: [registry] })
  for (const { rule, documents, dropped, sampled } of ruleCounts) {
    for (const [outcome, count] of Object.entries({ documents, dropped, sampled })) {
      counter.inc({ ...labels, rule, outcome }, count)
    }
  }
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

/*
 * Federated metrics: another process has reported them, and they are passed on as they came, one
 * line each: a process that is gone leaves no series behind, and a large fleet has thousands.
 * The format: https://prometheus.io/docs/instrumenting/exposition_formats/
 */

export interface Reported {
  /** Values must hold nothing that would need escaping: ids are checked as they come in. */
  readonly labels: Readonly<Record<string, string | number>>
  /** At most SNAPSHOT_METRICS_MAX of them; a name that ends in _total is a counter. */
  readonly metrics: Readonly<Record<string, number>>
  /** Absent: nothing is known of it. */
  readonly troubles?: readonly Trouble[]
  readonly books?: LiveBooks
  /** With series, in place of their totals among `metrics`. */
  readonly logMetrics?: readonly LogMetric[]
}

/** Every line of one metric stands together, under its type, as the format asks. */
export function federatedMetricsText(reports: readonly Reported[]): string {
  const families = new Map<string, string[]>()
  for (const { labels, metrics, troubles, books } of reports) {
    const pairs = Object.entries(labels).map(([name, value]) => `${name}="${value}"`)
    const add = (name: string, labelled: readonly string[], value: number) => {
      const lines = families.get(name) ?? []
      lines.push(`${name}{${labelled.join(',')}} ${value}`)
      families.set(name, lines)
    }
    for (const [name, value] of Object.entries(metrics)) {
      if (!isLogTotal(name)) add(name, pairs, value)
    }
    for (const [kind, count] of Object.entries(troubles ? countsByKind(troubles) : {})) {
      add(TROUBLE_METRIC, [...pairs, `kind="${kind}"`], count)
    }
    for (const [entry, count] of Object.entries(books ?? {})) {
      add(isOpen(entry) ? OPEN_METRIC : BOOKS_METRIC, [...pairs, `entry="${entry}"`], count)
    }
  }
  const counted = reports.map(({ labels, logMetrics = [] }) => ({ labels, metrics: logMetrics }))
  const text = [...families]
    .map(([name, lines]) => {
      const type = name.endsWith('_total') ? 'counter' : 'gauge'
      return `# TYPE ${name} ${type}\n${lines.join('\n')}\n`
    })
    .join('')
  return text + logMetricsText(counted)
}
