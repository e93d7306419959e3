/**
 * The few things the spill asks of a disk, so that a test can own it: lose what was not synced,
 * fill up, refuse. `nodeDisk` is the real one. Errors are Node's own, with their `code`.
 */
import { constants } from 'node:fs'
import { chmod, mkdir, open, readdir, readFile, rename, rm, stat } from 'node:fs/promises'
import path from 'node:path'

export interface DiskFile {
  /** Writes all of it at a place in the file; on an error, part of it may be there. */
  write(bytes: Uint8Array, position: number): Promise<void>
  /** The content, and the size, survive a crash once this resolves (fdatasync). */
  datasync(): Promise<void>
  /** @returns how many bytes were read; fewer than asked for only at the file's end. */
  read(into: Uint8Array, position: number): Promise<number>
  truncate(size: number): Promise<void>
  size(): Promise<number>
  close(): Promise<void>
}

export interface Disk {
  /** Makes it, and what is above it, unless it is there; only this user may look inside. */
  makeDirectory(directory: string): Promise<void>
  /** Names of the files in it; none when there is no such directory. */
  list(directory: string): Promise<string[]>
  /** `create`: must not exist yet. `update`: to cut and append. `read`: changes nothing. */
  open(file: string, mode: 'create' | 'update' | 'read'): Promise<DiskFile>
  remove(file: string): Promise<void>
  /** All of a small file; null when there is none. */
  load(file: string): Promise<Uint8Array | null>
  /** Puts a small file in place at once: a crash leaves the old one or the new one. */
  replace(file: string, bytes: Uint8Array): Promise<void>
  /** Names made or removed in it survive a crash once this resolves. */
  syncDirectory(directory: string): Promise<void>
}

const FILE_MODE = 0o600
const DIRECTORY_MODE = 0o700

const OPEN_FLAGS = {
  create: constants.O_RDWR | constants.O_CREAT | constants.O_EXCL,
  update: constants.O_RDWR,
  read: constants.O_RDONLY,
} as const

export const nodeDisk: Disk = {
  async makeDirectory(directory) {
    await makeWithParents(path.resolve(directory))
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
    return new NodeFile(await open(file, OPEN_FLAGS[mode], FILE_MODE))
  },
  async remove(file) {
    await rm(file, { force: true })
  },
  async load(file) {
    try {
      return await readFile(file)
    } catch (error) {
      if (errorCode(error) === 'ENOENT') return null
      throw error
    }
  },
  async replace(file, bytes) {
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
  },
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

/** Node's name of an operating system's error (ENOSPC), or '' when it is none. */
export function errorCode(error: unknown): string {
  if (!(error instanceof Error) || !('code' in error)) return ''
  return typeof error.code === 'string' ? error.code : ''
}

class NodeFile implements DiskFile {
  readonly #handle: Awaited<ReturnType<typeof open>>

  constructor(handle: Awaited<ReturnType<typeof open>>) {
    this.#handle = handle
  }

  async write(bytes: Uint8Array, position: number): Promise<void> {
    // A write may be cut short (a nearly full disk, 2 GiB); the next one then says why.
    for (let done = 0; done < bytes.length;) {
      const { bytesWritten } = await this.#handle.write(
        bytes,
        done,
        bytes.length - done,
        position + done,
      )
      done += bytesWritten
    }
  }

  async datasync(): Promise<void> {
    await this.#handle.datasync()
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

  async close(): Promise<void> {
    await this.#handle.close()
  }
}
