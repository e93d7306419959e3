/** The spill on a real disk: modes, a disk that is full, one that is read-only. */
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { existsSync, mkdtempSync, rmSync, statSync, readdirSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { test, type TestContext } from 'node:test'
import type { Spill } from '../../../src/sink/spill/contract.ts'
import { openSpill } from '../../../src/sink/spill/open.ts'
import { entryOf, keysOf, TestLocks } from '../../helpers/spills.ts'

function directoryOf(t: TestContext): string {
  const directory = mkdtempSync(path.join(tmpdir(), 'logpipe-spill-'))
  t.after(() => {
    // Fails where nothing is mounted, which is as well.
    spawnSync('umount', ['-l', directory])
    rmSync(directory, { recursive: true, force: true })
  })
  return directory
}

function openIn(directory: string, commitOn: 'index' | 'spill' = 'spill'): Promise<Spill> {
  return openSpill({
    path: path.join(directory, 'data', 'es_spill.bin'),
    maxBytes: 16 * 1024 * 1024,
    commitOn,
    pipeline: 'p',
    target: 't',
    locks: new TestLocks(),
    events: { damaged: () => assert.fail('damage'), trouble: () => undefined },
  })
}

/** A tiny disk of its own, where this user may mount one. */
function mountTiny(t: TestContext): string | null {
  const directory = directoryOf(t)
  const mount = spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=256k', 'tmpfs', directory])
  return mount.status === 0 ? directory : null
}

const isRoot = process.getuid?.() === 0

test('files are readable by this user alone, and all comes back after a restart', async (t) => {
  const directory = directoryOf(t)
  const spill = await openIn(directory)
  const entries = Array.from({ length: 2000 }, (_, offset) => entryOf(offset % 4, offset, 3000))
  assert.equal(await spill.append(entries), 'stored')
  const spillDirectory = path.join(directory, 'data', 'es_spill.bin.d')
  assert.equal(statSync(spillDirectory).mode & 0o777, 0o700)
  const files = readdirSync(spillDirectory)
  assert(files.length >= 4)
  for (const file of files) {
    assert.equal(statSync(path.join(spillDirectory, file)).mode & 0o777, 0o600, file)
  }
  await spill.close()
  const again = await openIn(directory)
  const read = []
  for (;;) {
    const some = await again.read(500_000)
    if (some.length === 0) break
    read.push(...some)
  }
  assert.deepEqual(keysOf(read), keysOf(entries))
  again.release(read)
  await again.close()
  assert.deepEqual(
    readdirSync(spillDirectory).filter((name) => name.endsWith('.spill')),
    [],
  )
})

test('a full disk says full, and what was stored comes back', { skip: !isRoot }, async (t) => {
  const directory = mountTiny(t)
  if (directory === null) {
    t.skip('no mount here')
    return
  }
  const spill = await openIn(directory)
  let stored = 0
  while ((await spill.append([entryOf(0, stored, 10_000)])) === 'stored') stored++
  assert(stored >= 15 && stored < 30, `${stored} entries of 10 kB on 256 kB`)
  assert.equal(await spill.append([entryOf(1, 0, 10_000)]), 'full')
  const read = await spill.read(Number.MAX_SAFE_INTEGER)
  assert.equal(read.length, stored)
  spill.unread(read)
  await spill.close()
  const again = await openIn(directory)
  const leftovers = await again.read(Number.MAX_SAFE_INTEGER)
  assert.deepEqual(keysOf(leftovers), keysOf(read))
  again.release(leftovers)
  await again.close()
})

test('a read-only disk is a clear error', { skip: !isRoot }, async (t) => {
  const directory = mountTiny(t)
  if (directory === null) {
    t.skip('no mount here')
    return
  }
  assert.equal(spawnSync('mount', ['-o', 'remount,ro', directory]).status, 0)
  await assert.rejects(openIn(directory), { code: 'SPILL', message: /read-only.*ES_SPILL_PATH/ })
  assert(!existsSync(path.join(directory, 'data')))
})
