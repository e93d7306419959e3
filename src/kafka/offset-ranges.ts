/**
 * The offsets that hold a span of time, which `logpipe replay` reads of each partition.
 *
 *   from   the first offset whose record is as late as the span's start. Every record before it is
 *          earlier, so nothing is missed, whatever the order of timestamps.
 *   to     the end of the partition as it is now. Timestamps are set by producers: behind the first
 *          record that is later than the span may lie any number of records that are not, and the
 *          filter tells them apart.
 *
 * Kafka answers both (ListOffsets by timestamp). Asked once, by a consumer that joins no group.
 */
import assert from 'node:assert/strict'
import { OFFSET_END, OFFSET_NONE, type PartitionOffset } from '../bridge/bridge.ts'
import { LogpipeError, messageOf } from '../core/errors.ts'
import { isTopicExpression, topicsMeant } from '../options/topic-expression.ts'
import { askOffsets, type Deadline } from './broker-queries.ts'
import type { Consumer } from './consumer.ts'
import { topicNames, topicProblem, whyNotAsked } from './preflight.ts'
import type { OffsetRange } from '../core/topic-partition.ts'

/** A range to read; records of this leader epoch and later ones are marked (LogPast). */
export interface MarkedRange extends OffsetRange {
  /** Absent: none. */
  readonly markFrom?: number
}

export interface SpanQuery {
  /** Names, or ^regular expressions. */
  readonly topics: readonly string[]
  /** Null: all. */
  readonly partitions: readonly number[] | null
  /** In ms since 1970. */
  readonly fromMs: number
}

/** One answer of a broker; the deadline bounds all of them. */
const METADATA_TIMEOUT_MS = 10_000

/**
 * Blocks until the brokers have answered.
 * @throws LogpipeError KAFKA_UNREACHABLE, or KAFKA_TOPIC when there is no such topic or partition.
 */
export function rangesOf(consumer: Consumer, query: SpanQuery, deadline: Deadline): OffsetRange[] {
  const partitions = partitionsOf(consumer, query)
  if (partitions.length === 0) return []
  const ask = (what: string, offset: number) =>
    askOffsets(consumer, what, partitions, offset, deadline)
  const ends = ask('end offsets', OFFSET_END)
  const firsts = ask('start offsets', query.fromMs)
  return partitions.map(({ topic, partition }, index) => {
    const end = ends[index]!
    const first = firsts[index]!
    assert(end >= 0, `${topic} [${partition}] ends at ${end}`)
    // Below 0: no record is as late as that.
    return { topic, partition, from: first < 0 ? end : Math.min(first, end), to: end }
  })
}

/** The partitions that are meant, by topic and number. */
function partitionsOf(consumer: Consumer, query: SpanQuery): PartitionOffset[] {
  const { topics, partitions } = query
  const listed = topics.some(isTopicExpression)
    ? listOf(consumer, null)
    : topics.flatMap((topic) => listOf(consumer, topic))
  const counts = new Map(topicsMeant(topics, listed).map((one) => [one.topic, one.partitions]))
  const found = [...counts]
  const most = Math.max(0, ...counts.values())
  const beyond = partitions?.find((partition) => partition >= most)
  if (beyond !== undefined) {
    const has = `has ${most} partitions, 0 to ${most - 1}`
    const what = found.length === 1 ? `topic ${found[0]?.[0]} ${has}` : `the largest topic ${has}`
    throw new LogpipeError('KAFKA_TOPIC', `${what}; --partitions names ${beyond}`)
  }
  return found
    .toSorted(([left], [right]) => (left < right ? -1 : 1))
    .flatMap(([topic, count]) =>
      Array.from({ length: count }, (_, partition) => ({ topic, partition, offset: OFFSET_NONE })),
    )
    .filter(({ partition }) => partitions?.includes(partition) ?? true)
}

/** @param topic null: all topics. */
function listOf(consumer: Consumer, topic: string | null) {
  let topics
  try {
    ;({ topics } = consumer.metadata(topic, METADATA_TIMEOUT_MS))
  } catch (cause) {
    const why =
      whyNotAsked(consumer) ?? `${messageOf(cause)}; check --brokers, and that the brokers run`
    const message = `no broker returned the partitions of the topics: ${why}`
    throw new LogpipeError('KAFKA_UNREACHABLE', message, { cause })
  }
  const failed = topics.find((one) => one.topic === topic && one.error !== null)
  if (failed !== undefined) {
    const names = () => topicNames(consumer)
    const { code, message } = topicProblem(failed.topic, failed.error ?? '', names)
    throw new LogpipeError(code, message)
  }
  return topics
}
