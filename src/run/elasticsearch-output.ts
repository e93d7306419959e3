/**
 * The Elasticsearch output with all that belongs to it: the spill, the dead letters, and their end.
 *
 * Opened before the pipeline starts and closed behind the sink, in reverse order.
 */
import type { Bridge } from '../bridge/bridge.ts'
import { systemClock } from '../core/clock.ts'
import type { Books } from '../offsets/books.ts'
import type { CreditLimits } from '../pool/signals.ts'
import type { Locks } from '../core/disk.ts'
import { ElasticsearchSink } from '../sink/elasticsearch/elasticsearch-sink.ts'
import type { ElasticsearchSettings } from '../sink/elasticsearch/settings.ts'
import type { SinkEvents } from '../sink/sink.ts'
import type { Spill, SpillDamage } from '../sink/spill/contract.ts'
import type { Screen } from '../sink/stdout-sink.ts'
import { openSpill } from '../sink/spill/open.ts'
import { bridgeLocks } from './bridge-locks.ts'
import { openLetters, type OpenLetters } from './open-letters.ts'
import type { OutputParts } from './outputs.ts'
import { encoderFor } from './encoders.ts'
import { Refetcher } from './refetch.ts'
import type { OutputSettings, PipelineSettings } from './settings.ts'
import { SpillRepair } from './spill-repair.ts'

type ElasticsearchOutput = Extract<OutputSettings, { kind: 'elasticsearch' }>

export interface OutputDeps {
  readonly bridge: Bridge
  readonly settings: Pick<PipelineSettings, 'kafka' | 'filter' | 'pool'>
  readonly events: SinkEvents
  readonly books: Books
  readonly warn: (message: string) => void
  /** The status lines, where they stand on the terminal that stdout writes to. */
  readonly screen: Screen | undefined
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
    letters = output.letters === null ? null : await openLetters(output.letters, kafka, locks)
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
export function spillTarget({
  urls,
  index,
}: Pick<ElasticsearchSettings, 'urls' | 'index'>): string {
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
  { bridge, settings, books, warn, events }: OutputDeps,
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
        settings: { ...settings, output },
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
