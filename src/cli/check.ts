/**
 * `logpipe check`: the resolved configuration with each value's source, the memory sum, and whether
 * what the configuration points at can be reached and would do what is meant. The verdict stands
 * first and last. Exits with 1 when something is wrong.
 *
 * The group is not joined and nothing is written.
 */
import os from 'node:os'
import type { Bridge } from '../bridge/bridge.ts'
import { loadBridge } from '../bridge/load.ts'
import { LogpipeError, messageOf } from '../core/errors.ts'
import { counted } from '../core/text-table.ts'
import { formatBytes, formatDuration } from '../core/units.ts'
import { filterText, hasExpressions, refuseRegexes } from '../options/filter.ts'
import { refuseMetricRegexes } from '../options/metrics.ts'
import { nameOf, type Source } from '../options/parse.ts'
import { isHiddenProperty } from '../options/kafka-properties.ts'
import type { OptionValue } from '../options/kinds.ts'
import { checkMemory, type MemorySum } from '../options/memory.ts'
import {
  answerText,
  dateSpanText,
  type AnswerOverride,
  type DateSpan,
  type DeadLetterTarget,
  type ListenAddress,
  type OutputTarget,
  type TypedStart,
} from '../options/notations.ts'
import { defaultText, groupedOptions } from '../options/render-help.ts'
import { resolve, type Resolved } from '../options/resolve.ts'
import {
  type Config,
  fieldOf,
  redactorOf,
  redactUrl,
  redactValue,
  REDACTED,
} from '../options/config.ts'
import { GROUPS, type OptionSpec, variablesOf } from '../options/spec.ts'
import type { OptionName } from '../options/table.ts'
import { refuseIndexNames } from '../run/settings-from-config.ts'
import { refuseOperands, type CommandContext } from './context.ts'
import { fittedConfig, memoryLimit, planMemory, startNotices } from './run-plan.ts'
import { controlledPipeline } from './parent-link.ts'
import type { Probe } from './index-probes.ts'
import { probeElasticsearch, probeKafka, probeOutput } from './probes.ts'

interface CheckDeps {
  /** Loads the add-on; undefined: the one that was built. */
  readonly loadBridge: (file: string | undefined) => Bridge
  readonly memoryLimit: () => number | null
  /** Looks for matches in the last records; undefined: does not. */
  readonly probeMatches?: (config: Config, bridge: Bridge) => Promise<readonly Probe[]>
}

const DEPS: CheckDeps = {
  loadBridge,
  memoryLimit,
  // The pipeline behind it is loaded when there is a topic to look into.
  probeMatches: async (config, bridge) =>
    (await import('./match-sample.ts')).probeMatches(config, bridge),
}

export async function check(context: CommandContext, deps: CheckDeps = DEPS): Promise<number> {
  const given = resolve({ command: 'check', args: context.args, env: context.env })
  refuseOperands(given)
  const config = fittedConfig(given, os.availableParallelism())
  const resolved = { ...given, config }
  const kafka = config.kafkaEmbedded
    ? EMBEDDED
    : await probeKafka(config, controlledPipeline(context.env), deps.loadBridge)
  const sum = planMemory(config, kafka.brokerCount)
  const limit = deps.memoryLimit()
  const filter = filterProbe(config, deps)
  const probes: readonly Probe[] = [
    ...optionProbes(resolved),
    ...probeOf('memory', () => checkMemory(sum, limit)),
    ...probeOf('index names', () => refuseIndexNames(config)),
    ...filter,
    ...kafka.probes,
    ...(await matchProbes(config, [...filter, ...kafka.probes], deps)),
    ...(await outputProbes(config)),
  ]
  const found = { resolved, probes, memory: describeMemory(sum, limit) }
  // Servers and proxies are quoted here.
  context.print(redactorOf(config)(config.watchJson ? json(found) : text(found)))
  return probes.some(({ state }) => state === 'wrong') ? 1 : 0
}

interface Found {
  readonly resolved: Resolved
  readonly probes: readonly Probe[]
  readonly memory: string
}

/** For people; quiet: the verdict, and what is not as it should be. */
function text({ resolved, probes, memory }: Found): string {
  const { config } = resolved
  const verdict = `${verdictOf(probes)}\n`
  if (config.logQuiet) {
    const odd = probes.filter(({ state }) => state === 'wrong' || state === 'warning')
    return `${odd.map(probeLine).join('')}${verdict}`
  }
  const notices = startNotices(config, os.availableParallelism()).map((one) => `note: ${one}\n`)
  const parts = [
    `${verdict}\n`,
    describeConfig(resolved),
    ...notices,
    `\n${memory}\n`,
    ...probes.map(probeLine),
    verdict,
  ]
  return parts.join('')
}

