/**
 * What a pipeline may say: its name, its replicas, every remote option of `run` as an optional
 * field (snake_case of the variable), and librdkafka properties from an allow-list.
 *
 * Fields come from the option table alone. No field can name a program or a file: local options
 * are refused by name, and so is where the output goes. Secrets are kept apart from the rest, so
 * that an answer cannot show one by accident. Workers that run the pipeline get them; each is kept
 * for the address that it was given for (see DESTINATIONS).
 */
import assert from 'node:assert/strict'
import { LogpipeError } from '../core/errors.ts'
import { expected, expressionFault, parseValue, structureFault } from '../options/kinds.ts'
import { isHiddenProperty } from '../options/kafka-properties.ts'
import { isTopic, parseTopics } from '../options/notations.ts'
import {
  propertyFault,
  propertyVariable,
  protectsConnection,
} from '../options/remote-kafka-properties.ts'
import {
  decidedBySync,
  FILTER_VARIABLES,
  remoteFault,
  TRY_VARIABLES,
} from '../options/remote-options.ts'
import { resolve } from '../options/resolve.ts'
import { parseRules } from '../options/rule-list.ts'
import type { Kind } from '../options/spec.ts'
import { ROWS } from '../options/table.ts'
import { indexNameFaults, parseIndexPattern } from '../sink/elasticsearch/index-name.ts'
import type { FieldFault } from './problem.ts'

export interface PipelineSettings {
  /** Field name to value, secrets left out. */
  readonly fields: Readonly<Record<string, FieldValue>>
  /** librdkafka property to value, secrets left out. */
  readonly kafkaConfig: Readonly<Record<string, string>>
}

/** By field name, or `kafka_config.` and the property's name. */
export type Secrets = Readonly<Record<string, string>>

export interface Draft {
  readonly name: string
  readonly settings: PipelineSettings
  readonly secrets: Secrets
  readonly replicas: number
  /** Undefined: not said. */
  readonly enabled: boolean | undefined
}

/** Settings with the secrets that were given for them. */
export interface Content {
  readonly settings: PipelineSettings
  readonly secrets: Secrets
}

const NO_CONTENT: Content = { settings: { fields: {}, kafkaConfig: {} }, secrets: {} }

/**
 * Where a secret goes. It was given for these addresses over connections protected like that, so a
 * change of either drops it: whoever may change a pipeline could send it to a server of his own, or
 * over a connection that he reads. An address less is no other destination.
 */
interface Destination {
  /** Keys of the secrets that go there. */
  readonly secrets: RegExp
  /** The field that lists the addresses. */
  readonly addresses: string
  /** Whether it depends on librdkafka's properties how the secret is sent. */
  readonly isKafka?: true
}

/** Elasticsearch's are protected as their URLs say; all else of TLS is the worker's own. */
const DESTINATIONS: readonly Destination[] = [
  { secrets: /^(?!kafka)/, addresses: 'es_url' },
  {
    secrets: /^(?!es_)/,
    addresses: 'kafka_brokers',
    isKafka: true,
  },
]

/** A filter that is tried waits in memory, and goes along with a heartbeat's answer. */
const TRY_CHARS_MAX = 16_384

/** What `run` would refuse at its start: names that Elasticsearch does not take. */
function indexFaults(fields: Readonly<Record<string, FieldValue>>): FieldFault[] {
  const { es_index: index, kafka_topic: topics, rules } = fields
  const names = typeof topics === 'string' ? (parseTopics(topics) ?? []) : []
  const own = typeof index === 'string' ? [{ field: 'es_index', name: 'ES_INDEX', index }] : []
  const byRule = typeof rules === 'string' ? parseRules(rules).rules : []
  const all = [
    ...own,
    ...byRule.flatMap(({ name, index: own }, place) =>
      own === null
        ? []
        : [{ field: `rules.${place}.index`, name: `rule "${name}": index`, index: own }],
    ),
  ]
  return all.flatMap(({ field, name, index: pattern }) => {
    try {
      const faults = indexNameFaults(parseIndexPattern(pattern, name), names.filter(isTopic))
      return faults.map((detail) => ({ field, detail }))
    } catch (error) {
      if (!(error instanceof LogpipeError)) throw error
      return [{ field, detail: error.message }]
    }
  })
}

