/**
 * README.zh-CN.md against README.md: the same headings, code and tables in the same places, so that
 * neither has what the other lacks.
 */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { CHINESE, CHINESE_LINES } from '../../bin/readme-languages.ts'
import { fillOptionTables } from '../../src/options/render-readme.ts'
import { ROWS } from '../../src/options/table.ts'

const english = readFileSync('README.md', 'utf8')
const chinese = readFileSync('README.zh-CN.md', 'utf8')

/** Fenced and indented code, as it stands. */
function codeOf(markdown: string): string[] {
  return markdown.match(/^```[\s\S]*?^```$|(?:^ {4}\S.*\n)+/gm) ?? []
}

function withoutCode(markdown: string): string {
  return markdown.replaceAll(/^```[\s\S]*?^```$/gm, '')
}

/** Levels alone: the words are the translation. */
function headingsOf(markdown: string): string[] {
  return withoutCode(markdown).match(/^#+(?= )/gm) ?? []
}

/** The first cells of each row: what is told of, not what is told. */
function tablesOf(markdown: string): string[] {
  const rows = withoutCode(markdown).match(/^\|.*$/gm) ?? []
  return rows.map((row) => (row.startsWith('|---') ? '---' : (row.split(' | ')[0] ?? '')))
}

test('both READMEs have the same headings', () => {
  assert.deepEqual(headingsOf(chinese), headingsOf(english))
})

test('both READMEs have the same code', () => {
  assert.ok(codeOf(english).length > 5)
  assert.deepEqual(codeOf(chinese), codeOf(english))
})

test('both READMEs have the same tables', () => {
  const [left, right] = [tablesOf(chinese), tablesOf(english)]
  assert.equal(left.length, right.length)
  for (const [index, cell] of right.entries()) {
    // What is a sentence in one language is another in the other.
    if (right[index + 1] === '---' || !/^\| [`@a-z]/.test(cell) || / at /.test(cell)) continue
    assert.equal(left[index], cell)
  }
})

test('the Chinese README has the option tables that the options make', () => {
  assert.equal(fillOptionTables(chinese, CHINESE), chinese)
})

test('every option has a line in Chinese, and no line is of an option that is gone', () => {
  assert.deepEqual([...CHINESE_LINES.keys()].toSorted(), ROWS.map(({ env }) => env).toSorted())
})
