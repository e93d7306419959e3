/**
 * Merges librdkafka properties by name, lowest source first, and refuses what cannot work: names
 * that do not exist, properties that logpipe owns, Kerberos.
 */
import { LogpipeError } from '../core/errors.ts'
import { nameOf, quote } from './parse.ts'
import type { Given, Source } from './parse.ts'
import {
  CLASSIC_PROTOCOL_ONLY,
  ownedProperty,
  PROPERTY_NAMES,
  propertyOf,
  SASL_MECHANISMS,
  secretOfFile,
} from './kafka-properties.ts'
import { oneOf } from './kinds.ts'
import { didYouMean } from '../core/nearest.ts'
import { PROFILES } from './profiles.ts'
import type { ProfileName } from './profiles.ts'
import type { ReadText } from '../core/small-file.ts'

export interface KafkaProperty {
  readonly name: string
  readonly value: string
  readonly source: Source
}

/** The sources of properties, lowest first. */
export type PropertyLayers = readonly [profile: ProfileName, ...given: (readonly Given[])[]]

/**
 * The properties in the order in which librdkafka is to get them; a later one overrides an earlier
 * one also where two names mean the same property.
 * @param readText reads secrets that lie in files; null where the command does not use Kafka.
 * @throws LogpipeError USAGE or KAFKA_CONFIG
 */
export function resolveProperties(
  [profile, ...layers]: PropertyLayers,
  readText: ReadText | null,
): readonly KafkaProperty[] {
  if (readText === null) return []
  const merged = new Map<string, KafkaProperty>()
  const put = (property: KafkaProperty) => {
    // Deleted first, so that the order of the map is the order of the last mention.
    merged.delete(property.name)
    merged.set(property.name, property)
  }
  for (const [name, value] of Object.entries(PROFILES[profile].kafka)) {
    put({ name, value, source: { kind: 'profile', profile } })
  }
  for (const given of layers.flat()) {
    if (given.spec.env === 'KAFKA_CONFIG') put(checked(given, readText))
  }
  const properties = [...merged.values()]
  checkSasl(properties)
  checkGroupProtocol(properties)
  return properties
}

function checked(given: Given, readText: ReadText): KafkaProperty {
  const [name, value] = given.value as readonly [string, string]
  const { source } = given
  const secret = secretOfFile(name)
  if (secret !== undefined) {
    return { name: secret, value: readText(value).replace(/\r?\n$/, ''), source }
  }
  const instead = ownedProperty(name)
  if (instead !== undefined) {
    throw new LogpipeError('USAGE', `${nameOf(source)}: ${name} is set by logpipe; ${instead}`)
  }
  if (!PROPERTY_NAMES.has(name)) {
    const settable = [...PROPERTY_NAMES].filter((each) => ownedProperty(each) === undefined)
    const hint = didYouMean(name, settable)
    const message = `librdkafka has no property ${quote(name)}${hint}`
    throw new LogpipeError('KAFKA_CONFIG', `${nameOf(source)}: ${message}`)
  }
  return { name, value, source }
}

/** GSSAPI is librdkafka's default mechanism, so that it must also be refused when unsaid. */
function checkSasl(properties: readonly KafkaProperty[]): void {
  const pairs = properties.map(({ name, value }) => [name, value] as const)
  const named = properties.findLast(({ name }) => /^sasl\.mechanisms?$/.test(name))
  const protocol = propertyOf(pairs, 'security.protocol') ?? ''
  const allowed = oneOf(SASL_MECHANISMS)
  if (named === undefined) {
    if (!/^sasl_/i.test(protocol)) return
    const message = `security.protocol=${protocol} needs sasl.mechanism=${allowed}`
    throw new LogpipeError('USAGE', `--kafka-config: ${message}`)
  }
  if (SASL_MECHANISMS.includes(named.value.toUpperCase())) return
  const isKerberos = named.value.toUpperCase() === 'GSSAPI'
  const message = isKerberos
    ? `${named.name}=GSSAPI (Kerberos) is not supported by logpipe; use ${allowed}`
    : `${named.name}: expected ${allowed}, got ${quote(named.value)}`
  throw new LogpipeError('USAGE', `${nameOf(named.source)}: ${message}`)
}

function checkGroupProtocol(properties: readonly KafkaProperty[]): void {
  const protocol = properties.find(({ name }) => name === 'group.protocol')
  if (protocol?.value !== 'consumer') return
  const classic = properties.find(({ name }) => CLASSIC_PROTOCOL_ONLY.includes(name))
  if (classic === undefined) return
  const message = `with group.protocol=consumer the broker decides ${classic.name}; remove it`
  throw new LogpipeError('USAGE', `${nameOf(classic.source)}: ${message}`)
}
