/**
 * A Kafka inside this process, with a generator of log lines that feeds it: for `logpipe demo` and
 * for `logpipe run --embedded`.
 *
 * Bound. The embedded broker keeps 5 MiB or 100,000 records of a partition and then forgets the
 * oldest, read or not. So the generator stays at most LEAD_BYTES_MAX ahead of what was read, over
 * all partitions together: even if all of it lay in one, nothing would be forgotten.
 */
import type { Bridge } from '../bridge/bridge.ts'
import type { Clock } from '../core/clock.ts'
import { type LogLines, makeLogLines, NATURAL_LINE_BYTES_MAX } from '../core/log-lines.ts'
import type { KafkaConfig } from '../kafka/binding.ts'
import { feed, type FeedTotals } from '../kafka/feed.ts'
import type { BulkProducer, openBulkProducer } from '../kafka/producer.ts'

export interface EmbeddedSettings {
  readonly topic: string
  readonly partitionCount: number
  /** Lines a second; Infinity: as fast as they are read. */
  readonly recordsPerSecond: number
  /** Share of lines with ERROR in them, 0 to 1. */
  readonly errorShare: number
  /** Bytes of each line; null: as they come. At most LEAD_BYTES_MAX. */
  readonly recordBytes: number | null
  readonly seed: number
  /** A line that contains one of these counts as a match. */
  readonly patterns: readonly Uint8Array[]
}

export interface EmbeddedDeps {
  readonly bridge: Pick<Bridge, 'mockOpen' | 'mockClose'>
  readonly clock: Clock
  readonly openProducer: typeof openBulkProducer
}

export interface Embedded {
  /** Where the broker listens, on loopback, at a port of the system's choice. */
  readonly brokers: string
  /** What was produced so far. */
  readonly totals: Readonly<FeedTotals>
  /**
   * Produces until the signal is aborted; returns when the broker has everything.
   * @param fetched says how many records were read by now.
   */
  feed(fetched: () => number, signal: AbortSignal): Promise<void>
  /** Idempotent. */
  close(): Promise<void>
}

/** Four fifths of what one partition of the embedded broker keeps. */
const LEAD_BYTES_MAX = 4 * 1024 * 1024
/** Half of the records that one partition of the embedded broker keeps. */
const LEAD_RECORDS_MAX = 50_000
/** The broker is in this process: an answer that takes longer is no answer. */
const TIMEOUT_MS = 10_000

/**
 * Properties for whoever reads from the embedded broker; they go below the user's own. It is a
 * mock, and keeps to the clock where a broker would not wait.
 */
export const EMBEDDED_KAFKA_CONFIG: KafkaConfig = [
  // A fetch that finds nothing is answered when its time is over, though records came meanwhile.
  ['fetch.wait.max.ms', '10'],
  // Once a member joins, it waits for the session's time less a second, whoever has joined by then.
  ['session.timeout.ms', '3000'],
  ['heartbeat.interval.ms', '500'],
]

/** @throws LogpipeError of the producer; what the bridge throws when the broker cannot be made. */
export async function openEmbedded(
  settings: EmbeddedSettings,
  deps: EmbeddedDeps,
): Promise<Embedded> {
  const { bridge, clock } = deps
  const { topic, partitionCount } = settings
  const lines = makeLogLines({ ...settings, multiLine: true })
  const mock = bridge.mockOpen({ brokerCount: 1, topics: [{ topic, partitions: partitionCount }] })
  let producer: BulkProducer
  try {
    const config = { brokers: mock.bootstrapServers, config: [], timeoutMs: TIMEOUT_MS }
    producer = await deps.openProducer(config)
  } catch (error) {
    bridge.mockClose(mock.id)
    throw error
  }
  const totals: FeedTotals = { records: 0, bytes: 0, matches: 0 }
  const patterns = settings.patterns.map((pattern) => Buffer.from(pattern))
  const lead = leadRecords(settings.recordBytes)
  let closing: Promise<void> | null = null

  return {
    brokers: mock.bootstrapServers,
    totals,
    async feed(fetched, signal) {
      await feed(
        {
          producer,
          topic,
          partitionCount,
          next: (wallMs) => nextRecord(lines, patterns, wallMs),
          recordsMax: Infinity,
          recordsPerSecond: settings.recordsPerSecond,
          sentMax: () => fetched() + lead,
          signal,
          clock,
        },
        totals,
      )
      await producer.flush(TIMEOUT_MS)
    },
    close: () => (closing ??= producer.close().then(() => bridge.mockClose(mock.id))),
  }
}

/** How many records of this size, at most, may lie unread. */
export function leadRecords(recordBytes: number | null): number {
  const bytes = recordBytes ?? NATURAL_LINE_BYTES_MAX
  return Math.max(1, Math.min(LEAD_RECORDS_MAX, Math.floor(LEAD_BYTES_MAX / Math.max(1, bytes))))
}

function nextRecord(lines: LogLines, patterns: readonly Buffer[], wallMs: number) {
  const { bytes, service } = lines.next(wallMs)
  return { bytes, key: service, isMatch: patterns.some((pattern) => bytes.includes(pattern)) }
}
