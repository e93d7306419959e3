/**
 * The oracle of the property tests: what an expression means, written as plainly as can be, with
 * JSON.parse and JavaScript's regular expressions. Slow, and never used by the program.
 */
import { isUtf8 } from 'node:buffer'
import type { ExpressionNode, Literal, Target, Test } from '../../src/core/expression/ast.ts'
import { type Alternative, isJsonNumber } from '../../src/core/expression/plan.ts'
import { REGEXES } from './random-expressions.ts'

export interface NaiveRecord {
  readonly value: Uint8Array | null
  readonly key: Uint8Array | null
  readonly headers: readonly (readonly [name: string, value: Uint8Array | null])[]
  readonly topic: string
  readonly partition: number
  readonly offset: number
  /** -1: none. */
  readonly timestampMs: number
}

type Scalar =
  { readonly string: Buffer } | { readonly number: string } | { readonly boolean: string }
type Value = null | Scalar | { readonly object: Readonly<Record<string, Value>> } | readonly Value[]

export function evaluate(node: ExpressionNode, record: NaiveRecord): boolean {
  switch (node.kind) {
    case 'all':
      return node.of.every((one) => evaluate(one, record))
    case 'any':
      return node.of.some((one) => evaluate(one, record))
    case 'not':
      return !evaluate(node.of, record)
    case 'bytes':
      return holds(record.value ?? Buffer.alloc(0), node)
    case 'regex':
      return record.value !== null && regexMatches(node, Buffer.from(record.value))
    case 'compare':
      return valuesOf(node.target, record).some((value) => meets(value, node.test))
  }
}

/** Of a set of alternatives: see Judgement in src/bridge/bridge.ts. */
export function judge(
  groups: readonly { readonly all: boolean; readonly of: readonly Alternative[] }[],
  record: NaiveRecord,
): { hits: number[]; droppedBy: number } {
  const hits: number[] = []
  let droppedBy = -1
  let first = 0
  for (const [place, { all, of }] of groups.entries()) {
    const met = of.map(({ keep }) => evaluate(keep, record))
    const isDropped = of.map(({ drop }) => drop !== null && evaluate(drop, record))
    const holding = met.flatMap((isMet, index) => (isMet && !isDropped[index] ? [index] : []))
    if (place === 0 && holding.length === 0) droppedBy = met.indexOf(true)
    hits.push(...(all ? holding : holding.slice(0, 1)).map((index) => first + index))
    first += of.length
  }
  return { hits, droppedBy }
}

/** Whether the bytes hold a literal. */
export function holds(bytes: Uint8Array, { hex, ignoreCase }: Literal): boolean {
  const fold = (one: Buffer) => (ignoreCase ? folded(one) : one)
  return fold(Buffer.from(bytes)).includes(fold(Buffer.from(hex, 'hex')))
}

function folded(bytes: Buffer): Buffer {
  return Buffer.from(bytes.map((byte) => (byte >= 0x41 && byte <= 0x5a ? byte | 0x20 : byte)))
}

/** On bytes: each stands for a character of its own. Classes in REGEXES are lower case. */
function regexMatches(regex: { source: string; ignoreCase: boolean }, bytes: Buffer): boolean {
  const same = REGEXES[regex.source] ?? regex.source
  const source = Buffer.from(regex.ignoreCase ? same.toLowerCase() : same).toString('latin1')
  const text = (regex.ignoreCase ? folded(bytes) : bytes).toString('latin1')
  // In bytes, é+ repeats its last byte.
  return new RegExp(source).test(text)
}

function valuesOf(target: Target, record: NaiveRecord): Value[] {
  switch (target.of) {
    case 'field': {
      const object = objectOf(record.value)
      return object === null ? [] : fieldValues(object, target.path)
    }
    case 'topic':
      return [{ string: Buffer.from(record.topic) }]
    case 'key':
      return record.key === null ? [] : [{ string: Buffer.from(record.key) }]
    case 'partition':
    case 'offset':
      return [{ number: String(record[target.of]) }]
    case 'time':
      return record.timestampMs === -1 ? [] : [{ number: String(record.timestampMs) }]
    case 'header':
      return record.headers
        .filter(([name]) => name === target.name)
        .map(([, value]) => (value === null ? { object: {} } : { string: Buffer.from(value) }))
  }
}