/** What a pipeline has besides options; answers repeat the read-only ones, so a PUT may too. */
const OWN_FIELDS = ['name', 'enabled', 'desired_state', 'replicas', 'kafka_config'] as const
const READ_ONLY: ReadonlySet<string> = new Set([
  'id',
  'revision',
  'version',
  'good_revision',
  'created_at',
  'updated_at',
  'status',
  'secrets',
])

/** One worker each: more than any topic has partitions in practice. */
export const REPLICAS_MAX = 256
export const NAME_CHARS_MAX = 128
const KAFKA_PROPERTIES_MAX = 50

export class PipelineFields {
  /** The rows that are fields, in the table's order. */
  readonly rows: readonly FieldRow[]
  readonly #byField: ReadonlyMap<string, FieldOption>
  readonly #refused: ReadonlyMap<string, string | undefined>

  constructor(options: readonly FieldOption[]) {
    const own = options.filter(({ row }) => remoteFault(row) === undefined)
    this.rows = own.map(({ row }) => row)
    this.#byField = new Map(own.map((option) => [fieldName(option.row), option]))
    this.#refused = new Map(options.map(({ row }) => [fieldName(row), remoteFault(row)]))
  }

  /**
   * Checks a whole body. Secrets that it leaves out stay as in `before`, unless they would go to
   * another address than before; null removes one.
   * @returns the draft, or every fault that was found.
   */
  check(
    body: Readonly<Record<string, unknown>>,
    before: Content = NO_CONTENT,
  ): { readonly draft: Draft } | { readonly faults: readonly FieldFault[] } {
    const faults: FieldFault[] = []
    const fields: Record<string, FieldValue> = {}
    const secrets: Record<string, string> = Object.fromEntries(
      Object.entries(before.secrets).filter(([key]) => !key.startsWith('kafka_config.')),
    )
    for (const [field, given] of Object.entries(body)) {
      const option = this.#byField.get(field)
      if (option === undefined) {
        const why = this.#faultOfName(field)
        if (why !== undefined) faults.push({ field, detail: why })
        continue
      }
      if (given === null) {
        Reflect.deleteProperty(secrets, field)
        continue
      }
      const checked = checkValue(option, given)
      if (!checked.ok) faults.push(faultIn(field, checked.fault))
      else if (option.row.secret === true) secrets[field] = variableText(checked.value)
      else fields[field] = checked.value
    }
    faults.push(...indexFaults(fields))
    const kafka = checkKafkaConfig(body['kafka_config'], before.secrets, faults)
    const settings = { fields, kafkaConfig: kafka.shown }
    faults.push(...this.movedSecrets(before, settings, keysOf(body)))
    const own = checkOwn(body, faults)
    if (faults.length > 0) return { faults }
    return {
      draft: {
        ...own,
        settings,
        secrets: { ...secrets, ...kafka.secrets },
      },
    }
  }

  /** The fields of a try: those that decide which records are kept, and where records are. */
  get tryRows(): readonly FieldRow[] {
    return this.rows.filter(({ env }) => TRY_VARIABLES.has(env))
  }

  /**
   * Checks a filter that is not saved, beside what else a pipeline says; a field of the filter that
   * it leaves out has its default, brokers and topic are those that are saved. Secrets go to no
   * other brokers than they were given for.
   * @returns the variables to try, or every fault that was found.
   */
  checkTry(
    body: Readonly<Record<string, unknown>>,
    saved: Content,
  ): { readonly variables: Record<string, string> } | { readonly faults: readonly FieldFault[] } {
    const { settings, secrets } = saved
    const faults: FieldFault[] = []
    const variables: Record<string, string> = {}
    const fields: Record<string, FieldValue> = { ...settings.fields }
    const names = new Set(this.tryRows.map(fieldName))
    for (const [field, given] of Object.entries(body)) {
      const option = names.has(field) ? this.#byField.get(field) : undefined
      if (option === undefined) {
        faults.push({ field, detail: `is not one of ${[...names].join(', ')}` })
        continue
      }
      if (given === null) continue
      const checked = checkValue(option, given)
      if (!checked.ok) faults.push(faultIn(field, checked.fault))
      else {
        variables[option.row.env] = variableText(checked.value)
        fields[field] = checked.value
      }
    }
    const size = JSON.stringify(variables).length
    if (size > TRY_CHARS_MAX) {
      const detail = `expected at most ${TRY_CHARS_MAX} characters in all, got ${size}`
      faults.push({ field: '', detail: `${detail}; try a longer filter with \`logpipe try\`` })
    }
    faults.push(...this.movedSecrets(saved, { ...settings, fields }))
    if (faults.length > 0) return { faults }
    const others = Object.entries({
      ...this.variables(settings),
      ...this.secretVariables(secrets),
    }).filter(([name]) => !FILTER_VARIABLES.has(name))
    const together = faultsTogether({ ...Object.fromEntries(others), ...variables })
    return together.length > 0 ? { faults: together } : { variables }
  }

