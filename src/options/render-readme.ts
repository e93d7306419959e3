/**
 * The READMEs' option tables, between <!-- options:GROUP --> and <!-- /options:GROUP -->.
 *
 * `build/node bin/write-readme.ts` writes them; a test compares.
 */
import { defaultText } from './render-help.ts'
import { namesOf, variablesOf } from './spec.ts'
import type { OptionSpec } from './spec.ts'
import { ROWS } from './table.ts'

/** In which language a README says what an option is for. */
export interface ReadmeLanguage {
  /** Of the columns but the last, which has none. */
  readonly headings: readonly string[]
  readonly shortOf: (row: OptionSpec) => string
}

const ENGLISH: ReadmeLanguage = {
  headings: ['Variable', 'Flag', 'Default'],
  shortOf: (row) => row.short,
}

/** The text with every option table replaced by what the table of options says. */
export function fillOptionTables(readme: string, language: ReadmeLanguage = ENGLISH): string {
  return readme.replaceAll(
    /(<!-- options:([a-z]+) -->\n)[\s\S]*?(<!-- \/options:\2 -->)/g,
    (_, open: string, group: string, close: string) =>
      `${open}\n${tableOf(group, language)}\n${close}`,
  )
}

function tableOf(group: string, language: ReadmeLanguage): string {
  const rows = ROWS.filter((row) => row.group === group).map(
    (row) => `| ${cells(row, language).map(escapeCell).join(' | ')} |\n`,
  )
  return `| ${language.headings.join(' | ')} | |\n|---|---|---|---|\n${rows.join('')}`
}

function cells(row: OptionSpec, { shortOf }: ReadmeLanguage): readonly string[] {
  const variables = variablesOf(row).map(code).join(', ')
  const letter = row.letter === undefined ? '' : `${code(`-${row.letter}`)}, `
  const value = row.variable === undefined ? '' : ` ${row.variable}`
  const flag = letter + code(`--${namesOf(row)[0]}${value}`)
  const isText = row.default !== null && row.default !== ''
  const fallback = isText && row.kind !== 'switch' ? code(row.default) : defaultText(row)
  return [variables, flag, fallback, shortOf(row)]
}

function code(text: string): string {
  return `\`${text}\``
}

function escapeCell(text: string): string {
  return text.replaceAll('|', '\\|')
}
