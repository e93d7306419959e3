/**
 * `logpipe replay`: a span of time once more, through the filter and the output of `logpipe run`.
 *
 * The offsets that hold the span are asked for first (kafka/offset-ranges.ts); then a pipeline
 * reads them. Its consumers are told what to read and never join the group, so the group neither
 * notices nor finds anything committed.
 */
import type { Bridge } from '../bridge/bridge.ts'
import { LogpipeError, messageOf } from '../core/errors.ts'
import { configRefusal, outsideOfGroup } from '../kafka/consumer-settings.ts'
import { rangesOf, type SpanQuery } from '../kafka/offset-ranges.ts'
import type { PipelineSettings } from './settings.ts'
import type { OffsetRange } from '../core/topic-partition.ts'

/** All questions together: brokers that restart are back by then. */
const ASK_MS_MAX = 60_000
/** It holds nothing that could take longer. */
const CLOSE_MS = 5000

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
  bridge: Pick<
    Bridge,
    'consumerOpen' | 'consumerMetadata' | 'consumerOffsetsForTimes' | 'consumerClose'
  >,
): PipelineSettings | null {
  const properties = base.kafka.properties.map(outsideOfGroup)
  const ranges = askRanges({ ...base, kafka: { ...base.kafka, properties } }, span, bridge)
  if (ranges.length === 0) return null
  return {
    ...base,
    kafka: {
      ...base.kafka,
      membership: 'static',
      properties: properties.slice(0, ranges.length),
    },
    output: outsideOfCommits(base.output),
    replay: { fromMs: span.fromMs, toMs: span.toMs, ranges },
    commits: false,
    runSeconds: 0,
  }
}

/** A replay ends when everything is indexed: a document in the spill is not there yet. */
function outsideOfCommits(output: PipelineSettings['output']): PipelineSettings['output'] {
  if (output.kind !== 'elasticsearch') return output
  return { ...output, settings: { ...output.settings, commitOn: 'index' } }
}

/** The ranges that hold something. */
function askRanges(
  { kafka }: PipelineSettings,
  span: ReplaySpan,
  bridge: Parameters<typeof replaySettings>[2],
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
