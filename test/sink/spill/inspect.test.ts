/** What `spill ls`, `verify` and `drain` find and do. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { drainSpill, inspectSpill, type DrainOptions } from '../../../src/sink/spill/inspect.ts'
import { entryOf, keysOf, openTestSpill, TestLocks } from '../../helpers/spills.ts'

const path = '/spill'
const events = { damaged: () => undefined, trouble: () => undefined }

/** Takes all, one entry at a time. */
const DRAIN = {
  path,
  events,
  batchBytes: 1,
  accepts: () => true,
  send: async (entries) => entries.map(() => true),
  signal: new AbortController().signal,
} as const satisfies Omit<DrainOptions, 'locks'>

function nameOf(file: string): string {
  return file.slice(file.lastIndexOf('/') + 1)
}

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
  await assert.rejects(drainSpill({ ...DRAIN, locks, disk }), { code: 'LOCKED' })
  await spill.close()
  const sent: string[] = []
  const result = await drainSpill({
    ...DRAIN,
    locks,
    disk,
    send: async (entries) => {
      sent.push(...keysOf(entries))
      return entries.map(() => true)
    },
  })
  assert.deepEqual(sent, ['app-0-1', 'app-0-5', 'app-1-3'])
  assert.deepEqual(result, { sentCount: 3, leftCount: 0, damage: [], setAside: [] })
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
  const send = async (): Promise<boolean[]> => {
    calls++
    if (calls === 2) throw new RangeError('no more')
    return [true]
  }
  await assert.rejects(drainSpill({ ...DRAIN, locks, disk, send }), RangeError)
  const again = await openTestSpill({ locks, disk })
  assert.deepEqual(keysOf(await again.spill.read(10_000)), ['app-0-5', 'app-1-3'])
})

test('what waits among what was sent is all that the next drain finds', async () => {
  for (const isIndexKnown of [true, false]) {
    const locks = new TestLocks()
    const { spill, disk } = await openTestSpill({ locks })
    const all = Array.from({ length: 100 }, (_, offset) =>
      entryOf(0, offset, 40, offset % 10 === 5 ? 'blocked' : 'logs'),
    )
    await spill.append(all)
    await spill.close()
    let isBlocked = true
    const sent: string[] = []
    const drain = async () =>
      drainSpill({
        ...DRAIN,
        locks,
        disk,
        batchBytes: 500,
        accepts: (index) => !(isBlocked && isIndexKnown && sent.length > 0 && index === 'blocked'),
        send: async (entries) => {
          const taken = entries.map(({ index }) => !(isBlocked && index === 'blocked'))
          sent.push(...keysOf(entries.filter((_, place) => taken[place])))
          return taken
        },
      })
    assert.deepEqual(await drain(), { sentCount: 90, leftCount: 10, damage: [], setAside: [] })
    const left = await inspectSpill({ path, locks, disk })
    assert.deepEqual([left.entryCount, left.damage], [10, []])
    assert.equal(left.manifest?.pipeline, 'app')
    isBlocked = false
    assert.equal((await drain()).sentCount, 10)
    assert.equal(new Set(sent).size, 100)
    assert.equal(sent.length, 100)
  }
})

test('on a full disk what is left stays where it is', async () => {
  const { locks, spill, disk } = await filled()
  await spill.close()
  disk.capacity = disk.usedBytes
  const send = async () => [false, true, true]
  const result = await drainSpill({ ...DRAIN, locks, disk, batchBytes: 10_000, send })
  assert.deepEqual([result.sentCount, result.leftCount], [2, 1])
  disk.capacity = Number.POSITIVE_INFINITY
  const again = await drainSpill({ ...DRAIN, locks, disk })
  assert.equal(again.leftCount, 0)
})

test('one drain reports damage and sets its segment aside, the next finds none', async () => {
  const { locks, spill, disk } = await filled()
  await spill.close()
  const file = disk.files.find((name) => name.endsWith('.spill')) ?? ''
  const bytes = disk.bytesOf(file)
  bytes[bytes.length >> 1] = (bytes[bytes.length >> 1] ?? 0) ^ 1
  disk.put(file, bytes)
  // Broken off, it keeps the damage for the next drain.
  const stopped = await drainSpill({ ...DRAIN, locks, disk, signal: AbortSignal.abort() })
  assert.deepEqual([stopped.damage.length, stopped.setAside], [1, []])
  // One of the two that are left waits: it is all that is in the spill then.
  const send = async () => [false, true]
  const first = await drainSpill({ ...DRAIN, locks, disk, batchBytes: 10_000, send })
  assert.deepEqual([first.sentCount, first.leftCount, first.damage.length], [1, 1, 1])
  assert.equal(first.damage[0]?.ranges.length, 1)
  assert.deepEqual(first.setAside, [`${nameOf(file)}.damaged`])
  assert.deepEqual(disk.bytesOf(`${file}.damaged`), bytes)
  const second = await drainSpill({ ...DRAIN, locks, disk })
  assert.deepEqual(second, { sentCount: 1, leftCount: 0, damage: [], setAside: [] })
})
