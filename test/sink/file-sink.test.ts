/**
 * The file output on real files: when it settles, rotation, reopening, torn lines. What a broken
 * disk does is in file-sink-faults.test.ts.
 */
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { mkdtempSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { test, type TestContext } from 'node:test'
import { ManualClock } from '../../src/core/clock.ts'
import { LogpipeError } from '../../src/core/errors.ts'
import { FILE_CREDIT, FileSink, type FileSinkOptions } from '../../src/sink/file-sink.ts'
import { RecordedBatch, RecordedEvents, until } from './recorded-batch.ts'

function temporaryDirectory(t: TestContext): string {
  const directory = mkdtempSync(path.join(tmpdir(), 'logpipe-file-'))
  t.after(() => rmSync(directory, { recursive: true }))
  return directory
}

async function openSink(t: TestContext, options: Partial<FileSinkOptions> = {}) {
  const file = options.path ?? path.join(temporaryDirectory(t), 'out')
  const clock = new ManualClock()
  const events = new RecordedEvents()
  const all = { rotateBytes: 0, rotateKeep: 3, ...options, path: file }
  const sink = new FileSink(all, events, { clock })
  await sink.open()
  t.after(() => sink.close(0))
  return { sink, events, clock, file, read: () => readFileSync(file, 'utf8') }
}

test('documents are settled a second after the first of them, when they are synced', async (t) => {
  const { sink, clock, read } = await openSink(t)
  const first = new RecordedBatch(['a\n', 'b\n'])
  const second = new RecordedBatch(['c\n'])
  sink.write(first)
  await until(() => read() === 'a\nb\n')
  clock.advance(900)
  sink.write(second)
  await until(() => read() === 'a\nb\nc\n')
  assert.deepEqual([first.outcomes, second.outcomes], [[null, null], [null]])
  assert.equal(sink.gauges().queuedDocuments, 3)
  clock.advance(100)
  await until(() => first.isSettled)
  assert(second.isSettled)
  assert.equal(clock.pendingCount, 0)
  const { queuedDocuments, queuedBytes, writtenDocuments, writtenBytes } = sink.gauges()
  assert.deepEqual([queuedDocuments, queuedBytes, writtenDocuments, writtenBytes], [0, 0, 3, 6])
})

test('flush and close sync at once, whatever the clock says', async (t) => {
  const { sink, clock, read } = await openSink(t)
  const flushed = new RecordedBatch(['a\n'])
  sink.write(flushed)
  await sink.flush(10_000)
  assert(flushed.isSettled)
  const closed = new RecordedBatch(['b\n'])
  sink.write(closed)
  await sink.close(10_000)
  assert(closed.isSettled)
  await sink.close(10_000)
  assert.equal(read(), 'a\nb\n')
  assert.equal(clock.monotonicMs(), 0)
  assert.equal(clock.pendingCount, 0)
})

test('a quarter of the credit is synced without waiting for the second', async (t) => {
  const { sink, clock } = await openSink(t)
  const text = `${'x'.repeat(1024 * 1024 - 1)}\n`
  const batches = Array.from({ length: 17 }, () => new RecordedBatch([text]))
  for (const batch of batches) sink.write(batch)
  await until(() => batches.slice(0, 15).every((batch) => batch.isSettled))
  assert.equal(clock.monotonicMs(), 0)
  assert.equal(17 * text.length > FILE_CREDIT.bytes / 4, true)
})

test('what is in the file already is kept and appended to', async (t) => {
  const file = path.join(temporaryDirectory(t), 'out')
  writeFileSync(file, 'old\n')
  const { sink, read } = await openSink(t, { path: file })
  sink.write(new RecordedBatch(['new\n']))
  await sink.flush(1000)
  assert.equal(read(), 'old\nnew\n')
})

test('the torn last line of a killed process gets a line of its own', async (t) => {
  const file = path.join(temporaryDirectory(t), 'out')
  writeFileSync(file, 'whole\nto')
  const { sink, read } = await openSink(t, { path: file })
  sink.write(new RecordedBatch(['torn\n']))
  await sink.flush(1000)
  assert.equal(read(), 'whole\nto\ntorn\n')
})

test('rotation keeps so many files, and splits no document', async (t) => {
  const { sink, file } = await openSink(t, { rotateBytes: 100, rotateKeep: 3 })
  const texts = Array.from({ length: 50 }, (_, index) => `${String(index).padStart(29, '.')}\n`)
  const batches = texts.map((text) => new RecordedBatch([text]))
  for (const batch of batches) {
    sink.write(batch)
    await sink.flush(1000)
  }
  assert(batches.every((batch) => batch.isSettled))
  assert.deepEqual(readdirSync(path.dirname(file)).sort(), ['out', 'out.1', 'out.2', 'out.3'])
  const newestLast = ['.3', '.2', '.1', ''].map((end) => readFileSync(`${file}${end}`, 'utf8'))
  assert.deepEqual(
    newestLast.map((content) => content.length),
    [90, 90, 90, 60],
  )
  assert.equal(newestLast.join(''), texts.slice(-11).join(''))
})

test('many small batches at once are rotated as if they came one by one', async (t) => {
  const { sink, file } = await openSink(t, { rotateBytes: 100, rotateKeep: 100 })
  const texts = Array.from({ length: 20 }, (_, index) => `${String(index).padStart(29, '.')}\n`)
  for (const text of texts) sink.write(new RecordedBatch([text]))
  await sink.flush(1000)
  assert.equal(readdirSync(path.dirname(file)).length, 7)
  for (let index = 1; index <= 6; index++) {
    assert.equal(readFileSync(`${file}.${index}`).length, 90)
  }
})

test('a batch larger than the limit has a file of its own', async (t) => {
  const { sink, file } = await openSink(t, { rotateBytes: 10, rotateKeep: 5 })
  const large = ['x'.repeat(30), 'y\n']
  for (const documents of [['a\n'], large, ['b\n']]) sink.write(new RecordedBatch(documents))
  await sink.flush(1000)
  const contents = ['.2', '.1', ''].map((end) => readFileSync(`${file}${end}`, 'utf8'))
  assert.deepEqual(contents, ['a\n', large.join(''), 'b\n'])
})

test('a gap in the numbers of rotated files is filled before anything is lost', async (t) => {
  const file = path.join(temporaryDirectory(t), 'out')
  writeFileSync(file, 'now\n')
  writeFileSync(`${file}.1`, 'one\n')
  writeFileSync(`${file}.3`, 'three\n')
  const { sink } = await openSink(t, { path: file, rotateBytes: 5 })
  sink.write(new RecordedBatch(['next\n']))
  await sink.flush(1000)
  const contents = ['', '.1', '.2', '.3'].map((end) => readFileSync(`${file}${end}`, 'utf8'))
  assert.deepEqual(contents, ['next\n', 'now\n', 'one\n', 'three\n'])
})

test('after a rename and reopen the old file is complete and a new one is written', async (t) => {
  const { sink, file, read } = await openSink(t)
  const old = new RecordedBatch(['old\n'])
  sink.write(old)
  await until(() => read() === 'old\n')
  renameSync(file, `${file}.moved`)
  sink.reopen()
  await until(() => old.isSettled)
  sink.write(new RecordedBatch(['new\n']))
  await sink.flush(1000)
  assert.deepEqual([readFileSync(`${file}.moved`, 'utf8'), read()], ['old\n', 'new\n'])
})

test('a path that cannot be appended to is refused with what to do', async (t) => {
  const directory = temporaryDirectory(t)
  const plain = path.join(directory, 'plain')
  const fifo = path.join(directory, 'fifo')
  writeFileSync(plain, '')
  assert.equal(spawnSync('mkfifo', [fifo]).status, 0)
  const cases: [file: string, message: RegExp][] = [
    [path.join(directory, 'none', 'out'), /the directory .*none does not exist: create it first/],
    [path.join(plain, 'out'), /cannot be opened for appending: /],
    [directory, /expected a regular file/],
    [fifo, /expected a regular file.*--output stdout/],
    ['/dev/null', /expected a regular file/],
  ]
  for (const [file, message] of cases) {
    await assert.rejects(openSink(t, { path: file }), (error) => {
      assert(error instanceof LogpipeError)
      assert.equal(error.code, 'OUTPUT_OPEN')
      assert.match(error.message, message)
      return true
    })
  }
})
