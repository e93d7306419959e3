/**
 * The disk operations that the spill, the dead letters and the output file need, as an interface,
 * so that a test can lose unsynced data, fill the disk, or fail. `nodeDisk` is the real one. Errors
 * have Node's own `code`; on a full disk they name the file, the size, and what to do.
 */
import { constants } from 'node:fs'
import { chmod, mkdir, open, readdir, readFile, rename, rm, stat } from 'node:fs/promises'
import path from 'node:path'
import { diskFault } from './errors.ts'

export interface DiskFile {
  /** Writes all of it at a place in the file; on an error, part of it may be there. */
  write(bytes: Uint8Array, position: number): Promise<void>
  /** Writes at the end, as much as the system takes at once. @returns how many bytes */
  append(bytes: Uint8Array): Promise<number>
  /**
   * The content, and the size, survive a crash once this resolves (fdatasync).
   * @param byteCount the bytes that may be lost if it fails, for the error
   */
  datasync(byteCount?: number): Promise<void>
  /** @returns how many bytes were read; fewer than asked for only at the file's end. */
  read(into: Uint8Array, position: number): Promise<number>
  truncate(size: number): Promise<void>
  size(): Promise<number>
  /** No pipe, no device, no folder. */
  isRegular(): Promise<boolean>
  close(): Promise<void>
}

export interface Disk {
  /**
   * Makes it, and what is above it, unless it is there; only this user may look inside. One that is
   * there is closed to others too, if it is `own`.
   */
  makeDirectory(directory: string, whose: 'own' | 'shared'): Promise<void>
  /** Names of the files in it; none when there is no such directory. */
  list(directory: string): Promise<string[]>
  /**
   * `create`: must not exist yet. `update`: to cut and append. `read`: changes nothing. `append`:
   * only at the end, and made where it does not exist, with what the umask allows.
   */
  open(file: string, mode: keyof typeof OPEN_FLAGS): Promise<DiskFile>
  /** Null: there is none. */
  kindOf(file: string): Promise<'regular' | 'other' | null>
  remove(file: string): Promise<void>
  /** Gives a file another name, in place of what had it. Call syncDirectory for it to last. */
  rename(from: string, to: string): Promise<void>
  /** All of a small file; null when there is none. */
  load(file: string): Promise<Uint8Array | null>
  /** Puts a small file in place at once: a crash leaves the old one or the new one. */
  replace(file: string, bytes: Uint8Array): Promise<void>
  /** Names made or removed in it survive a crash once this resolves. */
  syncDirectory(directory: string): Promise<void>
}

/** flock(2), as the bridge has it: fileLock and fileUnlock. */
export interface Locks {
  /** Without waiting; makes the file if need be. @returns an id, or null when another holds it. */
  lock(file: string): number | null
  unlock(id: number): void
}

const FILE_MODE = 0o600
/** For a file that others may read: the mode that the umask allows. */
const SHARED_FILE_MODE = 0o666
const DIRECTORY_MODE = 0o700

const OPEN_FLAGS = {
  create: constants.O_RDWR | constants.O_CREAT | constants.O_EXCL,
  update: constants.O_RDWR,
  read: constants.O_RDONLY,
  append: constants.O_RDWR | constants.O_CREAT | constants.O_APPEND,
} as const

