/**
 * `--output stdout`: documents to the standard output, one group of batches after another.
 *
 * A document is settled when its write has returned: it is then in the pipe, the terminal or the
 * kernel's cache, and the reader is responsible for it. A slow reader slows the pipeline down. When
 * the reader exits (`| head -1`), the pipeline ends quietly, and unsettled documents stay
 * unsettled, as with any other failure. Unlike a file of `--output file`, a redirected stdout may
 * then end with a partial line, because logpipe must not cut it.
 *
 * Control sequences in a record could control the terminal, so records are escaped for a terminal.
 */
import assert from 'node:assert/strict'
import { constants, fstatSync, openSync, write as writeDescriptor, type Stats } from 'node:fs'
import { Socket } from 'node:net'
import { systemClock, type Clock } from '../core/clock.ts'
import { LogpipeError, messageOf } from '../core/errors.ts'
import { printableLines } from '../core/printable.ts'
import type { CreditLimits } from '../pool/signals.ts'
import { BatchQueue } from './batch-queue.ts'
import type { Sink, Delivery, SinkEvents, SinkGauges } from './sink.ts'

/** A queue in front of a pipe of 64 KiB gains little: this hides a short pause of the reader. */
export const STDOUT_CREDIT: CreditLimits = { documents: 200_000, bytes: 16 * 1024 * 1024 }

/** Small batches are written together up to this size: four times a pipe, some 10 us of copying. */
const WRITE_BYTES = 256 * 1024

export const STDOUT_DESCRIPTOR = 1

/** The status lines on a terminal that stdout shares, which must make way for each write. */
export interface Screen {
  hide(): void
  show(): void
}

const NO_SCREEN: Screen = { hide: () => undefined, show: () => undefined }

export class StdoutSink implements Sink {
  readonly #events: SinkEvents
  readonly #clock: Clock
  readonly #openWriter: () => DescriptorWriter
  readonly #screen: Screen
  readonly #isEscaped: boolean
  readonly #queue: BatchQueue
  #writer: DescriptorWriter | null = null
  #isWriting = false
  #isEnded = false
  #trouble: string | null = null

  /** @param options.openWriter how to open the output; the default opens descriptor 1. */
  constructor(
    events: SinkEvents,
    options: {
      readonly clock?: Clock
      readonly openWriter?: () => DescriptorWriter
      readonly screen?: Screen
      /** Characters that do not print are written out. */
      readonly isEscaped?: boolean
    } = {},
  ) {
    this.#events = events
    this.#clock = options.clock ?? systemClock
    this.#openWriter = options.openWriter ?? (() => openWriter(STDOUT_DESCRIPTOR, this.#clock))
    this.#screen = options.screen ?? NO_SCREEN
    this.#isEscaped = options.isEscaped ?? false
    this.#queue = new BatchQueue(this.#clock)
  }