  /**
   * A fault for each secret of `before` that `settings` would carry to an address or over a
   * connection that it was not given for.
   * @param given keys of secrets that come along with `settings`
   */
  movedSecrets(
    before: Content,
    settings: PipelineSettings,
    given: ReadonlySet<string> = new Set(),
  ): FieldFault[] {
    return Object.keys(before.secrets)
      .filter((key) => !given.has(key))
      .flatMap((key) => {
        const moved = DESTINATIONS.filter(({ secrets }) => secrets.test(key)).flatMap(
          (destination) => this.#moved(destination, before.settings, settings),
        )
        if (moved.length === 0) return []
        const detail = `set it again, or to null to remove it: ${moved.join(', ')} changed`
        return [{ field: key, detail }]
      })
  }

  /** Whether nothing at all is a value of this field. */
  takesEmpty(row: FieldRow): boolean {
    const option = this.#byField.get(fieldName(row))
    return option !== undefined && checkValue(option, '').ok
  }

  /** Which secrets there can be and which are set; never what they are. */
  secretStates(secrets: Secrets): Record<string, 'set' | 'unset'> {
    const states: Record<string, 'set' | 'unset'> = {}
    for (const row of this.rows) if (row.secret === true) states[fieldName(row)] = 'unset'
    for (const key of Object.keys(secrets)) states[key] = 'set'
    return states
  }

  /** The environment of the child that runs this, without secrets. */
  variables(settings: PipelineSettings): Record<string, string> {
    const variables: Record<string, string> = {}
    for (const [field, value] of Object.entries(settings.fields)) {
      const option = this.#byField.get(field)
      // A field of an older table: it meant something to a version that is gone.
      if (option !== undefined) variables[option.row.env] = variableText(value)
    }
    for (const [name, value] of Object.entries(settings.kafkaConfig)) {
      variables[propertyVariable(name)] = value
    }
    return variables
  }

  /** The secrets by the variable that takes each. */
  secretVariables(secrets: Secrets): Record<string, string> {
    return Object.fromEntries(
      Object.entries(secrets).map(([key, value]) => [
        key.startsWith('kafka_config.')
          ? propertyVariable(key.slice('kafka_config.'.length))
          : key.toUpperCase(),
        value,
      ]),
    )
  }

  /** The fields that make a secret's destination another one. */
  #moved(destination: Destination, before: PipelineSettings, after: PipelineSettings): string[] {
    const { addresses, isKafka } = destination
    const known = this.#addresses(addresses, before)
    const isNew = [...this.#addresses(addresses, after)].some((address) => !known.has(address))
    const names = new Set([...Object.keys(before.kafkaConfig), ...Object.keys(after.kafkaConfig)])
    const changed = [...names].filter(
      (name) =>
        isKafka === true &&
        protectsConnection(name) &&
        before.kafkaConfig[name] !== after.kafkaConfig[name],
    )
    return [...(isNew ? [addresses] : []), ...changed.map((name) => `kafka_config.${name}`)]
  }

  #addresses(field: string, { fields }: PipelineSettings): ReadonlySet<string> {
    const value = fields[field] ?? this.#byField.get(field)?.row.default ?? ''
    const addresses = variableText(value).split(/[,\n]/)
    return new Set(addresses.map((address) => address.trim().replace(/\/+$/, '')))
  }

  #faultOfName(field: string): string | undefined {
    if (READ_ONLY.has(field) || OWN_FIELDS.some((own) => own === field)) return undefined
    return this.#refused.get(field) ?? 'is not a field of a pipeline; GET /api/options lists them'
  }
}

/** Every field of a body that says something, properties included. */
function keysOf(body: Readonly<Record<string, unknown>>): ReadonlySet<string> {
  const properties = Object(body['kafka_config']) as object
  return new Set([
    ...Object.keys(body),
    ...Object.keys(properties).map((name) => `kafka_config.${name}`),
  ])
}

