import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { test, type TestContext } from 'node:test'
import { FILL_EVENTS, FILL_FULL } from '../../src/bridge/bridge.ts'
import { loadBridge } from '../../src/bridge/load.ts'
import { LogpipeError } from '../../src/core/errors.ts'
import * as layout from '../../src/pool/layout.ts'

const CONSTANTS = Object.fromEntries(
  Object.entries({ ...layout, FILL_EVENTS, FILL_FULL }).filter(
    ([, value]) => typeof value === 'number',
  ),
)

function fileWith(t: TestContext, name: string, text: string): string {
  const folder = mkdtempSync(path.join(tmpdir(), 'load-'))
  t.after(() => rmSync(folder, { recursive: true }))
  const file = path.join(folder, name)
  writeFileSync(file, text)
  return file
}

/** A module that says it was compiled with these constants. */
function moduleWith(t: TestContext, constants: object, wholeBatches = true): string {
  const version = JSON.stringify({ librdkafka: '2.0.0', wholeBatches, layout: constants })
  return fileWith(t, 'bridge.cjs', `exports.version = () => (${version})`)
}

function assertRefused(file: string, why: RegExp): void {
  assert.throws(
    () => loadBridge(file),
    (thrown: unknown) => {
      assert.ok(thrown instanceof LogpipeError)
      assert.equal(thrown.code, 'BRIDGE_LOAD')
      assert.match(thrown.message, why)
      assert.ok(thrown.message.includes(file), thrown.message)
      assert.match(thrown.message, /npm run setup/)
      assert.doesNotMatch(thrown.message, /\n/)
      return true
    },
  )
}

test('a missing add-on is named, with the command that builds it', () => {
  assertRefused('/nowhere/bridge.node', /does not exist/)
})

test('a file that is no add-on is refused in one line', (t) => {
  assertRefused(fileWith(t, 'bridge.node', 'not an ELF file\n'.repeat(100)), /cannot load/)
})

test('an empty file is refused as an add-on', (t) => {
  assertRefused(fileWith(t, 'bridge.node', ''), /cannot load/)
})

test('a module without a version is no bridge', (t) => {
  assertRefused(fileWith(t, 'bridge.cjs', 'exports.other = 1'), /no version/)
  assertRefused(fileWith(t, 'bridge.cjs', 'exports.version = 1'), /not a function/)
})

test('an add-on with the same layout is loaded', (t) => {
  assert.equal(loadBridge(moduleWith(t, CONSTANTS)).version().librdkafka, '2.0.0')
})

test('an add-on on a librdkafka that hands on no whole batches is refused', (t) => {
  assertRefused(moduleWith(t, CONSTANTS, false), /librdkafka .* built without logpipe's changes/)
})

test('any constant that differs, is missing or is unknown refuses the add-on', (t) => {
  for (const name of Object.keys(CONSTANTS)) {
    const { [name]: value = 0, ...others } = CONSTANTS
    const differing = moduleWith(t, { ...CONSTANTS, [name]: Number(value) + 1 })
    assertRefused(differing, new RegExp(`other sources \\(${name} is`))
    assertRefused(moduleWith(t, others), new RegExp(`${name} is undefined, expected`))
  }
  assertRefused(moduleWith(t, { ...CONSTANTS, NEW: 1 }), /NEW is 1, expected undefined/)
})
