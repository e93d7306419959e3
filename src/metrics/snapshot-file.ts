/**
 * RUNTIME_METRICS_PATH: the metrics as one JSON object, once a second, for whoever reads files. It
 * is flat but for the metrics of partitions, `kafka_partition_lag` and its like: each is {topic:
 * {partition: value}}.
 *
 * Atomic: written to a file beside it, then renamed, so a reader never sees half of one. Readable
 * by all (0644): it holds counts, `books` and what is wrong (`troubles`), no record. What cannot be
 * written (a full disk) is no reason to stop a pipeline: that is told once, and its end once.
 *
 * Bound. One write at a time; a second in which the last one has not ended is skipped.
 */
import { mkdir, rename, rm, writeFile } from 'node:fs/promises'
import path from 'node:path'
import type { Clock } from '../core/clock.ts'
import type { RunBooks } from '../core/live-books.ts'
import { type LogMetric, totalsByName, withinReport } from '../core/log-metric.ts'
import type { Trouble } from '../core/trouble.ts'
import { PATTERN_METRIC, type PatternCount } from './pattern-counts.ts'
import { LogpipeError, messageOf } from '../core/errors.ts'
import { PARTITION_METRICS, type PartitionLag, type RuntimeMetrics } from './runtime-metrics.ts'

export interface SnapshotFileOptions {
  readonly path: string
  readonly read: () => RuntimeMetrics
  /** The furthest behind first. */
  readonly partitionLags: () => readonly PartitionLag[]
  /** Of the metrics product line. */
  readonly patternCounts?: () => readonly PatternCount[]
  /** What is counted beside the output: their sums, and by label set under `log_metrics`. */
  readonly logMetrics?: () => readonly LogMetric[]
  /** Where its records went; `run` tells one process from another. */
  readonly books?: () => RunBooks
  /** What keeps the pipeline from its work now. */
  readonly troubles?: () => readonly Trouble[]
  readonly clock: Clock
  /** Told when writing begins to fail, and with null when it works again. */
  readonly onTrouble: (trouble: string | null) => void
}

export interface SnapshotFile {
  /** Writes a last time and ends. Idempotent; does not reject. */
  close(): Promise<void>
}

const EVERY_MS = 1000
const MODE = 0o644
/**
 * Keeps the file below the 256 KiB that its readers take, however long the topics' names: four
 * metrics of at most 249 bytes of topic and 40 of number and value.
 */
const PARTITIONS_MAX = 200
/** Of the metrics product line; /metrics has all. */
const SERIES_MAX = 1000

/**
 * Writes the first snapshot, then one each second.
 * @throws LogpipeError OUTPUT_OPEN when the first cannot be written: the path is wrong, not the
 * moment.
 */
export async function openSnapshotFile(options: SnapshotFileOptions): Promise<SnapshotFile> {
  const { clock } = options
  try {
    await mkdir(path.dirname(options.path), { recursive: true })
    await writeAtomically(options.path, snapshotJson(options))
  } catch (cause) {
    const message = `cannot write RUNTIME_METRICS_PATH ${options.path}: ${messageOf(cause)}`
    throw new LogpipeError('OUTPUT_OPEN', message, { cause })
  }

  let isInTrouble = false
  let writing: Promise<void> | null = null
  let closing: Promise<void> | null = null
  let cancel = clock.after(EVERY_MS, tick)
  return {
    close() {
      cancel()
      return (closing ??= Promise.resolve(writing).then(write))
    },
  }

  function tick(): void {
    cancel = clock.after(EVERY_MS, tick)
    writing ??= write().finally(() => {
      writing = null
    })
  }

  async function write(): Promise<void> {
    try {
      await writeAtomically(options.path, snapshotJson(options))
      if (isInTrouble) options.onTrouble(null)
      isInTrouble = false
    } catch (error) {
      if (!isInTrouble) options.onTrouble(`cannot write ${options.path}: ${messageOf(error)}`)
      isInTrouble = true
    }
  }
}

/** Numbers, when they were read, and what is wrong; what is not known is left out. */
function snapshotJson(options: SnapshotFileOptions): string {
  const { read, partitionLags, patternCounts, books, troubles, clock } = options
  const metrics = options.logMetrics?.() ?? []
  const known = Object.entries({ ...read(), ...totalsByName(metrics) }).filter(
    ([, value]) => value !== null,
  )
  const at = new Date(clock.wallMs()).toISOString()
  const lags = partitionLags().slice(0, PARTITIONS_MAX)
  const nested = Object.entries(PARTITION_METRICS)
    .map(([name, { of }]): readonly [string, object] => [name, byTopic(lags, of)])
    .filter(([, values]) => Object.keys(values).length > 0)
  const counts = patternCounts?.() ?? []
  if (counts.length > 0) nested.push([PATTERN_METRIC, byPattern(counts.slice(0, SERIES_MAX))])
  const state = {
    ...(books === undefined ? {} : { books: books() }),
    ...(troubles === undefined ? {} : { troubles: troubles() }),
    ...(metrics.length === 0 ? {} : { log_metrics: withinReport(metrics) }),
  }
  return `${JSON.stringify({ at, ...Object.fromEntries([...known, ...nested]), ...state })}\n`
}

type ByTopic = Readonly<Record<string, Readonly<Record<string, number>>>>

function byPattern(counts: readonly PatternCount[]): Readonly<Record<string, ByTopic>> {
  const patterns = Map.groupBy(counts, ({ pattern }) => pattern)
  return Object.fromEntries(
    [...patterns].map(([pattern, own]) => [pattern, byTopic(own, ({ count }) => count)]),
  )
}

/** Names come from Kafka: `__proto__` is one, which only fromEntries takes for what it is. */
function byTopic<Row extends { readonly topic: string; readonly partition: number }>(
  rows: readonly Row[],
  of: (row: Row) => number | null,
): ByTopic {
  const known = rows.flatMap((row) => {
    const value = of(row)
    return value === null ? [] : [{ topic: row.topic, partition: row.partition, value }]
  })
  return Object.fromEntries(
    [...Map.groupBy(known, ({ topic }) => topic)].map(([topic, own]) => [
      topic,
      Object.fromEntries(own.map(({ partition, value }) => [partition, value])),
    ]),
  )
}

async function writeAtomically(file: string, text: string): Promise<void> {
  // The pid: two processes that were given one path do not write into each other's half.
  const half = `${file}.${process.pid}.tmp`
  try {
    // Made anew: a link at this name, which others may foresee, would lead to another file.
    await rm(half, { force: true })
    await writeFile(half, text, { mode: MODE, flag: 'wx' })
    await rename(half, file)
  } catch (error) {
    await rm(half, { force: true }).catch(() => {
      // The failure that brought us here is what counts.
    })
    throw error
  }
}
