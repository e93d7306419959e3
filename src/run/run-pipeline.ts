/**
 * A pipeline from start to end, with everything a person or a machine sees of it: the two lines of
 * each second, the snapshot file, the summary with the books. `logpipe run`, the demo and the tests
 * call it.
 */
import { randomUUID } from 'node:crypto'
import { type Clock, sleep, systemClock } from '../core/clock.ts'
import { LogpipeError } from '../core/errors.ts'
import { totalsByName } from '../core/log-metric.ts'
import type { Log } from '../core/log.ts'
import { formatBytes, formatDuration } from '../core/units.ts'
import type { MatchedBatch } from '../filter/matches.ts'
import type { Fault, MetricsServer } from '../metrics/metrics-server.ts'
import { totalsOf } from '../metrics/pattern-counts.ts'
import type { RuntimeMetrics } from '../metrics/runtime-metrics.ts'
import { openSnapshotFile, type SnapshotFile } from '../metrics/snapshot-file.ts'
import { booksJson, renderBooks } from '../offsets/books-text.ts'
import type { ListenAddress } from '../options/notations.ts'
import { isFull } from '../core/disk.ts'
import { RedatedNotice } from './notices.ts'
import { Pipeline } from './pipeline.ts'
import { headline, Phases, phaseText } from './phases.ts'
import type { PipelineSettings } from './settings.ts'
import { type PipelineResult, type PipelineStats, statusLines, statusOf } from './status.ts'

const STATUS_EVERY_MS = 1000
/** Between two looks at a full disk. */
const ROOM_EVERY_MS = 5000
/** A line a minute. */
const ROOM_ATTEMPTS_TOLD = 12

export interface RunDeps {
  readonly log: Log
  /** Aborted: the pipeline drains and ends. */
  readonly signal: AbortSignal
  /** RUNTIME_METRICS_PATH; null: none. */
  readonly snapshotPath: string | null
  /** METRICS_LISTEN; null: off. */
  readonly metricsListen: ListenAddress | null
  /** Called with the pipeline as soon as it runs. */
  readonly onStart?: (pipeline: Pipeline) => void
  /** Sees every batch of matches before it is written: for the live tail. */
  readonly onMatched?: ((batch: MatchedBatch) => void) | undefined
}

/**
 * Runs until the time is up, the signal, an error, or a closed output.
 * @returns the exit status by the books: 0 done, 1 something pending, 3 lost or out of balance.
 * @throws LogpipeError with which the pipeline ended (a closed pipe is none).
 */
export async function runPipeline(settings: PipelineSettings, deps: RunDeps): Promise<number> {
  const { log, metricsListen } = deps
  const startedMs = performance.now()
  let pipeline: Pipeline | null = null
  const view = (): PipelineView | null => {
    if (pipeline === null) return null
    const stats = pipeline.stats()
    return { stats, metrics: runtimeMetrics(stats, performance.now() - startedMs) }
  }
  // Before the group is joined, so that a port in use costs nobody a rebalance.
  const endpoint = metricsListen === null ? null : await openEndpoint(metricsListen, log, view)
  try {
    const open = () => Pipeline.start(settings, { log, onMatched: deps.onMatched })
    const { signal } = deps
    const warn = (message: string) => log.warn(message)
    const room = { signal, warn, clock: systemClock }
    pipeline = settings.waits ? await openWithRoom(open, room) : await open()
    if (pipeline === null) return 0
    return conclude(await runStarted(pipeline, startedMs, deps), log)
  } finally {
    await endpoint?.close()
  }
}

interface RoomWait {
  readonly signal: AbortSignal
  readonly warn: (message: string) => void
  readonly clock: Clock
}

/**
 * Opens what needs a disk, again while that is full: somebody makes room, or an outage ends and
 * spills are sent.
 * @returns null when it was stopped meanwhile.
 */
export async function openWithRoom<Opened>(
  open: () => Promise<Opened>,
  { signal, warn, clock }: RoomWait,
): Promise<Opened | null> {
  for (let attempt = 0; ; attempt++) {
    try {
      return await open()
    } catch (error) {
      if (!(error instanceof LogpipeError) || !isForRoom(error)) throw error
      if (attempt % ROOM_ATTEMPTS_TOLD === 0) warn(`${error.message}; retrying until there is room`)
      await sleep(clock, ROOM_EVERY_MS, signal)
      if (signal.aborted) return null
    }
  }
}

