/**
 * One field of a pipeline: checks a JSON value by the option's own parser.
 *
 * A field takes what the option takes on the command line ("16MiB", "100ms"), and JSON's own
 * numbers, booleans and lists too. What is kept is normal: a boolean, a number in the option's
 * unit, text, or a list of texts where an option may be repeated.
 */

/** What the control plane needs of an option's row; the rows of options/table.ts have it. */
export interface FieldRow {
  /** The variable, ES_BULK_BYTES; the field is es_bulk_bytes. */
  readonly env: string
  /** Only `remote` rows are fields. */
  readonly scope: 'remote' | 'local'
  readonly commands: readonly string[]
  readonly kind: string
  readonly choices?: readonly string[]
  readonly min?: number
  readonly max?: number
  /** As a user would type it; null: none. */
  readonly default: string | null
  readonly secret?: boolean
  readonly repeatable?: boolean
  readonly notBuilt?: boolean
  readonly group: string
  readonly short: string
  readonly long: string
}

export interface FieldOption {
  readonly row: FieldRow
  /** The value of a text as typed, or undefined when it is none. */
  readonly parse: (text: string) => unknown
  /** What the option takes, to follow "expected". */
  readonly expected: string
}

export type FieldValue = string | number | boolean | readonly string[]

export type Checked =
  { readonly ok: true; readonly value: FieldValue } | { readonly ok: false; readonly fault: string }

/** Longest text of a field: a long regular expression, or a list of many brokers. */
const TEXT_CHARS_MAX = 8192
/** Patterns, say: all of them go into one variable, which Linux limits to 128 KiB. */
const LIST_MAX = 100
const LIST_BYTES_MAX = 100_000

/** Where nothing at all is never meant, although it is a text. */
const NOT_EMPTY: ReadonlySet<string> = new Set(['KAFKA_GROUP_ID', 'ES_INDEX', 'MATCH_PATTERN'])

export function checkValue(option: FieldOption, given: unknown): Checked {
  if (!Array.isArray(given)) return checkOne(option, given)
  if (option.row.repeatable !== true) return fault(`expected ${option.expected}, not a list`)
  if (given.length > LIST_MAX) return fault(`expected at most ${LIST_MAX} entries`)
  const values: string[] = []
  for (const each of given) {
    const checked = checkOne(option, each)
    if (!checked.ok) return checked
    values.push(variableText(checked.value))
  }
  if (Buffer.byteLength(values.join('\n')) > LIST_BYTES_MAX) {
    return fault(`expected at most ${LIST_BYTES_MAX} bytes in all`)
  }
  return { ok: true, value: values }
}

/** As the environment of a process has it; the entries of a list stand one a line. */
export function variableText(value: FieldValue): string {
  if (typeof value === 'boolean') return String(Number(value))
  return typeof value === 'object' ? value.join('\n') : String(value)
}

function checkOne(option: FieldOption, given: unknown): Checked {
  const { row, parse, expected } = option
  if (typeof given !== 'string' && typeof given !== 'number' && typeof given !== 'boolean') {
    return fault(`expected ${expected}`)
  }
  const text = typeof given === 'boolean' ? String(Number(given)) : String(given)
  if (text.length > TEXT_CHARS_MAX) {
    return fault(`expected at most ${TEXT_CHARS_MAX} characters, got ${text.length}`)
  }
  // Variables end at a NUL; a line break parts the entries of a list, and could forge a log line.
  if (/[\0\r\n]/.test(text)) return fault('expected no line break and no NUL character')
  if (text === '' && NOT_EMPTY.has(row.env)) return fault('expected at least one character')
  const parsed = parse(text)
  if (parsed === undefined) return fault(`expected ${expected}`)
  if (/^urls?$/.test(row.kind) && holdsCredentials(text)) {
    return fault('expected no user or password within the address; there are fields for them')
  }
  return {
    ok: true,
    value: typeof parsed === 'boolean' || typeof parsed === 'number' ? parsed : text,
  }
}

/** Answers show addresses, so there must be no password in one. */
function holdsCredentials(urls: string): boolean {
  return urls.split(',').some((part) => {
    const url = URL.parse(part.trim())
    return url === null || url.username !== '' || url.password !== ''
  })
}

function fault(text: string): Checked {
  return { ok: false, fault: text }
}
