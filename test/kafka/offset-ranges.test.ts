/** Which offsets hold a span of time, and which topics and partitions are meant. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { OFFSET_END, type PartitionOffset } from '../../src/bridge/bridge.ts'
import { rangesOf, type SpanQuery } from '../../src/kafka/offset-ranges.ts'
import { consumerOn } from '../helpers/consumer-on.ts'

/** Timestamps of the records of each partition, by topic. */
const TOPICS: Readonly<Record<string, readonly (readonly number[])[]>> = {
  app: [
    [10, 20, 15, 30, 25, 40],
    [5, 5],
  ],
  'app-2': [[100]],
  __consumer_offsets: [[1, 2, 3]],
}

const consumer = consumerOn({
  consumerMetadata(_consumer, topic) {
    const names = topic === null ? Object.keys(TOPICS) : [topic]
    const topics = names.map((name) => {
      const partitions = TOPICS[name]?.length ?? 0
      return { topic: name, partitions, error: partitions === 0 ? 'UNKNOWN_TOPIC_OR_PART' : null }
    })
    return { brokers: [], topics }
  },
  // As Kafka has it: the first offset whose record is as late as the time.
  consumerOffsetsForTimes: (_consumer, partitions) =>
    partitions.map((one) => ({ ...one, offset: lookUp(one), error: null })),
})

function lookUp({ topic, partition, offset }: PartitionOffset): number {
  const times = TOPICS[topic]?.[partition] ?? []
  return offset === OFFSET_END ? times.length : times.findIndex((time) => time >= offset)
}

function ranges(query: Partial<SpanQuery>): string[] {
  const base = { topics: ['app'], partitions: null, fromMs: 0 }
  const deadline = { nowMs: () => 0, atMs: 0 }
  return rangesOf(consumer, { ...base, ...query }, deadline).map(
    ({ topic, partition, from, to }) => `${topic}/${partition} ${from}-${to}`,
  )
}

test('a span begins with its first late record and ends with the partition', () => {
  assert.deepEqual(ranges({}), ['app/0 0-6', 'app/1 0-2'])
  assert.deepEqual(ranges({ fromMs: 15 }), ['app/0 1-6', 'app/1 2-2'])
  assert.deepEqual(ranges({ fromMs: 41 }), ['app/0 6-6', 'app/1 2-2'])
})

test('topics are named or matched, but never those of Kafka itself', () => {
  assert.deepEqual(ranges({ topics: ['app-2', 'app'] }), ['app/0 0-6', 'app/1 0-2', 'app-2/0 0-1'])
  assert.deepEqual(ranges({ topics: ['^.*'] }), ['app/0 0-6', 'app/1 0-2', 'app-2/0 0-1'])
  assert.deepEqual(ranges({ topics: ['^app-'] }), ['app-2/0 0-1'])
  assert.deepEqual(ranges({ topics: ['^nothing'] }), [])
  assert.throws(() => ranges({ topics: ['nothing'] }), {
    code: 'KAFKA_TOPIC',
    message: /topic nothing does not exist/,
  })
})

test('partitions are those that were named, where a topic has them', () => {
  assert.deepEqual(ranges({ partitions: [1] }), ['app/1 0-2'])
  assert.deepEqual(ranges({ topics: ['app', 'app-2'], partitions: [1] }), ['app/1 0-2'])
  assert.throws(() => ranges({ partitions: [0, 2] }), {
    code: 'KAFKA_TOPIC',
    message: 'topic app has 2 partitions, 0 to 1; --partitions names 2',
  })
})
