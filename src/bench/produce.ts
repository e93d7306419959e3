/**
 * `logpipe bench produce`: fills a topic with realistic lines, a known share of which match.
 *
 * The time counts from the first record until the brokers have confirmed the last (acks=all).
 */
import { type Clock, sleep } from '../core/clock.ts'
import { LogpipeError } from '../core/errors.ts'
import { type LogLines, makeLogLines } from '../core/log-lines.ts'
import { formatBytes } from '../core/units.ts'
import type { Admin } from '../kafka/admin.ts'
import type { KafkaClientSettings } from '../kafka/binding.ts'
import { feed, type FeedTotals } from '../kafka/feed.ts'
import type { BulkProducer } from '../kafka/producer.ts'
import type { ProcessUsage } from './process-usage.ts'
import { type BenchReport, makeReport } from './report.ts'

export interface ProduceSettings {
  /** BROKER, and the user's properties (compression.type and acks among them). */
  readonly kafka: KafkaClientSettings
  readonly topic: string
  /** Partitions of the topic if it has to be made. */
  readonly partitions: number
  /** The topic was just made with these partitions, and each is to get the same share. */
  readonly isMade?: boolean
  /** NUM_RECORDS. */
  readonly records: number
  /** RECORD_SIZE, exact. */
  readonly recordBytes: number
  /** THROUGHPUT, records a second; -1: no limit. */
  readonly throughput: number
  /** Share of records that contain ERROR. */
  readonly errorShare: number
  readonly seed: number
}

export interface ProduceDeps {
  readonly openAdmin: (settings: KafkaClientSettings) => Promise<Admin>
  readonly openProducer: (settings: KafkaClientSettings) => Promise<BulkProducer>
  readonly clock: Clock
  readonly usage: () => ProcessUsage
  /** Shows how far it is; called once a second. */
  readonly progress: (line: string) => void
  /** Ends it early; the report then has what was produced. */
  readonly signal: AbortSignal
}

const PROGRESS_MS = 1000
/** How long the brokers may take to confirm what is queued: 128 MiB at the speed of a slow disk. */
const FLUSH_MS_MAX = 60_000
/** How long a topic that was just made may stay unknown to the broker that is asked. */
const TOPIC_WAIT_MS_MAX = 10_000
const TOPIC_LOOK_MS = 100

/** @throws LogpipeError KAFKA_UNREACHABLE, KAFKA_AUTH, KAFKA_TOPIC, KAFKA_CONFIG, USAGE */
export async function benchProduce(
  settings: ProduceSettings,
  deps: ProduceDeps,
): Promise<BenchReport> {
  const { recordBytes, errorShare, seed } = settings
  const lines = makeLogLines({ seed, errorShare, recordBytes, multiLine: false })
  if (settings.isMade !== true) await unlessStopped(deps.signal, makeTopic(settings, deps))
  const producer = await deps.openProducer(settings.kafka)
  try {
    return await produceAll(settings, deps, lines, producer)
  } finally {
    await producer.close()
  }
}

async function produceAll(
  settings: ProduceSettings,
  deps: ProduceDeps,
  lines: LogLines,
  producer: BulkProducer,
): Promise<BenchReport> {
  const { clock } = deps
  const totals: FeedTotals = { records: 0, bytes: 0, matches: 0 }
  const startMs = clock.monotonicMs()
  const startUsage = deps.usage()
  const stopProgress = showProgress(settings, deps, totals)
  try {
    await feed(
      {
        producer,
        topic: settings.topic,
        partitionCount: settings.isMade === true ? settings.partitions : null,
        next(wallMs) {
          const line = lines.next(wallMs)
          return { bytes: line.bytes, key: null, isMatch: line.isError }
        },
        recordsMax: settings.records,
        recordsPerSecond: settings.throughput < 0 ? Infinity : settings.throughput,
        sentMax: () => Infinity,
        signal: deps.signal,
        clock,
      },
      totals,
    )
    await producer.flush(FLUSH_MS_MAX)
  } finally {
    stopProgress()
  }
  const usage = deps.usage()
  return makeReport({
    benchmark: 'produce',
    topic: settings.topic,
    profile: null,
    records: totals.records,
    bytes: totals.bytes,
    matched: totals.matches,
    seconds: (clock.monotonicMs() - startMs) / 1000,
    cpu_seconds: usage.cpuSeconds - startUsage.cpuSeconds,
    peak_rss_bytes: usage.peakRssBytes,
  })
}

/** What was asked for, or the end when it is asked for first: an answer may be long in coming. */
async function unlessStopped<T>(signal: AbortSignal, asked: Promise<T>): Promise<T> {
  const { promise: stopped, reject } = Promise.withResolvers<never>()
  const stop = () =>
    reject(new LogpipeError('KAFKA_UNREACHABLE', 'stopped before a broker answered'))
  if (signal.aborted) stop()
  signal.addEventListener('abort', stop, { once: true })
  try {
    return await Promise.race([asked, stopped])
  } finally {
    signal.removeEventListener('abort', stop)
  }
}

/** Makes the topic if there is none, and waits until it is known. */
async function makeTopic(settings: ProduceSettings, deps: ProduceDeps): Promise<void> {
  const { topic, partitions } = settings
  const admin = await deps.openAdmin(settings.kafka)
  try {
    if ((await admin.describeTopic(topic)) !== null) return
    await admin.createTopic({ topic, partitions, replicationFactor: null, config: {} })
    deps.progress(`created topic ${topic} with ${partitions} partitions`)
    const deadlineMs = deps.clock.monotonicMs() + TOPIC_WAIT_MS_MAX
    while ((await admin.describeTopic(topic)) === null) {
      if (deps.clock.monotonicMs() > deadlineMs) {
        const message = `topic "${topic}" was created but is unknown after ${TOPIC_WAIT_MS_MAX} ms`
        throw new LogpipeError('KAFKA_TOPIC', `${message}; try again`)
      }
      await sleep(deps.clock, TOPIC_LOOK_MS)
    }
  } finally {
    admin.close()
  }
}

/** @returns what ends it. */
function showProgress(
  settings: ProduceSettings,
  deps: ProduceDeps,
  totals: Readonly<FeedTotals>,
): () => void {
  let before: FeedTotals = { ...totals }
  let cancel = deps.clock.after(PROGRESS_MS, show)
  return () => cancel()

  function show(): void {
    const percent = ((totals.records / settings.records) * 100).toFixed(1)
    const records = totals.records - before.records
    const bytes = totals.bytes - before.bytes
    deps.progress(
      `produced=${totals.records} (${percent} %) | ${records} msg/s ${formatBytes(bytes)}/s`,
    )
    before = { ...totals }
    cancel = deps.clock.after(PROGRESS_MS, show)
  }
}
