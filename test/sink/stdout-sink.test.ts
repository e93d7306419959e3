/** stdout: real pipes, sockets, files and devices; EAGAIN and short writes by an injected call. */
import assert from 'node:assert/strict'
import { spawnSync, spawn } from 'node:child_process'
import {
  closeSync,
  constants,
  mkdtempSync,
  openSync,
  readFileSync,
  readSync,
  rmSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { text } from 'node:stream/consumers'
import { test, type TestContext } from 'node:test'
import { ManualClock, systemClock } from '../../src/core/clock.ts'
import { LogpipeError } from '../../src/core/errors.ts'
import { StdoutSink, type Screen, CallWriter, openWriter } from '../../src/sink/stdout-sink.ts'
import { RecordedBatch, RecordedEvents, until } from './recorded-batch.ts'

const PROGRAM = path.join(import.meta.dirname, 'stdout-program.ts')

function temporaryDirectory(t: TestContext): string {
  const directory = mkdtempSync(path.join(tmpdir(), 'logpipe-stdout-'))
  t.after(() => rmSync(directory, { recursive: true }))
  return directory
}

/** A FIFO with both ends open; reading does not wait. */
function openFifo(t: TestContext) {
  const fifo = path.join(temporaryDirectory(t), 'fifo')
  assert.equal(spawnSync('mkfifo', [fifo]).status, 0)
  const reader = openSync(fifo, constants.O_RDONLY | constants.O_NONBLOCK)
  const writer = openSync(fifo, constants.O_WRONLY)
  t.after(() => closeSync(writer))
  let isReaderOpen = true
  const closeReader = () => {
    if (isReaderOpen) closeSync(reader)
    isReaderOpen = false
  }
  t.after(closeReader)
  const room = Buffer.alloc(1024 * 1024)
  const read = () => {
    try {
      return room.toString('latin1', 0, readSync(reader, room))
    } catch {
      // Nothing to read now.
      return ''
    }
  }
  return { writer, read, closeReader }
}

async function openSink(
  t: TestContext,
  descriptor: number,
  clock = new ManualClock(),
  screen?: Screen,
) {
  const events = new RecordedEvents()
  const sink = new StdoutSink(events, {
    clock,
    openWriter: () => openWriter(descriptor, clock),
    ...(screen === undefined ? {} : { screen }),
  })
  await sink.open()
  t.after(() => sink.close(0))
  return { sink, events, clock }
}

/** Where /proc and /dev/full are. */
const linux = { skip: process.platform === 'linux' ? false : 'needs Linux' }

const lines = (count: number, size: number) =>
  Array.from({ length: count }, (_, index) => `${String(index).padEnd(size - 1, '.')}\n`)

test('documents reach a pipe in order and are settled once they are in it', async (t) => {
  const { writer, read } = openFifo(t)
  const { sink } = await openSink(t, writer)
  const batches = [new RecordedBatch(['a\n', 'b\n']), new RecordedBatch(['c\n'])]
  for (const batch of batches) sink.write(batch)
  await sink.flush(1000)
  assert(batches.every((batch) => batch.isSettled))
  assert.equal(read(), 'a\nb\nc\n')
  const { queuedDocuments, writtenDocuments, writtenBytes } = sink.gauges()
  assert.deepEqual([queuedDocuments, writtenDocuments, writtenBytes], [0, 3, 6])
})

test('what stands on the terminal makes way for each write and comes back', async (t) => {
  const { writer, read } = openFifo(t)
  const seen: string[] = []
  const screen = {
    hide: () => seen.push(`hide ${read()}`),
    show: () => seen.push(`show ${read()}`),
  }
  const { sink } = await openSink(t, writer, new ManualClock(), screen)
  sink.write(new RecordedBatch(['a']))
  await sink.flush(1000)
  assert.deepEqual(seen, ['hide ', 'show a'])
})

test('for a terminal what it would obey is written out, lines and tabs stay', async (t) => {
  const { writer, read } = openFifo(t)
  const clock = new ManualClock()
  const sink = new StdoutSink(new RecordedEvents(), {
    clock,
    openWriter: () => openWriter(writer, clock),
    isEscaped: true,
  })
  await sink.open()
  t.after(() => sink.close(0))
  sink.write(new RecordedBatch(['ERROR \u001B]0;title\u0007\t\u009B2J \u202E é\n', '\u{1F600}\n']))
  await sink.flush(1000)
  const text = Buffer.from(read(), 'latin1').toString('utf8')
  assert.equal(text, 'ERROR \\u001b]0;title\\u0007\t\\u009b2J \\u202e é\n\u{1F600}\n')
})

test('a reader that stops holds the rest back, and nothing is lost when it goes on', async (t) => {
  const { writer, read } = openFifo(t)
  const { sink } = await openSink(t, writer)
  const batches = Array.from({ length: 20 }, () => new RecordedBatch(lines(64, 1024)))
  for (const batch of batches) sink.write(batch)
  let received = ''
  await until(() => {
    received += read()
    return received.length > 200_000
  })
  assert(sink.gauges().queuedDocuments > 0)
  assert.equal(batches.at(-1)?.isSettled, false)
  await until(() => {
    received += read()
    return sink.gauges().queuedDocuments === 0
  })
  received += read()
  assert(batches.every((batch) => batch.isSettled))
  assert.equal(received, lines(64, 1024).join('').repeat(20))
})

test('the pipe that others share with us stays blocking', linux, async (t) => {
  const { writer } = openFifo(t)
  const { sink } = await openSink(t, writer)
  sink.write(new RecordedBatch(['a\n']))
  await sink.flush(1000)
  const info = `/proc/self/fdinfo/${writer}`
  const flags = /flags:\s*([0-7]+)/.exec(readFileSync(info, 'utf8'))?.[1] ?? ''
  assert.equal(Number.parseInt(flags, 8) & constants.O_NONBLOCK, 0)
})

test('a reader that goes away ends the output quietly, with the rest unsettled', async (t) => {
  const { writer, read, closeReader } = openFifo(t)
  const { sink, events } = await openSink(t, writer)
  const first = new RecordedBatch(['a\n'])
  sink.write(first)
  await sink.flush(1000)
  assert.equal(read(), 'a\n')
  closeReader()
  const second = new RecordedBatch(['b\n'])
  sink.write(second)
  await sink.flush(1000)
  sink.write(new RecordedBatch(['c\n']))
  assert.equal(events.endCount, 1)
  assert.deepEqual(events.failures, [])
  assert.deepEqual([first.outcomes, second.outcomes], [['written'], [null]])
  assert.equal(sink.gauges().trouble, null)
})

test('closing while the reader stands still takes no longer than allowed', async (t) => {
  const { writer } = openFifo(t)
  const { sink, clock } = await openSink(t, writer)
  const batch = new RecordedBatch(lines(1000, 1024))
  sink.write(batch)
  const closed = sink.close(500)
  clock.advance(500)
  await closed
  await sink.close(500)
  assert.equal(batch.isSettled, false)
  assert.equal(clock.pendingCount, 0)
})

test('a full device is one clear error, with nothing settled', linux, async (t) => {
  const descriptor = openSync('/dev/full', 'w')
  t.after(() => closeSync(descriptor))
  const { sink, events } = await openSink(t, descriptor)
  const batch = new RecordedBatch(['a\n'])
  sink.write(batch)
  await sink.flush(1000)
  const [failure, ...others] = events.failures
  assert(failure instanceof LogpipeError && others.length === 0)
  assert.equal(failure.code, 'OUTPUT_WRITE')
  assert.match(failure.message, /^cannot write to stdout: ENOSPC: no space left/)
  assert.deepEqual(batch.outcomes, [null])
  assert.equal(events.endCount, 0)
})

test('a stdout that is closed is refused at the start', async () => {
  const sink = new StdoutSink(new RecordedEvents(), {
    openWriter: () => openWriter(987, systemClock),
  })
  await assert.rejects(sink.open(), { code: 'OUTPUT_OPEN', message: /EBADF/ })
})

test('short writes and EAGAIN are carried on from where they stopped', async () => {
  const clock = new ManualClock()
  const answers = [3, 'EAGAIN', 2, 0, 100] as const
  let calls = 0
  let received = ''
  const writer = new CallWriter(7, clock, (_, bytes, offset, length, __, callback) => {
    const answer = answers[calls++] ?? 100
    if (answer === 'EAGAIN') {
      callback(Object.assign(new Error(answer), { code: answer }), 0)
      return
    }
    const written = Math.min(answer, length)
    received += Buffer.from(bytes).toString('utf8', offset, offset + written)
    callback(null, written)
  })
  const events = new RecordedEvents()
  const sink = new StdoutSink(events, { clock, openWriter: () => writer })
  await sink.open()
  const batch = new RecordedBatch(['hello world\n'])
  sink.write(batch)
  assert.equal(received, 'hel')
  clock.advance(5)
  assert.equal(received, 'hello')
  assert.deepEqual(batch.outcomes, [null])
  clock.advance(5)
  assert.equal(received, 'hello world\n')
  assert(batch.isSettled)
  assert.equal(clock.pendingCount, 0)
})

test('a stdout redirected to a file gets every line', (t) => {
  const file = path.join(temporaryDirectory(t), 'out')
  const descriptor = openSync(file, 'w')
  t.after(() => closeSync(descriptor))
  const result = spawnSync(process.execPath, [PROGRAM, '5000'], {
    stdio: ['ignore', descriptor, 'pipe'],
    encoding: 'utf8',
  })
  assert.equal(result.stderr, 'closed\n')
  const expected = Array.from({ length: 5000 }, (_, line) => `line ${line}\n`).join('')
  assert.equal(readFileSync(file, 'utf8'), expected)
})

test('a program that writes into head ends as soon as head does', () => {
  const command = `"${process.execPath}" "${PROGRAM}" 100000 | head -1`
  const result = spawnSync('sh', ['-c', command], { encoding: 'utf8', timeout: 20_000 })
  assert.equal(result.stdout, 'line 0\n')
  assert.equal(result.stderr, 'end of output\n')
})

test('a program whose reader never reads ends by itself after its deadline', async (t) => {
  const { writer } = openFifo(t)
  const child = spawn(process.execPath, [PROGRAM, '100000'], { stdio: ['ignore', writer, 'pipe'] })
  assert(child.stderr !== null)
  assert.equal(await text(child.stderr), 'closed\n')
})

test('a socket as stdout is written to, and its end noticed', async () => {
  const child = spawn(process.execPath, [PROGRAM, '100000'], { stdio: ['ignore', 'pipe', 'pipe'] })
  const said = text(child.stderr)
  const [chunk] = (await child.stdout.take(1).toArray()) as Buffer[]
  assert.match(String(chunk), /^line 0\n/)
  child.stdout.destroy()
  assert.equal(await said, 'end of output\n')
})
