/**
 * The README's option tables, between <!-- options:GROUP --> and <!-- /options:GROUP -->.
 *
 * `build/node bin/write-readme.ts` writes them; a test compares.
 */
import { defaultText } from './render-help.ts'
import { namesOf } from './spec.ts'
import type { OptionSpec } from './spec.ts'
import { ROWS } from './table.ts'

/** The text with every option table replaced by what the table of options says. */
export function fillOptionTables(readme: string): string {
  return readme.replaceAll(
    /(<!-- options:([a-z]+) -->\n)[\s\S]*?(<!-- \/options:\2 -->)/g,
    (_, open: string, group: string, close: string) => `${open}\n${tableOf(group)}\n${close}`,
  )
}

function tableOf(group: string): string {
  const rows = ROWS.filter((row) => row.group === group).map(
    (row) => `| ${cells(row).map(escapeCell).join(' | ')} |\n`,
  )
  return `| Variable | Flag | Default | |\n|---|---|---|---|\n${rows.join('')}`
}

function cells(row: OptionSpec): readonly string[] {
  const variables = [row.env, ...(row.envAliases ?? [])].map(code).join(', ')
  const letter = row.letter === undefined ? '' : `${code(`-${row.letter}`)}, `
  const value = row.variable === undefined ? '' : ` ${row.variable}`
  const flag = letter + code(`--${namesOf(row)[0]}${value}`)
  const isText = row.default !== null && row.default !== ''
  const fallback = isText && row.kind !== 'switch' ? code(row.default) : defaultText(row)
  const later = row.notBuilt === true ? ' *(Not yet.)*' : ''
  return [variables, flag, fallback, `${row.short}${later}`]
}

function code(text: string): string {
  return `\`${text}\``
}

function escapeCell(text: string): string {
  return text.replaceAll('|', '\\|')
}
