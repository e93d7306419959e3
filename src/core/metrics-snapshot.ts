/**
 * The snapshot of metrics that a pipeline writes once a second (RUNTIME_METRICS_PATH), as others
 * read it: the control plane on the same machine, and sync in the home of its child.
 */
import { constants } from 'node:fs'
import { open } from 'node:fs/promises'
import { type RunBooks, runBooksIn } from './live-books.ts'
import { type LogMetric, logMetricsIn } from './log-metric.ts'
import { type Trouble, troublesIn } from './trouble.ts'
import { METRIC_NAME, SNAPSHOT_METRICS_MAX } from './worker-wire.ts'

/** If the snapshot is older than this, its writer has stopped. */
const FRESH_MS = 10_000
/** A snapshot has some kilobytes; lags of many partitions and series of metrics make it larger. */
const BYTES_MAX = 524_288

export interface MetricsSnapshot {
  readonly atMs: number
  readonly metrics: Readonly<Record<string, number>>
  /** What keeps the pipeline from its work. */
  readonly troubles: readonly Trouble[]
  /** Null: an older version wrote it. */
  readonly books: RunBooks | null
  /** What is counted from the records, by label set. */
  readonly logMetrics: readonly LogMetric[]
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
    // Not blocking: a FIFO at this name would hold one of the few threads that read files.
    await using handle = await open(file, constants.O_RDONLY | constants.O_NONBLOCK)
    const found = await handle.stat()
    const { mtimeMs, size } = found
    if (!found.isFile() || size > BYTES_MAX || nowMs - mtimeMs > FRESH_MS) return undefined
    const snapshot: unknown = JSON.parse(await handle.readFile('utf8'))
    const given = Object(snapshot) as Readonly<Record<string, unknown>>
    const { troubles, books } = given
    return {
      atMs: mtimeMs,
      metrics: numbersOf(snapshot),
      troubles: troublesIn(troubles),
      books: runBooksIn(books),
      logMetrics: logMetricsIn(given['log_metrics']),
    }
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
