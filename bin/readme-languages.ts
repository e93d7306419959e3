/**
 * The READMEs and their languages. In Chinese an option's line comes from readme-zh-cn.json; one
 * without a line there stands in English, and a test asks for it.
 */
import { readFileSync } from 'node:fs'
import type { ReadmeLanguage } from '../src/options/render-readme.ts'

const lines = JSON.parse(
  readFileSync(new URL('readme-zh-cn.json', import.meta.url), 'utf8'),
) as Readonly<Record<string, string>>

export const CHINESE_LINES: ReadonlyMap<string, string> = new Map(Object.entries(lines))

export const CHINESE: ReadmeLanguage = {
  headings: ['变量', '标志', '默认值'],
  shortOf: (row) => CHINESE_LINES.get(row.env) ?? row.short,
}
