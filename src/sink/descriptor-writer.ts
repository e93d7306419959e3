/**
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
import { constants, fstatSync, openSync, write as writeDescriptor, type Stats } from 'node:fs'
import { Socket } from 'node:net'
import type { Clock } from '../core/clock.ts'

/** A terminal that another process made non-blocking says EAGAIN; how long to leave it alone. */
const AGAIN_DELAY_MS = 5

export interface DescriptorWriter {
  /**
   * Writes all of it, then calls back, with the error if there was one. One at a time; `bytes`
   * must not change until then.
   */
  write(bytes: Uint8Array, done: (error: NodeJS.ErrnoException | null) => void): void
  /** Lets go, whether or not something is being written; nothing may be written after it. */
  close(): void
}

/** write(2) as node:fs has it; tests make it short or failing. */
export type WriteCall = (
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