export function fieldName(row: FieldRow): string {
  return row.env.toLowerCase()
}

function checkOwn(
  body: Readonly<Record<string, unknown>>,
  faults: FieldFault[],
): Pick<Draft, 'name' | 'replicas' | 'enabled'> {
  const { name, replicas = 1, enabled, desired_state: desired } = body
  if (
    typeof name !== 'string' ||
    name === '' ||
    name.length > NAME_CHARS_MAX ||
    hasControls(name)
  ) {
    const detail = `expected a string of 1 to ${NAME_CHARS_MAX} printable characters`
    faults.push({ field: 'name', detail })
  }
  const count = Number(replicas)
  if (
    typeof replicas !== 'number' ||
    !Number.isInteger(count) ||
    count < 1 ||
    count > REPLICAS_MAX
  ) {
    const detail = `expected a whole number from 1 to ${REPLICAS_MAX}`
    faults.push({ field: 'replicas', detail })
  }
  if (enabled !== undefined && typeof enabled !== 'boolean') {
    faults.push({ field: 'enabled', detail: 'expected true or false' })
  }
  if (desired !== undefined && desired !== 'running' && desired !== 'stopped') {
    faults.push({ field: 'desired_state', detail: 'expected running or stopped' })
  }
  const wanted = desired === undefined ? undefined : desired === 'running'
  if (typeof enabled === 'boolean' && wanted !== undefined && enabled !== wanted) {
    const detail = 'enabled and desired_state contradict each other'
    faults.push({ field: 'desired_state', detail })
  }
  const said = typeof enabled === 'boolean' ? enabled : wanted
  return { name: String(name), replicas: count, enabled: said }
}

/** The C0 and C1 controls: a name appears in logs, on terminals and as a label. */
function hasControls(text: string): boolean {
  return /\p{Cc}/u.test(text)
}

function checkKafkaConfig(
  given: unknown,
  before: Secrets,
  faults: FieldFault[],
): { readonly shown: Record<string, string>; readonly secrets: Record<string, string> } {
  const shown: Record<string, string> = {}
  const secrets: Record<string, string> = Object.fromEntries(
    Object.entries(before).filter(([key]) => key.startsWith('kafka_config.')),
  )
  if (given === undefined || given === null) return { shown, secrets }
  if (typeof given !== 'object' || Array.isArray(given)) {
    faults.push({ field: 'kafka_config', detail: 'expected an object of names and values' })
    return { shown, secrets }
  }
  const entries = Object.entries(given)
  if (entries.length > KAFKA_PROPERTIES_MAX) {
    const detail = `expected at most ${KAFKA_PROPERTIES_MAX} properties, got ${entries.length}`
    faults.push({ field: 'kafka_config', detail })
    return { shown, secrets }
  }
  for (const [name, value] of entries) {
    const key = `kafka_config.${name}`
    if (value === null && isHiddenProperty(name)) {
      Reflect.deleteProperty(secrets, key)
      continue
    }
    const why = propertyFault(name, value)
    if (why !== undefined) faults.push({ field: key, detail: why })
    else if (isHiddenProperty(name)) secrets[key] = String(value)
    else shown[name] = String(value)
  }
  return { shown, secrets }
}

/*
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
  /** What is wrong with a text that does not parse, and where, if there is more to say. */
  readonly faultOf?: (text: string) => ValueFault | undefined
}

export type FieldValue = string | number | boolean | readonly string[]

type Checked =
  | { readonly ok: true; readonly value: FieldValue }
  | { readonly ok: false; readonly fault: ValueFault }

/** Longest text of a field: a long regular expression, or a list of many brokers. */
const TEXT_CHARS_MAX = 8192
/** Patterns, say: all of them go into one variable, which Linux limits to 128 KiB. */
const LIST_MAX = 100
const LIST_BYTES_MAX = 100_000

/** Where nothing at all is never meant, although it is a text. */
const NOT_EMPTY: ReadonlySet<string> = new Set(['KAFKA_GROUP_ID', 'ES_INDEX', 'MATCH_PATTERN'])

/** Rules, and what is done to fields: JSON of its own. */
function isStructure(kind: string): boolean {
  return kind === 'rules' || kind === 'fields'
}

/** A thousand rules of some terms; Linux limits the variable of the child as above. */
const RULES_BYTES_MAX = 125_000

