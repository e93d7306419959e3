/**
 * Reads what is to be done to the fields of matches: the option FIELDS, and `fields` of a rule.
 *
 *   mask:     ['\b\d{13,19}\b']             what matches, wherever it stands
 *   remove:   [password, user.email]
 *   rename:   { user.msg: message }          the new name stands in the same object
 *   add:      { env: prod, service.name: shop }
 *   redact:   { user.ip: mask, user.id: hash }
 *   truncate: { message: 10KiB }
 *
 * Bound: EDITS_MAX entries, paths as in expressions.
 */
import { boundedRegex } from '../core/bounded-regex.ts'
import { messageOf } from '../core/errors.ts'
import { EXPRESSION_PATH_MAX, EXPRESSION_TEXT_MAX } from '../core/expression/ast.ts'
import { didYouMean } from '../core/nearest.ts'
import { EDITS_MAX, type FieldEdits, type FieldPath } from '../core/rules.ts'
import { parseBytes } from '../core/units.ts'

/** What is wrong with a list of rules, or with what is to be done to fields. */
export class RuleFault extends Error {
  /** The expression with a caret below the column; null: it is no matter of an expression. */
  readonly below: string | null
  /** Where in a list of rules, as 0.keep; null: it is about all of it. */
  readonly within: string | null

  constructor(message: string, below: string | null = null, within: string | null = null) {
    super(message)
    this.name = 'RuleFault'
    this.below = below
    this.within = within
  }
}

type Given = Readonly<Record<string, unknown>>

/** @throws RuleFault when it is no map, or has other keys. */
export function mapOf(given: unknown, place: string, keys: readonly string[]): Given {
  const fields = anyMapOf(given, `${place}: expected ${keys.join(', ')} with their values`)
  const unknown = Object.keys(fields).find((key) => !keys.includes(key))
  if (unknown === undefined) return fields
  const hint = didYouMean(unknown, keys)
  throw new RuleFault(`${place}: unknown "${unknown}"${hint}; expected ${keys.join(', ')}`)
}

function anyMapOf(given: unknown, expected: string): Given {
  if (typeof given === 'object' && given !== null && !Array.isArray(given)) return given as Given
  throw new RuleFault(expected)
}

/** @throws RuleFault when the text is no JSON. */
export function jsonOf(text: string, expected: string): unknown {
  try {
    return JSON.parse(text)
  } catch (cause) {
    throw new RuleFault(`expected ${expected} as JSON: ${messageOf(cause)}`)
  }
}

const KEYS = ['mask', 'remove', 'rename', 'add', 'redact', 'truncate']

/** The option FIELDS. @throws RuleFault */
export function parseFields(text: string): FieldEdits {
  return fieldEditsOf(jsonOf(text, 'what to do to fields'), 'fields')
}

/** @throws RuleFault */
export function fieldEditsOf(given: unknown, place: string): FieldEdits {
  const { mask, remove, rename, add, redact, truncate } = mapOf(given, place, KEYS)
  const edits: FieldEdits = {
    mask: listOf(mask, `${place}, mask`).map((one) => regexOf(one, `${place}, mask`)),
    remove: listOf(remove, `${place}, remove`).map((one) => pathOf(one, `${place}, remove`)),
    rename: entriesOf(rename, `${place}, rename`).map(([path, name, where]) => ({
      path: pathOf(path, where),
      name: nameOf(name, where),
    })),
    add: entriesOf(add, `${place}, add`).map(([name, value, where]) => ({
      path: pathOf(name, where),
      json: JSON.stringify(value),
    })),
    redact: redactOf(redact, `${place}, redact`),
    truncate: entriesOf(truncate, `${place}, truncate`).map(([path, size, where]) => ({
      path: pathOf(path, where),
      bytes: sizeOf(size, where),
    })),
  }
  const count = Object.values(edits).reduce((sum, list: readonly unknown[]) => sum + list.length, 0)
  if (count > EDITS_MAX)
    throw new RuleFault(`${place}: expected at most ${EDITS_MAX}, got ${count}`)
  return edits
}

/** A list of fields is masked. */
function redactOf(given: unknown, place: string): FieldEdits['redact'] {
  if (Array.isArray(given) || typeof given === 'string') {
    return listOf(given, place).map((one) => ({ path: pathOf(one, place), by: 'mask' as const }))
  }
  return entriesOf(given, place).map(([path, by, where]) => {
    if (by === 'mask' || by === 'hash') return { path: pathOf(path, where), by }
    throw new RuleFault(`${where}: expected mask or hash`)
  })
}

function listOf(given: unknown, place: string): readonly unknown[] {
  if (given === undefined || given === null) return []
  if (typeof given === 'string') return [given]
  if (Array.isArray(given)) return given
  throw new RuleFault(`${place}: expected a field, or a list of fields`)
}

function entriesOf(
  given: unknown,
  place: string,
): readonly (readonly [key: string, value: unknown, place: string])[] {
  if (given === undefined || given === null) return []
  const map = anyMapOf(given, `${place}: expected fields with their values`)
  return Object.entries(map).map(([key, value]) => [key, value, `${place}, ${key}`])
}

function regexOf(given: unknown, place: string): string {
  const source = String(given)
  const regex = boundedRegex(source)
  if (regex instanceof RegExp) return source
  throw new RuleFault(`${place}: ${JSON.stringify(source)}: ${regex.fault}`)
}

/** The parts of a dotted path. */
export function pathOf(given: unknown, place: string): FieldPath {
  const text = typeof given === 'string' ? given : ''
  const path = text.split('.')
  const isPath = path.length <= EXPRESSION_PATH_MAX && !path.includes('')
  if (isPath && Buffer.byteLength(text) <= EXPRESSION_TEXT_MAX) return path
  throw new RuleFault(`${place}: expected a field, such as user.name`)
}

function nameOf(given: unknown, place: string): string {
  if (typeof given === 'string' && given !== '' && !given.includes('.')) return given
  throw new RuleFault(`${place}: expected the new name, which stays in its object: no dots`)
}

function sizeOf(given: unknown, place: string): number {
  const bytes = parseBytes(String(given))
  if (bytes !== undefined && bytes >= 1 && bytes <= 2 ** 31) return bytes
  throw new RuleFault(`${place}: expected a size in bytes, such as 10KiB`)
}
