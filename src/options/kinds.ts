/**
 * One parser for each kind of value: from the text as typed to the value in the Config.
 *
 * A parser only looks at the text: it opens nothing and knows no other option. What it cannot take
 * it answers with undefined; `expected` says in words what would have been right. The kinds that
 * are small languages of their own (addresses, topics, times ...) are in notations.ts.
 */
import { EXPRESSION_TEXT_MAX } from '../core/expression/ast.ts'
import { parseMetric } from '../core/expression/metric.ts'
import { ExpressionError, parseExpression } from '../core/expression/parse.ts'
import type { FieldEdits, FieldPath, RuleList } from '../core/rules.ts'
import { parseBytes, parseDurationMs, parseTime } from '../core/units.ts'
import {
  ANSWER_ACTIONS,
  parseAddress,
  parseAnswer,
  parseBrokers,
  parseDateSpan,
  parseDeadLetters,
  parseHex,
  parseNames,
  parseNetworks,
  parseOutput,
  parsePair,
  parsePartitions,
  parseProxy,
  parseStart,
  parseTopics,
  parseUrl,
  topicsFault,
  parseUrls,
} from './notations.ts'
import type {
  AnswerOverride,
  DateSpan,
  DeadLetterTarget,
  ListenAddress,
  OutputTarget,
  TypedStart,
} from './notations.ts'
import { parseFields, pathOf, RuleFault } from './field-edits.ts'
import { parseRules } from './rule-list.ts'
import type { Kind, OptionSpec } from './spec.ts'

/** What a value of each kind is in the Config. A choice is narrowed further, to its words. */
export interface KindValues {
  switch: boolean
  string: string
  path: string
  count: number
  bytes: number
  duration: number
  share: number
  choice: string
  url: string
  urls: readonly string[]
  proxy: string
  address: ListenAddress
  addresses: readonly string[]
  topics: readonly string[]
  names: readonly string[]
  networks: readonly string[]
  partitions: readonly number[]
  literal: string
  hex: string
  regex: string
  expression: string
  metric: string
  rules: RuleList
  fields: FieldEdits
  field: FieldPath
  pair: readonly [name: string, value: string]
  answer: AnswerOverride
  output: OutputTarget
  letters: DeadLetterTarget
  start: TypedStart
  time: number
  dateSpan: DateSpan | 'off'
}
export type OptionValue = KindValues[Kind]

const SWITCH_WORDS: ReadonlyMap<string, boolean> = new Map([
  ['1', true],
  ['true', true],
  ['yes', true],
  ['on', true],
  ['0', false],
  ['false', false],
  ['no', false],
  ['off', false],
])

type Parsers = {
  readonly [K in Kind]: (text: string, spec: OptionSpec) => KindValues[K] | undefined
}

const PARSERS: Parsers = {
  switch: (text) => SWITCH_WORDS.get(text.toLowerCase()),
  // An empty secret is one that was not filled in, and would let in whoever sends nothing.
  string: (text, spec) => (spec.secret === true && text === '' ? undefined : text),
  path: (text) => (text === '' || text.includes('\0') ? undefined : text),
  count: (text, spec) => within(parseCount(text), spec),
  bytes: (text, spec) => within(parseBytes(text), spec),
  duration: (text, spec) => within(parseDuration(text, spec), spec),
  share: (text, spec) => within(parseShare(text), spec),
  choice: (text, spec) => spec.choices?.find((choice) => choice === text),
  url: parseUrl,
  urls: parseUrls,
  proxy: parseProxy,
  address: parseAddress,
  addresses: parseBrokers,
  topics: parseTopics,
  names: parseNames,
  networks: parseNetworks,
  partitions: parsePartitions,
  // A replacement character is what is left of bytes that were not UTF-8: they cannot be matched.
  literal: (text) => (text.includes('\uFFFD') ? undefined : text),
  hex: parseHex,
  regex: (text) => (isRegexText(text) ? text : undefined),
  expression: (text) => (expressionFault('expression', text) === undefined ? text : undefined),
  metric: (text) => (expressionFault('metric', text) === undefined ? text : undefined),
  rules: (text) => valueOrFault(() => parseRules(text)).value,
  fields: (text) => valueOrFault(() => parseFields(text)).value,
  field: (text) => valueOrFault(() => pathOf(text, 'field')).value,
  pair: parsePair,
  answer: parseAnswer,
  output: parseOutput,
  letters: parseDeadLetters,
  start: parseStart,
  time: parseTime,
  dateSpan: parseDateSpan,
}

/** The value of one typed text, or undefined when it is none of the option's kind and bounds. */
export function parseValue(spec: OptionSpec, text: string): OptionValue | undefined {
  return PARSERS[spec.kind](text, spec)
}