function checkValue(option: FieldOption, given: unknown): Checked {
  // Rules may come as they are in JSON; they are kept and answered as text.
  if (isStructure(option.row.kind)) {
    return checkOne(option, typeof given === 'object' ? JSON.stringify(given) : given)
  }
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
    return fault(`expected at most ${LIST_BYTES_MAX} bytes in total`)
  }
  return { ok: true, value: values }
}

/** As the environment of a process has it; the entries of a list stand one a line. */
function variableText(value: FieldValue): string {
  if (typeof value === 'boolean') return String(Number(value))
  return typeof value === 'object' ? value.join('\n') : String(value)
}

function checkOne(option: FieldOption, given: unknown): Checked {
  const { row, parse, expected } = option
  if (typeof given !== 'string' && typeof given !== 'number' && typeof given !== 'boolean') {
    return fault(`expected ${expected}`)
  }
  const text = typeof given === 'boolean' ? String(Number(given)) : String(given)
  const charsMax = isStructure(row.kind) ? RULES_BYTES_MAX : TEXT_CHARS_MAX
  if (text.length > charsMax || Buffer.byteLength(text) > RULES_BYTES_MAX) {
    return fault(`expected at most ${charsMax} characters, got ${text.length}`)
  }
  // Variables end at a NUL; a line break parts the entries of a list, and could forge a log line.
  if (/[\0\r\n]/.test(text)) return fault('expected no line break and no NUL character')
  if (text === '' && NOT_EMPTY.has(row.env)) return fault('expected at least one character')
  const parsed = parse(text)
  if (parsed === undefined) {
    return { ok: false, fault: option.faultOf?.(text) ?? { detail: `expected ${expected}` } }
  }
  if (/^urls?$/.test(row.kind) && holdsCredentials(text)) {
    return fault('expected no user or password in the address; use the fields for them')
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

/** What is wrong with a value; `within`: with which part of it, as 0.keep of rules. */
type ValueFault = Omit<FieldFault, 'field'> & { readonly within?: string | undefined }

function faultIn(field: string, { within, ...fault }: ValueFault): FieldFault {
  return { ...fault, field: within === undefined ? field : `${field}.${within}` }
}

function fault(detail: string): Checked {
  return { ok: false, fault: { detail } }
}

/*
 * The option table as the control plane takes it: each row with its parser, and the rules that
 * hold between options.
 */

export const OPTION_FIELDS: readonly FieldOption[] = ROWS.map((row) => ({
  row,
  parse: (text) => parseValue(row, text),
  expected: expected(row),
  ...(row.kind === 'expression' || row.kind === 'metric' || isStructure(row.kind)
    ? { faultOf: (text: string) => placeOfFault(row.kind, text) }
    : {}),
}))

function placeOfFault(kind: Kind, text: string): ValueFault | undefined {
  if (kind === 'expression' || kind === 'metric') {
    const found = expressionFault(kind, text)
    return found && { detail: found.message, place: found.below }
  }
  const found = structureFault(kind, text)
  const place = found?.below ?? undefined
  const part = found?.within === null ? {} : { within: found?.within }
  return found && { detail: found.message, ...(place === undefined ? {} : { place }), ...part }
}

/**
 * What is wrong with a pipeline's variables together (a pool smaller than its threads, say), each
 * at the field that it is about; none: nothing. Each by itself was checked before.
 */
export function faultsTogether(variables: Readonly<Record<string, string>>): readonly FieldFault[] {
  try {
    resolve({
      command: 'run',
      args: [],
      env: { ...variables, ...decidedBySync(variables['PRODUCT_LINE']) },
      // No variable of a pipeline names a file.
      readText: () => assert.fail('a pipeline reads no file'),
    })
    return []
  } catch (error) {
    if (error instanceof LogpipeError) return error.lines.map(fieldFaultOf)
    throw error
  }
}

/** Out of `POOL_SIZE: 2 slots are too few`, or `--pool-size: ...` where nobody has set it. */
function fieldFaultOf(line: string): FieldFault {
  const [, name = '', detail = line] = /^(?:--)?([A-Za-z][\w-]*): (.*)$/s.exec(line) ?? []
  const field = name.toLowerCase().replaceAll('-', '_')
  const isField = ROWS.some((row) => row.scope === 'remote' && fieldName(row) === field)
  return isField ? { field, detail } : { field: '', detail: line }
}
