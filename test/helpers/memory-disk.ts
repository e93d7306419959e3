/**
 * A disk in memory that can crash, fill up, refuse, and have its bytes changed.
 *
 * What was not synced is lost in a crash, or partly kept: each write since the last sync survives,
 * not at all or up to some byte, in any combination, as on a real disk.
 */
import path from 'node:path'
import type { Disk, DiskFile } from '../../src/core/disk.ts'

interface Inode {
  content: Buffer
  durable: Buffer
  pending: { readonly bytes: Buffer; readonly position: number }[]
}

/** A number below `limit`. */
export type Random = (limit: number) => number

/** An error as the operating system gives it. */
export function diskError(code: string): Error {
  return Object.assign(new Error(`${code}: made by the test`), { code })
}

export class MemoryDisk implements Disk {
  #names = new Map<string, Inode>()
  #durableNames = new Map<string, Inode>()
  /** Renames since the last sync of the directory: a crash keeps the first few of them. */
  #renames: (readonly [from: string, to: string])[] = []
  /** Bytes that all files together may have. */
  capacity = Number.POSITIVE_INFINITY
  /** Called before each operation; what it throws is the operation's error. */
  before: (operation: string, file: string) => void = () => undefined

  async makeDirectory(directory: string): Promise<void> {
    this.before('makeDirectory', directory)
  }

