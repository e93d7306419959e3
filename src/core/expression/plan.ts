/**
 * The planner: which bytes the value of every kept record holds, so that the rest is rejected
 * without being decoded.
 *
 * A node, or its opposite, asks for a set of literals of which one must be there:
 *
 * ```
 *   "bytes"             the bytes
 *   /regex/             of each alternative, its longest stretch of plain characters
 *   field:value         the longest stretch of the value that JSON can only spell as it is or by
 *                       \uXXXX; and `\u` beside it, for a value that is spelled so
 *   field:500, < <= > >=, field:*
 *                       the field's name in quotes, and `\u`: 500 may be spelled 5e2
 *   @topic and its kin  none: they are not in the value
 *   a and b             those of the part that rejects most
 *   a or b              those of both; none where one has none
 *   not a               none, but for not (a or b), which is (not a) and (not b)
 * ```
 *
 * Soundness (no kept record lacks all of them) is a property test against a naive evaluator.
 */
import assert from 'node:assert/strict'
import {
  ALTERNATIVES_MAX,
  EXPRESSION_DEPTH_MAX,
  EXPRESSION_NODES_MAX,
  type CompareNode,
  type ExpressionNode,
  type Literal,
  type Prefilter,
  type Program,
  type ProgramSet,
  type Target,
} from './ast.ts'
import { printBytes, printExpression } from './print.ts'

/** A term that no bytes can be searched for, and why. */
export interface Unsearchable {
  readonly term: string
  readonly reason: string
}

export interface Plan {
  readonly program: Program
  /** Why there is no prefilter; empty where there is one. */
  readonly unsearchable: readonly Unsearchable[]
  /** The literals are names of fields alone: records that have the fields are all evaluated. */
  readonly isByNameOnly: boolean
}

interface Found {
  readonly literals: readonly Literal[]
  readonly isByNameOnly: boolean
}
type Need = Found | { readonly literals: null; readonly why: readonly Unsearchable[] }

/** What JSON writes before the four digits of an escaped character. */
const UNICODE_ESCAPE: Literal = {
  hex: Buffer.from(String.raw`\u`).toString('hex'),
  ignoreCase: false,
}
/** Longer literals reject hardly more. */
const TELLING_BYTES = 8

/**
 * @param drop null: nothing is dropped.
 * @throws RangeError when keep and drop together are larger than the add-on takes.
 */
export function planProgram(keep: ExpressionNode, drop: ExpressionNode | null): Plan {
  const nodes = nodesOf({ keep, drop })
  if (nodes > EXPRESSION_NODES_MAX) {
    throw new RangeError(`more than ${EXPRESSION_NODES_MAX} terms in all: ${nodes}`)
  }
  assert(
    depthOf(keep) <= EXPRESSION_DEPTH_MAX &&
      (drop === null || depthOf(drop) < EXPRESSION_DEPTH_MAX),
  )
  const whole: ExpressionNode =
    drop === null ? keep : { kind: 'all', of: [keep, { kind: 'not', of: drop }] }
  const need = needOf(whole, true)
  // None of no literals: nothing is kept, which needs no search.
  const isSearchable = need.literals !== null && need.literals.length > 0
  const prefilter: Prefilter = isSearchable ? { literals: need.literals } : null
  return {
    program: { keep, drop, prefilter },
    unsearchable: need.literals === null ? need.why : [],
    isByNameOnly: isSearchable && need.isByNameOnly,
  }
}

/** An expression of its own among many; `drop` as for planProgram. */
export interface Alternative {
  readonly keep: ExpressionNode
  readonly drop: ExpressionNode | null
}

/**
 * Many expressions at once, in groups (ProgramSet). What is searched for is what each `keep` needs:
 * a record that only a `drop` refuses is found too, so that it can be counted.
 * @throws RangeError when they are more, or larger together, than the add-on takes.
 */
