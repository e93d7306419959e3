/** Add-ons that cannot be loaded: each is one clear error, and none ends the process. */
import assert from 'node:assert/strict'
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { test, type TestContext } from 'node:test'
import { loadBridge } from '../../src/bridge/load.ts'
import { flags, Logpipe, testFolder } from '../helpers/logpipe.ts'
import { ADD_ON_ADVICE } from '../helpers/program-command.ts'

const BUILT = readFileSync('build/bridge.node')

const ADD_ONS: readonly (readonly [what: string, bytes: Buffer | null, says: RegExp])[] = [
  ['missing', null, /the file does not exist/],
  ['empty', Buffer.alloc(0), /file too short|truncated/],
  ['text', Buffer.from('garbage\n'.repeat(1000)), /invalid ELF header/],
  ['cut in the header', BUILT.subarray(0, 40), /file too short|truncated/],
  ['cut in the table of segments', BUILT.subarray(0, 200), /truncated/],
  ['cut in a segment', BUILT.subarray(0, 100_000), /the file is truncated/],
]

for (const [what, bytes, says] of ADD_ONS) {
  test(`an add-on that is ${what} is refused in one line`, async (t) => {
    const file = path.join(testFolder(t), 'bridge.node')
    if (bytes !== null) writeFileSync(file, bytes)
    await assertRefused(t, file, says)
  })
}

test('an add-on that is none of ours is refused', async (t) => {
  // The one of the executable runs with an older libc than the package's own.
  const forExecutable = 'build/release/addons/sqlite.node'
  const isBuilt = process.env['LOGPIPE_BIN'] !== undefined && existsSync(forExecutable)
  const file = isBuilt ? forExecutable : 'node_modules/better-sqlite3/prebuilds/linux-x64.node'
  await assertRefused(t, path.resolve(file), /it is not a bridge/)
})

test('the built add-on is loaded from any path', () => {
  assert.match(loadBridge('build/bridge.node').version().librdkafka, /^\d+\./)
})

/** In a process of its own, since a bad add-on may end it. */
async function assertRefused(t: TestContext, file: string, says: RegExp): Promise<void> {
  const run = new Logpipe(t, ['run', '--quiet', ...flags({ 'bridge-lib': file, output: 'none' })])
  const { status, stderr } = await run.ended
  assert.match(stderr, says)
  assert.match(stderr, /^logpipe: cannot load the add-on [^\n]+\n$/)
  assert.ok(stderr.includes(ADD_ON_ADVICE), stderr)
  assert.equal(status, 1)
}
