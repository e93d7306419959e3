/**
 * The metrics that a pipeline counts from its records, as they stand: sums since the process
 * started, by label set. Owned by main; read by /metrics, the snapshot and the status.
 *
 * These are counters as Prometheus knows them: they begin at 0 with each process, and records that
 * are read again after a crash count again here. In the documents of windows they do not
 * (metric-windows.ts).
 *
 * Bound. `seriesMax` label sets a metric; all others count in one more whose labels are all
 * `other`, which is said once.
 */
import assert from 'node:assert/strict'
import type { MetricSpec } from '../core/expression/metric.ts'
import type { LogMetric } from '../core/log-metric.ts'
import type { SeriesDelta } from '../pool/record-counter.ts'

/** What stands for the labels of all series above the bound. */
export const OTHER = 'other'

interface Row {
  readonly labels: readonly string[]
  count: number
  sum: number
  readonly buckets: number[] | null
}

interface Table {
  readonly spec: MetricSpec
  readonly rows: Map<string, Row>
  missing: number
  late: number
  undated: number
}

export interface LogMetricsOptions {
  readonly metrics: readonly MetricSpec[]
  readonly seriesMax: number
  readonly warn: (message: string) => void
}

export class LogMetrics {
  readonly #options: LogMetricsOptions
  readonly #tables: readonly Table[]
  readonly #full = new Set<Table>()

  constructor(options: LogMetricsOptions) {
    assert(options.seriesMax > 0)
    this.#options = options
    this.#tables = options.metrics.map((spec) => {
      const table = { spec, rows: new Map<string, Row>(), missing: 0, late: 0, undated: 0 }
      // A series must not begin with its 1.
      if (spec.labels.length === 0) table.rows.set('', newRow(spec, []))
      return table
    })
  }

  add(deltas: readonly SeriesDelta[]): void {
    for (const delta of deltas) {
      const table = this.#tables[delta.metric]!
      table.missing += delta.missing
      if (delta.count > 0) addTo(this.#rowOf(table, delta.labels), delta)
    }
  }

  /** Records that no document counts. */
  addLate(metric: number, count: number): void {
    this.#tables[metric]!.late += count
  }

  addUndated(metric: number, count: number): void {
    this.#tables[metric]!.undated += count
  }

  /** As they stand now: copies. */
  list(): LogMetric[] {
    return this.#tables.map(({ spec, rows, missing, late, undated }) => ({
      name: spec.name,
      type: spec.type,
      labelNames: spec.labels.map(({ name }) => name),
      bounds: spec.bounds,
      series: [...rows.values()].map((row) => {
        return { ...row, buckets: row.buckets === null ? null : [...row.buckets] }
      }),
      missing,
      late,
      undated,
    }))
  }

  #rowOf(table: Table, labels: readonly string[]): Row {
    const { spec, rows } = table
    const { seriesMax, warn } = this.#options
    const row = boundedRow(rows, labels, seriesMax, () => newRow(spec, labels))
    if (row !== null) return row
    if (!this.#full.has(table)) {
      this.#full.add(table)
      const what = `the metric ${spec.name} has ${seriesMax} label sets (METRICS_SERIES_MAX)`
      warn(`${what}: all further ones count as "${OTHER}"`)
    }
    const other = labels.map(() => OTHER)
    // Its place is beside the bound: it may always be made.
    const made = boundedRow(rows, other, Infinity, () => newRow(spec, other))
    assert(made !== null)
    return made
  }
}

/** The row of a label set, made if there is room; null: there is none. */
export function boundedRow<R>(
  rows: Map<string, R>,
  labels: readonly string[],
  max: number,
  make: () => R,
): R | null {
  const key = labels.join('\0')
  const known = rows.get(key)
  if (known !== undefined) return known
  if (rows.size >= max) return null
  const made = make()
  rows.set(key, made)
  return made
}

function newRow(spec: MetricSpec, labels: readonly string[]): Row {
  return { labels, count: 0, sum: 0, buckets: emptyBuckets(spec) }
}

/** One for each bound, and one above them all; null: it is no histogram. */
export function emptyBuckets({
  type,
  bounds,
}: Pick<MetricSpec, 'type' | 'bounds'>): number[] | null {
  return type === 'histogram' ? Array.from({ length: bounds.length + 1 }, () => 0) : null
}

/** Adds a delta to what a row has. */
export function addTo(
  row: { count: number; sum: number; readonly buckets: number[] | null },
  { count, sum, buckets }: SeriesDelta,
): void {
  row.count += count
  row.sum += sum
  for (const [index, add] of (buckets ?? []).entries()) row.buckets![index]! += add
}