export function planSet(
  groups: readonly { readonly all: boolean; readonly of: readonly Alternative[] }[],
): ProgramSet {
  const every = groups.flatMap(({ of }) => of)
  if (every.length > ALTERNATIVES_MAX) {
    throw new RangeError(`more than ${ALTERNATIVES_MAX} expressions at once: ${every.length}`)
  }
  const nodes = every.reduce((sum, one) => sum + nodesOf(one), 0)
  if (nodes > EXPRESSION_NODES_MAX) {
    throw new RangeError(`more than ${EXPRESSION_NODES_MAX} terms in all: ${nodes}`)
  }
  return {
    groups: groups.map(({ all, of }) => ({
      all,
      of: of.map(({ keep, drop }) => {
        const { prefilter } = planProgram(keep, null).program
        return { keep, drop, prefilter }
      }),
    })),
  }
}

/** Several expressions of one kind: any of them. */
export function anyOf(nodes: readonly ExpressionNode[]): ExpressionNode {
  const [only] = nodes
  if (only !== undefined && nodes.length === 1) return only
  return { kind: 'any', of: nodes.flatMap((node) => (node.kind === 'any' ? node.of : [node])) }
}

function nodesOf({ keep, drop }: Alternative): number {
  return sizeOf(keep) + (drop === null ? 0 : sizeOf(drop))
}

function sizeOf(node: ExpressionNode): number {
  if (node.kind === 'not') return 1 + sizeOf(node.of)
  if (node.kind !== 'all' && node.kind !== 'any') return 1
  return node.of.reduce((sum, one) => sum + sizeOf(one), 1)
}

function depthOf(node: ExpressionNode): number {
  if (node.kind === 'not') return 1 + depthOf(node.of)
  if (node.kind !== 'all' && node.kind !== 'any') return 1
  return 1 + node.of.reduce((most, one) => Math.max(most, depthOf(one)), 0)
}

/** @param isTrue whether the node is to be true, or false. */
function needOf(node: ExpressionNode, isTrue: boolean): Need {
  switch (node.kind) {
    case 'not':
      return needOf(node.of, !isTrue)
    case 'all':
    case 'any': {
      const needs = node.of.map((one) => needOf(one, isTrue))
      if ((node.kind === 'all') === isTrue) return best(node, needs)
      return union(needs)
    }
    case 'bytes':
      if (!isTrue) return none(negated(node), ABSENCE)
      if (node.hex === '') return none(node, 'every record holds no bytes at all')
      return found([{ hex: node.hex, ignoreCase: node.ignoreCase }])
    case 'regex': {
      if (!isTrue) return none(negated(node), ABSENCE)
      const literals = regexLiterals(node, (run) => run)
      return literals === null ? none(node, NO_LITERAL) : found(literals)
    }
    case 'compare':
      return isTrue ? comparedNeed(node) : none(negated(node), ABSENCE)
  }
}

const ABSENCE = 'what must not be there cannot be searched for'
const NO_LITERAL = 'no plain text is in every match'

function negated(of: ExpressionNode): ExpressionNode {
  return { kind: 'not', of }
}

function found(literals: readonly Literal[], isByNameOnly = false): Found {
  return { literals, isByNameOnly }
}

function none(node: ExpressionNode, reason: string): Need {
  return { literals: null, why: [{ term: printExpression(node), reason }] }
}

/** Of parts that must all hold, the one that rejects most. */
function best(node: ExpressionNode, needs: readonly Need[]): Need {
  let chosen: Found | null = null
  for (const need of needs) {
    if (need.literals !== null && (chosen === null || rejectsMore(need, chosen))) chosen = need
  }
  if (chosen !== null) return chosen
  const why = needs.flatMap((need) => (need.literals === null ? need.why : []))
  return why.length > 0 ? { literals: null, why } : none(node, 'every record is kept')
}

function rejectsMore(left: Found, right: Found): boolean {
  if (left.isByNameOnly !== right.isByNameOnly) return right.isByNameOnly
  const [leftBytes, rightBytes] = [tellingBytes(left), tellingBytes(right)]
  if (leftBytes !== rightBytes) return leftBytes > rightBytes
  return left.literals.length < right.literals.length
}

/** The length of the shortest literal, as far as it counts. */
function tellingBytes({ literals }: Found): number {
  const lengths = literals.filter((one) => one !== UNICODE_ESCAPE).map(({ hex }) => hex.length / 2)
  return Math.min(TELLING_BYTES, ...lengths)
}

