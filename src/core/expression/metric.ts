/**
 * The text of a metric (--count, and `metrics:` in YAML), and what it means.
 *
 * ```
 *   metric  := NAME "=" [ number-of ] [ expression ] [ "by" label { "," label } ]
 *   number-of := "sum(" number ")" | "histogram(" number [ ";" bound { bound } ] ")"
 *   number  := FIELD | "text" | "/" regex with one group "/"
 *   label   := [ NAME "=" ] target            as in an expression: service, http.status, @topic
 * ```
 *
 *   errors=level:ERROR by service
 *   latency=histogram(took_ms; 10 100 1000) path:"/api" by service, code=http.status
 *   sent=sum(/sent (\d+) bytes/) by @topic
 *
 * A counter needs an expression (* is every record); a sum and a histogram may do without. A label
 * is named as the last part of its field, or as its @name.
 *
 * Bounds: those of ast.ts, LABELS_MAX, BOUNDS_MAX; METRICS_MAX metrics (core/worker-wire.ts).
 */
import { groupCount, linearRegex } from '../linear-regex.ts'
import type { ExpressionNode, Target } from './ast.ts'
import { ExpressionError, parseExpression, parseLeading, type RegexPlace } from './parse.ts'

/** Labels multiply: more than a few are no metric any more. */
export const LABELS_MAX = 8
/** Upper bounds of a histogram: each is a series of Prometheus for each label set. */
export const BOUNDS_MAX = 50
/** Of a metric; on /metrics it stands between log_ and _total or its like (METRIC_NAME). */
const NAME = /^[a-z][a-z0-9_]{0,47}$/
/** Those of log-metric.ts, and endings by which two metrics would give the same name. */
const RESERVED_NAME = /^(?:late|undated|missing)$|_(?:total|sum|count|bucket)$/
const LABEL_NAME = /^[a-zA-Z_][a-zA-Z0-9_]{0,47}$/
/** Names that Prometheus and the outputs give to labels of their own. */
const RESERVED_LABELS: ReadonlySet<string> = new Set(['le', 'quantile', 'worker', 'pipeline'])
/** Prometheus' own default bounds, which suit seconds. */
const DEFAULT_BOUNDS: readonly number[] = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10]

export type MetricType = 'counter' | 'sum' | 'histogram'

/** Where a record's number comes from. */
export type NumberSource =
  | { readonly of: 'field'; readonly path: readonly string[] }
  /** What its one group captures. */
  | { readonly of: 'regex'; readonly source: string }

export interface MetricLabel {
  readonly name: string
  readonly target: Target
}

export interface MetricSpec {
  readonly name: string
  readonly type: MetricType
  /** Null: a counter. */
  readonly number: NumberSource | null
  /** Upper bounds, ascending, without +Inf; of a histogram only. */
  readonly bounds: readonly number[]
  readonly node: ExpressionNode
  readonly labels: readonly MetricLabel[]
}

export interface ParsedMetric {
  readonly text: string
  readonly spec: MetricSpec
  /** Of the expression: for whoever can compile them. */
  readonly regexes: readonly RegexPlace[]
}

/** @throws ExpressionError */
export function parseMetric(text: string): ParsedMetric {
  return new MetricParser(text).parse()
}

class MetricParser {
  readonly #text: string
  #at = 0

  constructor(text: string) {
    this.#text = text
  }

