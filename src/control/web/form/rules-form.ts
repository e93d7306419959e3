/**
 * Rules, and what is done to fields, as a form has them, and back: the option's text is JSON.
 *
 * Every part is a text. What a form has no place for (a key that it does not know) is not read, and
 * stays JSON for whoever edits it.
 */

/** What is done to a field; the order of the menu. */
export const EDIT_ACTIONS = ['remove', 'rename', 'add', 'redact', 'truncate', 'mask'] as const
export type EditAction = (typeof EDIT_ACTIONS)[number]

export interface EditRow {
  readonly action: EditAction
  /** Of a mask the regular expression. */
  readonly field: string
  /** The new name, the value, mask or hash, the size; of others empty. */
  readonly value: string
}

export interface RuleForm {
  readonly name: string
  /** An expression a line. */
  readonly keep: string
  readonly drop: string
  readonly index: string
  readonly pipeline: string
  /** Of the sample, 10% or 0.1; and the field that keeps records together. */
  readonly share: string
  readonly by: string
  readonly edits: readonly EditRow[]
}

export interface RulesForm {
  /** A record goes to every rule that holds. */
  readonly isEach: boolean
  readonly rules: readonly RuleForm[]
}

export const NO_RULES: RulesForm = { isEach: false, rules: [] }

export const NEW_RULE: RuleForm = {
  name: '',
  keep: '',
  drop: '',
  index: '',
  pipeline: '',
  share: '',
  by: '',
  edits: [],
}

type Json = Readonly<Record<string, unknown>>

/** Of the option RULES; null: it has what the form has no place for. */
export function readRules(text: string): RulesForm | null {
  if (text.trim() === '') return NO_RULES
  const given = parsed(text)
  const whole = Array.isArray(given) ? { list: given as unknown[] } : mapIn(given, ['all', 'list'])
  if (whole === null) return null
  const { all = false, list } = whole as Json
  if (typeof all !== 'boolean' || !Array.isArray(list)) return null
  const rules = list.map(readRule)
  return rules.every((rule) => rule !== null) ? { isEach: all, rules } : null
}

/** The shortest text that says it; empty for no rules. */
export function writeRules({ isEach, rules }: RulesForm): string {
  if (rules.length === 0) return ''
  const list = rules.map(({ name, keep, drop, index, pipeline, share, by, edits }) => ({
    name: name.trim(),
    ...filled('keep', linesOf(keep)),
    ...filled('drop', linesOf(drop)),
    ...filled('index', index.trim()),
    ...filled('pipeline', pipeline.trim()),
    ...filled('sample', by.trim() === '' ? share.trim() : { share: share.trim(), by: by.trim() }),
    ...filled('fields', editsOf(edits)),
  }))
  return JSON.stringify(isEach ? { all: true, list } : list)
}

/** Of the option FIELDS; null as above. */
export function readEdits(text: string): readonly EditRow[] | null {
  return text.trim() === '' ? [] : rowsOf(parsed(text))
}

export function writeEdits(rows: readonly EditRow[]): string {
  const edits = editsOf(rows)
  return edits === '' ? '' : JSON.stringify(edits)
}

const RULE_KEYS = ['name', 'keep', 'drop', 'index', 'pipeline', 'sample', 'fields']

function readRule(given: unknown): RuleForm | null {
  const rule = mapIn(given, RULE_KEYS)
  if (rule === null) return null
  const { name = '', keep, drop, index = '', pipeline = '', sample = '', fields = {} } = rule
  const [kept, dropped] = [readLines(keep), readLines(drop)]
  const part = typeof sample === 'object' ? mapIn(sample, ['share', 'by']) : { share: sample }
  const edits = rowsOf(fields)
  if (kept === null || dropped === null || part === null || edits === null) return null
  const { share = '', by = '' } = part as Json
  const texts = [name, index, pipeline, share, by].map(scalarText)
  if (!texts.every((text) => text !== null)) return null
  const [nameText = '', indexText = '', pipelineText = '', shareText = '', byText = ''] = texts
  return {
    name: nameText,
    keep: kept,
    drop: dropped,
    index: indexText,
    pipeline: pipelineText,
    share: shareText,
    by: byText,
    edits,
  }
}

