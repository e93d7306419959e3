/** What `spill ls`, `verify` and `drain` find and do. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { drainSpill, inspectSpill } from '../../../src/sink/spill/inspect.ts'
import { entryOf, keysOf, openTestSpill, TestLocks } from '../../helpers/spills.ts'

const path = '/spill'
const events = { damaged: () => undefined, trouble: () => undefined }

async function filled() {
  const locks = new TestLocks()
  const { spill, disk } = await openTestSpill({ locks })
  await spill.append([entryOf(0, 1), entryOf(0, 5), entryOf(1, 3)])
  return { locks, spill, disk }
}

test('ls names the segments, their entries, their ranges and whose they are', async () => {
  const { locks, spill, disk } = await filled()
  const running = await inspectSpill({ path, locks, disk })
  assert.equal(running.inUse, true)
  assert.equal(running.entryCount, 3)
  await spill.close()
  const stopped = await inspectSpill({ path, locks, disk })
  assert.equal(stopped.inUse, false)
  assert.equal(stopped.manifest?.pipeline, 'app')
  assert.equal(stopped.bytes, spill.bytes)
  assert.deepEqual(stopped.damage, [])
  assert.deepEqual(stopped.segments[0]?.ranges, [
    { topic: 'app', partition: 0, from: 1, to: 6, count: 2 },
    { topic: 'app', partition: 1, from: 3, to: 4, count: 1 },
  ])
  const none = await inspectSpill({ path: '/elsewhere', locks, disk })
  assert.deepEqual(none.segments, [])
})

test('verify finds a changed byte, and changes nothing', async () => {
  const { locks, spill, disk } = await filled()
  await spill.close()
  const file = disk.files.find((name) => name.endsWith('.spill')) ?? ''
  const bytes = disk.bytesOf(file)
  bytes[bytes.length >> 1] = (bytes[bytes.length >> 1] ?? 0) ^ 1
  disk.put(file, bytes)
  const found = await inspectSpill({ path, locks, disk })
  assert.equal(found.damage.length, 1)
  assert.equal(found.entryCount, 2)
  assert.deepEqual(disk.bytesOf(file), bytes)
})

test('the end that a running process is writing is no damage', async () => {
  const { locks, disk } = await filled()
  const file = disk.files.find((name) => name.endsWith('.spill')) ?? ''
  // It has not noted yet what it is about to have stored.
  await disk.remove(`${file}.stored`)
  disk.put(file, disk.bytesOf(file).subarray(0, -3))
  assert.deepEqual((await inspectSpill({ path, locks, disk })).damage, [])
  const crashed = await inspectSpill({ path, locks: new TestLocks(), disk })
  assert.equal(crashed.damage.length, 1)
})

test('drain sends everything, whosever it is, and leaves an empty directory', async () => {
  const { locks, spill, disk } = await filled()
  await assert.rejects(
    drainSpill({ path, locks, disk, events, batchBytes: 1, send: async () => undefined }),
    { code: 'LOCKED' },
  )
  await spill.close()
  const sent: string[] = []
  const result = await drainSpill({
    path,
    locks,
    disk,
    events,
    batchBytes: 1,
    send: async (entries) => {
      sent.push(...keysOf(entries))
    },
  })
  assert.deepEqual(sent, ['app-0-1', 'app-0-5', 'app-1-3'])
  assert.deepEqual(result, { sentCount: 3, leftCount: 0, damage: [] })
  assert.deepEqual(
    disk.files.filter((name) => name.endsWith('.spill')),
    [],
  )
  const other = await openTestSpill({ locks, disk, pipeline: 'other' })
  await other.spill.close()
})

test('a drain that fails half way keeps the rest', async () => {
  const { locks, spill, disk } = await filled()
  await spill.close()
  let calls = 0
  const send = async (): Promise<void> => {
    calls++
    if (calls === 2) throw new RangeError('no more')
  }
  await assert.rejects(drainSpill({ path, locks, disk, events, batchBytes: 1, send }), RangeError)
  const again = await openTestSpill({ locks, disk })
  assert.deepEqual(keysOf(await again.spill.read(10_000)), ['app-0-5', 'app-1-3'])
})
