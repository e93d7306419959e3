/**
 * `logpipe explain [EXPR]`: how a filter is searched for. `logpipe test FILE...`: whether the
 * filter of a config file gives the verdicts that stand in it.
 */
import { isDeepStrictEqual } from 'node:util'
import { isAlias, isMap, isSeq, LineCounter, parseDocument } from 'yaml'
import type { Bridge } from '../bridge/bridge.ts'
import { loadBridge } from '../bridge/load.ts'
import { LogpipeError } from '../core/errors.ts'
import type { Literal, Program, ProgramSet } from '../core/expression/ast.ts'
import { describePlan, type Plan } from '../core/expression/plan.ts'
import { printExpression } from '../core/expression/print.ts'
import { printable } from '../core/printable.ts'
import { readSmallFile } from '../core/small-file.ts'
import { counted } from '../core/text-table.ts'
import { parseTime } from '../core/units.ts'
import { TESTS_KEY } from '../options/config-file.ts'
import { type FilterConfig, filterPlan, refuseRegexes } from '../options/filter.ts'
import { expressionFault } from '../options/kinds.ts'
import { resolve, type Resolved } from '../options/resolve.ts'
import { describeRules, planRules } from '../options/rule-list.ts'
import { encodeHeaders } from '../pool/slot-reader.ts'
import { documentsBy, type JudgeBridge, judgeOf } from '../run/rule-judge.ts'
import { documentEdits } from '../run/settings-from-config.ts'
import type { TriedRecord, Verdict } from '../run/try.ts'
import type { CommandContext } from './context.ts'

export function explain(context: CommandContext): number {
  const resolved = resolve({ command: 'explain', args: context.args, env: context.env })
  const { config, operands } = resolved
  if (operands.length > 1) throw quoteTogether(operands)
  const filter = withOperand(resolved)
  const bridge = loadBridge(config.bridgeLib ?? undefined)
  refuseRegexes(filter, bridge)
  if (filter.rules !== null) {
    const set = planRules(filter.rules)
    const batches = describedBy(bridge, set)
    context.print(
      config.tryJson
        ? `${JSON.stringify({ rules: filter.rules.rules, set, batches })}\n`
        : `${describeRules(filter.rules)}batches: ${batches}\n`,
    )
    return 0
  }
  const plan = filterPlan(filter)
  const batches = describedBy(bridge, plan.program)
  context.print(
    config.tryJson
      ? `${JSON.stringify({ ...planJson(plan), batches })}\n`
      : `${describePlan(plan)}batches        ${batches}\n`,
  )
  return 0
}

/** How batches are searched, in the add-on's words. */
function describedBy(bridge: Bridge, program: Program | ProgramSet): string {
  const matcher = bridge.matcherOpen({ expression: JSON.stringify(program) })
  const batches = bridge.matcherDescribe(matcher)
  bridge.matcherClose(matcher)
  return batches
}

/** The filter with an expression that stands by itself on the command line. */
function withOperand({ config, sources, operands }: Resolved): FilterConfig {
  const [text] = operands
  if (text === undefined) return config
  const fault = expressionFault('expression', text)
  if (fault !== undefined) {
    throw new LogpipeError('USAGE', `logpipe explain: ${fault.message}`, { below: fault.below })
  }
  const isDefault = sources.get('MATCH_PATTERN')?.kind === 'default'
  return {
    ...config,
    matchPattern: isDefault ? [] : config.matchPattern,
    matchKeep: [...config.matchKeep, text],
    // It is asked by itself.
    rules: null,
  }
}

function quoteTogether(operands: readonly string[]): LogpipeError {
  const whole = operands.join(' ').replaceAll("'", String.raw`'\''`)
  const message = `logpipe explain: an expression is one argument: '${whole}'`
  return new LogpipeError('USAGE', message)
}

function planJson({ program, unsearchable, isByNameOnly }: Plan): object {
  const { keep, drop, prefilter } = program
  const literal = ({ hex, ignoreCase }: Literal) => ({
    text: Buffer.from(hex, 'hex').toString('utf8'),
    hex,
    ignore_case: ignoreCase,
  })
  return {
    keep: printExpression(keep),
    drop: drop === null ? null : printExpression(drop),
    searched_for: prefilter === null ? null : prefilter.literals.map(literal),
    by_field_names_only: isByNameOnly,
    not_searchable: unsearchable,
    program,
  }
}