/** An expression has no line end. */
function readLines(given: unknown): string | null {
  if (given === undefined) return ''
  const all: readonly unknown[] = Array.isArray(given) ? given : [given]
  const isLine = (one: unknown): one is string => typeof one === 'string' && !one.includes('\n')
  return all.every(isLine) ? all.join('\n') : null
}

function linesOf(text: string): string | readonly string[] {
  const lines = text.split(/\r?\n/).filter((line) => line.trim() !== '')
  return lines.length > 1 ? lines : (lines[0] ?? '')
}

/** Null: something in it has no row. */
function rowsOf(given: unknown): readonly EditRow[] | null {
  const map = mapIn(given, EDIT_ACTIONS)
  if (map === null) return null
  const rows = EDIT_ACTIONS.flatMap((action) => {
    const part = map[action]
    if (part === undefined) return []
    if (typeof part === 'object' && part !== null && !Array.isArray(part)) {
      if (action === 'mask' || action === 'remove') return [null]
      const text = action === 'add' ? valueText : scalarText
      return Object.entries(part).map(([field, one]) => rowOf(action, field, text(one)))
    }
    const all: readonly unknown[] = Array.isArray(part) ? part : [part]
    if (action !== 'mask' && action !== 'remove' && action !== 'redact') return [null]
    const value = action === 'redact' ? 'mask' : ''
    return all.map((one) => (typeof one === 'string' ? rowOf(action, one, value) : null))
  })
  return rows.every((row) => row !== null) ? rows : null
}

function rowOf(action: EditAction, field: string, value: string | null): EditRow | null {
  return value === null ? null : { action, field, value }
}

/** Empty where there are none. */
function editsOf(rows: readonly EditRow[]): Json | '' {
  const edits = EDIT_ACTIONS.flatMap((action): (readonly [EditAction, unknown])[] => {
    const own = rows.filter((row) => row.action === action && row.field.trim() !== '')
    if (own.length === 0) return []
    if (action === 'mask') return [[action, own.map(({ field }) => field)]]
    if (action === 'remove') return [[action, own.map(({ field }) => field.trim())]]
    const pairs = own.map(({ field, value }) => [field.trim(), valueOf(action, value)] as const)
    return [[action, Object.fromEntries(pairs)]]
  })
  return edits.length === 0 ? '' : Object.fromEntries(edits)
}

/** What is added may be any JSON; what is none is a text. */
function valueOf(action: EditAction, text: string): unknown {
  return action === 'add' ? (parsed(text) ?? (text.trim() === 'null' ? null : text)) : text.trim()
}

/** As somebody would type it: a text that would be taken for something else stands in quotes. */
function valueText(value: unknown): string {
  if (typeof value !== 'string') return JSON.stringify(value)
  return parsed(value) === undefined && value.trim() !== 'null' ? value : JSON.stringify(value)
}

function scalarText(value: unknown): string | null {
  return typeof value === 'string' ? value : typeof value === 'number' ? String(value) : null
}

function filled(key: string, value: unknown): Json {
  return value === '' ? {} : { [key]: value }
}

/** Null: it is no map, or has other keys. */
function mapIn(given: unknown, keys: readonly string[]): Json | null {
  if (typeof given !== 'object' || given === null || Array.isArray(given)) return null
  return Object.keys(given).every((key) => keys.includes(key)) ? (given as Json) : null
}

/** Undefined: it is no JSON, or null. */
function parsed(text: string): unknown {
  try {
    return (JSON.parse(text) as unknown) ?? undefined
  } catch {
    return undefined
  }
}