/** Of parts of which one must hold. */
function union(needs: readonly Need[]): Need {
  const why = needs.flatMap((need) => (need.literals === null ? need.why : []))
  if (why.length > 0) return { literals: null, why }
  const known = needs.filter((need) => need.literals !== null)
  const literals = new Map<string, Literal>()
  for (const literal of known.flatMap((need) => need.literals)) {
    const key = `${literal.hex} ${literal.ignoreCase}`
    if (!literals.has(key)) literals.set(key, literal)
  }
  return found(
    [...literals.values()],
    known.every((need) => need.isByNameOnly),
  )
}

function comparedNeed(node: CompareNode): Need {
  const { target, test } = node
  if (target.of !== 'field') return none(node, `${metaText(target)} is not in the value`)
  switch (test.op) {
    case 'equals':
      // A number may be spelled in many ways.
      if (isJsonNumber(test.text)) break
      return textNeed(test.text, target)
    case 'contains':
      return textNeed(test.text, target)
    case 'wildcard':
      return textNeed(longest(test.parts.flatMap(plainRuns)), target)
    case 'regex': {
      const literals = regexLiterals(test, (run) => longest(plainRuns(run)))
      return literals === null ? nameNeed(target.path) : found([...literals, UNICODE_ESCAPE])
    }
    default:
      break
  }
  return nameNeed(target.path)
}

function metaText(target: Target): string {
  return target.of === 'header' ? 'a header' : `@${target.of}`
}

function textNeed(text: string, { path }: { readonly path: readonly string[] }): Need {
  const run = longest(plainRuns(text))
  if (run === '') return nameNeed(path)
  return found([{ hex: hexOf(run), ignoreCase: false }, UNICODE_ESCAPE])
}

/** The name as it stands in the JSON: its last part, since {"a.b":1} has a.b as well. */
function nameNeed(path: readonly string[]): Need {
  const last = path.at(-1) ?? ''
  const run = longest(plainRuns(last))
  const isWhole = run === last
  const text = isWhole ? `${path.length === 1 ? '"' : ''}${run}"` : run
  if (text === '') {
    return { literals: null, why: [{ term: path.join('.'), reason: NO_LITERAL }] }
  }
  return found([{ hex: hexOf(text), ignoreCase: false }, UNICODE_ESCAPE], true)
}

