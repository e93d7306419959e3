/**
 * `logpipe help --man`: the manual page logpipe(1) in man(7) macros, from the tables.
 *
 *   logpipe help --man > /usr/local/share/man/man1/logpipe.1
 */
import { COMMANDS } from './commands.ts'
import { defaultText, FOOTER, groupedOptions, INTRODUCTION, usage } from './render-help.ts'
import { flagOf, GROUPS, namesOf, variablesOf, type CommandName, type OptionSpec } from './spec.ts'
import { TOPICS } from './topics.ts'

/** @param version for the foot of the page; it has no date, so each build makes the same page. */
export function renderMan(version: string): string {
  return [
    `.TH LOGPIPE 1 "" "logpipe ${roff(version)}" "User Commands"`,
    '.SH NAME',
    'logpipe \\- reads log records from Kafka, keeps those that match, writes them out',
    '.SH SYNOPSIS',
    ...COMMANDS.flatMap(({ name }) => [roff(usage(name)), '.br']).slice(0, -1),
    '.SH DESCRIPTION',
    paragraph(INTRODUCTION),
    ...COMMANDS.flatMap(({ name }) => commandSection(name)),
    ...TOPICS.flatMap(({ name, paragraphs, examples = [] }) => [
      `.SH ${quoted(name.toUpperCase())}`,
      ...paragraphs.flatMap((each) => ['.PP', paragraph(each)]).slice(1),
      ...examples.flatMap(exampleLines),
    ]),
    ...FOOTER.flatMap(([heading, paragraphs]) => [
      `.SH ${quoted(heading)}`,
      ...paragraphs.flatMap((each) => ['.PP', paragraph(each)]).slice(1),
    ]),
    '',
  ].join('\n')
}

function commandSection(name: CommandName): readonly string[] {
  const spec = COMMANDS.find((command) => command.name === name)
  return [
    `.SH ${quoted(`LOGPIPE ${name.toUpperCase()}`)}`,
    ...(spec?.description ?? []).flatMap((each) => ['.PP', paragraph(each)]).slice(1),
    ...(spec?.examples ?? []).flatMap(exampleLines),
    ...groupedOptions(name).flatMap(([group, rows]) => [
      `.SS ${quoted(GROUPS[group])}`,
      ...rows.flatMap((row) => optionLines(row)),
    ]),
  ]
}

function exampleLines([line, what]: readonly [line: string, what: string]): readonly string[] {
  return ['.TP', `.B ${quoted(line)}`, paragraph(what)]
}

function optionLines(row: OptionSpec): readonly string[] {
  const value = row.variable === undefined ? '' : ` ${row.variable}`
  const names = namesOf(row).map((name) => `--${name}${value}`)
  if (row.letter !== undefined) names.unshift(`-${row.letter}${value}`)
  if (row.secret === true) names.push(`--${flagOf(row.env)}-file FILE`)
  const facts = `Variable: ${variablesOf(row).join(', ')}. Default: ${defaultText(row)}.`
  return ['.TP', `.B ${quoted(names.join(', '))}`, paragraph(`${row.short} ${row.long} ${facts}`)]
}

/** Text as it stands: backslashes, and dashes that are to be copied. */
function roff(text: string): string {
  return text
    .replaceAll('\\', '\\e')
    .replaceAll('-', '\\-')
    .replaceAll('^', '\\(ha')
    .replaceAll('~', '\\(ti')
    .replaceAll('`', '\\(ga')
}

/** An argument of a macro. */
function quoted(text: string): string {
  return `"${roff(text).replaceAll('"', '\\(dq')}"`
}

const COLUMNS = 78

/** One sentence or less on a line; a word that would be read as a macro does not begin one. */
function paragraph(text: string): string {
  const lines: string[] = []
  let line = ''
  for (const word of roff(text).split(/\s+/)) {
    const isTooLong = line !== '' && line.length + 1 + word.length > COLUMNS
    if (isTooLong && !/^[.']/.test(word)) {
      lines.push(line)
      line = word
    } else {
      line = line === '' ? word : `${line} ${word}`
    }
  }
  lines.push(line)
  return lines.map((each) => (/^[.']/.test(each) ? `\\&${each}` : each)).join('\n')
}