/** A record with the verdict that it must get. */
interface Case {
  /** FILE:LINE. */
  readonly place: string
  readonly record: TriedRecord
  readonly isKept: boolean
  /** The rules that must take it, in their order; null: whichever. */
  readonly rules: readonly string[] | null
  /** What must be written of it, by rule: a text as it stands, anything else as JSON; null: any. */
  readonly documents: readonly unknown[] | null
}

interface Difference {
  readonly place: string
  readonly expected: string
  readonly got: string
  readonly value: string | null
}

export function testFilters(context: CommandContext): number {
  const { config, operands } = resolve({ command: 'test', args: context.args, env: context.env })
  if (operands.length === 0) {
    throw new LogpipeError('USAGE', 'logpipe test needs a file; see logpipe help tests')
  }
  const bridge = loadBridge(config.bridgeLib ?? undefined)
  const results = operands.map((file) => testFile(file, bridge))
  const differences = results.flatMap(({ differing }) => differing)
  const count = results.reduce((sum, { cases }) => sum + cases, 0)
  if (config.tryJson) {
    context.print(`${JSON.stringify({ verdicts: count, differences })}\n`)
  } else {
    for (const difference of differences) context.print(describeDifference(difference))
    const failed = differences.length === 0 ? 'all as expected' : `${differences.length} differ`
    context.print(`${counted(count, 'verdict')} in ${operands.join(', ')}: ${failed}\n`)
  }
  return differences.length === 0 ? 0 : 1
}

function testFile(
  file: string,
  bridge: JudgeBridge & Pick<Bridge, 'regexCheck'>,
): { readonly cases: number; readonly differing: readonly Difference[] } {
  // The filter of the file, and of nothing else.
  const { config } = resolve({ command: 'explain', args: ['--config', file], env: {} })
  refuseRegexes(config, bridge)
  const cases = readCases(file, readSmallFile(file))
  const judge = judgeOf(bridge, config)
  try {
    const documents = documentsBy(documentEdits(config))
    const differing = cases.flatMap((one) => {
      const verdict = judge.verdict(one.record)
      return differenceOf(one, verdict, () => documents(one.record, verdict.rules)) ?? []
    })
    return { cases: cases.length, differing }
  } finally {
    judge.close()
  }
}

/** Null: it is as expected. */
function differenceOf(
  one: Case,
  { reason, rules }: Verdict,
  documentsOf: () => readonly (Buffer | null)[],
): Difference | null {
  const { place, record, isKept } = one
  const wanted = one.rules?.join(', ')
  const isTaken = wanted === undefined || wanted === rules.join(', ')
  if ((reason === null) === isKept && isTaken) {
    return one.documents === null ? null : differenceInDocuments(one, documentsOf())
  }
  const by = (names: string) => (names === '' ? '' : ` by ${names}`)
  return {
    place,
    expected: isKept ? `keep${by(wanted ?? '')}` : 'drop',
    got: reason === null ? `keep${by(rules.join(', '))}` : `drop  (${reason})`,
    value: record.value === null ? null : record.value.toString('utf8'),
  }
}

/** Null: they are as expected. */
function differenceInDocuments(
  { place, record, documents }: Case,
  got: readonly (Buffer | null)[],
): Difference | null {
  const wanted = documents ?? []
  const texts = got.map((one) => one?.toString('utf8') ?? 'null')
  const isAlike = (want: unknown, text: string | undefined) =>
    text !== undefined &&
    (typeof want === 'string' ? want === text : isDeepStrictEqual(parsed(text), want))
  if (wanted.length === got.length && wanted.every((one, index) => isAlike(one, texts[index]))) {
    return null
  }
  const shown = (one: unknown) => (typeof one === 'string' ? one : JSON.stringify(one))
  return {
    place,
    expected: wanted.map(shown).join('\n    '),
    got: texts.join('\n    '),
    value: record.value === null ? null : record.value.toString('utf8'),
  }
}

