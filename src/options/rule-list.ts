/**
 * Reads the option RULES: a list of rules, or a map with the list in it. The text is JSON; a config
 * file has it as YAML, and hands it on as JSON (config-file.ts).
 *
 *   - name: errors
 *     keep: level:ERROR              one expression or a list: any keeps
 *     drop: '"health"'               the same: any drops, and a drop wins
 *     index: errors-{+yyyy.MM.dd}
 *     pipeline: enrich
 *     sample: 10%                    or { share: 10%, by: trace_id }
 *     fields: { remove: password }   as field-edits.ts says
 *
 *   all: true                        every rule that holds, and not the first one alone
 *   list: [...]
 *
 * What is wrong is told with the rule's name, and within an expression with the column. Bounds:
 * RULES_MAX rules, and what an expression and a program may be (core/expression/ast.ts).
 */
import type { ExpressionNode, Literal, ProgramSet } from '../core/expression/ast.ts'
import { ExpressionError, parseExpression, type RegexPlace } from '../core/expression/parse.ts'
import {
  type Alternative,
  anyOf,
  type Plan,
  planProgram,
  planSet,
} from '../core/expression/plan.ts'
import { printBytes, printExpression } from '../core/expression/print.ts'
import { FILTER_REASONS } from '../core/live-books.ts'
import { fieldEditsOf, jsonOf, mapOf, pathOf, RuleFault } from './field-edits.ts'
import {
  type FieldEdits,
  type RecordRule,
  RULE_NAME,
  type RuleList,
  RULES_MAX,
  type Sample,
  type SampleTarget,
} from '../core/rules.ts'

type Fields = Readonly<Record<string, unknown>>

const LIST_KEYS = ['all', 'list']
const RULE_KEYS = ['name', 'keep', 'drop', 'index', 'pipeline', 'sample', 'fields']
const SAMPLE_KEYS = ['share', 'by']

/** @throws RuleFault */
export function parseRules(text: string): RuleList {
  const given = jsonOf(text, 'a list of rules')
  const whole: Fields = Array.isArray(given) ? { list: given } : mapOf(given, 'rules', LIST_KEYS)
  const list = whole['list']
  if (!Array.isArray(list) || list.length === 0) {
    throw new RuleFault('expected a list of rules, each with a name')
  }
  if (list.length > RULES_MAX) {
    throw new RuleFault(`expected at most ${RULES_MAX} rules, got ${list.length}`)
  }
  const rules = list.map((one: unknown, index) => ruleOf(one, index))
  refuseNames(rules)
  const parsed = { isEach: switchOf(whole['all'], 'all'), rules }
  planRules(parsed)
  return parsed
}

function ruleOf(given: unknown, index: number): RecordRule {
  const place = `rule ${index + 1}`
  const fields = mapOf(given, place, RULE_KEYS)
  const name = within(`${index}.name`, () => ruleNameOf(fields['name'], place))
  /** What `read` makes of the value of a key. */
  const at = <Result>(key: string, read: (given: unknown, place: string) => Result): Result =>
    within(`${index}.${key}`, () => read(fields[key], `rule "${name}", ${key}`))
  return {
    name,
    number: index,
    keep: at('keep', expressionsOf),
    drop: at('drop', expressionsOf),
    index: at('index', textOf),
    pipeline: at('pipeline', pipelineOf),
    sample: at('sample', sampleOf),
    fields: at('fields', editsOf),
  }
}

/** A fault says where in the list it is, for a form. */
function within<Result>(place: string, read: () => Result): Result {
  try {
    return read()
  } catch (error) {
    if (error instanceof RuleFault) throw new RuleFault(error.message, error.below, place)
    throw error
  }
}

function ruleNameOf(given: unknown, place: string): string {
  if (typeof given !== 'string' || !RULE_NAME.test(given)) {
    const what = 'up to 64 letters, digits, dots, dashes and underscores, a letter or digit first'
    throw new RuleFault(`${place}: expected a name of ${what}`)
  }
  if (!RESERVED.has(given)) return given
  throw new RuleFault(`${place}: the name ${given} has a meaning in the books: take another`)
}

function editsOf(given: unknown, place: string): FieldEdits | null {
  return given === undefined || given === null ? null : fieldEditsOf(given, place)
}

/** What the books say beside the names of rules. */
const RESERVED: ReadonlySet<string> = new Set(FILTER_REASONS)

function refuseNames(rules: readonly RecordRule[]): void {
  const known = new Set<string>()
  for (const [index, { name }] of rules.entries()) {
    if (known.has(name)) {
      throw new RuleFault(`two rules have the name "${name}"`, null, `${index}.name`)
    }
    known.add(name)
  }
}

function expressionsOf(given: unknown, place: string): readonly string[] {
  if (given === undefined || given === null) return []
  const all: readonly unknown[] = Array.isArray(given) ? given : [given]
  return all.map((one) => {
    if (typeof one !== 'string') throw new RuleFault(`${place}: expected an expression in quotes`)
    try {
      parseExpression(one)
    } catch (error) {
      if (!(error instanceof ExpressionError)) throw error
      throw new RuleFault(`${place}: ${error.message}`, error.below)
    }
    return one
  })
}

function sampleOf(given: unknown, place: string): Sample | null {
  if (given === undefined || given === null) return null
  if (typeof given !== 'object') return { share: shareOf(given, place), by: null }
  const { share, by } = mapOf(given, place, SAMPLE_KEYS)
  return { share: shareOf(share, `${place}, share`), by: byOf(by, `${place}, by`) }
}

