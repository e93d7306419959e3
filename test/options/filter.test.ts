/** What the filter's options mean together. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { LogpipeError } from '../../src/core/errors.ts'
import type { Program } from '../../src/core/expression/ast.ts'
import { printExpression } from '../../src/core/expression/print.ts'
import { filterOf, filterText, refuseRegexes } from '../../src/options/filter.ts'
import { resolve } from '../../src/options/resolve.ts'

function configOf(args: readonly string[], env: Readonly<Record<string, string>> = {}) {
  return resolve({ command: 'run', args, env }).config
}

/** Keep and drop as text; null where patterns alone go to the add-on. */
function programOf(...args: string[]): readonly (string | null)[] | null {
  const filter = filterOf(configOf(args))
  if (!('expression' in filter)) return null
  const { keep, drop } = JSON.parse(filter.expression) as Program
  return [printExpression(keep), drop === null ? null : printExpression(drop)]
}

test('patterns alone go to the add-on as they are', () => {
  assert.equal(programOf(), null)
  assert.equal(programOf('-p', 'a', '--pattern-hex', 'ff', '-i', '-v'), null)
})

test('patterns, regular expressions and expressions are one or, and drop wins', () => {
  assert.deepEqual(programOf('--keep', 'level:ERROR'), ['level:ERROR', null])
  assert.deepEqual(programOf('-p', 'a', '--pattern-hex', 'ff', '-e', 'b+', '--keep', 'c or d:e'), [
    '"a" or "\\xff" or /b+/ or "c" or d:e',
    null,
  ])
  assert.deepEqual(programOf('--keep', 'a', '--drop', 'b', '--drop', 'c:d'), ['"a"', '"b" or c:d'])
  assert.deepEqual(programOf('-i', '-e', 'a', '-p', 'b', '--drop', 'c'), ['"b"i or /a/i', '"c"'])
})

test('--drop alone drops from all records, and beside patterns from what they keep', () => {
  assert.deepEqual(programOf('--drop', 'b'), ['*', '"b"'])
  assert.deepEqual(programOf('-p', 'ERROR', '--drop', 'b'), ['"ERROR"', '"b"'])
  assert.deepEqual(programOf('-v', '-p', 'a', '-e', 'b', '--drop', 'c'), [
    'not ("a" or /b/)',
    '"c"',
  ])
})

test('expressions come from flags, variables and the config file', () => {
  const env = { MATCH_KEEP: 'level:ERROR\nlevel:WARN', MATCH_DROP: '@topic:test-*' }
  assert.equal(filterText(configOf([], env)), 'level:ERROR or level:WARN, but not @topic:test-*')
  const file = "keep: [a, 'b:c']\ndrop: d\nregex: e+\n"
  const { config } = resolve({
    command: 'run',
    args: ['-c', 'x.yaml'],
    env: {},
    readText: () => file,
  })
  assert.equal(filterText(config), '/e+/ or "a" or b:c, but not "d"')
})

test('a wrong expression is refused by the name of its option, with the column', () => {
  assert.throws(
    () => configOf(['--keep', 'level:(a or )']),
    (error) =>
      error instanceof LogpipeError &&
      error.message === '--keep: column 13: expected a value, got )' &&
      error.below === `  level:(a or )\n${' '.repeat(14)}^`,
  )
  const readText = () => 'drop: "@topc:x"\n'
  assert.throws(
    () => resolve({ command: 'run', args: ['-c', 'x.yaml'], env: {}, readText }),
    /x.yaml:1:1: drop: column 1: unknown @topc: did you mean @topic\?/,
  )
})

test('a regular expression that does not compile is pointed at within its expression', () => {
  const compiler = { regexCheck: () => ({ message: 'missing )', at: 2 }) }
  assert.throws(
    () => refuseRegexes(configOf(['--keep', 'a or m ~ /x(y/']), compiler),
    /--keep: column 13: this regular expression does not compile: missing \)$/,
  )
  assert.throws(() => refuseRegexes(configOf(['-e', 'x(y']), compiler), /--regex: column 3: /)
})
