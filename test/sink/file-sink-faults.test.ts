/**
 * The file output on disks that are full, broken, slow, or shared.
 *
 * The rule: after a failure the file holds what is settled and nothing else, so that what the next
 * start reads again appears once.
 */
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { appendFileSync, mkdtempSync, readFileSync, rmdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { test, type TestContext } from 'node:test'
import * as fc from 'fast-check'
import { ManualClock } from '../../src/core/clock.ts'
import { nodeDisk, type Disk, type DiskFile } from '../../src/core/disk.ts'
import { LogpipeError } from '../../src/core/errors.ts'
import { FileSink } from '../../src/sink/file-sink.ts'
import { RecordedBatch, RecordedEvents } from './recorded-batch.ts'

function temporaryDirectory(t: TestContext): string {
  const directory = mkdtempSync(path.join(tmpdir(), 'logpipe-faults-'))
  t.after(() => rmSync(directory, { recursive: true }))
  return directory
}

type Operation = 'write' | 'datasync' | 'truncate' | 'close'

/** The real disk, but each operation is shown to `before` first, which may throw or wait. */
function faultyDisk(before: (operation: Operation) => void | Promise<void>, shortBytes = 0): Disk {
  const wrap = (file: DiskFile): DiskFile => ({
    write: (bytes, position) => file.write(bytes, position),
    async append(bytes) {
      await before('write')
      return file.append(shortBytes > 0 ? bytes.subarray(0, shortBytes) : bytes)
    },
    read: (into, position) => file.read(into, position),
    async datasync(byteCount) {
      await before('datasync')
      return file.datasync(byteCount)
    },
    async truncate(size) {
      await before('truncate')
      return file.truncate(size)
    },
    size: () => file.size(),
    isRegular: () => file.isRegular(),
    async close() {
      await file.close()
      await before('close')
    },
  })
  return { ...nodeDisk, open: async (file, mode) => wrap(await nodeDisk.open(file, mode)) }
}

function systemError(code: string): Error {
  return Object.assign(new Error(`${code}: as injected`), { code })
}

async function openSink(file: string, disk: Disk) {
  const events = new RecordedEvents()
  const clock = new ManualClock()
  const sink = new FileSink({ path: file, rotateBytes: 0, rotateKeep: 1 }, events, { clock, disk })
  await sink.open()
  return { sink, events, clock }
}

function assertFailed(events: RecordedEvents, message: RegExp): void {
  const [failure, ...others] = events.failures
  assert(failure instanceof LogpipeError && others.length === 0)
  assert.equal(failure.code, 'OUTPUT_WRITE')
  assert.match(failure.message, message)
}

test('short writes are carried on until the document is whole', async (t) => {
  const file = path.join(temporaryDirectory(t), 'out')
  const { sink } = await openSink(
    file,
    faultyDisk(() => undefined, 3),
  )
  const batch = new RecordedBatch(['hello\n', 'world\n'])
  sink.write(batch)
  await sink.close(1000)
  assert(batch.isSettled)
  assert.equal(readFileSync(file, 'utf8'), 'hello\nworld\n')
})

test('a full disk cuts the file back to what is settled, and says so once', async (t) => {
  const file = path.join(temporaryDirectory(t), 'out')
  let writesLeft = 4
  const disk = faultyDisk((operation) => {
    if (operation === 'write' && writesLeft-- === 0) throw systemError('ENOSPC')
  }, 4)
  const { sink, events } = await openSink(file, disk)
  const settled = new RecordedBatch(['one\n', 'two\n'])
  sink.write(settled)
  await sink.flush(1000)
  const lost = new RecordedBatch(['three\n', 'fourteen\n'])
  sink.write(lost)
  await sink.flush(1000)
  sink.write(new RecordedBatch(['late\n']))
  await sink.close(1000)
  assertFailed(events, /out cannot be written: ENOSPC.*ends with the last committed document/)
  assert.match(sink.gauges().trouble ?? '', /ENOSPC/)
  assert.deepEqual([settled.isSettled, lost.outcomes], [true, [null, null]])
  assert.equal(readFileSync(file, 'utf8'), 'one\ntwo\n')
})

test('a sync that fails settles nothing, and the file is cut back', async (t) => {
  const file = path.join(temporaryDirectory(t), 'out')
  const disk = faultyDisk((operation) => {
    if (operation === 'datasync') throw systemError('EIO')
  })
  const { sink, events } = await openSink(file, disk)
  const batch = new RecordedBatch(['one\n'])
  sink.write(batch)
  await sink.flush(1000)
  await sink.close(1000)
  assertFailed(events, /EIO/)
  assert.deepEqual(batch.outcomes, [null])
  assert.equal(readFileSync(file, 'utf8'), '')
})

test('a file that someone else appends to is not cut', async (t) => {
  const file = path.join(temporaryDirectory(t), 'out')
  let writes = 0
  const disk = faultyDisk((operation) => {
    if (operation !== 'write' || ++writes < 3) return
    appendFileSync(file, 'other\n')
    throw systemError('ENOSPC')
  }, 4)
  const { sink, events } = await openSink(file, disk)
  sink.write(new RecordedBatch(['one\n']))
  await sink.flush(1000)
  sink.write(new RecordedBatch(['two three\n']))
  await sink.flush(1000)
  await sink.close(1000)
  assert.equal(readFileSync(file, 'utf8'), 'one\ntwo other\n')
  assertFailed(events, /may end with uncommitted documents/)
})

test('when cutting fails too, the first error is told, and what the file may hold', async (t) => {
  const file = path.join(temporaryDirectory(t), 'out')
  let writes = 0
  const disk = faultyDisk((operation) => {
    if (operation === 'write' && ++writes === 2) throw systemError('ENOSPC')
    if (operation === 'truncate') throw systemError('EIO')
  }, 2)
  const { sink, events } = await openSink(file, disk)
  sink.write(new RecordedBatch(['one\n']))
  await sink.flush(1000)
  await sink.close(1000)
  assertFailed(events, /ENOSPC.*may end with uncommitted documents/)
})

test('a disk that hangs holds up neither flush nor close beyond their time', async (t) => {
  const file = path.join(temporaryDirectory(t), 'out')
  let letGo: () => void = () => undefined
  const hang = new Promise<void>((resolve) => (letGo = resolve))
  const disk = faultyDisk((operation) => (operation === 'datasync' ? hang : undefined))
  const { sink, events, clock } = await openSink(file, disk)
  const batch = new RecordedBatch(['one\n'])
  sink.write(batch)
  const flushed = sink.flush(300)
  clock.advance(300)
  await flushed
  const closed = sink.close(500)
  clock.advance(500)
  // The file's own close waits for the sync; it has a last, minimal time of its own.
  await new Promise((resolve) => setImmediate(resolve))
  clock.advance(1)
  await closed
  assert.deepEqual(batch.outcomes, [null])
  letGo()
  await sink.close(500)
  assert.deepEqual([batch.outcomes, events.failures], [[null], []])
})

test('an error while closing is shown and settles nothing twice', async (t) => {
  const file = path.join(temporaryDirectory(t), 'out')
  const disk = faultyDisk((operation) => {
    if (operation === 'close') throw systemError('EIO')
  })
  const { sink, events } = await openSink(file, disk)
  const batch = new RecordedBatch(['one\n'])
  sink.write(batch)
  await sink.close(1000)
  assert(batch.isSettled)
  assert.deepEqual(events.failures, [])
  assert.match(sink.gauges().trouble ?? '', /closing .*EIO/)
})

test('a new file is not open before its directory is on the disk', async (t) => {
  const file = path.join(temporaryDirectory(t), 'out')
  const synced: string[] = []
  const disk: Disk = {
    ...nodeDisk,
    syncDirectory: async (directory) => {
      synced.push(directory)
      await nodeDisk.syncDirectory(directory)
    },
  }
  const { sink } = await openSink(file, disk)
  assert.deepEqual(synced, [path.dirname(file)])
  await sink.close(1000)
  const again = await openSink(file, disk)
  await again.sink.close(1000)
  assert.equal(synced.length, 1)
})

function mountTiny(directory: string): boolean {
  const options = ['-t', 'tmpfs', '-o', 'size=64k', 'logpipe-test', directory]
  return process.getuid?.() === 0 && spawnSync('mount', options).status === 0
}

test('a file system of 64 KiB that fills up keeps exactly what is settled', async (t) => {
  const directory = mkdtempSync(path.join(tmpdir(), 'logpipe-tiny-'))
  const isMounted = mountTiny(directory)
  t.after(() => {
    if (isMounted) assert.equal(spawnSync('umount', [directory]).status, 0)
    rmdirSync(directory)
  })
  if (!isMounted) {
    t.skip('needs root and the right to mount a tmpfs')
    return
  }
  const file = path.join(directory, 'out')
  const { sink, events } = await openSink(file, nodeDisk)
  let settled = ''
  for (let index = 0; index < 20 && events.failures.length === 0; index++) {
    const text = `${String(index).padEnd(6999, '.')}\n`
    const batch = new RecordedBatch([text])
    sink.write(batch)
    await sink.flush(1000)
    if (batch.isSettled) settled += text
  }
  await sink.close(1000)
  assertFailed(events, /ENOSPC/)
  assert.equal(settled.length, 63_000)
  assert.equal(readFileSync(file, 'utf8'), settled)
})

test('wherever the disk fails, the file holds what was settled and no more', async (t) => {
  const directory = temporaryDirectory(t)
  let runs = 0
  const documents = fc.array(fc.string({ unit: 'grapheme-ascii', maxLength: 12 }), {
    minLength: 1,
    maxLength: 4,
  })
  const property = fc.asyncProperty(
    fc.array(fc.tuple(documents, fc.boolean()), { minLength: 1, maxLength: 12 }),
    fc.nat(40),
    fc.integer({ min: 1, max: 20 }),
    async (batches, failAt, shortBytes) => {
      const file = path.join(directory, String(runs++))
      let operations = 0
      const disk = faultyDisk((operation) => {
        if (operation === 'truncate' || operation === 'close') return
        if (operations++ === failAt) throw systemError('EIO')
      }, shortBytes)
      const { sink, events } = await openSink(file, disk)
      const written: RecordedBatch[] = []
      for (const [texts, isFlushed] of batches) {
        const batch = new RecordedBatch(texts.map((text) => `${text}\n`))
        written.push(batch)
        sink.write(batch)
        if (isFlushed) await sink.flush(1000)
      }
      await sink.close(1000)
      const settled = written.filter((batch) => batch.isSettled)
      const expected = Buffer.concat(settled.map((batch) => batch.body))
      assert.deepEqual(readFileSync(file), expected)
      assert.equal(events.failures.length, operations > failAt ? 1 : 0)
      if (events.failures.length === 0) assert.equal(settled.length, written.length)
      assert.deepEqual(written.slice(0, settled.length), settled)
    },
  )
  await fc.assert(property, { numRuns: 60 })
})
