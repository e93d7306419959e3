/**
 * What stands before topic-partition-offset in `_id`, from `--id-prefix` and Kafka's id of a topic.
 *
 * The prefix belongs to an assignment: it goes with the assignment's name to the threads that
 * filter, so that whatever is made of its records (documents, those in the spill, dead letters and
 * what is replayed of them) has one and the same `_id`.
 */
import type { BridgeId } from '../bridge/bridge.ts'
import { askTopicId, type Asked } from '../kafka/broker-queries.ts'
import type { OutputSettings } from './settings.ts'

/** Of Kafka's 128 bits: two topics of one name meet once in 4 billion times. */
const HEX_DIGITS = 8

/** Whether the topics' ids are put to use. */
export function needsTopicIds(output: OutputSettings): boolean {
  if (output.kind !== 'elasticsearch') return false
  return output.idPrefix === 'auto' && output.settings.documentId !== 'none'
}

/**
 * @param topicId 32 hex digits; null or absent where the broker tells none.
 * @returns the prefix, empty for none.
 */
export function idPrefixOf(output: OutputSettings, topicId: string | null | undefined): string {
  if (output.kind !== 'elasticsearch' || output.idPrefix === 'none') return ''
  if (output.idPrefix !== 'auto') return output.idPrefix
  return (topicId ?? '').slice(0, HEX_DIGITS)
}

/**
 * Asks for a topic's id, once, if it is put to use. Blocks for `requestMs` at most.
 * @returns the prefix of its documents.
 * @throws LogpipeError KAFKA_UNREACHABLE.
 */
export function askIdPrefix(
  bridge: Asked,
  consumer: BridgeId,
  output: OutputSettings,
  topic: string,
  requestMs: number,
): string {
  if (!needsTopicIds(output)) return idPrefixOf(output, null)
  return idPrefixOf(output, askTopicId(bridge, consumer, topic, requestMs))
}
