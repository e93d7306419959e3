/**
 * Lists of topics whose check took for ever: the control plane does it for whoever sends a
 * pipeline, and answered nobody meanwhile. Each is checked in a process that can be ended.
 */
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { test } from 'node:test'

/** No measure of speed: what these took before was hours. */
const GIVEN_UP_MS = 120_000

/** @returns what `parseTopics` makes of what this expression of JavaScript gives. */
function parsed(expression: string): unknown {
  const notations = new URL('../../src/options/notations.ts', import.meta.url).href
  const script =
    `import { parseTopics } from ${JSON.stringify(notations)}\n` +
    `console.log(JSON.stringify(parseTopics(${expression}) ?? null))`
  const args = ['--input-type=module', '-e', script]
  const { stdout } = spawnSync(process.execPath, args, { encoding: 'utf8', timeout: GIVEN_UP_MS })
  return stdout === '' ? 'no end' : JSON.parse(stdout)
}

test('an expression with two ways to match nothing was searched in an empty name', () => {
  // Compiled by a search in '': 2^60 ways to find that the x is not there.
  const expression = `^${'(|)'.repeat(60)}x`
  assert.deepEqual(parsed(JSON.stringify(expression)), [expression])
})

test('a list with a bracket that is never closed was looked through again at each comma', () => {
  assert.equal(parsed("Array.from({ length: 20_000 }, () => '^([').join(',')"), null)
})
