/**
 * The Elasticsearch output with all that belongs to it: the spill, the dead letters, and their end.
 *
 * Opened before the pipeline starts and closed behind the sink, in reverse order.
 */
import type { Bridge } from '../bridge/bridge.ts'
import { systemClock } from '../core/clock.ts'
import { openProducer, type Producer } from '../kafka/producer.ts'
import type { PatternCount } from '../metrics/pattern-counts.ts'
import type { Books } from '../offsets/books.ts'
import type { DeadLetterTarget } from '../options/notations.ts'
import type { CreditLimits } from '../pool/signals.ts'
import type { OpenDeadLetters } from '../sink/dead-letters/contract.ts'
import { openFileDeadLetters } from '../sink/dead-letters/file-dead-letters.ts'
import { openTopicDeadLetters } from '../sink/dead-letters/topic-dead-letters.ts'
import type { Locks } from '../core/disk.ts'
import { ElasticsearchSink } from '../sink/elasticsearch/elasticsearch-sink.ts'
import type { ElasticsearchSettings } from '../sink/elasticsearch/settings.ts'
import type { Sink, SinkEvents } from '../sink/sink.ts'
import type { Spill, SpillDamage } from '../sink/spill/contract.ts'
import { openSpill } from '../sink/spill/open.ts'
import type { Screen } from '../sink/stdout-sink.ts'
import { bridgeLocks } from '../bridge/locks.ts'
import { encoderFor } from './encoders.ts'
import { Refetcher } from './refetch.ts'
import type { KafkaSettings, OutputSettings, PipelineSettings } from './settings.ts'
import { SpillRepair } from './spill-repair.ts'

type ElasticsearchOutput = Extract<OutputSettings, { kind: 'elasticsearch' }>

export interface OutputDeps {
  readonly bridge: Bridge
  readonly settings: Pick<PipelineSettings, 'kafka' | 'pool'>
  /** As it is now: a reload may change it. */
  readonly filtering: () => Pick<PipelineSettings, 'filter' | 'rules' | 'edits'>
  readonly events: SinkEvents
  readonly books: Books
  readonly warn: (message: string) => void
  /** The status lines, where they stand on the terminal that stdout writes to. */
  readonly screen: Screen | undefined
}

/** An output that is open. */
export interface OutputParts {
  readonly sink: Sink
  readonly credit: CreditLimits
  /** It has something to do of its own that an orderly end waits for; absent: never. */
  readonly isBusy?: () => boolean
  /** Lets go of what lies behind the sink, after the sink itself was closed. */
  readonly close: () => Promise<void>
  /** Of the metrics product line. */
  readonly counts?: () => readonly PatternCount[]
}

export async function openElasticsearchOutput(
  output: ElasticsearchOutput,
  deps: OutputDeps,
): Promise<OutputParts> {
  const { settings } = output
  const { bridge, events, books } = deps
  const locks = bridgeLocks(bridge)
  let repair: SpillRepair | null = null
  const spill = await openSpillOf(output, deps, locks, (damage) => repair?.add(damage, false))
  let letters: OpenLetters | null = null
  try {
    const { kafka } = deps.settings
    letters = output.letters === null ? null : await openDeadLetters(output.letters, kafka, locks)
  } catch (error) {
    await spill.close()
    throw error
  }
  for (const { topic, partition, count } of spill.leftovers) {
    books.of(topic, partition).carryIn(count)
  }
  const sink = new ElasticsearchSink(settings, {
    events,
    deadLetters: letters?.letters ?? null,
    overflow: spill,
    notice: deps.warn,
    leftSpill: (topic, partition, outcome) => {
      const book = books.of(topic, partition)
      book.leaveSpill()
      book.settle(outcome)
    },
  })
  const repairing = repairOf(output, deps, sink, spill)
  repair = repairing
  for (const damage of spill.damageAtOpen) repairing.add(damage, true)
  return {
    sink,
    credit: creditOf(settings),
    isBusy: () => !repairing.isDone,
    close: async () => {
      await repairing.close()
      await letters?.close()
      await spill.close()
    },
  }
}

/** Above the bound, so that the sink sees what comes when it is full, where that is dropped. */
const DROP_CREDIT = 1.25

