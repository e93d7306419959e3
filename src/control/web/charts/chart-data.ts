/**
 * History as a chart takes it: a column of times in seconds, and one of values with gaps where
 * nothing was heard.
 */
import type { History } from '../data/api-types.ts'

/** Steps without a point until the curve is broken. */
const GAP_STEPS = 3
/** What lies before the control plane's own start comes one in ten seconds. */
const GAP_SECONDS_MIN = 25

export interface ChartColumns {
  readonly times: readonly number[]
  /** By name; null breaks the curve. */
  readonly values: ReadonlyMap<string, readonly (number | null)[]>
}

export function columnsOf(
  { points, step_seconds: step }: History,
  names: readonly string[],
): ChartColumns {
  const gap = Math.max(GAP_STEPS * step, GAP_SECONDS_MIN)
  const times: number[] = []
  const values = new Map<string, (number | null)[]>(names.map((name) => [name, []]))
  for (const point of points) {
    const time = Date.parse(point.at) / 1000
    const before = times.at(-1)
    if (before !== undefined && time - before > gap) {
      times.push(before + step)
      for (const column of values.values()) column.push(null)
    }
    times.push(time)
    for (const [name, column] of values) column.push(Number(point[name] ?? 0))
  }
  return { times, values }
}

/** What metrics leave out: no metric has such a name. */
const UNCOUNTED: ReadonlyMap<string, string> = new Map([
  ['late', 'Too late for documents'],
  ['undated', 'Without a usable time'],
  ['missing', 'Without the number of a metric'],
])

/** What a pipeline counts from its records, as curves: log_errors_per_second is "errors". */
export function countedNames({ points }: Pick<History, 'points'>): readonly {
  readonly name: string
  readonly title: string
}[] {
  const names = new Set(points.flatMap((point) => Object.keys(point)))
  return [...names]
    .filter((name) => name.startsWith('log_'))
    .sort()
    .map((name) => {
      const title = name.replace(/^log_/, '').replace(/_per_second$/, '')
      return { name, title: UNCOUNTED.get(title) ?? title }
    })
}

/** The newest value and the highest: what a chart says to those who do not see it. */
export function summaryOf(values: readonly (number | null)[]): {
  readonly last: number
  readonly highest: number
} {
  const known = values.filter((value) => value !== null)
  return { last: known.at(-1) ?? 0, highest: known.reduce((top, each) => Math.max(top, each), 0) }
}

/** Times as axis labels, in the reader's own zone; days once the span has several. */
export function timeLabels(seconds: readonly number[], spanSeconds: number): string[] {
  return seconds.map((second) => {
    const at = new Date(second * 1000)
    if (spanSeconds > 2 * 86_400) {
      return at.toLocaleDateString('en-GB', { day: 'numeric', month: 'short' })
    }
    return [at.getHours(), at.getMinutes()].map((part) => String(part).padStart(2, '0')).join(':')
  })
}
