/**
 * The help of a command, from the tables: short (`-h`, a line for each option) and long (`--help`,
 * a manual). Plain text; the caller prints it.
 */
import { commandSpec } from './commands.ts'
import { flagOf, GROUPS, namesOf, variablesOf } from './spec.ts'
import type { CommandName, GroupName, OptionSpec } from './spec.ts'
import { ROWS } from './table.ts'
import { TOPICS, type Topic } from './topics.ts'

/** Lines longer than this are hard to read however wide the terminal is. */
const WIDTH_MAX = 100
const WIDTH_MIN = 60

/** @param width columns of the terminal */
export function renderHelp(command: CommandName, form: 'short' | 'long', width: number): string {
  const columns = Math.min(WIDTH_MAX, Math.max(WIDTH_MIN, width))
  return form === 'short' ? shortHelp(command, columns) : longHelp(command, columns)
}

/** The options of a command by group, groups without any left out. */
export function groupedOptions(
  command: CommandName,
): readonly (readonly [group: GroupName, rows: readonly OptionSpec[]])[] {
  const own = ROWS.filter((row) => row.commands.includes(command))
  return (Object.keys(GROUPS) as GroupName[])
    .map((group) => [group, own.filter((row) => row.group === group)] as const)
    .filter(([, rows]) => rows.length > 0)
}

/** A default for the reader: what a user would type, or what null means. */
export function defaultText(spec: OptionSpec): string {
  if (spec.default === null) return spec.defaultText ?? 'none'
  if (spec.default === '') return '(empty)'
  return spec.kind === 'switch' ? (spec.default === '1' ? 'on' : 'off') : spec.default
}

/** The usage line of a command. */
export function usage(command: CommandName): string {
  const operands = commandSpec(command)?.operands
  return `logpipe ${command} [OPTION]...${operands === undefined ? '' : ` ${operands}`}`
}

function shortHelp(command: CommandName, width: number): string {
  const lines = [commandSpec(command)?.summary ?? '', '', `Usage: ${usage(command)}`, '']
  for (const [group, rows] of groupedOptions(command)) {
    lines.push(`${GROUPS[group]}:`)
    for (const row of rows) {
      const letter = row.letter === undefined ? '    ' : `-${row.letter}, `
      const left = `  ${letter}--${namesOf(row)[0]}${row.variable ? ` ${row.variable}` : ''}`
      const hasDefault = row.kind !== 'switch' && row.default !== null && row.default !== ''
      const note = hasDefault ? ` [${row.default}]` : ''
      lines.push(...fieldColumns(left, `${row.short}${note}`, 36, width))
    }
    lines.push('')
  }
  lines.push(`logpipe ${command} --help says more about each.`)
  return `${lines.join('\n')}\n`
}

function longHelp(command: CommandName, width: number): string {
  const spec = commandSpec(command)
  const lines = ['NAME', `    logpipe ${command} - ${spec?.summary ?? ''}`, '']
  lines.push('USAGE', `    ${usage(command)}`, '', 'DESCRIPTION')
  for (const paragraph of spec?.description ?? []) lines.push(...wrap(paragraph, 4, width), '')
  lines.push('EXAMPLES')
  for (const [line, what] of spec?.examples ?? []) lines.push(`    ${line}`, `        ${what}`)
  lines.push('', 'OPTIONS')
  for (const [group, rows] of groupedOptions(command)) {
    lines.push(`  ${GROUPS[group]}`, '')
    for (const row of rows) lines.push(...longOption(row, width), '')
  }
  for (const [heading, paragraphs] of FOOTER) {
    lines.push(heading)
    for (const paragraph of paragraphs) lines.push(...wrap(paragraph, 4, width), '')
  }
  return `${lines.join('\n').trimEnd()}\n`
}

function longOption(row: OptionSpec, width: number): string[] {
  const value = row.variable === undefined ? '' : ` ${row.variable}`
  const names = namesOf(row).map((name) => `--${name}${value}`)
  if (row.letter !== undefined) names.unshift(`-${row.letter}${value}`)
  if (row.secret === true) names.push(`--${flagOf(row.env)}-file FILE`)
  const variables: string[] = [...variablesOf(row)]
  if (row.secret === true) variables.push(`${row.env}_FILE`)
  const facts = [`Variable: ${variables.join(', ')}.`, `Default: ${defaultText(row)}.`]
  if (row.choices !== undefined) facts.push(`One of: ${row.choices.join(', ')}.`)
  if (row.reloads === true) facts.push('SIGHUP reloads it.')
  return [
    ...wrap(names.join(', '), 4, width),
    ...wrap(`${row.short} ${row.long}`, 8, width),
    ...wrap(facts.join(' '), 8, width),
  ]
}