/** Undefined: it is no JSON. */
function parsed(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

const VALUE_CHARS_MAX = 300

/** As a diff has it: what should be, and what is. */
function describeDifference({ place, expected, got, value }: Difference): string {
  const shown = value === null ? 'null' : printable(value.slice(0, VALUE_CHARS_MAX))
  return `${place}: ${shown}\n  - ${expected}\n  + ${got}\n`
}

const RECORD_KEYS = ['key', 'headers', 'topic', 'partition', 'offset', 'time']
const CASE_KEYS = ['keep', 'drop', 'rule', 'document', ...RECORD_KEYS]

/** @throws LogpipeError USAGE, with the line. */
function readCases(file: string, text: string): readonly Case[] {
  const lines = new LineCounter()
  // The options were read as text; values of records are what YAML says they are.
  const document = parseDocument(text, { lineCounter: lines, prettyErrors: false })
  const fault = (at: number, what: string) =>
    new LogpipeError('USAGE', `${file}:${lines.linePos(at).line}: ${what}`)
  const list: unknown = document.get(TESTS_KEY, true)
  if (!isSeq(list)) {
    const hint = 'see logpipe help tests'
    throw fault(0, `expected a list of records with their verdicts under ${TESTS_KEY}; ${hint}`)
  }
  return list.items.map((item) => {
    const node = isAlias(item) ? item.resolve(document) : item
    const at = (item as { range?: readonly number[] }).range?.[0] ?? 0
    if (!isMap(node)) throw fault(at, 'expected keep: VALUE or drop: VALUE')
    const entry = node.toJS(document) as Readonly<Record<string, unknown>>
    const unknown = Object.keys(entry).find((key) => !CASE_KEYS.includes(key))
    if (unknown !== undefined) {
      throw fault(at, `unknown key "${unknown}"; expected ${CASE_KEYS.join(', ')}`)
    }
    const verdicts = ['keep', 'drop'].filter((key) => Object.hasOwn(entry, key))
    if (verdicts.length !== 1) throw fault(at, 'expected one of keep: VALUE and drop: VALUE')
    const isKept = verdicts[0] === 'keep'
    const record = recordOf(entry, entry[isKept ? 'keep' : 'drop'])
    if (typeof record === 'string') throw fault(at, record)
    const rules = rulesOf(entry['rule'])
    if (rules === undefined)
      throw fault(at, 'rule: expected the name of a rule, or a list of names')
    if (rules !== null && !isKept) throw fault(at, 'rule: goes with keep, not with drop')
    const documents = documentsOf(entry['document'])
    if (documents !== null && !isKept) throw fault(at, 'document: goes with keep, not with drop')
    return { place: `${file}:${lines.linePos(at).line}`, record, isKept, rules, documents }
  })
}

/** One for each rule; null: none is named. */
function documentsOf(given: unknown): readonly unknown[] | null {
  if (given === undefined) return null
  return Array.isArray(given) ? given : [given]
}

/** Null: none is named; undefined: these are no names. */
function rulesOf(given: unknown): readonly string[] | null | undefined {
  if (given === undefined) return null
  const names: readonly unknown[] = Array.isArray(given) ? given : [given]
  return names.every((name) => typeof name === 'string') ? names : undefined
}

/** @returns what is wrong, as text. */
function recordOf(entry: Readonly<Record<string, unknown>>, value: unknown): TriedRecord | string {
  const { key = null, headers = {}, topic = 'test', partition = 0, offset = 0, time } = entry
  if (typeof headers !== 'object' || headers === null || Array.isArray(headers)) {
    return 'headers: expected a map of names and values'
  }
  if (typeof topic !== 'string') return 'topic: expected a name'
  if (!isOffset(partition)) return 'partition: expected a whole number'
  if (!isOffset(offset)) return 'offset: expected a whole number'
  const timestampMs = timeOf(time)
  if (timestampMs === undefined) return 'time: expected a time with its zone, or ms since 1970'
  return {
    value: bytesOf(value),
    key: bytesOf(key),
    headers: encodeHeaders(Object.entries(headers).map(([name, one]) => [name, bytesOf(one)])),
    topic,
    partition,
    offset,
    timestampMs,
  }
}

/** -1: none is given; undefined: it is none. */
function timeOf(time: unknown): number | undefined {
  if (time === undefined) return -1
  if (typeof time === 'string') return parseTime(time)
  return isOffset(time) ? time : undefined
}

function isOffset(value: unknown): value is number {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0
}

/** A text as it stands; what YAML reads as something else, as its JSON. */
function bytesOf(value: unknown): Buffer | null {
  if (value === null || value === undefined) return null
  return Buffer.from(typeof value === 'string' ? value : JSON.stringify(value), 'utf8')
}
