/**
 * What the writer and the reader of one spill directory share: the segments, oldest first, and what
 * they take of the disk. Deletes segments: the writer makes them, whoever ends them calls `retire`.
 */
import path from 'node:path'
import { LogpipeError, messageOf } from '../../core/errors.ts'
import type { SpillEvents } from './contract.ts'
import { errorCode, type Disk } from '../../core/disk.ts'
import type { Segment } from './segment.ts'
import { removeStoredMark, StoredMark } from './stored-mark.ts'

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
  /** What the segments take of the disk, or will once all that is encoded is written. */
  bytes = 0
  /** Deletions under way. */
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
    segment.size += bytes
    this.bytes += bytes
  }

  /** Deletes a segment when nothing can come of it any more; does nothing otherwise. */
  retire(segment: Segment): void {
    const isDone =
      segment.closed &&
      !segment.pinned &&
      segment.liveCount === 0 &&
      segment.unpublishedCount === 0 &&
      segment.readerCount === 0
    if (!isDone || segment.removed) return
    segment.removed = true
    this.segments.splice(this.segments.indexOf(segment), 1)
    const removal = this.#remove(segment)
    this.#removals.add(removal)
    void removal.finally(() => this.#removals.delete(removal))
  }

  /** Resolves when the deletions under way have ended. */
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
      if (segment.isKept) await this.#setAside(segment)
      else await this.disk.remove(this.pathOf(segment))
      await removeStoredMark(this.disk, this.pathOf(segment))
      this.bytes -= segment.size
    } catch (error) {
      // Its bytes stay counted: they are on the disk. The next start deletes or resends it.
      this.events.trouble(`the spill cannot delete ${this.pathOf(segment)}: ${messageOf(error)}`)
    }
  }
}

/** A damaged segment that was set aside: no longer of the spill, but there to be looked at. */
export function asideName(segmentName: string): string {
  return `${segmentName}${ASIDE}`
}

export function spillError(directory: string, action: string, cause: unknown): LogpipeError {
  if (cause instanceof LogpipeError) return cause
  const hint = ['EROFS', 'EACCES', 'EPERM'].includes(errorCode(cause))
    ? '; ES_SPILL_PATH must lie on a disk that this user can write'
    : ''
  const message = `the spill in ${directory} cannot ${action}: ${messageOf(cause)}${hint}`
  return new LogpipeError('SPILL', message, { cause })
}
