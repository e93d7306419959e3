/**
 * Puts the sources together: flag > environment > file > profile > default.
 *
 * Opens nothing but the config file and the files that hold secrets. The result is frozen; every
 * value has its source, for `logpipe check` and for messages. Cross-field rules are in rules.ts.
 */
import assert from 'node:assert/strict'
import { LogpipeError } from '../core/errors.ts'
import { fieldOf, freezeConfig } from './config.ts'
import type { Config } from './config.ts'
import { parseConfigFile } from './config-file.ts'
import { resolveProperties } from './kafka-config.ts'
import type { KafkaProperty } from './kafka-config.ts'
import { parseValue } from './kinds.ts'
import type { OptionValue } from './kinds.ts'
import {
  parseArguments,
  parseEnvironment,
  parsePropertyVariables,
  Faults,
  give,
  nameOf,
  type Given,
  type Source,
} from './parse.ts'
import { PROFILES } from './profiles.ts'
import type { ProfileName } from './profiles.ts'
import { checkRules } from './rules.ts'
import { readSmallFile } from '../core/small-file.ts'
import type { ReadText } from '../core/small-file.ts'
import { type CommandName, namesOf, type OptionSpec } from './spec.ts'
import { ROWS } from './table.ts'
import type { OptionName } from './table.ts'

export interface ResolveInput {
  readonly command: CommandName
  /** What follows the command on the command line. */
  readonly args: readonly string[]
  readonly env: Readonly<Record<string, string | undefined>>
  /** Reads the config file and secrets; a test brings its own. */
  readonly readText?: ReadText
}

export interface Resolved {
  readonly command: CommandName
  readonly config: Config
  /** Where each value comes from. */
  readonly sources: ReadonlyMap<OptionName, Source>
  /** librdkafka's properties that are not logpipe's own, with their sources; also in config. */
  readonly properties: readonly KafkaProperty[]
  /** Arguments that are no options, in order. */
  readonly operands: readonly string[]
}

/** The values given for one option in the source that wins. */
interface Winner {
  readonly value: OptionValue | readonly OptionValue[] | null
  readonly source: Source
}

const DEFAULT: Source = { kind: 'default' }

/** @throws LogpipeError USAGE or CONFIG_FILE, with a line for each fault */
export function resolve(input: ResolveInput): Resolved {
  const { command } = input
  const readText = input.readText ?? readSmallFile
  const faults = new Faults()
  const flags = parseArguments(command, input.args, faults)
  const environment = parseEnvironment(command, input.env, faults)
  const given = [flags.given, environment]
  const file = faults.attempt(() => readConfigFile(command, given, readText, faults)) ?? []
  // Where a name is not known, nobody knows what it would have changed.
  const wrong = faults.wrongOptions
  if (wrong === null) faults.raise()
  assert(wrong !== null)
  const layers = [flags.given, environment, file] as const
  const profile = profileOf(command, layers)

  const values: Record<string, unknown> = {}
  const sources = new Map<OptionName, Source>()
  for (const spec of ROWS) {
    if (wrong.has(spec)) {
      values[fieldOf(spec.env)] = defaultOf(spec)
      continue
    }
    const winner = faults.attempt(() => winnerOf(spec, layers, profile, readText))
    if (winner === undefined) continue
    faults.attempt(() => checkPresence(spec, command, winner))
    values[fieldOf(spec.env)] = winner.value
    sources.set(spec.env as OptionName, winner.source)
  }
  const properties = faults.attempt(() =>
    resolveProperties(
      [profile, file, parsePropertyVariables(input.env), environment, flags.given],
      usesKafka(command) ? readText : null,
    ),
  )
  if (properties === undefined || faults.wrongOptions === null) faults.raise()
  assert(properties !== undefined)
  values['kafkaConfig'] = properties.map(({ name, value }) => [name, value] as const)
  faults.attempt(() => settleOutput(values, sources))
  settlePatterns(values, sources)
  settleEnd(values, sources)
  faults.attempt(() => settleStart(values, sources))
  const config = freezeConfig(values)
  checkRules({ command, config, sources, properties }, faults, wrong)
  faults.raise()
  return { command, config, sources, properties, operands: flags.operands }
}

function readConfigFile(
  command: CommandName,
  layers: readonly (readonly Given[])[],
  readText: ReadText,
  faults: Faults,
): readonly Given[] {
  const named = layers.flatMap((layer) =>
    layer.filter((given) => given.spec.env === 'LOGPIPE_CONFIG').slice(-1),
  )[0]
  return named === undefined
    ? []
    : parseConfigFile(command, named.text, readText(named.text), faults)
}

/** The profile's name and the option that names it for this command. */
function profileOf(command: CommandName, layers: readonly (readonly Given[])[]): ProfileName {
  const env = command.startsWith('bench ') ? 'BENCH_PROFILE' : 'PIPELINE_PROFILE'
  for (const layer of layers) {
    const given = layer.findLast((each) => each.spec.env === env)
    if (given !== undefined) return given.value as ProfileName
  }
  return 'balanced'
}

