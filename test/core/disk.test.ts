/** The real disk, where it is full. */
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { test } from 'node:test'
import { nodeDisk } from '../../src/core/disk.ts'

test('a full disk is named with the file, the size, and what to do', async (t) => {
  const folder = mkdtempSync(path.join(tmpdir(), 'logpipe-full-'))
  t.after(() => {
    spawnSync('umount', ['-l', folder])
    rmSync(folder, { recursive: true })
  })
  const mounted = spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=64k', 'tmpfs', folder])
  if (mounted.status !== 0) return t.skip('needs root and the right to mount a tmpfs')
  const bytes = Buffer.alloc(100 * 1024)
  const says = (name: string) => ({
    code: 'ENOSPC',
    message:
      `ENOSPC: the disk of ${path.join(folder, name)} is full, 100.0 KiB could not be written; ` +
      'free some space, or use another disk',
  })
  const file = await nodeDisk.open(path.join(folder, 'a'), 'create')
  await assert.rejects(file.write(bytes, 0), says('a'))
  await file.close()
  await assert.rejects(nodeDisk.replace(path.join(folder, 'b'), bytes), says('b'))
})