export const INTRODUCTION =
  'logpipe reads log records from Kafka at native speed, keeps those that match, ' +
  'and writes them to Elasticsearch, a file or stdout without losing one.'

/** Stands below the help of every command. */
export const FOOTER: readonly (readonly [heading: string, paragraphs: readonly string[]])[] = [
  [
    'HOW OPTIONS ARE GIVEN',
    [
      'Give an option as a flag, an environment variable or a key of the config file. ' +
        'A flag overrides the variable, the variable the file, the file the profile, ' +
        'the profile the default. An empty variable counts as not set.',
      'Sizes are in bytes, or have a unit: 64k, 16MiB, 1GB. Durations are in the unit at the ' +
        "end of the variable's name, or have a unit: 500ms, 20s, 10m, 2h. Turn a switch on with " +
        '--NAME and off with --no-NAME; in a variable, use 1 or 0.',
      'The config file is YAML. Its keys are the long flags without dashes: ' +
        '`topic: app-logs`. Repeatable options take a list.',
    ],
  ],
  [
    'EXIT STATUS',
    [
      '0: done. 1: failed. 2: wrong usage or configuration; nothing was opened. 3: data was ' +
        'lost, or the books (the count of every record) do not balance. 130 or 143: ended by a ' +
        'second signal.',
    ],
  ],
]

/** A topic as paragraphs: `logpipe help delivery`. */
export function renderTopic(topic: Topic, width: number): string {
  const { name, summary, paragraphs, examples = [] } = topic
  const columns = Math.min(WIDTH_MAX, Math.max(WIDTH_MIN, width))
  const lines = [name.toUpperCase(), ...wrap(summary, 0, columns), '']
  for (const paragraph of paragraphs) lines.push(...wrap(paragraph, 0, columns), '')
  if (examples.length > 0) lines.push('EXAMPLES')
  // Beside the line where there is room, and else below it.
  for (const [line, what] of examples) {
    if (columns >= 80) lines.push(...fieldColumns(`  ${line}`, what, 50, columns))
    else lines.push(`  ${line}`, ...wrap(what, 6, columns))
  }
  return `${lines
    .map((line) => line.trimEnd())
    .join('\n')
    .trimEnd()}\n`
}

/** The list of commands: `logpipe help`. */
export function renderOverview(
  commands: readonly { readonly name: string; readonly summary: string }[],
  width: number,
): string {
  const columns = Math.min(WIDTH_MAX, Math.max(WIDTH_MIN, width))
  const lines = [
    ...wrap(INTRODUCTION, 0, columns),
    '',
    'Usage: logpipe COMMAND [OPTION]...',
    '',
    ...commands.flatMap(({ name, summary }) => fieldColumns(`  ${name}`, summary, 18, columns)),
    '',
    ...wrap(
      `Topics for logpipe help TOPIC: ${TOPICS.map(({ name }) => name).join(', ')}.`,
      0,
      columns,
    ),
    '',
    'logpipe COMMAND -h lists the options; logpipe COMMAND --help explains them.',
    'Try logpipe demo first: it needs no Kafka.',
  ]
  return `${lines.join('\n')}\n`
}

/** Lines of at most `width` columns, each indented; a longer word stays whole. */
export function wrap(text: string, indentColumns: number, width: number): string[] {
  const margin = ' '.repeat(indentColumns)
  const lines: string[] = []
  let line = ''
  for (const word of text.split(' ')) {
    if (line !== '' && margin.length + line.length + 1 + word.length > width) {
      lines.push(margin + line)
      line = word
    } else {
      line = line === '' ? word : `${line} ${word}`
    }
  }
  return [...lines, margin + line]
}

/** A name at the left and its text from column `at`; a long name has a line of its own. */
function fieldColumns(left: string, text: string, at: number, width: number): string[] {
  const lines = wrap(text, at, Math.max(width, at + 20))
  if (left.length > at - 2) return [left, ...lines]
  const first = lines[0] ?? ''
  return [left.padEnd(at) + first.slice(at), ...lines.slice(1)]
}