function winnerOf(
  spec: OptionSpec,
  layers: readonly (readonly Given[])[],
  profile: ProfileName,
  readText: ReadText,
): Winner {
  for (const layer of layers) {
    const own = layer.filter((given) => given.spec === spec)
    const last = own.at(-1)
    if (last === undefined) continue
    if (spec.repeatable === true) {
      return { value: own.map((given) => valueOf(given, readText)), source: last.source }
    }
    refuseBoth(spec, own)
    return { value: valueOf(last, readText), source: last.source }
  }
  const preset = PROFILES[profile].options[spec.env as OptionName]
  if (preset !== undefined) {
    const source: Source = { kind: 'profile', profile }
    return { value: give(spec, preset, source).value, source }
  }
  return { value: defaultOf(spec), source: DEFAULT }
}

/** A secret and the file of the same secret, given in the same way, contradict one another. */
function refuseBoth(spec: OptionSpec, own: readonly Given[]): void {
  const direct = own.find((given) => given.value !== null)
  const inFile = own.find((given) => given.value === null)
  if (direct === undefined || inFile === undefined) return
  const names = `${nameOf(direct.source)} and ${nameOf(inFile.source)}`
  throw new LogpipeError('USAGE', `${names} both set ${spec.env}: use only one`)
}

function valueOf(given: Given, readText: ReadText): OptionValue {
  if (given.value !== null) return given.value
  const text = readText(given.text).replace(/\r?\n$/, '')
  if (text === '') {
    throw new LogpipeError('USAGE', `${nameOf(given.source)}: ${given.text} is empty`)
  }
  const { value } = give(given.spec, text, given.source)
  assert(value !== null)
  return value
}

/** The table's default as a value; what may be repeated is a list. */
export function defaultOf(spec: OptionSpec): OptionValue | readonly OptionValue[] | null {
  if (spec.default === null) return spec.repeatable === true ? [] : null
  const value = parseValue(spec, spec.default)
  assert(value !== undefined, `the default of ${spec.env} is not one of its values`)
  return spec.repeatable === true ? [value] : value
}

function checkPresence(spec: OptionSpec, command: CommandName, winner: Winner): void {
  if (!spec.commands.includes(command)) return
  if (spec.required === true && winner.source.kind === 'default') {
    const flag = `--${namesOf(spec)[0]}`
    throw new LogpipeError('USAGE', `logpipe ${command} needs ${flag} (or ${spec.env})`)
  }
}

function usesKafka(command: CommandName): boolean {
  return ROWS.some((row) => row.env === 'KAFKA_CONFIG' && row.commands.includes(command))
}

/** ES_ENABLED and the output are two names of one thing: both fields come to agree. */
function settleOutput(values: Record<string, unknown>, sources: Map<OptionName, Source>): void {
  const output = values['pipelineOutput'] as Config['pipelineOutput']
  const outputSource = sources.get('PIPELINE_OUTPUT') ?? DEFAULT
  const enabledSource = sources.get('ES_ENABLED') ?? DEFAULT
  const enabled = values['esEnabled'] === true
  const wanted = output.kind === 'elasticsearch'
  if (enabled === wanted) return
  if (outputSource.kind !== 'default' && enabledSource.kind !== 'default') {
    const names = `${nameOf(enabledSource)} and ${nameOf(outputSource)}`
    const said = `Elasticsearch ${enabled ? 'on' : 'off'}, output ${output.kind}`
    throw new LogpipeError('USAGE', `${names} contradict each other: ${said}`)
  }
  if (enabled) {
    values['pipelineOutput'] = { kind: 'elasticsearch' }
    sources.set('PIPELINE_OUTPUT', enabledSource)
  } else {
    values['esEnabled'] = true
    sources.set('ES_ENABLED', outputSource)
  }
}

/** Whatever else says what is kept takes the place of the default pattern. */
function settlePatterns(values: Record<string, unknown>, sources: Map<OptionName, Source>): void {
  if (sources.get('MATCH_PATTERN')?.kind !== 'default') return
  const others = ['matchPatternHex', 'matchRegex', 'matchKeep', 'matchDrop'] as const
  const hasOthers = others.some((name) => (values[name] as Config[typeof name]).length > 0)
  if (hasOthers || values['rules'] !== null) {
    values['matchPattern'] = []
  }
}

/** What ends a run by itself needs no time limit, unless one was asked for. */
function settleEnd(values: Record<string, unknown>, sources: Map<OptionName, Source>): void {
  const ends = values['runUntil'] !== null || values['runMatches'] !== 0
  if (ends && sources.get('RUN_SECONDS')?.kind === 'default') values['runSeconds'] = 0
}

/** --from-beginning is one more name of a start. */
function settleStart(values: Record<string, unknown>, sources: Map<OptionName, Source>): void {
  const source = sources.get('KAFKA_FROM_BEGINNING') ?? DEFAULT
  if (values['kafkaFromBeginning'] !== true) return
  const start = values['kafkaStart'] as Config['kafkaStart']
  const startSource = sources.get('KAFKA_START') ?? DEFAULT
  if (startSource.kind !== 'default' && start.kind !== 'earliest') {
    const names = `${nameOf(source)} and ${nameOf(startSource)}`
    throw new LogpipeError('USAGE', `${names} contradict one another: give one of them`)
  }
  values['kafkaStart'] = { kind: 'earliest' }
}
