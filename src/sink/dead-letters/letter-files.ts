/**
 * The files of `--dlq file:PATH`, and who may touch them.
 *
 *   PATH            the newest letters; only appended to, under PATH.lock
 *   PATH.NNNNNN     full ones, ascending with age; never appended to again
 *   PATH.lock       flock, held for one append or one rename
 *   PATH.edit.lock  flock, held by `dlq replay` and `dlq drop` for as long as they run
 *
 * An edit first gives the newest file a number, then rewrites numbered files only, so a running
 * pipeline never waits for it. A rewritten file takes the place of the old one in one step.
 */
import path from 'node:path'
import type { Clock } from '../../core/clock.ts'
import { LogpipeError, messageOf } from '../../core/errors.ts'
import { errorCode, type Disk, type DiskFile, type Locks } from '../../core/disk.ts'

/** PATH.lock is held for one append or rename: a sync of a slow disk at most. */
export const LOCK_WAIT_MS_MAX = 10_000
const LOCK_RETRY_MS = 20

const LINE_END = 0x0a
/** Of one read. */
const CHUNK_BYTES = 256 * 1024

/** The numbered files of PATH, oldest first. */
export async function numberedFiles(disk: Disk, file: string): Promise<string[]> {
  const base = path.basename(file)
  const numbers = (await disk.list(path.dirname(file)))
    .filter((name) => name.startsWith(`${base}.`) && /^\d{6,}$/.test(name.slice(base.length + 1)))
    .map((name) => Number(name.slice(base.length + 1)))
  return numbers.sort((left, right) => left - right).map((number) => numbered(file, number))
}

function numbered(file: string, number: number): string {
  return `${file}.${String(number).padStart(6, '0')}`
}

/** Gives the newest file a number, if there is one. Under PATH.lock. */
export async function rotate(disk: Disk, file: string): Promise<void> {
  const last = (await numberedFiles(disk, file)).at(-1)
  const number = last === undefined ? 1 : Number(last.slice(file.length + 1)) + 1
  try {
    await disk.rename(file, numbered(file, number))
  } catch (error) {
    if (errorCode(error) === 'ENOENT') return
    throw error
  }
  await disk.syncDirectory(path.dirname(file))
}

/**
 * Runs with a lock that nobody else holds meanwhile, and waits for it up to `waitMsMax`.
 * @throws LogpipeError LOCKED.
 */
export async function withLock<T>(
  locks: Locks,
  lockFile: string,
  clock: Clock,
  waitMsMax: number,
  run: () => Promise<T>,
): Promise<T> {
  const deadlineMs = clock.monotonicMs() + waitMsMax
  let lock = locks.lock(lockFile)
  while (lock === null) {
    if (clock.monotonicMs() >= deadlineMs) {
      throw new LogpipeError('LOCKED', `${lockFile} is held by another process; try again later`)
    }
    await new Promise<void>((resolve) => {
      clock.after(LOCK_RETRY_MS, resolve)
    })
    lock = locks.lock(lockFile)
  }
  try {
    return await run()
  } finally {
    locks.unlock(lock)
  }
}

/** A line of a file, without its end. */
export interface Line {
  readonly bytes: Buffer
  /** From 0, within its file. */
  readonly number: number
  /** Where it begins in its file. */
  readonly position: number
}

/** The first byte of a line that was removed where it stood, for want of room for a copy. */
export const REMOVED = 0x23

/**
 * Reads a file line by line; a torn last line, and lines that were removed, are left out. Bound:
 * one chunk and one line.
 */
export async function* linesOf(disk: Disk, file: string): AsyncGenerator<Line> {
  let handle: DiskFile
  try {
    handle = await disk.open(file, 'read')
  } catch (error) {
    // Rotated or removed meanwhile.
    if (errorCode(error) === 'ENOENT') return
    throw error
  }
  try {
    const parts: Buffer[] = []
    let number = 0
    let lineAt = 0
    for (let position = 0; ;) {
      const chunk = Buffer.allocUnsafe(CHUNK_BYTES)
      const read = await handle.read(chunk, position)
      if (read === 0) break
      position += read
      let start = 0
      for (;;) {
        const end = chunk.subarray(0, read).indexOf(LINE_END, start)
        if (end === -1) break
        parts.push(chunk.subarray(start, end))
        const bytes = parts.length === 1 ? (parts[0] ?? chunk) : Buffer.concat(parts)
        if (bytes[0] !== REMOVED) yield { bytes, number, position: lineAt }
        lineAt += bytes.length + 1
        parts.length = 0
        number++
        start = end + 1
      }
      if (start < read) parts.push(chunk.subarray(start, read))
    }
  } finally {
    await handle.close()
  }
}

/** Where the last whole line ends. */
export async function wholeLinesEnd(handle: DiskFile, size: number): Promise<number> {
  for (let end = size; end > 0;) {
    const start = Math.max(0, end - CHUNK_BYTES)
    const chunk = Buffer.allocUnsafe(end - start)
    const read = await handle.read(chunk, start)
    const found = chunk.subarray(0, read).lastIndexOf(LINE_END)
    if (found !== -1) return start + found + 1
    end = start
  }
  return 0
}

export function lettersError(file: string, action: string, cause: unknown): LogpipeError {
  if (cause instanceof LogpipeError) return cause
  const message = `the dead letters in ${file} cannot ${action}: ${messageOf(cause)}`
  return new LogpipeError('DEAD_LETTERS', message, { cause })
}
