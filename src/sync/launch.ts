/**
 * How a child is started: program, arguments, environment, home.
 *
 * Of sync's own environment a child gets the options of what it runs and what a process needs,
 * nothing else. Secrets among them are the operator's, while the addresses come from the control
 * plane: so each goes only where the operator sends it too, by the same environment or by
 * WORKER_SECRET_HOSTS. Otherwise whoever may change a pipeline could have it sent to himself.
 */
import path from 'node:path'
import { LogpipeError } from '../core/errors.ts'
import { parseConfigFile } from '../options/config-file.ts'
import { propertyOf, propertyOfEnv } from '../options/kafka-properties.ts'
import { parseEnvironment, parsePropertyVariables } from '../options/parse.ts'
import { protectsConnection } from '../options/remote-kafka-properties.ts'
import { decidedBySync } from '../options/remote-options.ts'
import { readSmallFile } from '../core/small-file.ts'
import { ROWS } from '../options/table.ts'
import type { Assignment } from './assignment.ts'
import type { Launch } from './child.ts'

type Environment = Readonly<Record<string, string | undefined>>

export interface LaunchSettings {
  /** The logpipe to run and its leading arguments: SYNC_BIN_PATH, or this very program. */
  readonly command: readonly string[]
  /** Of sync itself. */
  readonly environment: Environment
  /** WORKER_SECRET_HOSTS: where secrets of the environment may go besides its own addresses. */
  readonly secretHosts: readonly string[]
  /** More variables that name files in the child's home, as dead letters do. */
  readonly homeVariables?: (folder: string) => Readonly<Record<string, string>>
}

/** A launch, and in words which secrets of sync's own it goes without, and why; null: none. */
export interface OwnLaunch extends Launch {
  readonly withheld: string | null
}

/** What the programs of a child take: `run`, and the tools beside it. */
const TAKEN: ReadonlySet<string> = new Set(['run', 'check', 'spill', 'dlq', 'try'])
/** The address of METRICS_LISTEN is sync's own. */
const OPTION_NAMES: ReadonlySet<string> = new Set(
  ROWS.filter(
    ({ env, commands }) => env !== 'METRICS_LISTEN' && commands.some((name) => TAKEN.has(name)),
  ).flatMap(({ env, envAliases = [], secret }) => [
    env,
    ...envAliases,
    ...(secret === true ? [`${env}_FILE`] : []),
  ]),
)
/** Where programs, files, libraries and certificates are found, and how text is shown. */
const OF_A_PROCESS = new RegExp(
  '^(PATH|HOME|USER|LOGNAME|SHELL|TMPDIR|TZ|LANG|LANGUAGE|(LC|XDG|LD|MALLOC)_\\w+|' +
    'SSL_CERT_(FILE|DIR)|OPENSSL_CONF|NODE_EXTRA_CA_CERTS)$',
)

/** Secrets by where they go. A config file may hold those of both. */
const ES_SECRETS: ReadonlySet<string> = new Set(
  ROWS.filter(({ env, secret }) => secret === true && env.startsWith('ES_')).flatMap(({ env }) => [
    env,
    `${env}_FILE`,
  ]),
)
const KAFKA_SECRETS = /^KAFKA_(TOKEN_FILE|CONFIG|CONFIG_(SASL_(?!MECHANISM)|SSL_KEY)\w*)$/
const CONFIG_FILE = 'LOGPIPE_CONFIG'

/** The name of the snapshot in a child's home. */
export const SNAPSHOT_NAME = 'runtime_metrics.json'

/** @param args the sub-command, as `run`, and what belongs to it. */
export function launchOf(
  settings: LaunchSettings,
  assignment: Assignment,
  folder: string,
  args: readonly string[],
): OwnLaunch {
  const inherited: Record<string, string> = {}
  const withheld: string[] = []
  const faults = destinationFaults(settings, assignment.variables)
  for (const [name, value] of Object.entries(settings.environment)) {
    // A pipeline's own secret comes by a pipe, over which the environment would win.
    if (value === undefined || Object.hasOwn(assignment.secrets, name) || !isTaken(name)) continue
    if (value !== '' && faultOf(name, faults) !== null) withheld.push(name)
    else inherited[name] = value
  }
  return {
    command: [...settings.command, ...args],
    environment: {
      ...inherited,
      ...assignment.variables,
      ...decidedBySync(assignment.variables['PRODUCT_LINE'] ?? inherited['PRODUCT_LINE']),
      LOGPIPE_PIPELINE: `${assignment.pipelineId} ${assignment.name}`,
      ES_SPILL_PATH: path.join(folder, 'es_spill.bin'),
      RUNTIME_METRICS_PATH: path.join(folder, SNAPSHOT_NAME),
      ...settings.homeVariables?.(folder),
    },
    secrets: assignment.secrets,
    withheld: withheld.length === 0 ? null : withheldText(assignment, withheld, faults),
  }
}

function isTaken(name: string): boolean {
  return OPTION_NAMES.has(name) || propertyOfEnv(name) !== undefined || OF_A_PROCESS.test(name)
}

/** Why secrets for each destination stay here; null: they go along. */
interface DestinationFaults {
  readonly elasticsearch: string | null
  readonly kafka: string | null
}

function faultOf(name: string, { elasticsearch, kafka }: DestinationFaults): string | null {
  if (name === CONFIG_FILE) return elasticsearch ?? kafka
  if (ES_SECRETS.has(name)) return elasticsearch
  return KAFKA_SECRETS.test(name) ? kafka : null
}

function withheldText(
  { pipelineId }: Assignment,
  names: readonly string[],
  faults: DestinationFaults,
): string {
  const why = [...new Set(names.map((name) => faultOf(name, faults)))].join('; ')
  return (
    `pipeline ${pipelineId} runs without this worker's own ${names.join(', ')}: ${why}. ` +
    'Store the secret with the pipeline, or list the address in WORKER_SECRET_HOSTS'
  )
}