function shareOf(given: unknown, place: string): number {
  const text = typeof given === 'string' ? given.trim() : ''
  const [, digits, percent] = /^(\d*\.?\d+)\s*(%?)$/.exec(text) ?? []
  const typed = Number(digits ?? Number.NaN) / (percent === '%' ? 100 : 1)
  const share = typeof given === 'number' ? given : typed
  if (share > 0 && share <= 1) return share
  throw new RuleFault(`${place}: expected a share above 0 and up to 1, such as 0.1 or 10%`)
}

function byOf(given: unknown, place: string): SampleTarget | null {
  if (given === undefined || given === null) return null
  if (given === '@key') return { of: 'key' }
  if (typeof given !== 'string' || !given.startsWith('@')) {
    return { of: 'field', path: pathOf(given, place) }
  }
  throw new RuleFault(`${place}: expected a field, such as trace_id, or @key`)
}

/** As Elasticsearch names them; it stands in a line of JSON. */
const PIPELINE_NAME = /^[^"\\\p{Cc}]{1,255}$/u

function pipelineOf(given: unknown, place: string): string | null {
  const text = textOf(given, place)
  if (text === null || PIPELINE_NAME.test(text)) return text
  throw new RuleFault(`${place}: expected up to 255 characters, no quotes and no backslash`)
}

function textOf(given: unknown, place: string): string | null {
  if (given === undefined || given === null) return null
  if (typeof given === 'string' && given !== '') return given
  throw new RuleFault(`${place}: expected a name`)
}

function switchOf(given: unknown, place: string): boolean {
  if (given === undefined || given === null) return false
  if (given === true || given === 'true') return true
  if (given === false || given === 'false') return false
  throw new RuleFault(`${place}: expected true or false`)
}

/**
 * The expressions of all rules, numbered as the rules are.
 * @throws RuleFault when they are larger together than the add-on takes.
 */
export function alternativesOf({ rules }: RuleList): readonly Alternative[] {
  return rules.map(alternativeOf)
}

function alternativeOf({ keep, drop }: RecordRule): Alternative {
  return {
    keep: keep.length === 0 ? { kind: 'all', of: [] } : joined(keep),
    drop: drop.length === 0 ? null : joined(drop),
  }
}

function joined(texts: readonly string[]): ExpressionNode {
  return anyOf(texts.map((text) => parseExpression(text).node))
}

/** What the add-on is given of them. @throws RuleFault as above. */
export function planRules(list: RuleList): ProgramSet {
  try {
    return planSet([{ all: list.isEach, of: alternativesOf(list) }])
  } catch (cause) {
    if (cause instanceof RangeError) throw new RuleFault(cause.message)
    throw cause
  }
}

/** Where the regular expressions of the rules stand. */
export function ruleRegexes({ rules }: RuleList): readonly {
  readonly place: string
  readonly text: string
  readonly regexes: readonly RegexPlace[]
}[] {
  return rules.flatMap(({ name, keep, drop }) =>
    Object.entries({ keep, drop }).flatMap(([key, texts]) =>
      texts.map((text) => {
        const { regexes } = parseExpression(text)
        return { place: `rule "${name}", ${key}`, text, regexes }
      }),
    ),
  )
}

/** Rules that `explain` describes one by one. */
const DESCRIBED_MAX = 50

/** What `explain` says of rules, for people. */
export function describeRules(list: RuleList): string {
  const { isEach, rules } = list
  const lines = rules.slice(0, DESCRIBED_MAX).flatMap((rule, index) => {
    const { keep, drop } = alternativeOf(rule)
    const { program, unsearchable } = planRule(rule)
    const found = program.prefilter?.literals.map(literalText).join(' or ')
    return [
      `${index + 1}. ${rule.name}`,
      `   keeps        ${printExpression(keep)}`,
      ...(drop === null ? [] : [`   drops        ${printExpression(drop)}`]),
      ...targetLines(rule),
      found === undefined
        ? `   searched for nothing: ${unsearchable.map(({ reason }) => reason)[0] ?? ''}`
        : `   searched for ${found}`,
    ]
  })
  if (rules.length > DESCRIBED_MAX) lines.push(`and ${rules.length - DESCRIBED_MAX} more rules`)
  lines.push(
    isEach
      ? 'a record becomes a document for each rule that holds'
      : 'a record goes to the first rule that holds',
  )
  const without = rules.filter((rule) => planRule(rule).program.prefilter === null)
  if (without.length > 0) {
    const names = without.slice(0, 3).map(({ name }) => name)
    const more = without.length > names.length ? ` and ${without.length - names.length} more` : ''
    lines.push(`each record is evaluated, because of ${names.join(', ')}${more}`)
  }
  return lines.map((line) => `${line}\n`).join('')
}

/** By what a rule is searched for: by what it keeps, so that what it drops is counted. */
function planRule(rule: RecordRule): Plan {
  return planProgram(alternativeOf(rule).keep, null)
}

function targetLines({ index, pipeline, sample }: RecordRule): string[] {
  const by = sample?.by ?? null
  const whose = by === null ? '' : ` of ${by.of === 'key' ? '@key' : by.path.join('.')}`
  return [
    ...(index === null ? [] : [`   index        ${index}`]),
    ...(pipeline === null ? [] : [`   pipeline     ${pipeline}`]),
    ...(sample === null ? [] : [`   sample       ${sample.share}${whose}`]),
  ]
}

function literalText({ hex, ignoreCase }: Literal): string {
  return printBytes(Buffer.from(hex, 'hex'), ignoreCase)
}
