/**
 * What a pipeline may say: its name, its replicas, every remote option of `run` as an optional
 * field (snake_case of the variable), and librdkafka properties from an allow-list.
 *
 * Fields come from the option table alone. No field can name a program or a file: local options
 * are refused by name, and so is where the output goes. Secrets are kept apart from the rest, so
 * that an answer cannot show one by accident; they are written, and never read back.
 */
import { LogpipeError } from '../core/errors.ts'
import { isTopic, parseTopics } from '../options/notations.ts'
import {
  propertyFault,
  propertyIsSecret,
  propertyVariable,
} from '../options/remote-kafka-properties.ts'
import { remoteFault } from '../options/remote-options.ts'
import { indexNameFaults, parseIndexPattern } from '../sink/elasticsearch/index-name.ts'
import {
  checkValue,
  variableText,
  type FieldOption,
  type FieldRow,
  type FieldValue,
} from './field-value.ts'
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

/** What `run` would refuse at its start: names that Elasticsearch does not take. */
function indexFaults(fields: Readonly<Record<string, FieldValue>>): FieldFault[] {
  const { es_index: index, kafka_topic: topics } = fields
  if (typeof index !== 'string') return []
  try {
    const names = typeof topics === 'string' ? (parseTopics(topics) ?? []) : []
    const faults = indexNameFaults(parseIndexPattern(index), names.filter(isTopic))
    return faults.map((detail) => ({ field: 'es_index', detail }))
  } catch (error) {
    if (!(error instanceof LogpipeError)) throw error
    return [{ field: 'es_index', detail: error.message }]
  }
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
   * Checks a whole body. Secrets that it leaves out stay as in `before`; null removes one.
   * @returns the draft, or every fault that was found.
   */
  check(
    body: Readonly<Record<string, unknown>>,
    before: Secrets,
  ): { readonly draft: Draft } | { readonly faults: readonly FieldFault[] } {
    const faults: FieldFault[] = []
    const fields: Record<string, FieldValue> = {}
    const secrets: Record<string, string> = Object.fromEntries(
      Object.entries(before).filter(([key]) => !key.startsWith('kafka_config.')),
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
      if (!checked.ok) faults.push({ field, detail: checked.fault })
      else if (option.row.secret === true) secrets[field] = variableText(checked.value)
      else fields[field] = checked.value
    }
    faults.push(...indexFaults(fields))
    const kafka = checkKafkaConfig(body['kafka_config'], before, faults)
    const own = checkOwn(body, faults)
    if (faults.length > 0) return { faults }
    return {
      draft: {
        ...own,
        settings: { fields, kafkaConfig: kafka.shown },
        secrets: { ...secrets, ...kafka.secrets },
      },
    }
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

  #faultOfName(field: string): string | undefined {
    if (READ_ONLY.has(field) || OWN_FIELDS.some((own) => own === field)) return undefined
    return this.#refused.get(field) ?? 'is not a field of a pipeline; GET /api/options lists them'
  }
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
    const detail = `expected a text of 1 to ${NAME_CHARS_MAX} printable characters`
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
    const detail = 'expected enabled and desired_state to say the same thing'
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
    if (value === null && propertyIsSecret(name)) {
      Reflect.deleteProperty(secrets, key)
      continue
    }
    const why = propertyFault(name, value)
    if (why !== undefined) faults.push({ field: key, detail: why })
    else if (propertyIsSecret(name)) secrets[key] = String(value)
    else shown[name] = String(value)
  }
  return { shown, secrets }
}
