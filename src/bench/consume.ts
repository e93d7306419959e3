/**
 * `logpipe bench consume`: the pipeline's own way of a record, without an output, as fast as it
 * goes.
 *
 * Nothing here reads records: the pipeline counts, this starts it, waits until enough was read or
 * the time is over, and reports.
 */
import { type Clock, sleep } from '../core/clock.ts'
import { LogpipeError } from '../core/errors.ts'
import type { ProcessUsage } from './process-usage.ts'
import { type BenchReport, makeReport } from './report.ts'

export interface ConsumeSettings {
  readonly topic: string
  readonly profile: string
  /** Ends after so many seconds; 0: no limit. */
  readonly runSeconds: number
  /** Ends when so many records were read (a batch more may be); Infinity: no limit. */
  readonly recordsMax: number
}

export interface ConsumeCounters {
  readonly records: number
  /** Bytes of the values. */
  readonly bytes: number
  readonly matched: number
  /** Time of the first and the latest record, monotonic; null before the first. */
  readonly firstRecordMs: number | null
  readonly lastRecordMs: number | null
  /** CPU time that the process used between the two. */
  readonly cpuSeconds: number
}

/** A running pipeline that counts and writes nothing. */
export interface ConsumePipeline {
  counters(): ConsumeCounters
  stop(): Promise<void>
  /** Settles when the pipeline has ended, by stop or by itself; rejects with its error. */
  readonly done: Promise<unknown>
}

export interface ConsumeDeps {
  readonly startPipeline: () => Promise<ConsumePipeline>
  readonly clock: Clock
  readonly usage: () => ProcessUsage
  readonly signal: AbortSignal
}

/** How often the count is looked at; the overshoot does not matter, since it is in the report. */
const LOOK_MS = 20

/** @throws LogpipeError NO_RECORDS when none came; whatever the pipeline throws. */
export async function benchConsume(
  settings: ConsumeSettings,
  deps: ConsumeDeps,
): Promise<BenchReport> {
  const { clock } = deps
  const startMs = clock.monotonicMs()
  const endMs = settings.runSeconds > 0 ? startMs + settings.runSeconds * 1000 : Infinity
  const pipeline = await deps.startPipeline()
  const ended = new AbortController()
  const end = () => ended.abort()
  pipeline.done.then(end, end)
  try {
    const stopped = AbortSignal.any([ended.signal, deps.signal])
    while (!stopped.aborted && clock.monotonicMs() < endMs) {
      if (pipeline.counters().records >= settings.recordsMax) break
      await sleep(clock, LOOK_MS)
    }
  } finally {
    await pipeline.stop()
  }
  await pipeline.done
  return reportOf(settings, pipeline.counters(), deps.usage().peakRssBytes)
}

function reportOf(
  settings: ConsumeSettings,
  counters: ConsumeCounters,
  peakRssBytes: number,
): BenchReport {
  const { firstRecordMs, lastRecordMs } = counters
  if (firstRecordMs === null || lastRecordMs === null) {
    throw noRecords(settings.topic)
  }
  return makeReport({
    benchmark: 'consume',
    topic: settings.topic,
    profile: settings.profile,
    records: counters.records,
    bytes: counters.bytes,
    matched: counters.matched,
    seconds: (lastRecordMs - firstRecordMs) / 1000,
    cpu_seconds: counters.cpuSeconds,
    peak_rss_bytes: peakRssBytes,
  })
}

export function noRecords(topic: string): LogpipeError {
  const message = `no record of topic "${topic}" arrived in the given time`
  const advice = `fill it with: logpipe bench produce --topic ${topic}`
  return new LogpipeError('NO_RECORDS', `${message}; ${advice}`)
}
