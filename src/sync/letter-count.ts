/**
 * How many dead letters lie in the files of a pipeline now: what was replayed or dropped counts no
 * more, and what earlier children stored counts still.
 *
 * Files are read once: a full one (PATH.NNNNNN) changes only by an edit, which gives it another
 * inode or time, and the newest is only appended to.
 *
 * Bound. BYTES_PER_LOOK a look: of letters that were there before, the number grows for some looks.
 */
import { type FileHandle, open } from 'node:fs/promises'
import { nodeDisk } from '../core/disk.ts'
import { numberedFiles, REMOVED } from '../sink/dead-letters/dead-letter-files.ts'

/** At one look a second, a gigabyte of letters is counted in two minutes, beside other work. */
const BYTES_PER_LOOK = 8 * 1024 * 1024
const CHUNK_BYTES = 256 * 1024
const LINE_END = 0x0a

interface Counted {
  readonly changedMs: number
  /** Read up to here. */
  readonly offset: number
  readonly count: number
  /** Whether the line that was begun before is one that was removed; null: a line begins here. */
  readonly isRemoved: boolean | null
}

const UNREAD = { offset: 0, count: 0, isRemoved: null } as const

export class LetterCount {
  readonly #file: string
  /** By inode and birth, which a rotation keeps. */
  #files = new Map<string, Counted>()

  /** @param file PATH of `--dlq file:PATH`. */
  constructor(file: string) {
    this.#file = file
  }

  /** @returns how many there are, as far as they have been read. */
  async look(): Promise<number> {
    const files = new Map<string, Counted>()
    let room = BYTES_PER_LOOK
    for (const name of [...(await numberedFiles(nodeDisk, this.#file)), this.#file]) {
      let handle: FileHandle
      try {
        handle = await open(name)
      } catch {
        // None yet, rotated just now, or not ours to read.
        continue
      }
      try {
        const { ino, birthtimeMs, size, mtimeMs: changedMs } = await handle.stat()
        const key = `${ino} ${birthtimeMs}`
        const known = this.#files.get(key)
        // The newest one grows; one that changed without growing was edited.
        const isSame = known?.changedMs === changedMs || size > (known?.offset ?? Infinity)
        const before = known !== undefined && isSame ? known : { ...UNREAD, changedMs }
        const bytesMax = Math.max(0, Math.min(room, size - before.offset))
        const counted = await countLines(handle, { ...before, changedMs }, bytesMax)
        room -= counted.offset - before.offset
        files.set(key, counted)
      } finally {
        await handle.close()
      }
    }
    this.#files = files
    return [...files.values()].reduce((sum, { count }) => sum + count, 0)
  }
}

/** Goes on with a file for so many bytes. */
async function countLines(handle: FileHandle, before: Counted, bytesMax: number): Promise<Counted> {
  if (bytesMax === 0) return before
  const chunk = Buffer.allocUnsafe(Math.min(CHUNK_BYTES, bytesMax))
  let { offset, count, isRemoved } = before
  for (const endMax = before.offset + bytesMax; offset < endMax;) {
    const length = Math.min(chunk.length, endMax - offset)
    const { bytesRead } = await handle.read(chunk, 0, length, offset)
    if (bytesRead === 0) break
    for (let at = 0; at < bytesRead;) {
      isRemoved ??= chunk[at] === REMOVED
      const end = chunk.subarray(0, bytesRead).indexOf(LINE_END, at)
      if (end === -1) break
      if (!isRemoved) count++
      isRemoved = null
      at = end + 1
    }
    offset += bytesRead
  }
  return { ...before, offset, count, isRemoved }
}
