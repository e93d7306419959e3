/**
 * One file that is only appended to: what of it is durable, how it is cut, rotated and reopened.
 *
 *   0 ......... durableSize ......... size
 *     on the disk            written since the last sync
 *
 * Used by the file output, one call at a time. Sizes are kept here rather than asked of the disk:
 * if the file turns out to have another, someone else writes to it, and it is not cut.
 *
 * While it is open it is locked, so that a second logpipe does not write into it: lines of the two
 * would be lost when one of them cuts or rotates.
 *
 * A file that is made here, or renamed, is durable only when its directory is: that is synced too.
 */
import assert from 'node:assert/strict'
import { open, rename, stat } from 'node:fs/promises'
import path from 'node:path'
import { LogpipeError, messageOf } from '../core/errors.ts'
import { naming, type Locks } from '../core/disk.ts'

/** What is used of a FileHandle. */
export interface DiskFile {
  write(
    bytes: Uint8Array,
    offset: number,
    length: number,
    position: null,
  ): Promise<{ readonly bytesWritten: number }>
  read(
    bytes: Uint8Array,
    offset: number,
    length: number,
    position: number,
  ): Promise<{ readonly bytesRead: number }>
  datasync(): Promise<void>
  truncate(size: number): Promise<void>
  stat(): Promise<{ readonly size: number; isFile(): boolean }>
  close(): Promise<void>
}

/** The disk; tests make it full or broken. */
export interface Disk {
  /** For reading and appending; made when it does not exist, with what the umask allows. */
  open(file: string): Promise<DiskFile>
  /** Null: there is none. */
  stat(file: string): Promise<{ isFile(): boolean } | null>
  rename(from: string, to: string): Promise<void>
  syncDirectory(directory: string): Promise<void>
}

export const realDisk: Disk = {
  open: (file) => open(file, 'a+', 0o666),
  async stat(file) {
    try {
      return await stat(file)
    } catch (error) {
      if (codeOf(error) === 'ENOENT') return null
      throw error
    }
  },
  rename,
  async syncDirectory(directory) {
    const handle = await open(directory, 'r')
    try {
      await handle.sync()
    } catch (error) {
      // Some network and FUSE file systems know no sync of directories.
      if (codeOf(error) !== 'EINVAL' && codeOf(error) !== 'ENOTSUP') throw error
    } finally {
      await handle.close()
    }
  },
}

const NEWLINE = Buffer.from('\n')

export class OutputFile {
  readonly #path: string
  readonly #disk: Disk
  readonly #locks: Locks | null
  #lock: number | null = null
  /** Null while closed. */
  #handle: DiskFile | null = null
  #size = 0
  #durableSize = 0

  /** @param locks null: not locked, for tests of the rest. */
  constructor(file: string, disk: Disk, locks: Locks | null) {
    this.#path = file
    this.#disk = disk
    this.#locks = locks
  }

  get size(): number {
    return this.#size
  }