  parse(): ParsedMetric {
    const name = this.#name()
    const { type, number, bounds } = this.#numberOf()
    const { node, regexes } = this.#expression(type)
    const labels = this.#labels()
    return { text: this.#text, spec: { name, type, number, bounds, node, labels }, regexes }
  }

  #name(): string {
    this.#skipBlanks()
    const at = this.#at
    const typed = /^[^\s=:()"]*/.exec(this.#rest())?.[0] ?? ''
    this.#at += typed.length
    if (/^\d+$/.test(typed) && this.#rest().trim() === '') {
      throw this.#error(`expected NAME=EXPRESSION, got a number: did you mean -n ${typed}?`, at)
    }
    this.#skipBlanks()
    const isNamed = this.#text[this.#at] === '='
    if (typed === '' || !isNamed) {
      throw this.#error('expected a name and =, as errors=level:ERROR by service', at)
    }
    if (!NAME.test(typed)) {
      const allowed = 'a to z, 0 to 9 and _, beginning with a letter, 48 at most'
      throw this.#error(`the name of a metric has ${allowed}`, at)
    }
    if (RESERVED_NAME.test(typed)) {
      throw this.#error(`the name ${typed} has a meaning of its own on /metrics: take another`, at)
    }
    this.#at++
    return typed
  }

  #numberOf(): Pick<MetricSpec, 'type' | 'number' | 'bounds'> {
    this.#skipBlanks()
    const at = this.#at
    const word = /^([a-z]+)\s*\(/.exec(this.#rest())
    if (word === null) return { type: 'counter', number: null, bounds: [] }
    const [opening, type = ''] = word
    // A parenthesis behind not, and or or is the expression's.
    if (type === 'not') return { type: 'counter', number: null, bounds: [] }
    if (type !== 'sum' && type !== 'histogram') {
      throw this.#error(`expected sum(...), histogram(...) or an expression, got ${type}(`, at)
    }
    this.#at += opening.length
    const number = this.#number()
    const bounds = type === 'histogram' ? this.#bounds() : []
    this.#skipBlanks()
    if (this.#text[this.#at] !== ')') throw this.#error(`expected ) at the end of ${type}(`)
    this.#at++
    return { type, number, bounds }
  }

  #number(): NumberSource {
    this.#skipBlanks()
    const at = this.#at
    if (this.#text[at] === '/') return this.#numberByRegex(at)
    const typed = /^(?:"(?:[^"\\]|\\.)*"|[^\s;()"]+)/.exec(this.#rest())?.[0]
    if (typed === undefined) throw this.#error('expected a field, or /regex with one (group)/')
    this.#at += typed.length
    const target = this.#target(typed, at)
    if (target.of !== 'field') throw this.#error('a number comes from a field or from /regex/', at)
    return target
  }

  #numberByRegex(at: number): NumberSource {
    const { parsed, end } = this.#located(at, () => parseLeading(this.#text, at, 'term'))
    const { node } = parsed
    if (node.kind !== 'regex')
      throw this.#error('expected a field, or /regex with one (group)/', at)
    if (node.ignoreCase) {
      throw this.#error('a regular expression for a number takes no i: write [Tt]ook', at)
    }
    let groups = 0
    try {
      groups = groupCount(linearRegex(node.source))
    } catch (error) {
      const [why = ''] = error instanceof Error ? [error.message.replace(/^.*: /s, '')] : []
      throw this.#error(`this regular expression cannot be used for a number: ${why}`, at)
    }
    if (groups !== 1) {
      const none = 'expected one group that captures the number, as /took=(\\d+)ms/'
      throw this.#error(`${none}; got ${groups} (others are written (?:...))`, at)
    }
    this.#at = end
    return { of: 'regex', source: node.source }
  }