function creditOf({ queueCap, queueBytes, dropWhenFull }: ElasticsearchSettings): CreditLimits {
  const factor = dropWhenFull ? DROP_CREDIT : 1
  return { documents: queueCap * factor, bytes: queueBytes * factor }
}

/** Names where documents go, without credentials: those change, and do not belong on the disk. */
function spillTarget({ urls, index }: Pick<ElasticsearchSettings, 'urls' | 'index'>): string {
  const nodes = urls.map((text) => {
    const url = new URL(text)
    if (url.username === '' && url.password === '') return text
    url.username = ''
    url.password = ''
    return url.href
  })
  return `${nodes.join(',')} ${index}`
}

function repairOf(
  output: ElasticsearchOutput,
  { bridge, settings, filtering, books, warn, events }: OutputDeps,
  sink: ElasticsearchSink,
  spill: Spill,
): SpillRepair {
  return new SpillRepair({
    commitOn: output.settings.commitOn,
    sink,
    spill,
    books,
    openRefetcher: () =>
      new Refetcher({
        bridge,
        settings: { ...settings, ...filtering(), output },
        encoder: encoderFor(output),
        clock: systemClock,
        warn,
      }),
    warn,
    fail: (error) => events.fail(error),
    clock: systemClock,
  })
}

function openSpillOf(
  { settings, spillPath }: ElasticsearchOutput,
  { settings: { kafka }, warn }: OutputDeps,
  locks: Locks,
  damaged: (damage: SpillDamage) => void,
): Promise<Spill> {
  return openSpill({
    path: spillPath,
    maxBytes: settings.spillBytesMax,
    commitOn: settings.commitOn,
    pipeline: `${kafka.groupId} ${kafka.topics.join(',')}`,
    target: spillTarget(settings),
    locks,
    events: { damaged, trouble: warn },
  })
}

/*
 * Opens the dead letters where `--dlq` says: for the pipeline's output and for `spill drain`.
 */

/**
 * Dead letters on their way to Kafka at one time: they are rare, and a burst of them must not wait.
 */
const LETTERS_IN_FLIGHT = 1000
/** librdkafka's own limit for the delivery of a record. */
const LETTER_DELIVERY_MS = 300_000
const LETTER_CONNECT_MS = 10_000
/** Dead letters in files, all together: as much as the spill may hold by default. */
const LETTER_FILES_BYTES_MAX = 4 * 1024 ** 3

interface OpenLetters {
  readonly letters: OpenDeadLetters
  readonly close: () => Promise<void>
}

/** @throws LogpipeError when the file or the brokers cannot be used. */
export async function openDeadLetters(
  target: DeadLetterTarget,
  kafka: Pick<KafkaSettings, 'brokers' | 'clientProperties' | 'tokenFile'>,
  locks: Locks,
): Promise<OpenLetters> {
  if (target.kind === 'file') {
    const letters = await openFileDeadLetters({
      file: target.path,
      bytesMax: LETTER_FILES_BYTES_MAX,
      locks,
      clock: systemClock,
    })
    return { letters, close: async () => letters.close() }
  }
  const producer = await openProducer({
    brokers: kafka.brokers,
    config: kafka.clientProperties,
    tokenFile: kafka.tokenFile,
    timeoutMs: LETTER_CONNECT_MS,
    inFlightMax: LETTERS_IN_FLIGHT,
    deliveryMs: LETTER_DELIVERY_MS,
  })
  const letters = openTopicDeadLetters(target.topic, produceWith(producer))
  return {
    letters,
    close: async () => {
      // What the brokers do not confirm in this time fails, and with it the wait for it.
      await Promise.all([producer.close(LETTER_CONNECT_MS), letters.close()])
    },
  }
}

function produceWith(producer: Producer): Parameters<typeof openTopicDeadLetters>[1] {
  return async (topic, key, value, headers) => {
    await producer.produce({
      topic,
      partition: null,
      key: Buffer.from(key),
      value: Buffer.from(value),
      headers: headers.map(([name, text]) => [name, Buffer.from(text)] as const),
      timestampMs: null,
    })
  }
}