function destinationFaults(
  { environment, secretHosts }: LaunchSettings,
  variables: Readonly<Record<string, string>>,
): DestinationFaults {
  const own = ownAddresses(environment)
  const urls = addressesOf('ES_URL', variables)
  const brokers = addressesOf('KAFKA_BROKERS', variables)
  const foreignUrl = urls.find(
    (url) =>
      !(own?.urls ?? []).some((known) => originOf(known) === originOf(url)) &&
      !isListed(originOf(url), secretHosts),
  )
  const foreignBroker = brokers.find(
    (broker) =>
      !(own?.brokers ?? []).some((known) => known.toLowerCase() === broker.toLowerCase()) &&
      !isListed(broker, secretHosts),
  )
  const weakened = weakenedProperty(own?.properties ?? [], variables)
  const foreign = (address: string, option: string) =>
    `${address} is neither in its ${option} nor in its WORKER_SECRET_HOSTS`
  return {
    elasticsearch: foreignUrl === undefined ? null : foreign(originOf(foreignUrl), 'ES_URL'),
    kafka:
      foreignBroker !== undefined
        ? foreign(foreignBroker, 'KAFKA_BROKERS')
        : weakened === undefined
          ? null
          : `${weakened} of the pipeline is not that of this worker`,
  }
}

/** Those that the pipeline names; none: sync's own. One that is empty hides these: the default. */
function addressesOf(env: string, variables: Readonly<Record<string, string>>): string[] {
  return listOf(variables[env] === '' ? defaultOf(env) : variables[env])
}

function defaultOf(env: string): string {
  return ROWS.find((row) => row.env === env)?.default ?? ''
}

/** Addresses and protection by the environment and config file of sync, or the defaults. */
interface OwnAddresses {
  readonly urls: readonly string[]
  readonly brokers: readonly string[]
  /** librdkafka's, in their order: the last mention counts. */
  readonly properties: readonly (readonly [name: string, value: string])[]
}

/**
 * Without the rules between options: some are right only together with what a pipeline says. Null
 * where one is wrong by itself: then no address is known to be the operator's.
 */
function ownAddresses(environment: Environment): OwnAddresses | null {
  try {
    const file = environment[CONFIG_FILE] ?? ''
    const given = [
      ...(file === '' ? [] : parseConfigFile('run', file, readSmallFile(file))),
      ...parsePropertyVariables(environment),
      ...parseEnvironment('run', environment),
    ]
    const listOfOption = (env: string): readonly string[] => {
      const last = given.findLast(({ spec }) => spec.env === env)
      return listOf(last?.text ?? defaultOf(env))
    }
    return {
      urls: listOfOption('ES_URL'),
      brokers: listOfOption('KAFKA_BROKERS'),
      properties: given.flatMap(({ spec, value }) =>
        spec.env === 'KAFKA_CONFIG' ? [value as readonly [string, string]] : [],
      ),
    }
  } catch (error) {
    if (error instanceof LogpipeError) return null
    throw error
  }
}

/** The property by which the pipeline's connections are less protected than sync's own would be. */
function weakenedProperty(
  own: OwnAddresses['properties'],
  variables: Readonly<Record<string, string>>,
): string | undefined {
  const protocol = variables['KAFKA_CONFIG_SECURITY_PROTOCOL'] ?? propertyOf(own, SECURITY)
  const isEncrypted = /ssl$/i.test(protocol ?? '')
  for (const [variable, value] of Object.entries(variables)) {
    const name = propertyOfEnv(variable)
    if (name === undefined || !protectsConnection(name) || propertyOf(own, name) === value) continue
    // Over TLS, with the server verified as sync says, any mechanism is safe.
    if (isEncrypted && (name === SECURITY || name.startsWith('sasl.mechanism'))) continue
    return name
  }
  return undefined
}

const SECURITY = 'security.protocol'

function listOf(value = ''): string[] {
  return value
    .split(',')
    .map((each) => each.trim())
    .filter((each) => each !== '')
}

/** https://es:9200 of a URL, with the port that it leaves out; the text itself of what is none. */
function originOf(url: string): string {
  const parsed = URL.parse(url)
  if (parsed === null) return url
  const { protocol, hostname, port } = parsed
  return `${protocol}//${hostname}:${port || (protocol === 'https:' ? '443' : '80')}`
}

/** @param address HOST:PORT, or an origin with its port */
function isListed(address: string, hosts: readonly string[]): boolean {
  const place = address.toLowerCase().replace(/^https?:\/\//, '')
  const host = place.replace(/:\d+$/, '')
  return hosts.some((each) => {
    const listed = each.toLowerCase()
    if (listed.includes('://')) return originOf(listed) === address.toLowerCase()
    return listed === place || listed === host
  })
}

/** What a spill belongs to; sink/spill/open.ts refuses one of anything else. */
const SPILL_VARIABLES = ['KAFKA_GROUP_ID', 'KAFKA_TOPIC', 'ES_URL', 'ES_INDEX'] as const

/**
 * Names the spill of a pipeline that commits on it: one revision can send what another has left
 * there when both names are the same. Null: no document lies in its spill alone. By the pipeline,
 * or where it says nothing by the environment that it inherits.
 */
export function spillOf(settings: LaunchSettings, assignment: Assignment): string | null {
  const { pipelineId, variables } = assignment
  const valueOf = (name: string) => variables[name] ?? settings.environment[name] ?? null
  if (valueOf('COMMIT_ON') !== 'spill') return null
  return JSON.stringify([pipelineId, ...SPILL_VARIABLES.map(valueOf)])
}
