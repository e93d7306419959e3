/**
 * `logpipe check`: the resolved configuration with each value's source, the memory sum, and whether
 * what the configuration points at can be reached. Exits with 1 when something is wrong.
 *
 * The group is not joined and nothing is written.
 */
import os from 'node:os'
import type { Bridge } from '../bridge/bridge.ts'
import { loadBridge } from '../bridge/load.ts'
import { LogpipeError, messageOf } from '../core/errors.ts'
import { formatBytes, formatDuration } from '../core/units.ts'
import { filterText, hasExpressions, refuseRegexes } from '../options/filter.ts'
import { nameOf, type Source } from '../options/parse.ts'
import { isHiddenProperty } from '../options/kafka-properties.ts'
import type { OptionValue } from '../options/kinds.ts'
import { checkMemory, type MemorySum } from '../options/memory.ts'
import {
  answerText,
  type AnswerOverride,
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
import { GROUPS, type OptionSpec } from '../options/spec.ts'
import type { OptionName } from '../options/table.ts'
import { refuseIndexNames } from '../run/settings-from-config.ts'
import { refuseOperands, type CommandContext } from './context.ts'
import { memoryLimit, planMemory, startNotices } from './run-plan.ts'
import { controlledPipeline } from './parent-link.ts'
import { probeElasticsearch, probeKafka, probeOutput, type Probe } from './probes.ts'

interface CheckDeps {
  /** Loads the add-on; undefined: the one that was built. */
  readonly loadBridge: (file: string | undefined) => Bridge
  readonly memoryLimit: () => number | null
}

const DEPS: CheckDeps = { loadBridge, memoryLimit }

export async function check(context: CommandContext, deps: CheckDeps = DEPS): Promise<number> {
  const resolved = resolve({ command: 'check', args: context.args, env: context.env })
  refuseOperands(resolved)
  const { config } = resolved
  context.print(describeConfig(resolved))
  for (const notice of startNotices(config, os.availableParallelism())) {
    context.print(`note: ${notice}\n`)
  }
  const kafka = config.kafkaEmbedded
    ? EMBEDDED
    : await probeKafka(config, controlledPipeline(context.env), deps.loadBridge)
  const sum = planMemory(config, kafka.brokerCount)
  const limit = deps.memoryLimit()
  context.print(`\n${describeMemory(sum, limit)}`)
  const probes: readonly Probe[] = [
    ...probeOf('memory', () => checkMemory(sum, limit)),
    ...probeOf('index names', () => refuseIndexNames(config)),
    ...filterProbe(config, deps),
    ...kafka.probes,
    ...(await outputProbes(config)),
  ]
  // Servers and proxies are quoted here.
  context.print(redactorOf(config)(`\n${describeProbes(probes)}`))
  return probes.some(({ state }) => state === 'wrong') ? 1 : 0
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
  if (!hasExpressions(config)) return []
  const detail = filterText(config)
  const faults = probeOf('filter', () => refuseRegexes(config, load(config.bridgeLib ?? undefined)))
  return faults.length > 0 ? faults : [{ subject: 'filter', state: 'fine', detail }]
}

function outputProbes(config: Config): Promise<readonly Probe[]> | readonly Probe[] {
  return config.pipelineOutput.kind === 'elasticsearch'
    ? probeElasticsearch(config)
    : probeOutput(config.pipelineOutput)
}

const WORDS = { fine: 'ok', warning: 'warn', wrong: 'WRONG', untested: '--' } as const

/** Every option of the command by group: variable, value, source. Secrets are not shown. */
function describeConfig(resolved: Resolved): string {
  const lines: string[] = []
  for (const [group, rows] of groupedOptions(resolved.command)) {
    lines.push(GROUPS[group])
    for (const row of rows) {
      if (row.env === 'KAFKA_CONFIG') continue
      const source = resolved.sources.get(row.env as OptionName) ?? { kind: 'default' }
      lines.push(columns(row.env, valueText(row, resolved), sourceText(source)))
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

type Structured = AnswerOverride | ListenAddress | OutputTarget | DeadLetterTarget | TypedStart

/** The structured values as they are typed: file:PATH, HOST:PORT, a time. */
function objectText(value: Structured): string {
  if ('port' in value) return `${value.host}:${value.port}`
  if ('action' in value) return answerText(value)
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
    `  ${name.padEnd(12)} ${formatBytes(bytes).padStart(10)}   ${note}`.trimEnd()
  const limit =
    limitBytes === null ? 'no limit is set' : `80 % of the limit of ${formatBytes(limitBytes)}`
  return [
    'Memory at most',
    ...sum.parts.map(({ name, bytes, formula }) => line(name, bytes, formula)),
    line('sum', sum.bytes, limitBytes === null ? limit : `must stay below ${limit}`),
    '',
  ].join('\n')
}

/** One line for each probe, and the verdict. */
function describeProbes(probes: readonly Probe[]): string {
  const wrong = probes.filter(({ state }) => state === 'wrong').length
  const verdict =
    wrong === 0
      ? 'nothing wrong was found'
      : `${wrong} ${wrong === 1 ? 'thing is' : 'things are'} wrong`
  return [
    ...probes.map(
      ({ subject, state, detail }) =>
        `${WORDS[state].padEnd(6)} ${redactUrl(subject)}: ${detail.replaceAll(/\s*\n\s*/g, ' ')}`,
    ),
    verdict,
    '',
  ].join('\n')
}