  #bounds(): readonly number[] {
    this.#skipBlanks()
    if (this.#text[this.#at] !== ';') return DEFAULT_BOUNDS
    this.#at++
    const bounds: number[] = []
    for (;;) {
      this.#skipBlanks()
      const typed = /^[^\s,;()]+/.exec(this.#rest())?.[0]
      if (typed === undefined) break
      const bound = /^[-+]?[\d.]/.test(typed) ? Number(typed) : NaN
      if (!Number.isFinite(bound)) throw this.#error(`expected an upper bound, got ${typed}`)
      const last = bounds.at(-1)
      if (last !== undefined && bound <= last) throw this.#error('the bounds must rise')
      if (bounds.push(bound) > BOUNDS_MAX) {
        throw this.#error(`a histogram has at most ${BOUNDS_MAX} bounds`)
      }
      this.#at += typed.length
      this.#skipBlanks()
      if (this.#text[this.#at] === ',') this.#at++
    }
    if (bounds.length === 0) throw this.#error('expected upper bounds behind ;, as 10 100 1000')
    return bounds
  }

  #expression(type: MetricType): { node: ExpressionNode; regexes: readonly RegexPlace[] } {
    this.#skipBlanks()
    const isMissing = this.#rest() === '' || /^by\s/i.test(this.#rest())
    if (isMissing && type !== 'counter') return { node: { kind: 'all', of: [] }, regexes: [] }
    if (isMissing) throw this.#error('expected an expression: which records count? * is every one')
    const at = this.#at
    const { parsed, end } = this.#located(at, () => parseLeading(this.#text, at, 'by'))
    this.#at = end
    return parsed
  }

  #labels(): readonly MetricLabel[] {
    const labels: MetricLabel[] = []
    this.#skipBlanks()
    if (this.#rest() === '') return labels
    // parseLeading has found it.
    this.#at += 'by'.length
    for (;;) {
      labels.push(this.#label(labels))
      this.#skipBlanks()
      if (this.#rest() === '') return labels
      if (this.#text[this.#at] !== ',') throw this.#error('expected , or the end behind a label')
      this.#at++
      if (labels.length === LABELS_MAX) throw this.#error(`at most ${LABELS_MAX} labels`)
    }
  }

  #label(before: readonly MetricLabel[]): MetricLabel {
    this.#skipBlanks()
    const at = this.#at
    const named = /^([^\s=,"@.]+)\s*=\s*/.exec(this.#rest())
    if (named !== null) this.#at += named[0].length
    const targetAt = this.#at
    const typed = /^(?:"(?:[^"\\]|\\.)*"|[^\s,="()]+)/.exec(this.#rest())?.[0]
    if (typed === undefined) throw this.#error('expected a field, as service or http.status')
    this.#at += typed.length
    const target = this.#target(typed, targetAt)
    const name = named?.[1] ?? labelOf(target)
    if (!LABEL_NAME.test(name)) {
      const how = `write NAME=${typed}, with letters, digits and _`
      throw this.#error(`${JSON.stringify(name)} cannot be the name of a label: ${how}`, at)
    }
    if (RESERVED_LABELS.has(name) || name.startsWith('__')) {
      throw this.#error(`the label ${name} has a meaning of its own: write OTHER=${typed}`, at)
    }
    if (before.some((one) => one.name === name)) {
      throw this.#error(`the label ${name} is there already: write OTHER=${typed}`, at)
    }
    return { name, target }
  }

  /** A field or @name, as the language of expressions reads it. */
  #target(typed: string, at: number): Target {
    const { node } = this.#located(at, () => parseExpression(`${typed}:*`))
    if (node.kind === 'compare' && node.target.of !== 'time' && node.target.of !== 'offset') {
      return node.target
    }
    throw this.#error(`expected a field, @topic, @partition, @key or @header.NAME`, at)
  }

  /** Faults of a part, at their place in the whole. @param at where the part begins. */
  #located<T>(at: number, parse: () => T): T {
    try {
      return parse()
    } catch (error) {
      if (!(error instanceof ExpressionError) || error.source === this.#text) throw error
      throw this.#error(error.what, at)
    }
  }

  #rest(): string {
    return this.#text.slice(this.#at)
  }

  #skipBlanks(): void {
    while (/\s/.test(this.#text[this.#at] ?? '')) this.#at++
  }

  #error(what: string, at = this.#at): ExpressionError {
    return new ExpressionError(this.#text, Math.min(at, this.#text.length), what)
  }
}

function labelOf(target: Target): string {
  if (target.of === 'field') return target.path.at(-1) ?? ''
  return target.of === 'header' ? target.name.replaceAll(/[^a-zA-Z0-9_]/g, '_') : target.of
}
