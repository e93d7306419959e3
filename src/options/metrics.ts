/**
 * Metrics from logs, as they are given: each is one text (core/expression/metric.ts), and in the
 * config file it may be a map, of which the text is made here.
 *
 * ```
 *   metrics:
 *     errors: level:ERROR by service
 *     latency:
 *       histogram: took_ms             or sum:, or count: EXPRESSION
 *       bounds: [10, 100, 1000]        of a histogram
 *       where: path:"/api"
 *       by: [service, code=http.status]
 * ```
 */
import { LogpipeError } from '../core/errors.ts'
import { type MetricSpec, parseMetric } from '../core/expression/metric.ts'
import { type Alternative, planSet } from '../core/expression/plan.ts'
import { didYouMean } from '../core/nearest.ts'
import type { Config } from './config.ts'
import { type FilterConfig, filterPlan, type RegexCompiler, regexFault } from './filter.ts'
import { alternativesOf } from './rule-list.ts'

/** The metrics, in the order in which they were given. */
export function metricsOf({ metrics }: Pick<Config, 'metrics'>): readonly MetricSpec[] {
  return metrics.map((text) => parseMetric(text).spec)
}

/** What the add-on looks for when records are counted beside what is kept. */
export interface CountingFilter {
  /** A ProgramSet (core/expression/ast.ts) as JSON: what is kept, then the metrics. */
  readonly expression: string
  /** The number of the first metric among the alternatives; what holds below it is kept. */
  readonly metricsFrom: number
}

/**
 * @param keepsNone no documents are written, whatever the filter says.
 * @throws LogpipeError USAGE: more terms in all than the add-on takes.
 */
export function countingFilter(
  config: FilterConfig & Pick<Config, 'metrics'>,
  keepsNone: boolean,
): CountingFilter {
  const { rules } = config
  const kept: readonly Alternative[] =
    rules === null ? [filterPlan(config).program] : alternativesOf(rules)
  const counted = metricsOf(config).map(({ node }): Alternative => ({ keep: node, drop: null }))
  try {
    const metrics = { all: true, of: counted }
    if (keepsNone) return { expression: JSON.stringify(planSet([metrics])), metricsFrom: 0 }
    const groups = [{ all: rules?.isEach === true, of: kept }, metrics]
    return { expression: JSON.stringify(planSet(groups)), metricsFrom: kept.length }
  } catch (cause) {
    if (!(cause instanceof RangeError)) throw cause
    throw new LogpipeError('USAGE', `--keep and --count: ${cause.message}`, { cause })
  }
}

/** Refuses regular expressions that the add-on does not compile. @throws LogpipeError USAGE */
export function refuseMetricRegexes(
  { metrics }: Pick<Config, 'metrics'>,
  compiler: RegexCompiler,
): void {
  for (const text of metrics) {
    const fault = regexFault(text, parseMetric(text).regexes, compiler)
    if (fault !== null)
      throw new LogpipeError('USAGE', `--count: ${fault.message}`, { below: fault.below })
  }
}

const KEYS = ['count', 'sum', 'histogram', 'bounds', 'where', 'by'] as const

/**
 * The text of a metric that is given as a map, or as the text behind its name.
 * @param body as plain values. @throws what `fault` makes.
 */
export function metricText(
  name: string,
  body: unknown,
  fault: (message: string) => LogpipeError,
): string {
  if (typeof body === 'string') return `${name}=${body}`
  if (typeof body !== 'object' || body === null || Array.isArray(body)) {
    throw fault(`metrics: ${name} is an expression, or a map of ${KEYS.join(', ')}`)
  }
  const given = body as Readonly<Record<string, unknown>>
  const unknown = Object.keys(given).find((key) => !KEYS.some((known) => known === key))
  if (unknown !== undefined) {
    throw fault(`metrics: ${name} has an unknown key "${unknown}"${didYouMean(unknown, [...KEYS])}`)
  }
  const kinds = (['count', 'sum', 'histogram'] as const).filter((kind) => given[kind] !== undefined)
  const [kind] = kinds
  if (kinds.length !== 1 || kind === undefined) {
    throw fault(`metrics: ${name} has one of count, sum and histogram`)
  }
  if (kind !== 'histogram' && given['bounds'] !== undefined) {
    throw fault(`metrics: ${name} has bounds, but is no histogram`)
  }
  const text = (key: string, joint: string) => textsOf(given[key]).join(joint)
  const bounds = given['bounds'] === undefined ? '' : `; ${text('bounds', ' ')}`
  const where = text('where', ' and ')
  const head = kind === 'count' ? text('count', ' and ') : `${kind}(${text(kind, '')}${bounds})`
  const condition = kind === 'count' && where !== '' ? ` and (${where})` : ` ${where}`
  const by = text('by', ', ')
  const counted = kind === 'count' && where !== '' ? `(${head})` : head
  return `${name}=${counted}${condition.trimEnd()}${by === '' ? '' : ` by ${by}`}`
}

/** One text or a list of them; a map gives its pairs (a label's name and its field). */
function textsOf(given: unknown): string[] {
  if (Array.isArray(given)) return given.flatMap(textsOf)
  if (typeof given === 'object' && given !== null) {
    return Object.entries(given).map(([name, value]) => `${name}=${String(value)}`)
  }
  // A file's scalars are texts.
  return typeof given === 'string' ? [given] : []
}
