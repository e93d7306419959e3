/**
 * The snapshot of metrics that a pipeline writes once a second (RUNTIME_METRICS_PATH), as others
 * read it: the control plane on the same machine, and sync in the home of its child.
 */
import { open } from 'node:fs/promises'
import { METRIC_NAME, SNAPSHOT_METRICS_MAX } from './worker-wire.ts'

/** If the snapshot is older than this, its writer has stopped. */
const FRESH_MS = 10_000
/** A snapshot has some kilobytes. */
const BYTES_MAX = 262_144

export interface MetricsSnapshot {
  readonly atMs: number
  readonly metrics: Readonly<Record<string, number>>
}

/**
 * The finite numbers at the top of a fresh snapshot, SNAPSHOT_METRICS_MAX at most; undefined when
 * there is none, it is old, or it cannot be read.
 */
export async function readMetricsSnapshot(
  file: string,
  nowMs: number,
): Promise<MetricsSnapshot | undefined> {
  try {
    await using handle = await open(file)
    const { mtimeMs, size } = await handle.stat()
    if (size > BYTES_MAX || nowMs - mtimeMs > FRESH_MS) return undefined
    return { atMs: mtimeMs, metrics: numbersOf(JSON.parse(await handle.readFile('utf8'))) }
  } catch {
    // Nobody has to run a pipeline here; a snapshot cut short is replaced within the second.
    return undefined
  }
}

function numbersOf(snapshot: unknown): Record<string, number> {
  if (typeof snapshot !== 'object' || snapshot === null) return {}
  const numbers = Object.entries(snapshot).filter(
    (entry): entry is [string, number] => Number.isFinite(entry[1]) && METRIC_NAME.test(entry[0]),
  )
  return Object.fromEntries(numbers.slice(0, SNAPSHOT_METRICS_MAX))
}
