/**
 * The functions behind `logpipe spill ls | verify | drain`.
 *
 * `inspectSpill` only reads and takes no lock, so it works beside a running process. A block that
 * the process is writing looks torn, so damage counts only if `inUse` is false or it is not at the
 * end.
 */
import path from 'node:path'
import type { SourceRange, SpillDamage, SpillEvents, StoredEntry } from './contract.ts'
import { nodeDisk, type Disk, type Locks } from '../../core/disk.ts'
import { listSegments, openSpillToDrain, spillDirectory } from './open.ts'
import { scanSegment, type SegmentFile } from './scan.ts'
import {
  spillError,
  loadManifest,
  loadProgress,
  type Manifest,
  loadStoredMark,
} from './directory.ts'

export interface InspectedSegment {
  readonly file: string
  readonly bytes: number
  /** Intact entries, sent ones too. */
  readonly entryCount: number
  /** Entries below this ordinal were sent (as far as the progress was saved). */
  readonly sentBelow: number
  /** Whether its writer finished it. */
  readonly sealed: boolean
  /** Set when a later version wrote it; then the rest is empty. */
  readonly foreignVersion: number | null
  readonly ranges: readonly SourceRange[]
  readonly damage: readonly SpillDamage[]
}

export interface InspectedSpill {
  readonly directory: string
  /** Null when it is missing or damaged. */
  readonly manifest: Manifest | null
  readonly inUse: boolean
  /** Oldest first. */
  readonly segments: readonly InspectedSegment[]
  readonly bytes: number
  readonly entryCount: number
  /** The findings of `verify`, which exits non-zero if there is any. */
  readonly damage: readonly SpillDamage[]
}

export interface InspectOptions {
  /** ES_SPILL_PATH. */
  readonly path: string
  readonly locks: Locks
  readonly disk?: Disk
}

/**
 * Reads all of a spill directory and checks every checksum: for `ls` and for `verify`.
 * @throws LogpipeError SPILL when it cannot be read.
 */
export async function inspectSpill(options: InspectOptions): Promise<InspectedSpill> {
  const disk = options.disk ?? nodeDisk
  const directory = spillDirectory(options.path)
  try {
    return await inspect(disk, directory, options.locks)
  } catch (error) {
    throw spillError(directory, 'be read', error)
  }
}

async function inspect(disk: Disk, directory: string, locks: Locks): Promise<InspectedSpill> {
  const files = await listSegments(disk, directory)
  const manifest = await loadManifest(disk, directory)
  const progress = await loadProgress(disk, directory)
  const inUse = files.length > 0 && isLocked(directory, locks)
  const segments: InspectedSegment[] = []
  for (const file of files) {
    const segment = await inspectSegment(disk, directory, file, progress.get(file.name) ?? 0)
    if (segment !== null) segments.push(segment)
  }
  return {
    directory,
    manifest,
    inUse,
    segments,
    bytes: segments.reduce((sum, segment) => sum + segment.bytes, 0),
    entryCount: segments.reduce((sum, segment) => sum + segment.entryCount, 0),
    damage: segments.flatMap(({ damage }) => damage.filter((one) => !(inUse && one.torn))),
  }
}

async function inspectSegment(
  disk: Disk,
  directory: string,
  file: SegmentFile,
  sentBelow: number,
): Promise<InspectedSegment | null> {
  let handle
  try {
    handle = await disk.open(path.join(directory, file.name), 'read')
  } catch (error) {
    // The running process has deleted it meanwhile.
    if ((await disk.list(directory)).includes(file.name)) throw error
    return null
  }
  try {
    const stored = await loadStoredMark(disk, path.join(directory, file.name), file.sync)
    const scan = await scanSegment(handle, file, await handle.size(), stored)
    const { bytes, entryCount, sealed, foreignVersion, ranges, damage } = scan
    return { file: file.name, bytes, entryCount, sentBelow, sealed, foreignVersion, ranges, damage }
  } finally {
    await handle.close()
  }
}

function isLocked(directory: string, locks: Locks): boolean {
  const lock = locks.lock(path.join(directory, 'lock'))
  if (lock === null) return true
  locks.unlock(lock)
  return false
}

export interface DrainOptions extends InspectOptions {
  readonly events: SpillEvents
  /** Bytes of documents handed over at a time. */
  readonly batchBytes: number
  /** Of each entry, whether it is taken (or a dead letter); one that is not stays. */
  readonly send: (entries: readonly StoredEntry[]) => Promise<readonly boolean[]>
  /** Whether entries for this index may be taken. */
  readonly accepts: (index: string) => boolean
  /** Aborted: no further call of `send`. */
  readonly signal: AbortSignal
}

export interface DrainResult {
  readonly sentCount: number
  /** Entries still there. */
  readonly leftCount: number
  /** Entries that cannot be read any more, for the operator to read again from Kafka. */
  readonly damage: readonly SpillDamage[]
  /** Damaged segments, out of the way of the next drain. None until all were read. */
  readonly setAside: readonly string[]
}

/**
 * Sends the entries of a directory, oldest first, whoever owns them, and deletes those sent. The
 * next call begins with the rest; damage is reported once, and its segments are set aside.
 * @throws LogpipeError LOCKED or SPILL, or the error of `send`; entries sent before stay sent.
 */
export async function drainSpill(options: DrainOptions): Promise<DrainResult> {
  const damage: SpillDamage[] = []
  const events: SpillEvents = {
    damaged: (one) => {
      damage.push(one)
      options.events.damaged(one)
    },
    trouble: (message) => options.events.trouble(message),
  }
  const { path: spillPath, locks, disk, signal, accepts } = options
  const spill = await openSpillToDrain({
    path: spillPath,
    locks,
    events,
    ...(disk === undefined ? {} : { disk }),
  })
  try {
    damage.push(...spill.damageAtOpen)
    let sentCount = 0
    const left: StoredEntry[] = []
    while (!signal.aborted) {
      const entries = await spill.read(options.batchBytes, accepts)
      if (entries.length === 0) break
      const taken = await options.send(entries)
      const done = entries.filter((_, index) => taken[index] === true)
      spill.release(done)
      sentCount += done.length
      if (done.length < entries.length) keep(entries.filter((_, index) => taken[index] !== true))
    }
    spill.unread(left)
    // All was read, so all damage is known, and in this result.
    const damaged = new Set(damage.filter(({ torn }) => !torn).map(({ file }) => file))
    const setAside = await spill.putAway(signal.aborted ? null : damaged)
    return { sentCount, leftCount: spill.entryCount, damage, setAside }

    /** Those of indices that are not asked again wait; others stay in hand, without their bytes. */
    function keep(entries: readonly StoredEntry[]): void {
      spill.unread(entries.filter(({ index }) => !accepts(index)))
      for (const entry of entries.filter(({ index }) => accepts(index))) {
        entry.document = NO_BYTES
        left.push(entry)
      }
    }
  } finally {
    await spill.close()
  }
}

const NO_BYTES = new Uint8Array(0)