export const nodeDisk: Disk = {
  async makeDirectory(directory, whose) {
    await naming(directory, 0, () => makeWithParents(path.resolve(directory)))
    if (whose === 'shared') return
    // One that an operator made beforehand may be open to others. Left alone when it is right, so
    // that a read-only disk fails where it matters.
    if (((await stat(directory)).mode & 0o777) !== DIRECTORY_MODE) {
      await chmod(directory, DIRECTORY_MODE)
    }
  },
  async list(directory) {
    try {
      return await readdir(directory)
    } catch (error) {
      if (errorCode(error) === 'ENOENT') return []
      throw error
    }
  },
  async open(file, mode) {
    const bits = mode === 'append' ? SHARED_FILE_MODE : FILE_MODE
    return new NodeFile(file, await naming(file, 0, () => open(file, OPEN_FLAGS[mode], bits)))
  },
  async kindOf(file) {
    try {
      return (await stat(file)).isFile() ? 'regular' : 'other'
    } catch (error) {
      if (errorCode(error) === 'ENOENT') return null
      throw error
    }
  },
  async remove(file) {
    await rm(file, { force: true })
  },
  rename,
  async load(file) {
    try {
      return await readFile(file)
    } catch (error) {
      if (errorCode(error) === 'ENOENT') return null
      throw error
    }
  },
  replace: (file, bytes) =>
    naming(file, bytes.length, async () => {
      const temporary = `${file}.new`
      await rm(temporary, { force: true })
      const handle = await open(temporary, OPEN_FLAGS.create, FILE_MODE)
      try {
        await handle.writeFile(bytes)
        await handle.datasync()
      } finally {
        await handle.close()
      }
      await rename(temporary, file)
      await syncDirectory(path.dirname(file))
    }),
  syncDirectory,
}

/**
 * Makes a directory that survives a crash, as all above it. Node's own recursive mkdir says ENOENT
 * where the disk is read-only.
 */
async function makeWithParents(directory: string): Promise<void> {
  const parent = path.dirname(directory)
  try {
    await mkdir(directory, { mode: DIRECTORY_MODE })
  } catch (error) {
    if (errorCode(error) === 'EEXIST') return
    if (errorCode(error) !== 'ENOENT' || parent === directory) throw error
    await makeWithParents(parent)
    await mkdir(directory, { mode: DIRECTORY_MODE })
  }
  await syncDirectory(parent)
}

async function syncDirectory(directory: string): Promise<void> {
  const handle = await open(directory, constants.O_RDONLY)
  try {
    await handle.sync()
  } finally {
    await handle.close()
  }
}

/** No room: of the disk, or of a quota. Anything else is an error. */
export function isFull(error: unknown): boolean {
  return ['ENOSPC', 'EDQUOT'].includes(errorCode(error))
}

/** Node's name of an operating system's error (ENOSPC), or '' when it is none. */
export function errorCode(error: unknown): string {
  if (!(error instanceof Error) || !('code' in error)) return ''
  return typeof error.code === 'string' ? error.code : ''
}

/** Runs it; an error names the file, the bytes to be written, and what to do. */
export async function naming<T>(
  file: string,
  byteCount: number,
  run: () => Promise<T>,
): Promise<T> {
  try {
    return await run()
  } catch (error) {
    if (error instanceof Error) error.message = diskFault(error, file, byteCount)
    throw error
  }
}

class NodeFile implements DiskFile {
  readonly #path: string
  readonly #handle: Awaited<ReturnType<typeof open>>

  constructor(file: string, handle: Awaited<ReturnType<typeof open>>) {
    this.#path = file
    this.#handle = handle
  }

  write(bytes: Uint8Array, position: number): Promise<void> {
    return naming(this.#path, bytes.length, async () => {
      // A write may be cut short (a nearly full disk, 2 GiB); the next one then says why.
      for (let done = 0; done < bytes.length;) {
        const left = bytes.length - done
        const { bytesWritten } = await this.#handle.write(bytes, done, left, position + done)
        done += bytesWritten
      }
    })
  }

  async append(bytes: Uint8Array): Promise<number> {
    const write = () => this.#handle.write(bytes, 0, bytes.length, null)
    return (await naming(this.#path, bytes.length, write)).bytesWritten
  }

  async datasync(byteCount = 0): Promise<void> {
    await naming(this.#path, byteCount, () => this.#handle.datasync())
  }

  async read(into: Uint8Array, position: number): Promise<number> {
    let done = 0
    while (done < into.length) {
      const { bytesRead } = await this.#handle.read(into, done, into.length - done, position + done)
      if (bytesRead === 0) break
      done += bytesRead
    }
    return done
  }

  async truncate(size: number): Promise<void> {
    await this.#handle.truncate(size)
  }

  async size(): Promise<number> {
    return (await this.#handle.stat()).size
  }

  async isRegular(): Promise<boolean> {
    return (await this.#handle.stat()).isFile()
  }

  async close(): Promise<void> {
    await this.#handle.close()
  }
}
