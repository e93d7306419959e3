/**
 * The one meaning of a topic expression (KAFKA_TOPIC begins with ^), for whoever names topics by
 * one: run, check, replay.
 *
 * A regular expression of JavaScript (flag u, which refuses what it does not know rather than
 * taking it for a letter), searched in each topic name; ^ and $ anchor it. Topics whose names begin
 * with __ are Kafka's own: an expression never means them. librdkafka and brokers are given names
 * alone, since each of them has a dialect of its own.
 *
 * Bound. Names have 249 characters at most, and all of a cluster's names are searched within
 * SEARCH_MS_MAX: an expression that backtracks for longer is refused.
 */
import vm from 'node:vm'
import { LogpipeError } from '../core/errors.ts'

/** Four times the longest topic name. */
const LENGTH_MAX = 1000
/** A hundred thousand names take a tenth of it. */
const SEARCH_MS_MAX = 2000

export function isTopicExpression(topic: string): boolean {
  return topic.startsWith('^')
}

/** Why it is no expression; null: it is one. */
export function topicExpressionFault(expression: string): string | null {
  if (expression === '^') return 'nothing follows ^'
  if (expression.length > LENGTH_MAX) return `longer than ${LENGTH_MAX} characters`
  const source = sourceOf(expression)
  try {
    // By itself, so that no bracket of it closes one of ours.
    void new RegExp(source, 'u')
    // It is compiled at its first search only. This one fails at the letter: ^(|)(|)... has two
    // ways to go for each pair of brackets, even in an empty name.
    new RegExp(`x(?:${source})`, 'u').test('')
    return null
  } catch (error) {
    // "Invalid regular expression: /SOURCE/u: REASON"
    return error instanceof Error ? (error.message.split(': ').at(-1) ?? '') : String(error)
  }
}

/** `\-` is widely written, and no escape with the flag u outside of brackets. */
function sourceOf(expression: string): string {
  return expression.replaceAll(/\\./gs, (pair) => (pair === String.raw`\-` ? '\\x2d' : pair))
}

/**
 * Those of a cluster's topics that these names and expressions mean, in the cluster's order.
 * @throws LogpipeError USAGE when an expression takes too long.
 */
export function topicsMeant<Topic extends { readonly topic: string }>(
  wanted: readonly string[],
  known: readonly Topic[],
): Topic[] {
  const meant = new Set(wanted.filter((topic) => !isTopicExpression(topic)))
  const sources = wanted.filter(isTopicExpression).map(sourceOf)
  if (sources.length > 0) {
    const candidates = known.map(({ topic }) => topic).filter((topic) => !topic.startsWith('__'))
    for (const index of search(sources, candidates)) meant.add(candidates[index] ?? '')
  }
  return known.filter(({ topic }) => meant.has(topic))
}

const SEARCH = new vm.Script(`
  const expressions = sources.map((source) => new RegExp(source, 'u'))
  names.flatMap((name, index) => (expressions.some((one) => one.test(name)) ? [index] : []))
`)

/** The indexes of the names that match. A context of its own is what a time-out can stop. */
function search(sources: readonly string[], names: readonly string[]): number[] {
  try {
    const context = vm.createContext({ sources, names })
    const found = SEARCH.runInContext(context, { timeout: SEARCH_MS_MAX }) as Iterable<number>
    return [...found]
  } catch (cause) {
    const { code } = Object(cause) as { readonly code?: unknown }
    if (code !== 'ERR_SCRIPT_EXECUTION_TIMEOUT') throw cause
    const which = sources.join(', ')
    const took = `took longer than ${SEARCH_MS_MAX / 1000} s over ${names.length} topic names`
    const advice = 'avoid nested repetitions such as (a+)+'
    throw new LogpipeError('USAGE', `KAFKA_TOPIC: ${which} ${took}: ${advice}`, { cause })
  }
}