/** Whether a full disk, or a quota, is at the bottom of an error. */
function isForRoom(error: Error): boolean {
  if (isFull(error)) return true
  return error.cause instanceof Error && isForRoom(error.cause)
}

/** Waits for the end of a pipeline, and shows it meanwhile. */
async function runStarted(
  pipeline: Pipeline,
  startedMs: number,
  { log, signal, snapshotPath, onStart }: RunDeps,
): Promise<PipelineResult> {
  const stop = () => pipeline.stop()
  signal.addEventListener('abort', stop)
  if (signal.aborted) stop()
  onStart?.(pipeline)
  let snapshot: SnapshotFile | null = null
  const run = randomUUID()
  const status = statusTicker(pipeline, log)
  try {
    if (snapshotPath !== null) {
      snapshot = await openSnapshotFile({
        path: snapshotPath,
        clock: systemClock,
        read: () => runtimeMetrics(pipeline.stats(), performance.now() - startedMs),
        partitionLags: () => pipeline.stats().lag.partitions,
        books: () => ({ run, entries: pipeline.stats().books }),
        troubles: () => pipeline.stats().troubles,
        patternCounts: () => pipeline.stats().patternCounts,
        logMetrics: () => pipeline.stats().logMetrics,
        onTrouble: (trouble) =>
          log.warn(trouble === null ? 'writing the metrics snapshot works again' : trouble),
      })
    }
  } catch (thrown) {
    pipeline.fail(thrown as Error)
  }
  const result = await pipeline.done
  status.stop()
  signal.removeEventListener('abort', stop)
  await snapshot?.close()
  return result
}

/** The summary, and the exit status or the error that the result stands for. */
function conclude(result: PipelineResult, log: Log): number {
  const { statement, stats, pendingRecords, isOutputBusy, error, seconds } = result
  const closedPipe = error?.code === 'OUTPUT_CLOSED'
  // An error before anything was read has no books to show.
  if (!closedPipe && (error === null || stats.counters.records > 0)) {
    const { records, bytes, matched } = stats.counters
    const rate = `${Math.round(records / Math.max(seconds, 0.001))} msg/s`
    log.settle()
    log.info(
      `read ${records} records (${formatBytes(bytes)}) in ${formatDuration(seconds * 1000)}, ` +
        `${rate}; ${matched} matched`,
      { books: booksJson(statement) },
    )
    log.lines(renderBooks(statement))
  }
  if (closedPipe) return 0
  if (error !== null) throw error
  if (statement.exitStatus === 3) return 3
  if (pendingRecords > 0) {
    const why = stats.sink.trouble === null ? '' : ` (${stats.sink.trouble})`
    const what = `${pendingRecords} records were read but not settled before the deadline${why}`
    const then = 'their offsets are not committed, and the next start reads them again'
    const advice = 'raise SHUTDOWN_DEADLINE_MS to allow more time'
    throw new LogpipeError('DEADLINE', `${what}; ${then} (${advice})`)
  }
  if (isOutputBusy) {
    const what = 'not all damaged spill records were re-read from Kafka before the deadline'
    throw new LogpipeError('DEADLINE', `${what}; the next start continues`)
  }
  return 0
}

function statusTicker(pipeline: Pipeline, log: Log): { stop(): void } {
  let before = pipeline.stats()
  let beforeMs = performance.now()
  const redated = new RedatedNotice(log)
  const phases = new Phases()
  const timer = setInterval(() => {
    const now = pipeline.stats()
    const nowMs = performance.now()
    const status = statusOf({
      slots: now.slots,
      now: now.counters,
      before: before.counters,
      elapsedMs: nowMs - beforeMs,
      sink: now.sink,
      sinkBefore: before.sink,
      counted: totalsOf(now.patternCounts),
      countedBefore: totalsOf(before.patternCounts),
      metrics: totalsByName(now.logMetrics),
      metricsBefore: totalsByName(before.logMetrics),
      lag: now.lag,
      waiting: now.waiting,
      stuck: now.stuck,
      replayRecords: now.replayRecords,
    })
    const { reading, lag, troubles, isStopping } = now
    const { polled_per_second: recordsPerSecond } = status
    const look = phases.look({ reading, lag: lag.total, recordsPerSecond }, nowMs)
    const phase = look?.phase ?? null
    if (look?.isNew === true && !isStopping) log.info(phaseText(look.phase, status), { phase })
    log.status(statusLines(status), { phase, ...status }, headline(phase, status, troubles))
    redated.look(now.counters.redated, nowMs)
    before = now
    beforeMs = nowMs
  }, STATUS_EVERY_MS)
  return { stop: () => clearInterval(timer) }
}

