/**
 * An append-only file: knows how much is durable, and cuts, rotates and reopens the file.
 *
 *   0 ......... durableSize ......... size
 *     on the disk            written since the last sync
 *
 * Used by the file output, one call at a time. It keeps sizes itself instead of asking the disk: if
 * the file has a different size, someone else writes to it, and it is not cut.
 *
 * The file is locked while it is open, so that a second logpipe does not write into it: when either
 * cuts or rotates, lines of the other would be lost.
 *
 * A new or renamed file is durable only once its directory is synced, so that is synced too.
 */
import assert from 'node:assert/strict'
import path from 'node:path'
import { LogpipeError, messageOf } from '../core/errors.ts'
import { errorCode, type Disk, type DiskFile, type Locks } from '../core/disk.ts'

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

  /** Writes all bytes, in as many calls as the system needs. */
  async append(bytes: Uint8Array): Promise<void> {
    const handle = this.#handle
    assert(handle !== null)
    let at = 0
    while (at < bytes.length) {
      const byteCount = await handle.append(bytes.subarray(at))
      // A file that takes nothing and gives no error would be written to for ever.
      if (byteCount === 0) throw new LogpipeError('OUTPUT_WRITE', 'write(2) wrote nothing')
      at += byteCount
      this.#size += byteCount
    }
  }

  /** Returns when all that was appended is on the disk. */
  async sync(): Promise<void> {
    assert(this.#handle !== null)
    const size = this.#size
    const handle = this.#handle
    await handle.datasync(size - this.#durableSize)
    this.#durableSize = size
  }

  /** Cuts off the bytes appended since the last sync. @returns false if that failed. */
  async cutBack(): Promise<boolean> {
    if (this.#handle === null || this.#size === this.#durableSize) return true
    try {
      if ((await this.#handle.size()) !== this.#size) return false
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
   * begins again. All that was appended must be synced.
   */
  async rotate(keep: number): Promise<void> {
    assert(keep >= 1 && this.#size === this.#durableSize)
    await this.close()
    const numbered = (index: number) => (index === 0 ? this.#path : `${this.#path}.${index}`)
    // Files behind a gap in the numbers stay: they move on when the gap is filled.
    let free = 1
    while (free < keep && (await this.#disk.kindOf(numbered(free))) !== null) free++
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
    const known = await this.#disk.kindOf(this.#path)
    if (known === 'other') throw this.#notAFile()
    this.#handle = await this.#disk.open(this.#path, 'append')
    if (!(await this.#handle.isRegular())) throw this.#notAFile()
    this.#acquireLock()
    this.#size = await this.#handle.size()
    this.#durableSize = this.#size
    if (known === null) await this.#syncDirectory(path.dirname(path.resolve(this.#path)))
    await this.#endTornLine(this.#handle)
  }

  /** Some network and FUSE file systems know no sync of directories. */
  async #syncDirectory(directory: string): Promise<void> {
    try {
      await this.#disk.syncDirectory(directory)
    } catch (error) {
      if (!['EINVAL', 'ENOTSUP'].includes(errorCode(error))) throw error
    }
  }

  /** The file's own: it moves with it when another program renames it. */
  #acquireLock(): void {
    if (this.#locks === null) return
    this.#lock = this.#locks.lock(this.#path)
    if (this.#lock !== null) return
    const message = `another process writes to the output file ${this.#path}`
    throw new LogpipeError('LOCKED', `${message}: give each process its own --output file:PATH`)
  }

  /**
   * A process that was killed may leave a part of a document, without its newline. That document
   * was not settled, so it is written again as a whole; here its remains get a line of their own.
   * They are not cut off: the file may be someone else's, and nothing says that they are ours.
   */
  async #endTornLine(handle: DiskFile): Promise<void> {
    if (this.#size === 0) return
    const last = Buffer.alloc(1)
    const byteCount = await handle.read(last, this.#size - 1)
    if (byteCount === 0 || last.equals(NEWLINE)) return
    await this.append(NEWLINE)
    await this.sync()
  }

  #notAFile(): LogpipeError {
    const hint = 'expected a regular file; to write to a pipe or device, use --output stdout'
    return new LogpipeError('OUTPUT_OPEN', `the output file ${this.#path}: ${hint}`)
  }

  #openError(error: unknown): LogpipeError {
    const directory = path.dirname(path.resolve(this.#path))
    const code = errorCode(error)
    const hint =
      code === 'ENOENT' || code === 'ENOTDIR'
        ? `the directory ${directory} does not exist: create it first`
        : messageOf(error)
    const message = `the output file ${this.#path} cannot be opened for appending: ${hint}`
    return new LogpipeError('OUTPUT_OPEN', message, { cause: error })
  }
}
