/**
 * One spill directory, shared by the writer and the reader: the segments, oldest first, their size
 * on disk, and the small files beside them. The writer creates segments; `retire` deletes them.
 */
import path from 'node:path'
import { crc32 } from 'node:zlib'
import { z } from 'zod'
import { LogpipeError, messageOf } from '../../core/errors.ts'
import type { SpillEvents } from './contract.ts'
import { errorCode, type Disk, type DiskFile } from '../../core/disk.ts'
import { blockAt, KIND_SEAL, readRanges, type Ranges } from './format.ts'
import type { Segment } from './segment.ts'

const ASIDE = '.damaged'
/** Segments set aside that are kept, the newest: 1 GiB at most. */
const ASIDE_MAX = 16

export class SpillStore {
  readonly directory: string
  readonly disk: Disk
  readonly events: SpillEvents
  /** No later process reads it. */
  readonly isCache: boolean
  /** Oldest first. */
  readonly segments: Segment[] = []
  /** Bytes of the segments on disk, including entries that are encoded but not yet written. */
  bytes = 0
  /** Deletions in progress. */
  readonly #removals = new Set<Promise<void>>()

  constructor(directory: string, disk: Disk, events: SpillEvents, isCache: boolean) {
    this.directory = directory
    this.disk = disk
    this.events = events
    this.isCache = isCache
  }

  pathOf(segment: Segment): string {
    return path.join(this.directory, segment.name)
  }

  /** The mark of a segment that was just made; null: it gets none. */
  async markFor(segment: Segment): Promise<StoredMark | null> {
    return this.isCache ? null : StoredMark.create(this.disk, this.pathOf(segment), this.events)
  }

  add(segment: Segment): void {
    this.segments.push(segment)
    this.bytes += segment.size
  }

  grow(segment: Segment, bytes: number): void {
    segment.grow(bytes)
    this.bytes += bytes
  }

  /** Deletes a segment when nothing needs it any more; does nothing otherwise. */
  retire(segment: Segment): void {
    if (!segment.isDone || segment.isRemoved) return
    segment.remove()
    this.segments.splice(this.segments.indexOf(segment), 1)
    const removal = this.#remove(segment)
    this.#removals.add(removal)
    void removal.finally(() => this.#removals.delete(removal))
  }

  /** Resolves when the deletions in progress have ended. */
  async settled(): Promise<void> {
    while (this.#removals.size > 0) await Promise.all(this.#removals)
  }

  /** An error of the disk, as ours. */
  error(action: string, cause: unknown): LogpipeError {
    return spillError(this.directory, action, cause)
  }

  async #setAside(segment: Segment): Promise<void> {
    const { directory, disk } = this
    await disk.rename(this.pathOf(segment), path.join(directory, asideName(segment.name)))
    const aside = (await disk.list(directory)).filter((name) => name.endsWith(ASIDE)).sort()
    for (const name of aside.slice(0, -ASIDE_MAX)) await disk.remove(path.join(directory, name))
    await disk.syncDirectory(directory)
  }

  async #remove(segment: Segment): Promise<void> {
    try {
      if (segment.isSetAside) await this.#setAside(segment)
      else await this.disk.remove(this.pathOf(segment))
      await removeStoredMark(this.disk, this.pathOf(segment))
      this.bytes -= segment.size
    } catch (error) {
      // Its bytes stay counted: they are on the disk. The next start deletes or resends it.
      this.events.trouble(`the spill cannot delete ${this.pathOf(segment)}: ${messageOf(error)}`)
    }
  }
}

/** A damaged segment that was set aside: no longer part of the spill, but kept for people. */
export function asideName(segmentName: string): string {
  return `${segmentName}${ASIDE}`
}

export function spillError(directory: string, action: string, cause: unknown): LogpipeError {
  if (cause instanceof LogpipeError) return cause
  const hint = ['EROFS', 'EACCES', 'EPERM'].includes(errorCode(cause))
    ? '; set ES_SPILL_PATH to a disk that this user can write to'
    : ''
  const message = `the spill in ${directory} cannot ${action}: ${messageOf(cause)}${hint}`
  return new LogpipeError('SPILL', message, { cause })
}

/*
 * The two small files of a spill directory: one line of JSON, and behind it a line with the line's
 * CRC-32 as 8 hexadecimal digits. A file whose checksum is wrong counts as absent.
 *
 *   manifest.json  {"format": 1, "pipeline": ..., "target": ..., "commitOn": "index" | "spill"}
 *   progress.json  {"segments": [[file name, ordinal], ...]}: entries below the ordinal are gone
 */

const MANIFEST = 'manifest.json'
const PROGRESS = 'progress.json'

const manifestSchema = z.object({
  format: z.number(),
  pipeline: z.string(),
  target: z.string(),
  commitOn: z.enum(['index', 'spill']),
})
const progressSchema = z.object({ segments: z.array(z.tuple([z.string(), z.number()])) })