/** For programs: one object. */
function json({ resolved, probes }: Found): string {
  const { command, config, sources } = resolved
  const rows = groupedOptions(command).flatMap(([, group]) => group)
  const options = rows
    .filter(({ env }) => env !== 'KAFKA_CONFIG')
    .map((row) => [
      variablesOf(row)[0],
      {
        value: valueText(row, resolved),
        source: sourceText(sources.get(row.env as OptionName) ?? { kind: 'default' }),
      },
    ])
  const isWrong = probes.some(({ state }) => state === 'wrong')
  const found = {
    ok: !isWrong,
    verdict: verdictOf(probes),
    findings: probes.map(({ subject, state, detail }) => ({
      subject: redactUrl(subject),
      state,
      detail: oneLine(detail),
    })),
    notices: startNotices(config, os.availableParallelism()),
    options: Object.fromEntries(options) as object,
  }
  return `${JSON.stringify(found)}\n`
}

/** What an option says and nobody would notice: set and without effect, or never set. */
function optionProbes({ config, sources, command }: Resolved): readonly Probe[] {
  const isSet = (env: string) => {
    const kind = sources.get(env as OptionName)?.kind ?? 'default'
    return kind !== 'default' && kind !== 'profile'
  }
  const rows = groupedOptions(command).flatMap(([, group]) => group)
  const isElsewhere = config.pipelineOutput.kind !== 'elasticsearch'
  const idle = rows.filter(({ env, group }) => group === 'elasticsearch' && isSet(env))
  const probes: Probe[] = []
  if (isElsewhere && idle.length > 0 && !isSet('ES_ENABLED')) {
    const names = idle.map((row) => variablesOf(row)[0]).join(', ')
    const verb = idle.length === 1 ? 'is' : 'are'
    const detail =
      `${names} ${verb} set, but the output is ${config.pipelineOutput.kind}: nothing goes to ` +
      'Elasticsearch; say so with --output elasticsearch (or ES_ENABLED=1)'
    probes.push({ subject: 'output', state: 'warning', detail })
  }
  const asked = isElsewhere ? FIRST_OPTIONS : [...FIRST_OPTIONS, ...FIRST_ELASTICSEARCH]
  const defaults = asked
    .filter((env) => !isSet(env) && !(env === 'MATCH_PATTERN' && config.matchPattern.length === 0))
    .flatMap((env) => rows.filter((row) => row.env === env))
  if (defaults.length > 0 && !config.kafkaEmbedded) {
    const said = defaults.map((row) => `${variablesOf(row)[0]} (${row.default ?? 'none'})`)
    const detail = `nobody has set ${said.join(', ')}: these are defaults`
    probes.push({ subject: 'options', state: 'note', detail })
  }
  return probes
}

/** What everybody has to say of a pipeline. */
const FIRST_OPTIONS = ['KAFKA_BROKERS', 'KAFKA_TOPIC', 'KAFKA_GROUP_ID', 'MATCH_PATTERN'] as const
const FIRST_ELASTICSEARCH = ['ES_URL', 'ES_INDEX'] as const

/** Only where a topic is there, and a filter for it: else nothing can be looked into. */
async function matchProbes(
  config: Config,
  found: readonly Probe[],
  { loadBridge: load, probeMatches }: CheckDeps,
): Promise<readonly Probe[]> {
  const topics = found.filter(({ subject }) => subject.startsWith('kafka topic '))
  const isReadable = topics.length > 0 && topics.every(({ state }) => state === 'fine')
  const isWrong = found.some(({ subject, state }) => subject === 'filter' && state === 'wrong')
  if (!isReadable || isWrong || config.kafkaEmbedded || probeMatches === undefined) return []
  try {
    return await probeMatches(config, load(config.bridgeLib ?? undefined))
  } catch (error) {
    if (!(error instanceof LogpipeError)) throw error
    return [{ subject: 'matches', state: 'untested', detail: messageOf(error) }]
  }
}

const EMBEDDED = {
  brokerCount: 1,
  probes: [{ subject: 'kafka', state: 'untested', detail: 'embedded' }],
} as const

/** Nothing when it is well: that is shown elsewhere, or goes without saying. */
function probeOf(subject: string, verify: () => void): readonly Probe[] {
  try {
    verify()
    return []
  } catch (error) {
    if (!(error instanceof LogpipeError)) throw error
    return [{ subject, state: 'wrong', detail: messageOf(error) }]
  }
}

/** Regular expressions are the add-on's to judge. */
function filterProbe(config: Config, { loadBridge: load }: CheckDeps): readonly Probe[] {
  const { metrics } = config
  if (!hasExpressions(config) && metrics.length === 0) return []
  const counted = metrics.length === 0 ? [] : [`${metrics.length} metrics`]
  const kept = hasExpressions(config) ? [filterText(config)] : []
  const detail = [...kept, ...counted].join('; ')
  const faults = probeOf('filter', () => {
    const bridge = load(config.bridgeLib ?? undefined)
    refuseRegexes(config, bridge)
    refuseMetricRegexes(config, bridge)
  })
  return faults.length > 0 ? faults : [{ subject: 'filter', state: 'fine', detail }]
}