function runtimeMetrics(stats: PipelineStats, uptimeMs: number): RuntimeMetrics {
  const { counters, slots, sink, lag } = stats
  return {
    polled_total: counters.records,
    polled_bytes_total: counters.bytes,
    matched_total: counters.matched,
    drop_filter_total: counters.filtered,
    written_total: sink.writtenDocuments,
    written_bytes_total: sink.writtenBytes,
    dropped_total: counters.dropped,
    fenced_total: stats.fenced,
    dead_letters_total: stats.deadLetters,
    pipeline_dropped_total: stats.pipelineDropped,
    es_index_redated_total: counters.redated,
    retries_total: sink.retries,
    es_429_proxy_rejected_total: sink.rejected429,
    es_mem_queue_len: sink.queuedDocuments,
    es_mem_queue_bytes: sink.queuedBytes,
    es_spill_queue_bytes: sink.spillBytes,
    kafka_lag: lag.total?.lagRecords ?? null,
    kafka_lag_bytes: lag.total?.lagBytes ?? null,
    kafka_lag_seconds: lag.total?.lagSeconds ?? null,
    kafka_lag_drain_seconds: lag.total?.drainSeconds ?? null,
    kafka_waiting_partitions: stats.waiting.length,
    kafka_stuck_partitions: stats.stuck.length,
    es_spill_drain_seconds: lag.spillDrainSeconds,
    pool_free: slots.free,
    pool_ready: slots.ready,
    pool_in_flight: slots.filling + slots.filtering,
    pool_total: slots.free + slots.filling + slots.ready + slots.filtering,
    uptime_seconds: Math.round(uptimeMs / 100) / 10,
  }
}

/*
 * METRICS_LISTEN: what a running pipeline tells Prometheus and the probes of a scheduler.
 */

/** A pipeline at one moment. */
interface PipelineView {
  readonly stats: PipelineStats
  readonly metrics: RuntimeMetrics
}

/**
 * @param view null until the pipeline has started.
 * @throws LogpipeError LISTEN.
 */
export async function openEndpoint(
  address: ListenAddress,
  log: Log,
  view: () => PipelineView | null,
): Promise<MetricsServer> {
  // Not before it is asked for: the packages behind it would make every start 30 ms longer.
  const { openMetricsServer } = await import('../metrics/metrics-server.ts')
  const { prometheusText } = await import('../metrics/prometheus.ts')
  const server = await openMetricsServer({
    address,
    metrics: async () => {
      const now = view()
      if (now === null) return ''
      const { lag, patternCounts, logMetrics, ruleCounts, troubles, books } = now.stats
      const counts = { patternCounts, logMetrics, ruleCounts }
      const more = { lags: lag.partitions, ...counts, troubles, books }
      return prometheusText(now.metrics, {}, more)
    },
    faults: () => faultsOf(view()?.stats ?? null),
    warn: (message) => log.warn(message),
  })
  log.info(`metrics at ${server.url}`)
  return server
}

/** What is down; none: the pipeline does its work. @param stats null until it has started. */
export function faultsOf(
  stats: Pick<
    PipelineStats,
    'groupFault' | 'canReachKafka' | 'waiting' | 'isStopping' | 'sink'
  > | null,
): readonly Fault[] {
  if (stats === null) return ['starting']
  const faults: readonly (readonly [Fault, boolean])[] = [
    ['stopping', stats.isStopping],
    ['group', stats.groupFault !== null],
    ['brokers', !stats.canReachKafka],
    ['partitions', stats.waiting.length > 0],
    ['output', stats.sink.trouble !== null],
  ]
  return faults.flatMap(([fault, isSo]) => (isSo ? [fault] : []))
}