/** The reviver's third argument, which TypeScript's library does not know yet. */
type ParseWithSource = (
  text: string,
  revive: (key: string, value: unknown, context: { readonly source?: string }) => unknown,
) => unknown

/** The value as one JSON object, or null. Of a key that stands twice the last one counts. */
function objectOf(bytes: Uint8Array | null): Readonly<Record<string, Value>> | null {
  if (bytes === null || !isUtf8(bytes)) return null
  try {
    const text = Buffer.from(bytes).toString('utf8')
    const root = (JSON.parse as ParseWithSource)(text, (_, value, { source }) => {
      if (typeof value === 'string') return { string: Buffer.from(value) }
      if (typeof value === 'number') return { number: source ?? '' }
      if (typeof value === 'boolean') return { boolean: String(value) }
      return value === null || Array.isArray(value) ? value : { object: value }
    }) as Value
    return root !== null && 'object' in root ? root.object : null
  } catch {
    return null
  }
}

/** {"a.b":1} and {"a":{"b":1}} both have a.b. */
function fieldValues(object: Readonly<Record<string, Value>>, path: readonly string[]): Value[] {
  return path.flatMap((_, index) => {
    const key = path.slice(0, index + 1).join('.')
    if (!Object.hasOwn(object, key)) return []
    const value = object[key] ?? null
    const rest = path.slice(index + 1)
    return rest.length === 0 ? [value] : within(value, rest)
  })
}

function within(value: Value, path: readonly string[]): Value[] {
  if (value === null) return []
  if (isList(value)) return value.flatMap((one) => within(one, path))
  return 'object' in value ? fieldValues(value.object, path) : []
}

function isList(value: Value): value is readonly Value[] {
  return Array.isArray(value)
}

function meets(value: Value, test: Test): boolean {
  if (value === null) return false
  if (isList(value)) return value.some((one) => meets(one, test))
  if (test.op === 'exists') return true
  if ('object' in value) return false
  const text = 'string' in value ? value.string : Buffer.from(Object.values(value)[0] as string)
  switch (test.op) {
    case 'equals': {
      const numbers = numbersOf(value, test.text)
      if (numbers !== null && numbers[0] === numbers[1]) return true
      return !('number' in value) && text.equals(Buffer.from(test.text))
    }
    case 'wildcard':
      return wildcardMatches(text, test.parts)
    case 'contains':
      return text.includes(Buffer.from(test.text))
    case 'regex':
      return regexMatches(test, text)
    default: {
      const numbers = numbersOf(value, test.text)
      if (numbers !== null) return ordered(numbers[0] - numbers[1], test.op)
      return 'string' in value && ordered(Buffer.compare(text, Buffer.from(test.text)), test.op)
    }
  }
}

/** Both as numbers, where both are JSON numbers. */
function numbersOf(value: Scalar, text: string): readonly [number, number] | null {
  const own = 'number' in value ? value.number : 'string' in value ? value.string.toString() : ''
  return isJsonNumber(own) && isJsonNumber(text) ? [Number(own), Number(text)] : null
}

function ordered(difference: number, op: '<' | '<=' | '>' | '>='): boolean {
  if (difference === 0) return op === '<=' || op === '>='
  return difference < 0 === op.startsWith('<')
}

function wildcardMatches(text: Buffer, parts: readonly string[]): boolean {
  const pattern = parts
    .map((part) =>
      Buffer.from(part)
        .toString('latin1')
        .replaceAll(/[^\w]/g, (sign) => `\\x${sign.charCodeAt(0).toString(16).padStart(2, '0')}`),
    )
    .join('[^]*')
  return new RegExp(`^${pattern}$`).test(text.toString('latin1'))
}