  async list(directory: string): Promise<string[]> {
    this.before('list', directory)
    return [...this.#names.keys()]
      .filter((name) => path.dirname(name) === directory)
      .map((name) => path.basename(name))
  }

  async kindOf(file: string): Promise<'regular' | null> {
    this.before('kindOf', file)
    return this.#names.has(file) ? 'regular' : null
  }

  async open(file: string, mode: 'create' | 'update' | 'read' | 'append'): Promise<DiskFile> {
    await turn()
    this.before(`open ${mode}`, file)
    let inode = this.#names.get(file)
    if (mode === 'create' && inode !== undefined) throw diskError('EEXIST')
    if (mode === 'create' || (mode === 'append' && inode === undefined)) {
      inode = { content: Buffer.alloc(0), durable: Buffer.alloc(0), pending: [] }
      this.#names.set(file, inode)
    }
    if (inode === undefined) throw diskError('ENOENT')
    return new MemoryFile(this, file, inode)
  }

  async remove(file: string): Promise<void> {
    await turn()
    this.before('remove', file)
    this.#names.delete(file)
  }

  async rename(from: string, to: string): Promise<void> {
    await turn()
    this.before('rename', from)
    const inode = this.#names.get(from)
    if (inode === undefined) throw diskError('ENOENT')
    this.#names.delete(from)
    this.#names.set(to, inode)
    // One step, as in a journal: what the names stood for is never half changed.
    this.#renames.push([from, to])
  }

  async load(file: string): Promise<Uint8Array | null> {
    this.before('load', file)
    return this.#names.get(file)?.content ?? null
  }

  async replace(file: string, bytes: Uint8Array): Promise<void> {
    await turn()
    this.before('replace', file)
    const content = Buffer.from(bytes)
    const inode = { content, durable: content, pending: [] }
    this.#names.set(file, inode)
    this.#durableNames.set(file, inode)
  }

  async syncDirectory(directory: string): Promise<void> {
    await turn()
    this.before('syncDirectory', directory)
    for (const name of this.#durableNames.keys()) {
      if (!this.#names.has(name)) this.#durableNames.delete(name)
    }
    for (const [name, inode] of this.#names) this.#durableNames.set(name, inode)
    this.#renames = []
  }

  /** The machine stops and starts again: a new disk, with what survived. */
  crash(random: Random): MemoryDisk {
    const survivor = new MemoryDisk()
    const names = new Map(this.#durableNames)
    const renamed = new Set(this.#renames.flat())
    for (const [from, to] of this.#renames.slice(0, random(this.#renames.length + 1))) {
      const inode = names.get(from)
      names.delete(from)
      if (inode !== undefined) names.set(to, inode)
    }
    for (const [name, inode] of this.#names) {
      if (!renamed.has(name) && random(2) === 0) names.set(name, inode)
    }
    for (const [name, inode] of names) {
      const content = survivingContent(inode, random)
      const kept = { content, durable: content, pending: [] }
      survivor.#names.set(name, kept)
      survivor.#durableNames.set(name, kept)
    }
    return survivor
  }

  /** The process stops, the machine does not: all that was written is there. */
  kill(): MemoryDisk {
    const survivor = new MemoryDisk()
    for (const [name, inode] of this.#names) survivor.put(name, inode.content)
    return survivor
  }

  get files(): string[] {
    return [...this.#names.keys()].sort()
  }

  bytesOf(file: string): Buffer {
    return Buffer.from(this.#names.get(file)?.content ?? [])
  }

  put(file: string, bytes: Uint8Array): void {
    const content = Buffer.from(bytes)
    const inode = { content, durable: content, pending: [] }
    this.#names.set(file, inode)
    this.#durableNames.set(file, inode)
  }

  get usedBytes(): number {
    let sum = 0
    for (const inode of this.#names.values()) sum += inode.content.length
    return sum
  }
}

class MemoryFile implements DiskFile {
  readonly #disk: MemoryDisk
  readonly #file: string
  readonly #inode: Inode
  #closed = false

  constructor(disk: MemoryDisk, file: string, inode: Inode) {
    this.#disk = disk
    this.#file = file
    this.#inode = inode
  }

  async write(source: Uint8Array, position: number): Promise<void> {
    await this.#begin('write')
    let bytes = Buffer.from(source)
    const inode = this.#inode
    const grows = Math.max(0, position + bytes.length - inode.content.length)
    const room = this.#disk.capacity - this.#disk.usedBytes
    const isFull = grows > room
    if (isFull) bytes = bytes.subarray(0, Math.max(0, bytes.length - (grows - Math.max(0, room))))
    inode.content = patched(inode.content, bytes, position)
    inode.pending.push({ bytes, position })
    if (isFull) throw diskError('ENOSPC')
  }

  async append(bytes: Uint8Array): Promise<number> {
    await this.write(bytes, this.#inode.content.length)
    return bytes.length
  }

  async isRegular(): Promise<boolean> {
    return true
  }

  async datasync(): Promise<void> {
    await this.#begin('datasync')
    this.#inode.durable = this.#inode.content
    this.#inode.pending = []
  }

  async read(into: Uint8Array, position: number): Promise<number> {
    await this.#begin('read')
    const part = this.#inode.content.subarray(position, position + into.length)
    into.set(part)
    return part.length
  }

  async truncate(size: number): Promise<void> {
    await this.#begin('truncate')
    const inode = this.#inode
    inode.content = patched(inode.content, Buffer.alloc(0), size).subarray(0, size)
  }

  async size(): Promise<number> {
    await this.#begin('size')
    return this.#inode.content.length
  }

  async close(): Promise<void> {
    await this.#begin('close')
    this.#closed = true
  }

  async #begin(operation: string): Promise<void> {
    if (this.#closed) throw diskError('EBADF')
    await turn()
    this.#disk.before(operation, this.#file)
  }
}

function survivingContent(inode: Inode, random: Random): Buffer {
  let content = inode.durable
  for (const { bytes, position } of inode.pending) {
    const kept = [0, bytes.length, random(bytes.length + 1)][random(3)] ?? 0
    if (kept > 0) content = patched(content, bytes.subarray(0, kept), position)
  }
  return content
}

function patched(content: Buffer, bytes: Buffer, position: number): Buffer {
  const result = Buffer.alloc(Math.max(content.length, position + bytes.length))
  content.copy(result)
  bytes.copy(result, position)
  return result
}

/** Lets others run, as a real disk's operation does. */
function turn(): Promise<void> {
  return new Promise((resolve) => {
    setImmediate(resolve)
  })
}