/** What the option takes, to follow "expected": "a whole number from 2 to 4096". */
export function expected(spec: OptionSpec): string {
  const words: { readonly [K in Kind]: string } = {
    switch: '1 or 0 (also true, false, yes, no, on, off)',
    string: 'text',
    path: 'a path',
    count: `a whole number${range(spec)}`,
    bytes: `a size in bytes${range(spec)}, such as 1048576, 1MiB or 16m`,
    duration: `a duration${range(spec)} ${unitOf(spec).name}, such as ${unitOf(spec).examples}`,
    share: `a share${range(spec)}, such as 0.01 or 1%`,
    choice: oneOf(spec.choices ?? []),
    url: 'a URL as http://HOST:PORT',
    urls: 'URLs as http://HOST:PORT, comma separated',
    proxy: 'the URL of a proxy as http://HOST:PORT, or none',
    address: 'HOST:PORT or :PORT',
    addresses: 'HOST:PORT, comma separated',
    topics: 'topic names or ^REGEX (as in JavaScript), comma separated',
    names: 'names, comma separated',
    networks: 'IP addresses or ranges such as 10.0.0.0/8, comma separated',
    partitions: 'partition numbers, such as 0,3,7-9',
    literal: 'valid UTF-8 (give other bytes with --pattern-hex)',
    hex: 'pairs of hexadecimal digits, such as 0a00ff',
    regex: `a regular expression of 1 to ${EXPRESSION_TEXT_MAX} bytes of UTF-8`,
    expression: 'an expression, such as level:ERROR and not "health"',
    metric: 'a metric, such as errors=level:ERROR by service',
    rules: 'a list of rules as JSON, each with a name',
    fields: 'mask, remove, rename, add, redact and truncate with their fields, as JSON',
    field: 'a field, such as user.name',
    pair: spec.variable ?? 'NAME=VALUE',
    answer: `an error type or a status, "=", and ${oneOf(ANSWER_ACTIONS)}`,
    output: 'stdout, file:PATH, none or elasticsearch',
    letters: 'file:PATH or topic:NAME',
    dateSpan: 'two durations up to 36500d, as 30d,1d, or off',
    start: 'earliest, latest, -1h, a date, or a time with its zone, such as 2026-09-01T00:00Z',
    time: 'a time with its zone, such as 2026-09-01T00:00Z',
  }
  return words[spec.kind]
}

/** What is wrong with the text beyond not being `expected`, where that can be said. */
export function faultOf(spec: OptionSpec, text: string): string | undefined {
  return spec.kind === 'topics' ? topicsFault(text) : undefined
}

/** What is wrong with rules, or with what is to be done to fields: all there is to say. */
export function structureFault(kind: Kind, text: string): RuleFault | undefined {
  if (kind === 'rules') return valueOrFault(() => parseRules(text)).fault
  return kind === 'fields' ? valueOrFault(() => parseFields(text)).fault : undefined
}

function valueOrFault<Value>(parse: () => Value): { value?: Value; fault?: RuleFault } {
  try {
    return { value: parse() }
  } catch (error) {
    if (error instanceof RuleFault) return { fault: error }
    throw error
  }
}

/** Where an expression or a metric is wrong: all there is to say. Of other kinds: undefined. */
export function expressionFault(kind: Kind, text: string): ExpressionError | undefined {
  try {
    if (kind === 'expression') parseExpression(text)
    if (kind === 'metric') parseMetric(text)
    return undefined
  } catch (error) {
    if (error instanceof ExpressionError) return error
    throw error
  }
}

function isRegexText(text: string): boolean {
  const bytes = Buffer.byteLength(text)
  return bytes > 0 && bytes <= EXPRESSION_TEXT_MAX && !text.includes('\uFFFD')
}

/** The unit of a duration's plain number: the end of the variable's name says it. */
function unitOf(spec: OptionSpec): {
  readonly name: string
  readonly ms: number
  readonly examples: string
} {
  return spec.env.endsWith('_SECONDS')
    ? { name: 'seconds', ms: 1000, examples: '30, 20s or 10m' }
    : { name: 'ms', ms: 1, examples: '1500ms, 20s or 10m' }
}

function parseCount(text: string): number | undefined {
  if (!/^-?\d{1,16}$/.test(text.trim())) return undefined
  const value = Number(text)
  return Number.isSafeInteger(value) ? value : undefined
}

/** In the option's unit; a fraction of it is no value (RUN_SECONDS=1500ms). */
function parseDuration(text: string, spec: OptionSpec): number | undefined {
  const plain = /^\d{1,16}$/.test(text.trim())
  if (plain) return parseCount(text)
  const ms = parseDurationMs(text)
  if (ms === undefined) return undefined
  const value = ms / unitOf(spec).ms
  return Number.isInteger(value) ? value : undefined
}

function parseShare(text: string): number | undefined {
  const match = /^(\d+(?:\.\d+)?|\.\d+)\s*(%?)$/.exec(text.trim())
  if (match === null) return undefined
  return Number(match[1]) / (match[2] === '%' ? 100 : 1)
}

function within(value: number | undefined, spec: OptionSpec): number | undefined {
  if (value === undefined) return undefined
  return value >= (spec.min ?? -Infinity) && value <= (spec.max ?? Infinity) ? value : undefined
}

function range(spec: OptionSpec): string {
  if (spec.min === undefined || spec.max === undefined) return ''
  return ` from ${spec.min} to ${spec.max}`
}

/** "a, b or c". */
export function oneOf(words: readonly string[]): string {
  if (words.length < 2) return words.join('')
  return `${words.slice(0, -1).join(', ')} or ${words.at(-1)}`
}