function outputProbes(config: Config): Promise<readonly Probe[]> | readonly Probe[] {
  return config.pipelineOutput.kind === 'elasticsearch'
    ? probeElasticsearch(config)
    : probeOutput(config.pipelineOutput)
}

const WORDS = {
  fine: 'ok',
  note: 'note',
  warning: 'warn',
  wrong: 'WRONG',
  untested: '--',
} as const

/** Every option of the command by group: variable, value, source. Secrets are not shown. */
function describeConfig(resolved: Resolved): string {
  const lines: string[] = []
  for (const [group, rows] of groupedOptions(resolved.command)) {
    lines.push(GROUPS[group])
    for (const row of rows) {
      if (row.env === 'KAFKA_CONFIG') continue
      const source = resolved.sources.get(row.env as OptionName) ?? { kind: 'default' }
      lines.push(columns(variablesOf(row)[0], valueText(row, resolved), sourceText(source)))
    }
    if (group === 'kafka') {
      for (const { name, value, source } of resolved.properties) {
        const shown = isHiddenProperty(name) ? REDACTED : value
        lines.push(columns(name, shown, sourceText(source)))
      }
    }
    lines.push('')
  }
  return `${lines.join('\n')}\n`
}

function columns(name: string, value: string, source: string): string {
  return `  ${name.padEnd(26)} ${value.padEnd(28)} ${source}`
}

function valueText(row: OptionSpec, resolved: Resolved): string {
  const value = redactValue(row, resolved.config[fieldOf(row.env)]) as
    OptionValue | readonly OptionValue[] | null
  if (value === null) return defaultText(row)
  if (value === '') return '(empty)'
  if (typeof value === 'boolean') return value ? 'on' : 'off'
  if (isList(value)) return value.length === 0 ? 'none' : value.map(itemText).join(', ')
  return itemText(value)
}

/** TypeScript's own Array.isArray does not narrow readonly arrays. */
function isList(value: unknown): value is readonly unknown[] {
  return Array.isArray(value)
}

/** An element of a list, or a value alone; a pair is typed with "=". */
function itemText(value: unknown): string {
  if (isList(value)) return value.map(String).join('=')
  return typeof value === 'object' && value !== null
    ? objectText(value as Structured)
    : String(value)
}

type Structured =
  AnswerOverride | DateSpan | ListenAddress | OutputTarget | DeadLetterTarget | TypedStart

/** The structured values as they are typed: file:PATH, HOST:PORT, a time. */
function objectText(value: Structured): string {
  if ('port' in value) return `${value.host}:${value.port}`
  if ('action' in value) return answerText(value)
  if ('pastMs' in value) return dateSpanText(value)
  switch (value.kind) {
    case 'file':
      return `file:${value.path}`
    case 'topic':
      return `topic:${value.topic}`
    case 'time':
      return new Date(value.timeMs).toISOString()
    case 'ago':
      return `${formatDuration(value.ms)} before the start`
    case 'stdout':
    case 'none':
    case 'elasticsearch':
    case 'earliest':
    case 'latest':
      break
  }
  return value.kind
}

function sourceText(source: Source): string {
  return source.kind === 'default' ? 'default' : nameOf(source)
}

/** The memory sum, part by part, and the limit it has to fit. */
function describeMemory(sum: MemorySum, limitBytes: number | null): string {
  const line = (name: string, bytes: number, note: string) =>
    `  ${name.padEnd(16)} ${formatBytes(bytes).padStart(10)}   ${note}`.trimEnd()
  const limit =
    limitBytes === null ? 'no limit is set' : `80 % of the limit of ${formatBytes(limitBytes)}`
  return [
    'Memory at most',
    ...sum.parts.map(({ name, bytes, formula }) => line(name, bytes, formula)),
    line('sum', sum.bytes, limitBytes === null ? limit : `must stay below ${limit}`),
    '',
  ].join('\n')
}

function verdictOf(probes: readonly Probe[]): string {
  const count = (state: Probe['state']) => probes.filter((probe) => probe.state === state).length
  const wrong = count('wrong')
  const warnings = count('warning')
  const more = warnings === 0 ? '' : `; ${counted(warnings, 'warning')}`
  if (wrong === 0) return `nothing wrong was found${more}`
  return `${wrong} ${wrong === 1 ? 'thing is' : 'things are'} wrong${more}`
}

function probeLine({ subject, state, detail }: Probe): string {
  return `${WORDS[state].padEnd(6)} ${redactUrl(subject)}: ${oneLine(detail)}\n`
}

function oneLine(detail: string): string {
  return detail.replaceAll(/\s*\n\s*/g, ' ')
}
