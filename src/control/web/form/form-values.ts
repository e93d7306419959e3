/**
 * A pipeline as a form has it, and back.
 *
 * Every field is a text (a switch: '', '0' or '1'); an empty one is not sent, so the default of the
 * option table holds, also when that changes with a later version. Secrets are never known here:
 * an empty one stays as it is, `null` removes it.
 */
import type { FieldValue, Option, PipelineContent } from '../data/api-types.ts'

export interface KafkaProperty {
  /** Tells rows apart while their names are being typed. */
  readonly key: number
  readonly name: string
  readonly value: string
  /** Kept by the control plane, and not shown. */
  readonly stored: boolean
}

export interface FormValues {
  readonly name: string
  readonly replicas: string
  readonly fields: Readonly<Record<string, string>>
  /** '' keeps what is stored, null removes it. */
  readonly secrets: Readonly<Record<string, string | null>>
  readonly properties: readonly KafkaProperty[]
  /** Stored secret properties whose row was taken away. */
  readonly removed: readonly string[]
}

/** The members of a pipeline that are fields of the option table. */
export function fieldValues(
  content: PipelineContent,
  options: readonly Option[],
): Map<string, FieldValue> {
  const all = new Map(Object.entries(content))
  return new Map(
    options.flatMap(({ field, secret }) => {
      const value: unknown = secret ? undefined : all.get(field)
      return isFieldValue(value) ? [[field, value] as const] : []
    }),
  )
}

function isFieldValue(value: unknown): value is FieldValue {
  return ['string', 'number', 'boolean'].includes(typeof value) || Array.isArray(value)
}

export function textOf(value: FieldValue): string {
  if (typeof value === 'boolean') return value ? '1' : '0'
  return typeof value === 'object' ? value.join('\n') : String(value)
}

const SECRET_PREFIX = 'kafka_config.'

export function formOf(content: PipelineContent, options: readonly Option[]): FormValues {
  const shown = Object.entries(content.kafka_config).map(([name, value]) => ({
    name,
    value,
    stored: false,
  }))
  const stored = Object.entries(content.secrets)
    .filter(([name, state]) => state === 'set' && name.startsWith(SECRET_PREFIX))
    .map(([name]) => ({ name: name.slice(SECRET_PREFIX.length), value: '', stored: true }))
  return {
    name: content.name,
    replicas: String(content.replicas),
    fields: Object.fromEntries(
      [...fieldValues(content, options)].map(([field, value]) => [field, textOf(value)]),
    ),
    secrets: {},
    properties: [...shown, ...stored].map((each, key) => ({ key, ...each })),
    removed: [],
  }
}

/** The body of POST and PUT. */
export function bodyOf(values: FormValues, options: readonly Option[]): Record<string, unknown> {
  const body: Record<string, unknown> = {
    name: values.name.trim(),
    // What is no number goes as it is, so that the API says what is wrong with it.
    replicas: /^\d+$/.test(values.replicas.trim())
      ? Number(values.replicas)
      : values.replicas.trim() || 1,
  }
  for (const option of options) {
    if (option.secret) {
      const secret = values.secrets[option.field]
      if (secret !== undefined && secret !== '') body[option.field] = secret
      continue
    }
    const text = values.fields[option.field] ?? ''
    if (text.trim() === '') continue
    body[option.field] = valueOf(text, option)
  }
  body['kafka_config'] = {
    ...Object.fromEntries(values.removed.map((name) => [name, null])),
    ...Object.fromEntries(
      values.properties
        .filter(({ name, value, stored }) => name.trim() !== '' && !(stored && value === ''))
        .map(({ name, value }) => [name.trim(), value]),
    ),
  }
  return body
}

/**
 * With another value of a field. Rules take the place of the pattern that a new form begins with:
 * it would say once more what is kept.
 */
export function withField(
  values: FormValues,
  options: readonly Option[],
  field: string,
  value: string,
): FormValues {
  const fields = { ...values.fields, [field]: value }
  const preset = options.find((option) => option.field === 'match_pattern')?.default ?? ''
  const isPreset = field === 'rules' && value !== '' && fields['match_pattern'] === preset
  return { ...values, fields: isPreset ? { ...fields, match_pattern: '' } : fields }
}

/** The fields that decide which records are kept. */
export function isFilterField(field: string): boolean {
  return field.startsWith('match_') || field === 'rules'
}

