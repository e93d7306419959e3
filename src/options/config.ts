/**
 * The resolved configuration: what every other part of the program receives.
 *
 * Its type is mapped over the table, so a row added there is a field here: ES_QUEUE_CAP is
 * `esQueueCap`. It is a frozen plain object that can be passed to a thread. Printing it in whatever
 * way shows no secret; pass slices of it down rather than the whole where that is enough.
 */
import { inspect } from 'node:util'
import type { KindValues } from './kinds.ts'
import { isHiddenProperty, isSecretProperty } from './kafka-properties.ts'
import type { OptionSpec } from './spec.ts'
import { ROWS } from './table.ts'
import type { OPTIONS } from './table.ts'

type Row = (typeof OPTIONS)[number]

/** esQueueCap for ES_QUEUE_CAP, at the level of types; fieldOf does it at run time. */
type FieldName<Env extends string> = Env extends `${infer Head}_${infer Tail}`
  ? `${Lowercase<Head>}${Capitalize<FieldName<Tail>>}`
  : Lowercase<Env>

type Single<R extends Row> = R extends { kind: 'choice'; choices: readonly (infer Choice)[] }
  ? Choice
  : KindValues[R['kind']]

type FieldValue<R extends Row> = R extends { repeatable: true }
  ? readonly Single<R>[]
  : R extends { default: null }
    ? Single<R> | null
    : Single<R>

export type Config = { readonly [R in Row as FieldName<R['env']>]: FieldValue<R> }

/** esQueueCap for ES_QUEUE_CAP. */
export function fieldOf(env: string): keyof Config {
  const field = env
    .toLowerCase()
    .replaceAll(/_([a-z0-9])/g, (_, letter: string) => letter.toUpperCase())
  return field as keyof Config
}

/** What stands for a secret wherever it would be printed. */
export const REDACTED = '(secret)'

/** Freezes the values, and makes every way of printing them leave the secrets out. */
export function freezeConfig(values: Readonly<Record<string, unknown>>): Config {
  const config = { ...values }
  const redacted = () => redactConfig(config)
  // Not enumerable: structured clone (workerData) copies the values and leaves these behind, and
  // spreading the object does too.
  Object.defineProperty(config, 'toJSON', { value: redacted })
  Object.defineProperty(config, inspect.custom, { value: redacted })
  for (const value of Object.values(config)) {
    if (typeof value === 'object' && value !== null) Object.freeze(value)
  }
  return Object.freeze(config) as unknown as Config
}

/** A plain copy that is fit to be printed. */
function redactConfig(values: Readonly<Record<string, unknown>>): Record<string, unknown> {
  return Object.fromEntries(
    ROWS.map((row) => [fieldOf(row.env), redactValue(row, values[fieldOf(row.env)])]),
  )
}

/** One value of the Config without what must not be seen: secrets, passwords in URLs. */
export function redactValue(spec: OptionSpec, value: unknown): unknown {
  if (value === null || value === undefined) return value
  if (spec.secret === true) return REDACTED
  if (Array.isArray(value) && spec.repeatable === true) {
    const items: readonly unknown[] = value
    return items.map((item) => redactOne(spec, item))
  }
  return redactOne(spec, value)
}

function redactOne(spec: OptionSpec, value: unknown): unknown {
  if (spec.kind === 'pair' && Array.isArray(value)) {
    const [name, text] = value as readonly string[]
    return [name, isHiddenProperty(name ?? '') ? REDACTED : text]
  }
  if (spec.kind === 'url' || spec.kind === 'proxy') return redactUrl(String(value))
  if (spec.kind === 'urls' && Array.isArray(value)) {
    return value.map((url) => redactUrl(String(url)))
  }
  return value
}

/** http://user:(secret)@host for http://user:password@host, wherever it stands in the text. */
export function redactUrl(url: string): string {
  return url.replaceAll(/([a-z][a-z0-9+.-]*:\/\/[^/@:\s]*):[^/\s]*@/gi, `$1:${REDACTED}@`)
}

/** What is shorter could not be told from the text around it. */
const SECRET_CHARS_MIN = 6

/**
 * Leaves the secrets of a configuration out of any text, whoever quotes them: a server, a proxy, an
 * error of a library.
 */
export function redactorOf(values: Readonly<Record<string, unknown>>): (text: string) => string {
  const secrets = ROWS.flatMap((row) => secretsIn(row, values[fieldOf(row.env)]))
    .filter((secret) => secret.length >= SECRET_CHARS_MIN)
    .flatMap((secret) => [secret, JSON.stringify(secret).slice(1, -1)])
  // The longest first: one may be a part of another.
  const parts = [...new Set(secrets)].toSorted((left, right) => right.length - left.length)
  return (text) => redactUrl(parts.reduce((rest, part) => rest.replaceAll(part, REDACTED), text))
}

/** The secrets within one value of the Config, as they are given, and those in URLs as sent. */
function secretsIn(spec: OptionSpec, value: unknown): string[] {
  if (value === null || value === undefined) return []
  const items: readonly unknown[] = Array.isArray(value) && spec.kind !== 'pair' ? value : [value]
  if (spec.secret === true) return items.flatMap((item) => String(item).split(','))
  if (spec.kind === 'pair') {
    const pairs = value as readonly (readonly [name: string, value: string])[]
    return pairs.flatMap(([name, text]) => (isSecretProperty(name) ? [text] : []))
  }
  if (!['url', 'urls', 'proxy'].includes(spec.kind)) return []
  return items.flatMap((item) => {
    const { username = '', password = '' } = URL.parse(String(item)) ?? {}
    if (password === '') return []
    try {
      const [user, plain] = [decodeURIComponent(username), decodeURIComponent(password)]
      return [password, plain, Buffer.from(`${user}:${plain}`).toString('base64')]
    } catch {
      return [password] // A percent sign that starts no escape: as it was typed.
    }
  })
}
