/**
 * The Elasticsearch output with all that belongs to it: the spill, the dead letters, and their end.
 *
 * Opened before the pipeline starts and closed behind the sink, in reverse order.
 */
import type { Bridge } from '../bridge/bridge.ts'
import type { Locks } from '../sink/disk.ts'
import { ElasticsearchSink } from '../sink/elasticsearch/elasticsearch-sink.ts'
import type { SinkEvents } from '../sink/sink.ts'
import type { Spill, SpillDamage } from '../sink/spill/contract.ts'
import { openSpill } from '../sink/spill/open.ts'
import { bridgeLocks } from './bridge-locks.ts'
import { openLetters, type OpenLetters } from './open-letters.ts'
import type { OutputParts } from './outputs.ts'
import type { KafkaSettings, OutputSettings } from './settings.ts'

type ElasticsearchOutput = Extract<OutputSettings, { kind: 'elasticsearch' }>

export interface ElasticsearchOutputDeps {
  readonly bridge: Bridge
  readonly kafka: KafkaSettings
  readonly events: SinkEvents
  readonly warn: (message: string) => void
  /** Offsets [from, to) are in the spill no more, and Elasticsearch never had them. */
  readonly lost: (topic: string, partition: number, from: number, to: number) => void
}

export async function openElasticsearchOutput(
  output: ElasticsearchOutput,
  deps: ElasticsearchOutputDeps,
): Promise<OutputParts> {
  const { settings } = output
  const { bridge, events } = deps
  const locks = bridgeLocks(bridge)
  const spill = await openSpillOf(output, deps, locks)
  let letters: OpenLetters | null = null
  try {
    letters = output.letters === null ? null : await openLetters(output.letters, deps.kafka, locks)
  } catch (error) {
    await spill.close()
    throw error
  }
  const deadLetters = letters?.letters ?? null
  return {
    sink: new ElasticsearchSink(settings, { events, deadLetters, overflow: spill }),
    credit: { documents: settings.queueCap, bytes: settings.queueBytes },
    close: async () => {
      await letters?.close()
      await spill.close()
    },
  }
}

async function openSpillOf(
  { settings, spillPath }: ElasticsearchOutput,
  { kafka, warn, lost }: ElasticsearchOutputDeps,
  locks: Locks,
): Promise<Spill> {
  const report = (damage: SpillDamage) => reportDamage(damage, settings.commitOn, warn, lost)
  const spill = await openSpill({
    path: spillPath,
    maxBytes: settings.spillBytesMax,
    commitOn: settings.commitOn,
    pipeline: `${kafka.groupId} ${kafka.topics.join(',')}`,
    target: `${settings.urls.join(',')} ${settings.index}`,
    locks,
    events: { damaged: report, trouble: warn },
  })
  for (const damage of spill.damageAtOpen) report(damage)
  return spill
}

/**
 * Under `index` nothing is lost: the offsets of what is damaged were never committed, and stay so
 * until the next start reads them again. Under `spill` they were, so that they are counted as lost.
 */
function reportDamage(
  damage: SpillDamage,
  commitOn: 'index' | 'spill',
  warn: (message: string) => void,
  lost: ElasticsearchOutputDeps['lost'],
): void {
  const where = `${damage.file}, bytes ${damage.bytesFrom} to ${damage.bytesTo}`
  const what = `the spill is damaged: ${where}, ${damage.lostCount} documents`
  if (commitOn === 'index') {
    warn(`${what}; the next start reads them from Kafka again`)
    return
  }
  warn(what)
  if (damage.torn) return
  for (const { topic, partition, from, to } of damage.ranges) lost(topic, partition, from, to)
}