/** The filter alone, as the API tries it. */
export function filterOf(values: FormValues, options: readonly Option[]): Record<string, unknown> {
  const body = bodyOf(values, options)
  return Object.fromEntries(Object.entries(body).filter(([field]) => isFilterField(field)))
}

/** Where the records are, as the API tries it: what is empty is as it is saved. */
export function placeOf({ fields }: FormValues): Record<string, string> {
  const given = ['kafka_brokers', 'kafka_topic'].map(
    (field) => [field, fields[field] ?? ''] as const,
  )
  return Object.fromEntries(given.filter(([, text]) => text.trim() !== ''))
}

function valueOf(text: string, { kind, repeatable }: Option): FieldValue {
  if (kind === 'switch') return text === '1'
  if (!repeatable) return text.trim()
  // Blanks within a pattern are meant; an empty line is not.
  const lines = text.split(/\r?\n/).filter((line) => line !== '')
  return lines.length === 1 ? (lines[0] ?? '') : lines
}

export interface Change {
  readonly field: string
  /** '' is the default. */
  readonly before: string
  readonly after: string
}

/** What differs between two states of a pipeline, secrets by whether they are set. */
export function changesBetween(
  before: PipelineContent,
  after: PipelineContent,
  options: readonly Option[],
): Change[] {
  const [left, right] = [flat(before, options), flat(after, options)]
  return [...new Set([...left.keys(), ...right.keys()])].flatMap((field) => {
    const [was, is] = [left.get(field) ?? '', right.get(field) ?? '']
    return was === is ? [] : [{ field, before: was, after: is }]
  })
}

function flat(content: PipelineContent, options: readonly Option[]): Map<string, string> {
  const fields = fieldValues(content, options)
  return new Map([
    ['name', content.name],
    ['replicas', String(content.replicas)],
    ...[...fields].map(([field, value]) => [field, textOf(value)] as const),
    ...Object.entries(content.kafka_config).map(
      ([name, value]) => [`${SECRET_PREFIX}${name}`, value] as const,
    ),
    ...Object.entries(content.secrets).map(
      ([name, state]) => [name, state === 'set' ? 'a secret' : ''] as const,
    ),
  ])
}

/**
 * My edit, made from `base`, upon what somebody else saved meanwhile: what I did not touch is
 * theirs, what I touched is mine.
 */
export function rebase(base: FormValues, mine: FormValues, theirs: FormValues): FormValues {
  const pick = (was: string, now: string, other: string): string => (was === now ? other : now)
  const names = new Set([
    ...Object.keys(base.fields),
    ...Object.keys(mine.fields),
    ...Object.keys(theirs.fields),
  ])
  const sameProperties =
    JSON.stringify(base.properties) === JSON.stringify(mine.properties) && mine.removed.length === 0
  return {
    name: pick(base.name, mine.name, theirs.name),
    replicas: pick(base.replicas, mine.replicas, theirs.replicas),
    fields: Object.fromEntries(
      [...names].map((name) => [
        name,
        pick(base.fields[name] ?? '', mine.fields[name] ?? '', theirs.fields[name] ?? ''),
      ]),
    ),
    secrets: mine.secrets,
    properties: sameProperties ? theirs.properties : mine.properties,
    removed: mine.removed,
  }
}

/** A name for a pipeline that nobody has named yet, and that no other has. */
export function suggestedName(topic: string, index: string, taken: ReadonlySet<string>): string {
  const plain = (text: string) =>
    text
      .replaceAll(/\{[^}]*\}/g, '')
      .replaceAll(/[^A-Za-z0-9._-]+/g, '-')
      .replaceAll(/^[-.]+|[-.]+$/g, '')
  const base = `${plain(topic) || 'topic'}-to-${plain(index) || 'index'}`.slice(0, 100)
  let name = base
  for (let count = 2; taken.has(name); count++) name = `${base}-${count}`
  return name
}

/** What holds for a field: as set, or by default. */
export function effectiveText(
  content: PipelineContent,
  field: string,
  options: readonly Option[],
): string {
  const option = options.find((each) => each.field === field)
  if (option === undefined) return ''
  const value = fieldValues(content, [option]).get(field)
  return value === undefined ? (option.default ?? '') : textOf(value)
}
