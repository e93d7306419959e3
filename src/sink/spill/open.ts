/**
 * Opens a spill directory: takes its lock, checks which pipeline it belongs to, and handles the
 * documents of an earlier process.
 *
 *   --commit-on index   the spill is a cache: leftovers are deleted, at the start and at the end;
 *                       Kafka still has them, because only indexed documents were committed
 *   --commit-on spill   leftovers are checked and sent first, whoever owns their partition
 *
 * A directory whose entries belong to another pipeline or target, or whose offsets are committed
 * (left under `spill`, opened under `index`), is refused: `logpipe spill drain` empties it.
 */
import path from 'node:path'
import { LogpipeError } from '../../core/errors.ts'
import type { Spill, SpillEvents } from './contract.ts'
import { nodeDisk, type Disk, type Locks } from '../../core/disk.ts'
import { FORMAT_VERSION, parseSegmentName } from './format.ts'
import { recoverSegment } from './recover.ts'
import type { SegmentFile } from './scan.ts'
import { DirectorySpill } from './spill.ts'
import {
  spillError,
  SpillStore,
  loadManifest,
  loadProgress,
  saveManifest,
  type Manifest,
  removeLoneMarks,
} from './directory.ts'

export interface SpillOptions {
  /** ES_SPILL_PATH. */
  readonly path: string
  /** ES_SPILL_MAX_BYTES. */
  readonly maxBytes: number
  readonly commitOn: 'index' | 'spill'
  /** Names the pipeline: topics and group, for example. Other content is another pipeline's. */
  readonly pipeline: string
  /** Names where documents go: cluster and index. */
  readonly target: string
  readonly locks: Locks
  readonly events: SpillEvents
  readonly disk?: Disk
}

/** The directory of ES_SPILL_PATH. */
export function spillDirectory(spillPath: string): string {
  return spillPath.endsWith('/') ? spillPath.slice(0, -1) : `${spillPath}.d`
}

/** The segments in a directory, oldest first. */
export async function listSegments(disk: Disk, directory: string): Promise<SegmentFile[]> {
  const names = await disk.list(directory)
  return names
    .flatMap((name) => {
      const parsed = parseSegmentName(name)
      return parsed === null ? [] : [{ name, ...parsed }]
    })
    .sort((left, right) => left.number - right.number)
}

/**
 * @throws LogpipeError LOCKED when another process uses the directory; SPILL when its content is
 * not ours, or the disk refuses.
 */
export async function openSpill(options: SpillOptions): Promise<Spill> {
  return open(options, true)
}

/** Opens whatever a directory holds, to empty it: nothing new is appended. */
export async function openSpillToDrain(
  options: Omit<SpillOptions, 'pipeline' | 'target' | 'commitOn' | 'maxBytes'>,
): Promise<DirectorySpill> {
  const unbounded = Number.POSITIVE_INFINITY
  const own = { pipeline: '', target: '', commitOn: 'spill', maxBytes: unbounded } as const
  return open({ ...options, ...own }, false)
}

async function open(options: SpillOptions, isOwner: boolean): Promise<DirectorySpill> {
  const disk = options.disk ?? nodeDisk
  const directory = spillDirectory(options.path)
  let lock: number | null
  try {
    await disk.makeDirectory(directory, 'own')
    lock = options.locks.lock(path.join(directory, 'lock'))
  } catch (error) {
    throw spillError(directory, 'be opened', error)
  }
  if (lock === null) {
    throw new LogpipeError(
      'LOCKED',
      `another process uses the spill in ${directory}; ` +
        'give each process its own ES_SPILL_PATH',
    )
  }
  const held = lock
  try {
    const store = new SpillStore(directory, disk, options.events, options.commitOn === 'index')
    return await load(store, options, isOwner, () => options.locks.unlock(held))
  } catch (error) {
    options.locks.unlock(held)
    throw spillError(directory, 'be opened', error)
  }
}

async function load(
  store: SpillStore,
  options: SpillOptions,
  isOwner: boolean,
  unlock: () => void,
): Promise<DirectorySpill> {
  const { disk, directory } = store
  const { pipeline, target, commitOn } = options
  const ours: Manifest = { format: FORMAT_VERSION, pipeline, target, commitOn }
  const found = await loadManifest(disk, directory)
  const files = await listSegments(disk, directory)
  const nextNumber = (files.at(-1)?.number ?? 0) + 1
  if (isOwner && files.length > 0) refuseForeign(directory, found, ours)
  const isCache = isOwner && (commitOn === 'index' || found?.commitOn === 'index')
  const recovered = []
  if (isCache) {
    for (const file of files) await disk.remove(path.join(directory, file.name))
  } else {
    const progress = await loadProgress(disk, directory)
    for (const file of files) {
      recovered.push(await recoverSegment(store, file, progress.get(file.name) ?? 0))
    }
  }
  await removeLoneMarks(disk, directory, isCache ? [] : files)
  await store.settled()
  if (isOwner && !isSame(found, ours)) await saveManifest(disk, directory, ours)
  return new DirectorySpill({
    store,
    maxBytes: options.maxBytes,
    nextNumber,
    recovered,
    isCache: commitOn === 'index',
    unlock,
  })
}

function isSame(found: Manifest | null, ours: Manifest): boolean {
  return found !== null && JSON.stringify(found) === JSON.stringify(ours)
}

function refuseForeign(directory: string, found: Manifest | null, ours: Manifest): void {
  const why = foreignness(found, ours)
  if (why === null) return
  throw new LogpipeError(
    'SPILL',
    `the spill in ${directory} holds documents, and ${why}; ` +
      'send them with `logpipe spill drain`, or set another ES_SPILL_PATH',
  )
}

function foreignness(found: Manifest | null, ours: Manifest): string | null {
  if (found === null) return 'its manifest.json is missing or damaged'
  if (found.format !== ours.format) {
    return `its format is version ${found.format}, but this logpipe writes version ${ours.format}`
  }
  if (found.pipeline !== ours.pipeline) {
    return `they belong to the pipeline "${found.pipeline}", not to "${ours.pipeline}"`
  }
  if (found.target !== ours.target) {
    return `they are for "${found.target}", not for "${ours.target}"`
  }
  if (found.commitOn === 'spill' && ours.commitOn === 'index') {
    return 'their offsets are committed (--commit-on spill), so --commit-on index would lose them'
  }
  return null
}
