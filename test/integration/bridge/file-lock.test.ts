import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { test } from 'node:test'
import { bridge } from './rig.ts'

/** Takes the lock in another process; says whether it got it. */
function otherProcessTakes(file: string): boolean {
  const addOn = path.resolve('build/bridge.node')
  const code = `console.log(require(${JSON.stringify(addOn)}).fileLock(${JSON.stringify(file)}))`
  const result = spawnSync(process.execPath, ['-e', code], { encoding: 'utf8' })
  assert.equal(result.status, 0, result.stderr)
  return result.stdout.trim() !== 'null'
}

test('a lock excludes other processes until it is released', (t) => {
  const folder = mkdtempSync(path.join(tmpdir(), 'lock-'))
  t.after(() => rmSync(folder, { recursive: true }))
  const file = path.join(folder, 'lock')
  assert.equal(otherProcessTakes(file), true)
  const lock = bridge.fileLock(file)
  assert.ok(lock !== null)
  assert.equal(statSync(file).mode & 0o777, 0o600)
  assert.equal(otherProcessTakes(file), false)
  assert.equal(bridge.fileLock(file), null)
  bridge.fileUnlock(lock)
  assert.equal(otherProcessTakes(file), true)
  assert.throws(() => bridge.fileUnlock(lock), RangeError)
})

test('a lock file that cannot be opened names the reason', () => {
  assert.throws(() => bridge.fileLock('/nowhere/lock'), { code: 'ENOENT' })
})
