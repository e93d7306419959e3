/** The spill as a queue: order, bounds, lanes, partitions, progress, and what a disk may do. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { LogpipeError } from '../../../src/core/errors.ts'
import type { SpillEntry } from '../../../src/sink/spill/contract.ts'
import { diskError } from '../../helpers/memory-disk.ts'
import { entryOf, keysOf, openTestSpill, TestLocks } from '../../helpers/spills.ts'

test('what was appended is read back in order, as it was', async () => {
  const { spill } = await openTestSpill()
  const entries: SpillEntry[] = [
    { ...entryOf(3, 9_007_199_254_740_000, 100), tag: 9_007_199_254_740_991 },
    { ...entryOf(0, 5), timestampMs: -1, timestampType: 'none' },
    { ...entryOf(1, 0, 5000, 'Protokolle-ä', 'thema'), timestampType: 'append' },
  ]
  assert.equal(await spill.append(entries), 'stored')
  const read = await spill.read(1)
  assert.equal(read.length, 1)
  read.push(...(await spill.read(1_000_000)))
  assert.equal(read.length, 3)
  read.forEach((entry, index) => {
    const { document, tag, topic, partition, offset, timestampMs, timestampType } = entry
    const time = { timestampMs, timestampType }
    const place = { topic, partition, offset, ...time, index: entry.index }
    const same = { ...place, document: [...document] }
    const { tag: wantedTag, ...wanted } = { tag: 0, ...entries[index] }
    assert.deepEqual({ ...same }, { ...wanted, document: [...(wanted.document ?? [])] })
    assert.equal(tag, wantedTag)
    assert.equal(entry.leftover, false)
  })
  assert.deepEqual(await spill.read(1_000_000), [])
  assert.equal(spill.entryCount, 3)
  spill.release(read)
  assert.equal(spill.entryCount, 0)
  await spill.close()
})

test('the disk is free again when all is released', async () => {
  const { spill, disk } = await openTestSpill()
  await spill.append(Array.from({ length: 1000 }, (_, offset) => entryOf(0, offset, 800)))
  assert(spill.bytes > 800_000)
  assert.equal(spill.bytes, disk.usedBytes - smallFileBytes(disk))
  spill.release(await spill.read(Number.MAX_SAFE_INTEGER))
  await spill.close()
  assert.equal(spill.bytes, 0)
  assert.deepEqual(
    disk.files.filter((name) => name.includes('segment')),
    [],
  )
})

test('a full spill says so, stores nothing of that append, and has room again later', async () => {
  const { spill, disk } = await openTestSpill({ maxBytes: 100_000 })
  let stored = 0
  while ((await spill.append(tenOf(stored))) === 'stored') stored += 10
  assert(disk.usedBytes - smallFileBytes(disk) <= 100_000)
  assert(stored >= 80, `only ${stored} entries of 1 kB in 100 kB`)
  const read = await spill.read(Number.MAX_SAFE_INTEGER)
  assert.equal(read.length, stored)
  // Segments go one by one, so half of it makes room for some.
  spill.release(read.slice(0, 50))
  await turns()
  assert.equal(await spill.append(tenOf(stored)), 'stored')
  await spill.close()
})

test('appends at the same time share a sync and keep their order', async () => {
  const { spill, disk } = await openTestSpill()
  let syncs = 0
  disk.before = (operation) => {
    if (operation === 'datasync') syncs++
  }
  const appends = Array.from({ length: 50 }, (_, index) => spill.append([entryOf(0, index)]))
  await Promise.all(appends)
  assert(syncs <= 3, `${syncs} syncs`)
  const read = await spill.read(1_000_000)
  assert.deepEqual(
    read.map((entry) => entry.offset),
    Array.from({ length: 50 }, (_, index) => index),
  )
  await spill.close()
})

test('entries of an index that is not accepted stay until it is', async () => {
  const { spill } = await openTestSpill()
  const entries = Array.from({ length: 30 }, (_, offset) =>
    entryOf(0, offset, 100, offset % 3 === 0 ? 'blocked' : 'open'),
  )
  await spill.append(entries)
  const first = await spill.read(1_000_000, (index) => index !== 'blocked')
  assert.equal(first.length, 20)
  assert.deepEqual(await spill.read(1_000_000, (index) => index !== 'blocked'), [])
  assert(spill.bytesOfIndex('blocked') > 10 * 100)
  const second = await spill.read(1_000_000)
  assert.deepEqual(
    second.map((entry) => entry.offset),
    [0, 3, 6, 9, 12, 15, 18, 21, 24, 27],
  )
  spill.release(first)
  spill.release(second)
  assert.equal(spill.bytesOfIndex('blocked'), 0)
  await spill.close()
})

test('a lane that is held up does not keep the disk of those that drain', async () => {
  const { spill, disk } = await openTestSpill({ maxBytes: 200_000 })
  const blocked: string[] = []
  for (let round = 0; round < 100; round++) {
    const entries = Array.from({ length: 10 }, (_, index) =>
      entryOf(0, round * 10 + index, 900, index === 0 ? 'blocked' : 'open'),
    )
    blocked.push(...keysOf(entries.slice(0, 1)))
    assert.equal(await spill.append(entries), 'stored', `round ${round}`)
    spill.release(await spill.read(Number.MAX_SAFE_INTEGER, (index) => index === 'open'))
    assert(disk.usedBytes <= 200_000)
    await turns()
  }
  const left = keysOf(await spill.read(Number.MAX_SAFE_INTEGER))
  assert.deepEqual(left.toSorted(), blocked.toSorted())
  await spill.close()
})

test('without room to copy a lane that is held up, its entries wait where they were', async () => {
  const { spill, disk, troubles } = await openTestSpill({ maxBytes: 200_000 })
  const blocked: string[] = []
  for (let round = 0; round < 40; round++) {
    const entries = Array.from({ length: 10 }, (_, index) =>
      entryOf(0, round * 10 + index, 900, index === 0 ? 'blocked' : 'open'),
    )
    disk.before = (operation) => {
      if (operation === 'write' && round > 12 && round % 2 === 0) throw diskError('ENOSPC')
    }
    if ((await spill.append(entries)) === 'stored') blocked.push(...keysOf(entries.slice(0, 1)))
    spill.release(await spill.read(Number.MAX_SAFE_INTEGER, (index) => index === 'open'))
    await turns()
  }
  assert(blocked.length < 40, 'some appends found no room')
  disk.before = () => undefined
  assert.deepEqual(troubles, [])
  const left = keysOf(await spill.read(Number.MAX_SAFE_INTEGER))
  assert.deepEqual(left.toSorted(), blocked.toSorted())
  await spill.close()
})

test('entries given back are read again, at their old place', async () => {
  const { spill } = await openTestSpill()
  await spill.append(Array.from({ length: 10 }, (_, offset) => entryOf(0, offset)))
  const read = await spill.read(1_000_000)
  spill.unread(read.slice(2, 5))
  spill.release([...read.slice(0, 2), ...read.slice(5)])
  assert.deepEqual(keysOf(await spill.read(1_000_000)), ['app-0-2', 'app-0-3', 'app-0-4'])
  await spill.close()
})

test('a revoked partition leaves, in hand or not, and may come back', async () => {
  const { spill } = await openTestSpill({ commitOn: 'index' })
  await spill.append([entryOf(0, 1), entryOf(1, 1), entryOf(0, 2), entryOf(1, 2)])
  const [held] = await spill.read(1)
  assert.equal(held?.offset, 1)
  assert.equal(spill.dropPartition('app', 0), 2)
  assert.equal(spill.dropPartition('app', 7), 0)
  spill.release(held === undefined ? [] : [held])
  await spill.append([entryOf(0, 3)])
  assert.deepEqual(keysOf(await spill.read(1_000_000)), ['app-1-1', 'app-1-2', 'app-0-3'])
  assert.equal(spill.entryCount, 3)
  await spill.close()
})

test('a partition dropped while appends are under way takes their entries along', async () => {
  const { spill } = await openTestSpill({ commitOn: 'index' })
  const appends = [0, 10, 20].map((offset) =>
    spill.append([entryOf(0, offset), entryOf(1, offset)]),
  )
  await turns()
  appends.push(spill.append([entryOf(0, 30), entryOf(1, 30)]))
  spill.dropPartition('app', 0)
  appends.push(spill.append([entryOf(0, 40)]))
  assert.deepEqual(await Promise.all(appends), Array.from({ length: 5 }).fill('stored'))
  assert.deepEqual(keysOf(await spill.read(1_000_000)), [
    'app-1-0',
    'app-1-10',
    'app-1-20',
    'app-1-30',
    'app-0-40',
  ])
  assert.equal(spill.entryCount, 5)
  await spill.close()
})

test('under spill, what was not released is there after a restart, with its progress', async () => {
  const first = await openTestSpill()
  await first.spill.append(Array.from({ length: 10 }, (_, offset) => entryOf(0, offset)))
  const read = await first.spill.read(1_000_000)
  first.spill.release(read.slice(0, 4))
  await first.spill.close()
  const second = await openTestSpill({ disk: first.disk.crash(() => 0) })
  assert.deepEqual(second.spill.damageAtOpen, [])
  const again = await second.spill.read(1_000_000)
  assert.deepEqual(
    again.map((entry) => entry.offset),
    [4, 5, 6, 7, 8, 9],
  )
  assert(again.every((entry) => entry.leftover))
  second.spill.release(again)
  await second.spill.close()
})

test('under index, leftovers are deleted at the start and at the end', async () => {
  const first = await openTestSpill({ commitOn: 'index' })
  await first.spill.append([entryOf(0, 1)])
  const second = await openTestSpill({ commitOn: 'index', disk: first.disk.kill() })
  assert.equal(second.spill.entryCount, 0)
  assert.equal(second.spill.bytes, 0)
  await second.spill.append([entryOf(0, 2)])
  await second.spill.close()
  assert.deepEqual(
    second.disk.files.filter((name) => name.includes('segment')),
    [],
  )
})

test('a directory of another pipeline, target or commit mode is refused', async () => {
  const first = await openTestSpill()
  await first.spill.append([entryOf(0, 1)])
  await first.spill.close()
  const refused = (error: unknown) =>
    error instanceof LogpipeError &&
    error.code === 'SPILL' &&
    error.message.includes('logpipe spill drain')
  const disk = first.disk
  await assert.rejects(openTestSpill({ disk, pipeline: 'other' }), refused)
  await assert.rejects(openTestSpill({ disk, target: 'elsewhere' }), refused)
  await assert.rejects(openTestSpill({ disk, commitOn: 'index' }), refused)
  const manifest = disk.files.find((name) => name.endsWith('manifest.json')) ?? ''
  const text = disk.bytesOf(manifest)
  disk.put(manifest, Buffer.from(text.toString().replace('"app"', '"apq"')))
  await assert.rejects(openTestSpill({ disk }), refused)
  disk.put(manifest, text)
  const again = await openTestSpill({ disk })
  assert.equal(again.spill.entryCount, 1)
})

test('a second process is told that the directory is in use', async () => {
  const locks = new TestLocks()
  const { spill, disk } = await openTestSpill({ locks })
  await assert.rejects(openTestSpill({ locks, disk }), { code: 'LOCKED' })
  await spill.close()
  await (await openTestSpill({ locks, disk })).spill.close()
})

test('a disk without room says full, keeps what was stored, and goes on later', async () => {
  const { spill, disk } = await openTestSpill()
  await spill.append([entryOf(0, 0, 1000)])
  disk.capacity = disk.usedBytes + 500
  assert.equal(await spill.append([entryOf(0, 1, 1000)]), 'full')
  assert.equal(await spill.append([entryOf(0, 2, 1000)]), 'full')
  disk.capacity = Number.POSITIVE_INFINITY
  assert.equal(await spill.append([entryOf(0, 3, 1000)]), 'stored')
  assert.deepEqual(keysOf(await spill.read(1_000_000)), ['app-0-0', 'app-0-3'])
  assert.equal(spill.bytes, disk.usedBytes - smallFileBytes(disk))
  await spill.close()
  const { spill: again } = await openTestSpill({ disk: disk.kill() })
  assert.deepEqual(keysOf(await again.read(1_000_000)), ['app-0-0', 'app-0-3'])
})

test('a disk that refuses to write or to sync is an error, and stores nothing', async () => {
  for (const operation of ['write', 'datasync', 'open create', 'syncDirectory']) {
    const { spill, disk } = await openTestSpill()
    if (operation === 'write' || operation === 'datasync') await spill.append([entryOf(0, 0)])
    disk.before = (name) => {
      if (name === operation) throw diskError(operation === 'open create' ? 'EROFS' : 'EIO')
    }
    await assert.rejects(spill.append([entryOf(0, 1)]), { code: 'SPILL' })
    disk.before = () => undefined
    assert.equal(await spill.append([entryOf(0, 2)]), 'stored')
    const keys = keysOf(await spill.read(1_000_000)).filter((key) => key !== 'app-0-0')
    assert.deepEqual(keys, ['app-0-2'], operation)
    await spill.close()
  }
})

test('a segment that cannot be read is an error, and its entries wait on', async () => {
  const { spill, disk } = await openTestSpill()
  await spill.append([entryOf(0, 0), entryOf(0, 1)])
  disk.before = (operation) => {
    if (operation === 'read') throw diskError('EIO')
  }
  await assert.rejects(spill.read(1000), { code: 'SPILL' })
  disk.before = () => undefined
  assert.equal((await spill.read(1000)).length, 2)
})

/** Deletions take place beside the calls. */
async function turns(): Promise<void> {
  for (let count = 0; count < 10; count++) {
    await new Promise((resolve) => {
      setImmediate(resolve)
    })
  }
}

function tenOf(first: number) {
  return Array.from({ length: 10 }, (_, index) => entryOf(0, first + index, 900))
}

function smallFileBytes(disk: { files: string[]; bytesOf(file: string): Buffer }): number {
  return disk.files
    .filter((name) => !name.endsWith('.spill'))
    .reduce((sum, name) => sum + disk.bytesOf(name).length, 0)
}
