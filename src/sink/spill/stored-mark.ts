/**
 * What a segment held when its last write ended, in a small file beside it: `NAME.stored`, the very
 * seal block (format.ts) that would have ended the segment then. So the end of a segment cannot go
 * missing unnoticed: whole blocks that were cut off would leave no trace, or the seal itself.
 *
 * Written over, behind each synced write, and not synced itself: after a crash of the machine it
 * may be older than the segment, or damaged, and then says nothing. It is a help and never a reason
 * to fail. Only under `--commit-on spill`: a cache is never read by a later process.
 */
import path from 'node:path'
import { messageOf } from '../../core/errors.ts'
import type { Disk, DiskFile } from '../../core/disk.ts'
import type { SpillEvents } from './contract.ts'
import { blockAt, KIND_SEAL, readRanges, type Ranges } from './format.ts'

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
      events.trouble(`the spill cannot make ${markPath(segmentPath)}: ${messageOf(error)}`)
      return null
    }
  }

  /** @param seal as sealBlock makes it, of all that is synced. */
  async write(seal: Uint8Array): Promise<void> {
    if (this.#hasFailed) return
    try {
      await this.#file.write(seal, 0)
    } catch (error) {
      // Told once for a segment: a full disk would say it with every write.
      this.#hasFailed = true
      this.#events.trouble(`the spill cannot note what it stored: ${messageOf(error)}`)
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

/** What the mark of a segment says; null when there is none, or none that is intact. */
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
