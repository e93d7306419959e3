/** LOCK_FILE: who gets in, and who is sent away. */
import assert from 'node:assert/strict'
import { rmSync, statSync, symlinkSync } from 'node:fs'
import path from 'node:path'
import { test } from 'node:test'
import { underLock } from '../../src/cli/file-lock.ts'
import { LogpipeError } from '../../src/core/errors.ts'
import { fileLocks } from '../../src/bridge/locks.ts'
import { temporaryFolder } from '../helpers/program.ts'
import { testLocks } from '../cli/recorded-host.ts'

const CONFIG = { lockFile: '/nowhere/logpipe.lock', bridgeLib: null }

test('one at a time gets in; the next one after it has ended, also with an error', async () => {
  const locks = testLocks()
  const load = () => locks
  const message =
    '/nowhere/logpipe.lock (--lock) is held by another process: that run goes on, this one ends'
  await underLock(
    CONFIG,
    () => assert.rejects(underLock(CONFIG, assert.fail, load), { code: 'LOCK_HELD', message }),
    load,
  )
  const failure = new LogpipeError('THREAD', 'died')
  await assert.rejects(
    underLock(CONFIG, () => Promise.reject(failure), load),
    failure,
  )
  assert.equal(await underLock(CONFIG, () => Promise.resolve(7), load), 7)
})

test('without a file there is no lock, and the add-on is not loaded', async () => {
  const unlocked = underLock({ ...CONFIG, lockFile: null }, () => Promise.resolve(1), assert.fail)
  assert.equal(await unlocked, 1)
})

test('a file that cannot be made says which option it was', async () => {
  const refuse = () => {
    throw new LogpipeError('BRIDGE_CALL', 'cannot open the lock file /x/y: No such file')
  }
  const load = () => ({ fileLock: refuse, fileUnlock: () => assert.fail() })
  await assert.rejects(underLock(CONFIG, assert.fail, load), {
    code: 'LOCKED',
    message: 'LOCK_FILE: cannot open the lock file /x/y: No such file',
  })
})

test('a lock file is there, and ours, before the add-on opens it by its name', async (t) => {
  const file = path.join(temporaryFolder(t), 'lock')
  const modes: number[] = []
  const load = () => ({
    fileLock: (name: string) => modes.push(statSync(name).mode & 0o777),
    fileUnlock: () => true,
  })
  await underLock({ ...CONFIG, lockFile: file }, () => Promise.resolve(), load)
  rmSync(file)
  fileLocks(load())(file)
  assert.deepEqual(modes, [0o600, 0o600])
})

test('a lock file through a link, or of another user, is refused', async (t) => {
  const folder = temporaryFolder(t)
  const file = path.join(folder, 'lock')
  symlinkSync(path.join(folder, 'elsewhere'), file)
  const load = () => ({ fileLock: assert.fail, fileUnlock: () => assert.fail() })
  const config = { ...CONFIG, lockFile: file }
  const refused = { code: 'LOCKED', message: /^LOCK_FILE: .* is a symbolic link/ }
  await assert.rejects(underLock(config, assert.fail, load), refused)
  assert.throws(() => fileLocks(load())(file), { code: 'STORE', message: /is a symbolic link/ })
})