  async open(): Promise<void> {
    assert(this.#writer === null, 'opened once')
    try {
      this.#writer = this.#openWriter()
    } catch (error) {
      throw new LogpipeError('OUTPUT_OPEN', `cannot write to stdout: ${messageOf(error)}`, {
        cause: error,
      })
    }
  }

  write(batch: Delivery): void {
    assert(this.#writer !== null, 'opened before the first write')
    if (this.#isEnded) return
    this.#queue.push(batch)
    this.#pump(this.#writer)
  }

  flush(timeoutMs: number): Promise<void> {
    return this.#queue.whenSettled(timeoutMs)
  }

  gauges(): SinkGauges {
    return this.#queue.gauges(this.#trouble)
  }

  async close(timeoutMs: number): Promise<void> {
    await this.flush(timeoutMs)
    this.#end()
    this.#writer?.close()
  }

  #pump(writer: DescriptorWriter): void {
    if (this.#isWriting) return
    const group = this.#queue.dequeue(WRITE_BYTES)
    if (group === null) return
    this.#isWriting = true
    this.#screen.hide()
    const bytes = this.#isEscaped ? escaped(group.bytes) : group.bytes
    writer.write(bytes, (error) => {
      this.#isWriting = false
      this.#screen.show()
      if (this.#isEnded) return
      if (error !== null) {
        this.#fail(error)
        return
      }
      this.#queue.settle(group, 'written')
      this.#pump(writer)
    })
  }

  #fail(error: NodeJS.ErrnoException): void {
    this.#end()
    if (error.code === 'EPIPE' || error.code === 'ECONNRESET') {
      this.#events.endOfOutput()
      return
    }
    this.#trouble = `cannot write to stdout: ${messageOf(error)}`
    const message = `${this.#trouble}; the next start reads the missing records again`
    this.#events.fail(new LogpipeError('OUTPUT_WRITE', message, { cause: error }))
  }

  #end(): void {
    this.#isEnded = true
    this.#queue.abandon()
  }
}

/*
 * Writes to a descriptor that this process was given (stdout), whatever it is, without ever
 * blocking the main thread.
 *
 *   pipe     a second, non-blocking description of the same pipe, opened through /proc, in libuv's
 *            event loop. Setting O_NONBLOCK on the one we were given would set it for all who share
 *            it: with `2>&1 | tee` our own stderr, in a script the shell's other commands. Where
 *            /proc cannot be opened (macOS; a pipe of another user) that is what happens.
 *   socket   the descriptor itself in the event loop: a socket cannot be opened a second time.
 *   others   (files, terminals, /dev/null) write(2) in libuv's thread pool. Not for pipes: a write
 *            that waits for a reader there keeps the process from exiting.
 */

/** A terminal that another process made non-blocking says EAGAIN; how long to leave it alone. */
const AGAIN_DELAY_MS = 5

interface DescriptorWriter {
  /**
   * Writes all bytes, then calls back, with the error if there was one. One at a time; `bytes`
   * must not change until then.
   */
  write(bytes: Uint8Array, done: (error: NodeJS.ErrnoException | null) => void): void
  /** Lets go, whether or not something is being written; nothing may be written after it. */
  close(): void
}

/** write(2) as node:fs has it; tests make it short or failing. */
type WriteCall = (
  descriptor: number,
  bytes: Uint8Array,
  offset: number,
  length: number,
  position: null,
  callback: (error: NodeJS.ErrnoException | null, written: number) => void,
) => void

/** @throws what fstat says of a descriptor that is not open. */
export function openWriter(descriptor: number, clock: Clock): DescriptorWriter {
  const stats: Stats = fstatSync(descriptor)
  if (stats.isFIFO()) return new SocketWriter(reopened(descriptor) ?? descriptor)
  if (stats.isSocket()) return new SocketWriter(descriptor)
  return new CallWriter(descriptor, clock, writeDescriptor)
}

/** A second description of the same pipe; null where the system gives none. */
function reopened(descriptor: number): number | null {
  const path = `/proc/self/fd/${descriptor}`
  try {
    return openSync(path, constants.O_WRONLY | constants.O_NONBLOCK)
  } catch {
    // No /proc, no right to it, or no reader any more: the given one is used, and says EPIPE then.
    return null
  }
}

class SocketWriter implements DescriptorWriter {
  readonly #socket: Socket

  constructor(descriptor: number) {
    this.#socket = new Socket({ fd: descriptor, readable: false, writable: true })
    // Each write's callback gets its error; without a listener the event would be thrown as well.
    this.#socket.on('error', () => undefined)
  }

  write(bytes: Uint8Array, done: (error: NodeJS.ErrnoException | null) => void): void {
    this.#socket.write(bytes, (error) => done(error ?? null))
  }

  close(): void {
    this.#socket.destroy()
  }
}

export class CallWriter implements DescriptorWriter {
  readonly #descriptor: number
  readonly #clock: Clock
  readonly #call: WriteCall
  #cancelRetry: () => void = () => undefined

  constructor(descriptor: number, clock: Clock, call: WriteCall) {
    this.#descriptor = descriptor
    this.#clock = clock
    this.#call = call
  }

  write(bytes: Uint8Array, done: (error: NodeJS.ErrnoException | null) => void): void {
    let at = 0
    const next = () => {
      this.#call(this.#descriptor, bytes, at, bytes.length - at, null, (error, written) => {
        const isStuck = error === null && written === 0 && at < bytes.length
        if (error?.code === 'EAGAIN' || isStuck) {
          this.#cancelRetry = this.#clock.after(AGAIN_DELAY_MS, next)
        } else if (error !== null) {
          done(error)
        } else {
          at += written
          if (at < bytes.length) next()
          else done(null)
        }
      })
    }
    next()
  }

  close(): void {
    this.#cancelRetry()
  }
}

/** A group is whole documents, so no character is cut; invalid UTF-8 becomes U+FFFD. */
function escaped(bytes: Uint8Array): Uint8Array {
  return Buffer.from(printableLines(Buffer.from(bytes).toString('utf8')))
}