/** Stretches of characters that JSON spells as they are or by \uXXXX, and in no other way. */
function plainRuns(text: string): string[] {
  // eslint-disable-next-line no-control-regex
  return text.split(/["\\/\u0000-\u001f]+/)
}

function longest(runs: readonly string[]): string {
  const bytes = (run: string) => Buffer.byteLength(run)
  return runs.reduce((most, run) => (bytes(run) > bytes(most) ? run : most), '')
}

function hexOf(text: string): string {
  return Buffer.from(text, 'utf8').toString('hex')
}

/** As JSON spells a number. */
export function isJsonNumber(text: string): boolean {
  return /^-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?$/.test(text)
}

/** Of each alternative, the longest stretch that every match holds; null where one has none. */
function regexLiterals(
  { source, ignoreCase }: { readonly source: string; readonly ignoreCase: boolean },
  part: (run: string) => string,
): Literal[] | null {
  const alternatives = regexRuns(source)
  if (alternatives === null) return null
  const chosen = alternatives.map((runs) => longest(runs.map(part)))
  if (chosen.includes('')) return null
  return chosen.map((text) => ({ hex: hexOf(text), ignoreCase }))
}

/** Escaped letters that are no character of their own, and end a stretch. */
const CLASS_ESCAPES = 'dDwWsSbBAzZhHvVRN'
const ESCAPED_CONTROLS: Readonly<Record<string, string>> = { n: '\n', r: '\r', t: '\t' }

/**
 * Stretches of plain characters at the top level of a regular expression, by alternative. What is
 * not understood for certain gives null: a stretch too many would lose records.
 */
function regexRuns(source: string): string[][] | null {
  const alternatives: string[][] = [['']]
  let rest = source
  const runs = () => alternatives.at(-1) ?? []
  const endRun = () => runs().push('')
  const add = (character: string) => (runs()[runs().length - 1] += character)
  while (rest !== '') {
    const [atom = ''] = /^(?:\\[^]|[^])/u.exec(rest) ?? []
    let length = atom.length
    const character = atom.length > 1 && atom.startsWith('\\') ? escapedCharacter(atom) : atom
    if (character === null || atom === '\\' || atom === ')') return null
    const isOperator = atom === character && '.^$*+?{([|'.includes(atom)
    if (!isOperator && character !== '') add(character)
    else if (atom === '|') alternatives.push([''])
    else if (atom === '[' || atom === '(') {
      const end = atom === '[' ? classEnd(rest) : groupEnd(rest)
      if (end === null) return null
      length = end
      endRun()
    } else if (isOperator && '*+?{'.includes(atom)) {
      return null // A quantifier without what it repeats.
    } else endRun()
    rest = rest.slice(length)
    const quantifier = /^(?:[*+?]|\{[^}]*\}?)[?+]?/.exec(rest)?.[0]
    if (quantifier === undefined) continue
    rest = rest.slice(quantifier.length)
    const isOnceAtLeast = /^(?:\+|\{[1-9]\d*(?:,\d*)?\})/.test(quantifier)
    if (!isOnceAtLeast && !isOperator && character !== '') {
      runs()[runs().length - 1] = runs().at(-1)?.slice(0, -character.length) ?? ''
    }
    endRun()
  }
  return alternatives
}

/** The character; empty: it stands for a class or a place; null: not understood. */
function escapedCharacter(atom: string): string | null {
  const letter = atom.slice(1)
  const control = ESCAPED_CONTROLS[letter]
  if (control !== undefined) return control
  if (CLASS_ESCAPES.includes(letter)) return ''
  return /^[\p{L}\p{N}]$/u.test(letter) ? null : letter
}

/** The length of the bracketed class at the beginning. */
function classEnd(rest: string): number | null {
  // A bracket right at the start is a member; [:alpha:] has one of its own.
  return /^\[\^?\]?(?:\\[^]|\[:\^?\w+:\]|[^\]\\])*\]/.exec(rest)?.[0].length ?? null
}

/** The length of the group at the beginning; null for one that sets flags, or looks around. */
function groupEnd(rest: string): number | null {
  let depth = 0
  for (let at = 0; at < rest.length; at++) {
    const character = rest[at]
    if (character === '\\') at++
    else if (character === '[') {
      const end = classEnd(rest.slice(at))
      if (end === null) return null
      at += end - 1
    } else if (character === '(') {
      if (/^\((?:\*|\?(?!:))/.test(rest.slice(at, at + 3))) return null
      depth++
    } else if (character === ')' && --depth === 0) return at + 1
  }
  return null
}

/** What `explain` says, for people. */
export function describePlan({ program, unsearchable, isByNameOnly }: Plan): string {
  const { keep, drop, prefilter } = program
  const lines = [`keeps          ${printExpression(keep)}`]
  if (drop !== null) lines.push(`drops          ${printExpression(drop)}`)
  if (prefilter === null) {
    lines.push('searched for   nothing: there is no text that every kept record holds')
    for (const { term, reason } of unsearchable) lines.push(`               ${term}: ${reason}`)
    return lines.map((line) => `${line}\n`).join('')
  }
  for (const [index, literal] of prefilter.literals.entries()) {
    const label = index === 0 ? 'searched for   ' : '            or '
    lines.push(`${label}${literalText(literal)}`)
  }
  const isWhole = drop === null && isOnlyBytes(keep)
  lines.push(
    isWhole
      ? 'then           a record that holds one is kept'
      : 'then           a record that holds one is evaluated, every other one is dropped unread',
  )
  if (isByNameOnly) {
    lines.push(
      '               these are names of fields: they reject only records without the field',
    )
  }
  return lines.map((line) => `${line}\n`).join('')
}

function literalText({ hex, ignoreCase }: Literal): string {
  const text = printBytes(Buffer.from(hex, 'hex'), ignoreCase)
  return hex === UNICODE_ESCAPE.hex ? `${text} (JSON may spell any character so)` : text
}

function isOnlyBytes(node: ExpressionNode): boolean {
  return node.kind === 'bytes' || (node.kind === 'any' && node.of.every(isOnlyBytes))
}