  /** @throws LogpipeError OUTPUT_OPEN, saying what to do. */
  async open(): Promise<void> {
    assert(this.#handle === null)
    try {
      await this.#open()
    } catch (error) {
      await this.close()
      if (error instanceof LogpipeError) throw error
      throw this.#openError(error)
    }
  }

  /** Writes all of it, in as many calls as the system wants. */
  async append(bytes: Uint8Array): Promise<void> {
    const handle = this.#handle
    assert(handle !== null)
    await naming(this.#path, bytes.length, () => this.#writeAll(handle, bytes))
  }

  async #writeAll(handle: DiskFile, bytes: Uint8Array): Promise<void> {
    let at = 0
    while (at < bytes.length) {
      const { bytesWritten } = await handle.write(bytes, at, bytes.length - at, null)
      // A file that takes nothing and gives no error would be written to for ever.
      if (bytesWritten === 0) throw new LogpipeError('OUTPUT_WRITE', 'write(2) wrote nothing')
      at += bytesWritten
      this.#size += bytesWritten
    }
  }

  /** Returns when all that was appended is on the disk. */
  async sync(): Promise<void> {
    assert(this.#handle !== null)
    const size = this.#size
    const handle = this.#handle
    await naming(this.#path, size - this.#durableSize, () => handle.datasync())
    this.#durableSize = size
  }

  /** Cuts off what was appended since the last sync. @returns false when that was not possible. */
  async cutBack(): Promise<boolean> {
    if (this.#handle === null || this.#size === this.#durableSize) return true
    try {
      const { size } = await this.#handle.stat()
      if (size !== this.#size) return false
      await this.#handle.truncate(this.#durableSize)
      this.#size = this.#durableSize
      return true
    } catch {
      // The disk that failed to write may fail to cut; the caller reports the first error.
      return false
    }
  }

  /**
   * PATH becomes PATH.1, PATH.1 becomes PATH.2, up to PATH.keep, whose old content is gone; PATH
   * begins anew. All that was appended must be synced.
   */
  async rotate(keep: number): Promise<void> {
    assert(keep >= 1 && this.#size === this.#durableSize)
    await this.close()
    const numbered = (index: number) => (index === 0 ? this.#path : `${this.#path}.${index}`)
    // Files behind a gap in the numbers stay: they move on when the gap is filled.
    let free = 1
    while (free < keep && (await this.#disk.stat(numbered(free))) !== null) free++
    for (let index = free; index > 0; index--) {
      await this.#disk.rename(numbered(index - 1), numbered(index))
    }
    await this.open()
  }

  /** Opens PATH again: another program has renamed it. All that was appended must be synced. */
  async reopen(): Promise<void> {
    assert(this.#size === this.#durableSize)
    await this.close()
    await this.open()
  }

  async close(): Promise<void> {
    const handle = this.#handle
    this.#handle = null
    if (this.#lock !== null) this.#locks?.unlock(this.#lock)
    this.#lock = null
    await handle?.close()
  }

  async #open(): Promise<void> {
    const known = await this.#disk.stat(this.#path)
    if (known !== null && !known.isFile()) throw this.#notAFile()
    this.#handle = await this.#disk.open(this.#path)
    const opened = await this.#handle.stat()
    if (!opened.isFile()) throw this.#notAFile()
    this.#takeLock()
    this.#size = opened.size
    this.#durableSize = opened.size
    if (known === null) await this.#disk.syncDirectory(path.dirname(path.resolve(this.#path)))
    await this.#endTornLine(this.#handle)
  }

  /** The file's own: it moves with it when another program renames it. */
  #takeLock(): void {
    if (this.#locks === null) return
    this.#lock = this.#locks.lock(this.#path)
    if (this.#lock !== null) return
    const message = `another process writes to the output file ${this.#path}`
    throw new LogpipeError('LOCKED', `${message}: give each its own --output file:PATH`)
  }

  /**
   * A process that was killed may leave a part of a document, without its newline. That document
   * was not settled, so it is written again as a whole; here its remains get a line of their own.
   * They are not cut off: the file may be someone else's, and nothing says that they are ours.
   */
  async #endTornLine(handle: DiskFile): Promise<void> {
    if (this.#size === 0) return
    const last = Buffer.alloc(1)
    const { bytesRead } = await handle.read(last, 0, 1, this.#size - 1)
    if (bytesRead === 0 || last.equals(NEWLINE)) return
    await this.append(NEWLINE)
    await this.sync()
  }

  #notAFile(): LogpipeError {
    const hint = 'expected a regular file; to write to a pipe or device, use --output stdout'
    return new LogpipeError('OUTPUT_OPEN', `the output file ${this.#path}: ${hint}`)
  }

  #openError(error: unknown): LogpipeError {
    const directory = path.dirname(path.resolve(this.#path))
    const code = codeOf(error)
    const hint =
      code === 'ENOENT' || code === 'ENOTDIR'
        ? `the directory ${directory} does not exist: make it first`
        : messageOf(error)
    const message = `the output file ${this.#path} cannot be opened for appending: ${hint}`
    return new LogpipeError('OUTPUT_OPEN', message, { cause: error })
  }
}

/** The system's name of an error, or an empty string. */
function codeOf(error: unknown): string {
  if (!(error instanceof Error)) return ''
  return (error as NodeJS.ErrnoException).code ?? ''
}
