/**
 * `--dlq file:PATH`: dead letters as lines of a file, synced before their offsets may be committed.
 *
 * Puts that come while one is written share the next write and sync. A torn last line, of a crash
 * or of a write that failed, is cut before anything is appended.
 * Bound. Files of FILE_BYTES_MAX, at most `bytesMax` in total; then `put` fails until letters are
 * replayed or dropped, because deleting the oldest would lose them.
 */
import path from 'node:path'
import type { Clock } from '../../core/clock.ts'
import { LogpipeError } from '../../core/errors.ts'
import { formatBytes } from '../../core/units.ts'
import { errorCode, nodeDisk, type Disk, type DiskFile, type Locks } from '../../core/disk.ts'
import type { DeadLetter, OpenDeadLetters } from './contract.ts'
import {
  lettersError,
  LOCK_WAIT_MS_MAX,
  numberedFiles,
  rotate,
  wholeLinesEnd,
  withLock,
  encodeDeadLetter,
} from './dead-letter-files.ts'

/** A size that tools can still open, and that is quickly rewritten. */
const FILE_BYTES_MAX = 64 * 1024 * 1024

export interface FileDeadLettersOptions {
  readonly file: string
  /** All files together. */
  readonly bytesMax: number
  readonly locks: Locks
  readonly clock: Clock
  readonly disk?: Disk
  /** For tests; FILE_BYTES_MAX otherwise. */
  readonly fileBytesMax?: number
}

interface PendingPut {
  readonly lines: Buffer
  readonly resolve: () => void
  readonly reject: (error: unknown) => void
}

/** @throws LogpipeError DEAD_LETTERS when the place cannot be written. */
export async function openFileDeadLetters(
  options: FileDeadLettersOptions,
): Promise<OpenDeadLetters> {
  const letters = new FileDeadLetters(options)
  await letters.open()
  return letters
}

class FileDeadLetters implements OpenDeadLetters {
  readonly #options: FileDeadLettersOptions
  readonly #disk: Disk
  readonly #fileBytesMax: number
  #pending: PendingPut[] = []
  /** The writes in progress; it never rejects. */
  #writing: Promise<void> | null = null

  constructor(options: FileDeadLettersOptions) {
    this.#options = options
    this.#disk = options.disk ?? nodeDisk
    this.#fileBytesMax = options.fileBytesMax ?? FILE_BYTES_MAX
  }

  /** Finds out now, rather than at the first letter, that the place cannot be written. */
  async open(): Promise<void> {
    const { file } = this.#options
    try {
      await this.#disk.makeDirectory(path.dirname(file), 'shared')
      await this.#locked(async () => {
        const { handle, size } = await this.#openNewest()
        await handle.close()
        if (size === 0) await this.#disk.syncDirectory(path.dirname(file))
      })
    } catch (error) {
      throw lettersError(file, 'be opened', error)
    }
  }

  put(letters: readonly DeadLetter[]): Promise<void> {
    if (letters.length === 0) return Promise.resolve()
    const atMs = this.#options.clock.wallMs()
    const lines = Buffer.concat(letters.map((letter) => encodeDeadLetter(letter, atMs)))
    return new Promise((resolve, reject) => {
      this.#pending.push({ lines, resolve, reject })
      this.#writing ??= this.#writeAll()
    })
  }

  async close(): Promise<void> {
    while (this.#writing !== null) await this.#writing
  }

  async #writeAll(): Promise<void> {
    while (this.#pending.length > 0) {
      const puts = this.#pending
      this.#pending = []
      try {
        await this.#locked(() => this.#append(Buffer.concat(puts.map((put) => put.lines))))
        for (const put of puts) put.resolve()
      } catch (error) {
        const failure = lettersError(this.#options.file, 'be written', error)
        for (const put of puts) put.reject(failure)
      }
    }
    // At once, with no await since the last check: a put that comes now starts a new write.
    this.#writing = null
  }

  async #append(lines: Buffer): Promise<void> {
    const { file, bytesMax } = this.#options
    let newest = await this.#openNewest()
    if (newest.size > 0 && newest.size + lines.length > this.#fileBytesMax) {
      await newest.handle.close()
      await rotate(this.#disk, file)
      newest = await this.#openNewest()
    }
    const { handle, size } = newest
    try {
      if (size === 0) {
        await this.#refuseAbove(bytesMax - lines.length)
        await this.#disk.syncDirectory(path.dirname(file))
      }
      try {
        await handle.write(lines, size)
        await handle.datasync()
      } catch (error) {
        // Whole lines of a put that failed would come twice; what cannot be cut is only torn.
        await handle.truncate(size).catch(() => undefined)
        throw error
      }
    } finally {
      await handle.close()
    }
  }

  /** The newest file, without a torn line at its end. */
  async #openNewest(): Promise<{ handle: DiskFile; size: number }> {
    const { file } = this.#options
    let handle: DiskFile
    try {
      handle = await this.#disk.open(file, 'update')
    } catch (error) {
      if (errorCode(error) !== 'ENOENT') throw error
      handle = await this.#disk.open(file, 'create')
    }
    try {
      const found = await handle.size()
      const size = await wholeLinesEnd(handle, found)
      if (size < found) await handle.truncate(size)
      return { handle, size }
    } catch (error) {
      await handle.close()
      throw error
    }
  }

  /** Looked at once for each file: the bound is exact to one file. */
  async #refuseAbove(bytesMax: number): Promise<void> {
    const { file } = this.#options
    const files = await numberedFiles(this.#disk, file)
    let bytes = 0
    for (const one of files) {
      const handle = await this.#disk.open(one, 'read')
      try {
        bytes += await handle.size()
      } finally {
        await handle.close()
      }
    }
    if (bytes <= bytesMax) return
    throw new LogpipeError(
      'DEAD_LETTERS',
      `the dead letters in ${file} have reached their limit (${formatBytes(bytes)}); ` +
        'resend them with `logpipe dlq replay`, or delete them with `logpipe dlq drop`',
    )
  }

  #locked<T>(run: () => Promise<T>): Promise<T> {
    const { file, locks, clock } = this.#options
    return withLock(locks, `${file}.lock`, clock, LOCK_WAIT_MS_MAX, run)
  }
}
