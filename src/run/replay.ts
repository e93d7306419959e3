/**
 * `logpipe replay`: a span of time once more, through the filter and the output of `logpipe run`.
 *
 * The offsets that hold the span are asked for first (kafka/offset-ranges.ts); then a pipeline
 * reads them. Its consumers are told what to read and never join the group, so the group neither
 * notices nor finds anything committed.
 */
import type { Bridge } from '../bridge/bridge.ts'
import { besideGroup, outsideOfGroup } from '../kafka/consumer-settings.ts'
import { askMarks } from '../kafka/broker-queries.ts'
import { withConsumer } from '../kafka/consumer.ts'
import { type MarkedRange, rangesOf, type SpanQuery } from '../kafka/offset-ranges.ts'
import type { PipelineSettings } from './settings.ts'
import type { OffsetRange } from '../core/topic-partition.ts'

type Warn = (message: string) => void

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
 * @throws LogpipeError KAFKA_UNREACHABLE, KAFKA_TOPIC, KAFKA_AUTH or KAFKA_CONFIG.
 */
export function replaySettings(
  base: PipelineSettings,
  span: ReplaySpan,
  bridge: Bridge,
  warn: Warn,
): PipelineSettings | null {
  const properties = base.kafka.properties.map(outsideOfGroup)
  const outside = { ...base, kafka: { ...base.kafka, properties } }
  const found = askRanges(outside, span, bridge, warn)
  if (found.length === 0) return null
  const ranges =
    base.output.kind === 'elasticsearch' ? markedAsIn(base, found, bridge, warn) : found
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
  bridge: Bridge,
  warn: Warn,
): MarkedRange[] {
  const [first = []] = kafka.properties
  const options = { properties: besideGroup(first), tokenFile: kafka.tokenFile, warn }
  const marks = withConsumer(bridge, options, CLOSE_MS, (consumer) =>
    askMarks(consumer, ranges, ASK_GROUP_MS),
  )
  const untold = ranges.find((_, index) => typeof marks[index] !== 'number')
  if (untold !== undefined) {
    warn(
      `group ${kafka.groupId} did not say whether the log of ${untold.topic} ` +
        `[${untold.partition}] was ever cut off; if it was, its records get other _ids than ` +
        'the group gave them',
    )
  }
  return ranges.map((range, index) => ({ ...range, markFrom: marks[index] ?? -1 }))
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
  bridge: Bridge,
  warn: Warn,
): OffsetRange[] {
  const [properties = []] = kafka.properties
  const deadline = { nowMs: () => performance.now(), atMs: performance.now() + ASK_MS_MAX }
  const query = { ...span, topics: kafka.topics }
  const options = { properties, tokenFile: kafka.tokenFile, warn }
  const ranges = withConsumer(bridge, options, CLOSE_MS, (consumer) =>
    rangesOf(consumer, query, deadline),
  )
  return ranges.filter(({ from, to }) => from < to)
}
