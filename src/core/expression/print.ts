/**
 * An expression's tree as text that parses to the same tree: for `explain`, for the reasons that
 * `try` names, for labels and fingerprints.
 */
import type { CompareNode, ExpressionNode, Target } from './ast.ts'

/** What binds tighter than a node needs no parentheses within it. */
const BINDING = { any: 0, all: 1, not: 2, bytes: 3, regex: 3, compare: 3 } as const

export function printExpression(node: ExpressionNode): string {
  switch (node.kind) {
    case 'all':
      return node.of.length === 0 ? '*' : joined(node, ' and ')
    case 'any':
      // No text means nothing at all; this comes nearest.
      return node.of.length === 0 ? 'not *' : joined(node, ' or ')
    case 'not':
      return `not ${within(node.of, BINDING.not)}`
    case 'bytes':
      return printBytes(Buffer.from(node.hex, 'hex'), node.ignoreCase)
    case 'regex':
      return printRegex(node)
    case 'compare':
      return printCompare(node)
  }
}

function joined(node: Extract<ExpressionNode, { kind: 'all' | 'any' }>, join: string): string {
  return node.of.map((one) => within(one, BINDING[node.kind] + 1)).join(join)
}

function within(node: ExpressionNode, binding: number): string {
  const isConstant = (node.kind === 'all' || node.kind === 'any') && node.of.length === 0
  const text = printExpression(node)
  return BINDING[node.kind] < binding && !isConstant ? `(${text})` : text
}

/** In quotes; bytes that are no text as \xHH. */
export function printBytes(bytes: Buffer, ignoreCase: boolean): string {
  const text = bytes.toString('utf8')
  const isText = Buffer.from(text, 'utf8').equals(bytes)
  const shown = isText
    ? quoted(text)
    : `"${[...bytes].map((byte) => `\\x${byte.toString(16).padStart(2, '0')}`).join('')}"`
  return ignoreCase ? `${shown}i` : shown
}

function quoted(text: string): string {
  // JSON's escapes are those of a quoted text.
  return JSON.stringify(text).replaceAll(
    /[\u007f-\u009f\u2028\u2029]/g,
    (one) => `\\u${one.charCodeAt(0).toString(16).padStart(4, '0')}`,
  )
}

function printRegex({ source, ignoreCase }: { source: string; ignoreCase: boolean }): string {
  const escaped = source.replaceAll(/\\[^]|\//g, (one) => (one === '/' ? '\\/' : one))
  return `/${escaped}/${ignoreCase ? 'i' : ''}`
}

function printCompare({ target, test }: CompareNode): string {
  const name = printTarget(target)
  switch (test.op) {
    case 'exists':
      return `${name}:*`
    case 'equals':
      return `${name}:${printValue(target, test.text)}`
    case 'wildcard':
      return `${name}:${test.parts.map(escapedWord).join('*')}`
    case 'contains':
      return `${name} ~ ${quoted(test.text)}`
    case 'regex':
      return `${name} ~ ${printRegex(test)}`
    default:
      return `${name} ${test.op} ${printValue(target, test.text)}`
  }
}

function printTarget(target: Target): string {
  if (target.of === 'header') return `@header.${escapedWord(target.name)}`
  if (target.of !== 'field') return `@${target.of}`
  const name = target.path.join('.')
  return isPlain(name) ? name : quoted(name)
}

function printValue({ of }: Target, text: string): string {
  if (of === 'time') {
    const date = new Date(Number(text))
    const isFourDigits = /^\d/.test(text) && Number(text) < 253_402_300_800_000
    return isFourDigits && !Number.isNaN(date.getTime()) ? date.toISOString() : text
  }
  return isPlain(text) ? text : quoted(text)
}

function isPlain(text: string): boolean {
  return /^[\w.-]+$/.test(text) && !/^(and|or|not)$/i.test(text)
}

function escapedWord(text: string): string {
  return text.replaceAll(/[^\p{L}\p{N}_.-]/gu, String.raw`\$&`)
}