/** The owner of a directory's documents, and whether their offsets are committed. */
export type Manifest = Readonly<z.infer<typeof manifestSchema>>

export async function loadManifest(disk: Disk, directory: string): Promise<Manifest | null> {
  return load(disk, path.join(directory, MANIFEST), manifestSchema)
}

export async function saveManifest(disk: Disk, directory: string, value: Manifest): Promise<void> {
  await disk.replace(path.join(directory, MANIFEST), encodeChecked(value))
}

/** How far each segment was sent: file name -> ordinal. Empty when nothing is known. */
export async function loadProgress(disk: Disk, directory: string): Promise<Map<string, number>> {
  const progress = await load(disk, path.join(directory, PROGRESS), progressSchema)
  return new Map(progress?.segments)
}

export async function saveProgress(
  disk: Disk,
  directory: string,
  segments: readonly (readonly [name: string, ordinal: number])[],
): Promise<void> {
  await disk.replace(path.join(directory, PROGRESS), encodeChecked({ segments }))
}

function encodeChecked(value: unknown): Buffer {
  const line = JSON.stringify(value)
  const checksum = crc32(line).toString(16).padStart(8, '0')
  return Buffer.from(`${line}\n${checksum}\n`)
}

async function load<T>(disk: Disk, file: string, schema: z.ZodType<T>): Promise<T | null> {
  const bytes = await disk.load(file)
  if (bytes === null) return null
  const [line = '', checksum = ''] = Buffer.from(bytes).toString('utf8').split('\n')
  if (crc32(line).toString(16).padStart(8, '0') !== checksum) return null
  const parsed = schema.safeParse(JSON.parse(line))
  return parsed.success ? parsed.data : null
}

/*
 * A segment's content when its last write ended, in a small file beside it: `NAME.stored`, the seal
 * block (format.ts) that would have ended the segment then. So the end of a segment cannot go
 * missing unnoticed: blocks that were cut off as a whole, or the seal, would leave no trace.
 *
 * Written over, behind each synced write, and not synced itself: after a crash of the machine it
 * may be older than the segment, or damaged, and then says nothing. It is a help and never a reason
 * to fail. Only under `--commit-on spill`: a cache is never read by a later process.
 */

const SUFFIX = '.stored'

export class StoredMark {
  readonly #file: DiskFile
  readonly #events: SpillEvents
  #hasFailed = false

  private constructor(file: DiskFile, events: SpillEvents) {
    this.#file = file
    this.#events = events
  }

  /** @param segmentPath the segment's file. @returns null when it cannot be made. */
  static async create(
    disk: Disk,
    segmentPath: string,
    events: SpillEvents,
  ): Promise<StoredMark | null> {
    try {
      return new StoredMark(await disk.open(markPath(segmentPath), 'create'), events)
    } catch (error) {
      events.trouble(`the spill cannot create ${markPath(segmentPath)}: ${messageOf(error)}`)
      return null
    }
  }

  /** @param seal as sealBlock makes it, of all that is synced. */
  async write(seal: Uint8Array): Promise<void> {
    if (this.#hasFailed) return
    try {
      await this.#file.write(seal, 0)
    } catch (error) {
      // Reported once for a segment: a full disk would fail every write.
      this.#hasFailed = true
      this.#events.trouble(`the spill cannot record what it stored: ${messageOf(error)}`)
    }
  }

  async close(): Promise<void> {
    try {
      await this.#file.close()
    } catch (error) {
      this.#events.trouble(`the spill cannot close a file: ${messageOf(error)}`)
    }
  }
}

/** The content of a segment's mark; null if there is none, or none that is intact. */
export async function loadStoredMark(
  disk: Disk,
  segmentPath: string,
  sync: Buffer,
): Promise<Ranges | null> {
  const loaded = await disk.load(markPath(segmentPath))
  if (loaded === null) return null
  const bytes = Buffer.from(loaded)
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length)
  const length = blockAt(bytes, view, 0, bytes.length, bytes.length, sync)
  if (length <= 0 || view.getUint16(16, true) !== KIND_SEAL) return null
  return readRanges(bytes, view, 0)
}

/** With its segment. */
export async function removeStoredMark(disk: Disk, segmentPath: string): Promise<void> {
  await disk.remove(markPath(segmentPath))
}

/** Removes marks whose segment is gone: a crash came between the two. */
export async function removeLoneMarks(
  disk: Disk,
  directory: string,
  segments: readonly { readonly name: string }[],
): Promise<void> {
  const known = new Set(segments.map(({ name }) => `${name}${SUFFIX}`))
  for (const name of await disk.list(directory)) {
    if (name.endsWith(SUFFIX) && !known.has(name)) await disk.remove(path.join(directory, name))
  }
}

function markPath(segmentPath: string): string {
  return `${segmentPath}${SUFFIX}`
}
