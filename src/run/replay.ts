/**
 * `logpipe replay`: a span of time once more, through the filter and the output of `logpipe run`.
 *
 * The offsets that hold the span are asked for first (kafka/offset-ranges.ts); then a pipeline
 * reads them. Its consumers are told what to read and never join the group, so the group neither
 * notices nor finds anything committed.
 */
import type { Bridge } from '../bridge/bridge.ts'
import { LogpipeError, messageOf } from '../core/errors.ts'
import { besideGroup, configRefusal, outsideOfGroup } from '../kafka/consumer-settings.ts'
import { askMarks, type Asked } from '../kafka/broker-queries.ts'
import { type MarkedRange, rangesOf, type SpanQuery } from '../kafka/offset-ranges.ts'
import type { PipelineSettings } from './settings.ts'
import type { OffsetRange } from '../core/topic-partition.ts'

type AskedBridge = Asked &
  Pick<Bridge, 'consumerOpen' | 'consumerMetadata' | 'consumerOffsetsForTimes' | 'consumerClose'>

/** All questions together: brokers that restart are back by then. */
const ASK_MS_MAX = 60_000
/** It holds nothing that could take longer. */
const CLOSE_MS = 5000

/** One question to the group; a replay without its answer goes on. */
const ASK_GROUP_MS = 10_000

/** What a replay is asked for. Times in ms since 1970. */
export interface ReplaySpan extends Omit<SpanQuery, 'topics'> {
  /** Exclusive; null: up to the partitions' ends. */
  readonly toMs: number | null
}

/**
 * The settings of a pipeline that reads the span and then ends. Blocks while brokers are asked.
 * @returns null when the span holds no offset.
 * @throws LogpipeError KAFKA_UNREACHABLE, KAFKA_TOPIC or KAFKA_CONFIG.
 */
export function replaySettings(
  base: PipelineSettings,
  span: ReplaySpan,
  bridge: AskedBridge,
): PipelineSettings | null {
  const properties = base.kafka.properties.map(outsideOfGroup)
  const outside = { ...base, kafka: { ...base.kafka, properties } }
  const found = askRanges(outside, span, bridge)
  if (found.length === 0) return null
  const ranges = base.output.kind === 'elasticsearch' ? markedAsIn(base, found, bridge) : found
  return {
    ...base,
    kafka: {
      ...base.kafka,
      membership: 'static',
      properties: properties.slice(0, ranges.length),
    },
    output: replayOutput(base.output),
    replay: { fromMs: span.fromMs, toMs: span.toMs, ranges },
    commits: false,
    runSeconds: 0,
  }
}

/** With the marks of the group, so that a record has the `_id` that the group gave it. */
function markedAsIn(
  { kafka }: PipelineSettings,
  ranges: readonly OffsetRange[],
  bridge: AskedBridge,
): MarkedRange[] {
  const [first = []] = kafka.properties
  const consumer = bridge.consumerOpen({ config: besideGroup(first), topics: [] })
  try {
    const marks = askMarks(bridge, consumer, ranges, ASK_GROUP_MS)
    return ranges.map((range, index) => ({ ...range, markFrom: marks[index] ?? -1 }))
  } finally {
    bridge.consumerClose(consumer, CLOSE_MS)
  }
}

/**
 * A replay ends when everything is indexed: a document in the spill is not there yet. And it dates
 * each record by the record alone, or it would not find the indices of the first time.
 */
export function replayOutput(output: PipelineSettings['output']): PipelineSettings['output'] {
  if (output.kind !== 'elasticsearch') return output
  return { ...output, settings: { ...output.settings, commitOn: 'index', indexDateSpan: null } }
}

/** The ranges that hold something. */
function askRanges(
  { kafka }: PipelineSettings,
  span: ReplaySpan,
  bridge: AskedBridge,
): OffsetRange[] {
  const [config] = kafka.properties
  let consumer
  try {
    consumer = bridge.consumerOpen({ config: config ?? [], topics: [] })
  } catch (cause) {
    const message = configRefusal(messageOf(cause), config ?? [])
    throw new LogpipeError('KAFKA_CONFIG', message, { cause })
  }
  try {
    const deadline = { nowMs: () => performance.now(), atMs: performance.now() + ASK_MS_MAX }
    const query = { ...span, topics: kafka.topics }
    return rangesOf(bridge, consumer, query, deadline).filter(({ from, to }) => from < to)
  } finally {
    bridge.consumerClose(consumer, CLOSE_MS)
  }
}
