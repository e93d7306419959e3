/**
 * What `logpipe check` prints: the configuration, the memory sum and the probes, as text.
 */
import { formatBytes } from '../core/units.ts'
import { fieldOf, redactUrl, redactValue, REDACTED } from '../options/config.ts'
import { nameOf } from '../options/given.ts'
import type { Source } from '../options/given.ts'
import { isSecretProperty } from '../options/kafka-properties.ts'
import type { OptionValue } from '../options/kinds.ts'
import type { MemorySum } from '../options/memory.ts'
import { answerText } from '../options/notations.ts'
import type {
  AnswerOverride,
  DeadLetterTarget,
  ListenAddress,
  OutputTarget,
  StartPosition,
} from '../options/notations.ts'
import { defaultText, groupedOptions } from '../options/render-help.ts'
import type { Resolved } from '../options/resolve.ts'
import { GROUPS } from '../options/spec.ts'
import type { OptionSpec } from '../options/spec.ts'
import type { OptionName } from '../options/table.ts'

/** One thing that was looked at. */
export interface Probe {
  readonly subject: string
  readonly state: 'fine' | 'warning' | 'wrong' | 'untested'
  readonly detail: string
}

const WORDS = { fine: 'ok', warning: 'warn', wrong: 'WRONG', untested: '--' } as const

/** Every option of the command by group: variable, value, source. Secrets are not shown. */
export function describeConfig(resolved: Resolved): string {
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
        const shown = isSecretProperty(name) ? REDACTED : value
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

type Structured = AnswerOverride | ListenAddress | OutputTarget | DeadLetterTarget | StartPosition

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
export function describeMemory(sum: MemorySum, limitBytes: number | null): string {
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
export function describeProbes(probes: readonly Probe[]): string {
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
