/**
 * What the filter's options mean together: patterns, regular expressions, --keep and --drop become
 * what the add-on is given.
 *
 * Patterns alone go to it as they are. With anything else all become one expression: a record is
 * kept that any pattern, regular expression or --keep keeps and no --drop drops. Where only --drop
 * is given, every other record is kept.
 *
 * Rules stand alone: they go to the add-on as a set, one alternative each (rule-list.ts).
 */
import type { ExpressionNode } from '../core/expression/ast.ts'
import { ExpressionError, parseExpression, type RegexPlace } from '../core/expression/parse.ts'
import { anyOf, planProgram, type Plan } from '../core/expression/plan.ts'
import { printExpression } from '../core/expression/print.ts'
import { LogpipeError } from '../core/errors.ts'
import type { Config } from './config.ts'
import { planRules, ruleRegexes } from './rule-list.ts'

export type FilterConfig = Pick<
  Config,
  | 'matchPattern'
  | 'matchPatternHex'
  | 'matchRegex'
  | 'matchKeep'
  | 'matchDrop'
  | 'matchIgnoreCase'
  | 'matchInvert'
  | 'rules'
>

/** As the add-on takes it (bridge.ts, MatcherOptions). */
export type RecordFilter =
  | {
      /** Any of these; none: every record matches. */
      readonly patterns: readonly Uint8Array[]
      readonly ignoreCase: boolean
      readonly invertMatch: boolean
    }
  /** A Program or, of rules, a ProgramSet (core/expression/ast.ts) as JSON. */
  | { readonly expression: string }

/** @throws LogpipeError USAGE: more terms in all than the add-on takes. */
export function filterOf(config: FilterConfig): RecordFilter {
  if (config.rules !== null) return { expression: JSON.stringify(planRules(config.rules)) }
  if (hasExpressions(config)) return { expression: JSON.stringify(filterPlan(config).program) }
  return {
    patterns: patternsOf(config),
    ignoreCase: config.matchIgnoreCase,
    invertMatch: config.matchInvert,
  }
}

/** Whether there is more than patterns. */
export function hasExpressions({ matchRegex, matchKeep, matchDrop, rules }: FilterConfig): boolean {
  return rules !== null || matchRegex.length + matchKeep.length + matchDrop.length > 0
}

/**
 * The patterns as bytes. Any of these keeps a record; an empty list keeps every record, and so does
 * an empty pattern.
 */
export function patternsOf(
  config: Pick<FilterConfig, 'matchPattern' | 'matchPatternHex'>,
): readonly Uint8Array[] {
  const patterns = [
    ...config.matchPattern.map((text) => Buffer.from(text, 'utf8')),
    ...config.matchPatternHex.map((digits) => Buffer.from(digits, 'hex')),
  ]
  return patterns.some((pattern) => pattern.length === 0) ? [] : patterns
}

/** All of the filter but rules, as one expression, planned. @throws LogpipeError USAGE */
export function filterPlan(config: FilterConfig): Plan {
  try {
    return planProgram(keepOf(config), dropOf(config))
  } catch (cause) {
    if (!(cause instanceof RangeError)) throw cause
    throw new LogpipeError('USAGE', `--keep and --drop: ${cause.message}`, { cause })
  }
}

function keepOf(config: FilterConfig): ExpressionNode {
  const { matchPattern, matchPatternHex, matchRegex, matchKeep } = config
  const ignoreCase = config.matchIgnoreCase
  const bytes = [
    ...matchPattern.map((text) => Buffer.from(text, 'utf8').toString('hex')),
    ...matchPatternHex,
  ].map((hex): ExpressionNode => ({ kind: 'bytes', hex, ignoreCase }))
  const regexes = matchRegex.map((source): ExpressionNode => ({
    kind: 'regex',
    source,
    ignoreCase,
  }))
  const patterns = [...bytes, ...regexes]
  const keeps = matchKeep.map((text) => parseExpression(text).node)
  if (patterns.length + keeps.length === 0) return { kind: 'all', of: [] }
  if (!config.matchInvert) return anyOf([...patterns, ...keeps])
  // A rule of the options: inverted patterns stand alone.
  return { kind: 'not', of: anyOf(patterns) }
}

function dropOf({ matchDrop }: FilterConfig): ExpressionNode | null {
  return matchDrop.length === 0 ? null : anyOf(matchDrop.map((text) => parseExpression(text).node))
}

/** Rules that a label names. */
const NAMES_SHOWN = 4

/** The filter in words, for labels: `level:ERROR, but not "health"`. */
export function filterText(config: FilterConfig): string {
  if (config.rules !== null) {
    const names = config.rules.rules.map(({ name }) => name)
    const more = names.length > NAMES_SHOWN ? ` and ${names.length - NAMES_SHOWN} more` : ''
    return `rules ${names.slice(0, NAMES_SHOWN).join(', ')}${more}`
  }
  const { keep, drop } = filterPlan(config).program
  const kept = printExpression(keep)
  const shown = kept === '*' ? 'every record' : kept
  return drop === null ? shown : `${shown}, but not ${printExpression(drop)}`
}

/** Who can say whether a regular expression compiles: the add-on. */
export interface RegexCompiler {
  /** @returns what is wrong, and at which byte; null: it compiles. */
  regexCheck(
    source: string,
    ignoreCase: boolean,
  ): { readonly message: string; readonly at: number | null } | null
}

/**
 * Refuses regular expressions that the add-on does not compile.
 * @throws LogpipeError USAGE, which points at the place.
 */
export function refuseRegexes(config: FilterConfig, compiler: RegexCompiler): void {
  const { matchIgnoreCase: ignoreCase } = config
  for (const source of config.matchRegex) {
    refuse('--regex', source, [{ source, ignoreCase, at: 0 }], compiler)
  }
  for (const text of config.matchKeep)
    refuse('--keep', text, parseExpression(text).regexes, compiler)
  for (const text of config.matchDrop)
    refuse('--drop', text, parseExpression(text).regexes, compiler)
  if (config.rules === null) return
  for (const { place, text, regexes } of ruleRegexes(config.rules)) {
    refuse(place, text, regexes, compiler)
  }
}

function refuse(
  option: string,
  text: string,
  regexes: readonly RegexPlace[],
  compiler: RegexCompiler,
): void {
  const fault = regexFault(text, regexes, compiler)
  if (fault === null) return
  throw new LogpipeError('USAGE', `${option}: ${fault.message}`, { below: fault.below })
}

/** The first regular expression of a text that does not compile. */
export function regexFault(
  text: string,
  regexes: readonly RegexPlace[],
  compiler: RegexCompiler,
): ExpressionError | null {
  for (const { source, ignoreCase, at } of regexes) {
    const fault = compiler.regexCheck(source, ignoreCase)
    if (fault === null) continue
    const what = `this regular expression does not compile: ${fault.message}`
    return new ExpressionError(text, at + (fault.at ?? 0), what)
  }
  return null
}
