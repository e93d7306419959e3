/**
 * The same log read in whole batches and one record at a time, as librdkafka parses it: both give
 * the same records, from wherever the reading starts.
 */
import assert from 'node:assert/strict'
import { test, type TestContext } from 'node:test'
import { isDeepStrictEqual } from 'node:util'
import type { ConsumerEvent } from '../../src/bridge/bridge.ts'
import { makeRecords, sendRecords } from '../helpers/known-records.ts'
import { bridge, openConsumer, Rig, until, type Found } from '../integration/bridge/rig.ts'
import { COMPACTED } from '../servers/kafka.ts'
import { sharedKafka, uniqueName } from '../servers/shared.ts'
import { serversMissing } from '../servers/stack.ts'

const missing = serversMissing(['kafka'])

const SHAPE = { slotCount: 1, bufferBytes: 262_144, recordsMax: 1000 }
const WAYS = { whole: [], single: [['logpipe.whole.batches', 'false']] } as const
const LARGE = { 'max.message.bytes': '10000000' }

interface Log {
  readonly found: readonly Found[]
  /** Records that the runs counted, and where the last one ends. */
  readonly records: number
  readonly coverTo: number
}

/** Reads partition 0 of a topic from an offset to its end. */
function read(
  t: TestContext,
  bootstrapServers: string,
  topic: string,
  offset: number,
  patterns: readonly string[],
  way: keyof typeof WAYS,
): Log {
  const rig = new Rig(t, SHAPE)
  const more = [['enable.partition.eof', 'true'], ['check.crcs', 'true'], ...WAYS[way]] as const
  const consumer = openConsumer(t, { id: 0, bootstrapServers }, [], more)
  const matcher = bridge.matcherOpen({
    patterns: patterns.map((pattern) => Buffer.from(pattern)),
    ignoreCase: false,
    invertMatch: false,
  })
  t.after(() => bridge.matcherClose(matcher))
  const found: Found[] = []
  const events: ConsumerEvent[] = []
  let records = 0
  let coverTo = offset
  bridge.consumerAssign(consumer, [{ topic, partition: 0, offset, assignmentId: 1 }])
  until(() => {
    rig.fill(consumer, events)
    const scanned = rig.scan(matcher, () => {
      for (const run of rig.runs()) {
        assert.equal(run.coverFrom, coverTo)
        coverTo = run.coverTo
        records += run.records
      }
    })
    found.push(...scanned)
    return events.some(({ kind }) => kind === 'end')
  })
  bridge.consumerClose(consumer, 10_000)
  return { found, records, coverTo }
}

/** Again when the cleaner was at it meanwhile: then the same way gives something else, too. */
function readBothWays(...[t, servers, topic, offset, patterns]: Parameters<typeof readWhole>): Log {
  for (;;) {
    const before = readWhole(t, servers, topic, offset, patterns)
    const single = read(t, servers, topic, offset, patterns, 'single')
    const after = readWhole(t, servers, topic, offset, patterns)
    if (!isDeepStrictEqual(before, after)) continue
    assert.deepEqual(before, single)
    return before
  }
}

function readWhole(
  t: TestContext,
  bootstrapServers: string,
  topic: string,
  offset: number,
  patterns: readonly string[],
): Log {
  return read(t, bootstrapServers, topic, offset, patterns, 'whole')
}

function assertSame(t: TestContext, bootstrapServers: string, topic: string): Log {
  const ends = [0, 1, 7, 500, 1313].map((offset) => {
    const everything = readBothWays(t, bootstrapServers, topic, offset, [])
    assert.equal(everything.records, everything.found.length)
    const hits = readBothWays(t, bootstrapServers, topic, offset, ['ERROR', 'key-1'])
    assert.ok(hits.found.length > 0 && hits.found.length < hits.records)
    return everything
  })
  return ends[0]!
}

test(
  'whole batches give the records that librdkafka gives',
  { skip: missing ?? false },
  async (t) => {
    const { bootstrapServers, ...kafka } = await sharedKafka(t)
    const topic = uniqueName('batches')
    const compacted = uniqueName('batches-compacted')
    await kafka.createTopic(topic, 2, { ...LARGE, 'message.timestamp.type': 'LogAppendTime' })
    await kafka.createTopic(compacted, 2, { ...LARGE, ...COMPACTED })
    const records = (seed: number) =>
      makeRecords({ seed, count: 700, partitions: 2, largeBytes: [300_000, 700_000] })
    for (const [index, codec] of ['lz4', 'zstd', 'snappy', 'gzip', 'none'].entries()) {
      await sendRecords(records(index), { bootstrapServers, topic, codec })
      const keyed = records(index).map((one) => ({ ...one, key: one.key ?? Buffer.from('none') }))
      await sendRecords(keyed, { bootstrapServers, topic: compacted, codec })
    }
    const lz4 = { bootstrapServers, topic, codec: 'lz4' }
    await sendRecords(records(11), { ...lz4, transaction: 'abort' })
    await sendRecords(records(12), { ...lz4, transaction: 'commit' })
    await sendRecords(records(13), { ...lz4, transaction: 'abort' })
    const log = assertSame(t, bootstrapServers, topic)
    assert.ok(log.found.every(({ timestampType }) => timestampType === 2))
    // A new segment lets the cleaner have the one before; it looks every 15 s.
    const endMs = performance.now() + 60_000
    for (;;) {
      const { found, coverTo } = readWhole(t, bootstrapServers, compacted, 0, [])
      if (found.length < coverTo / 2) break
      assert.ok(performance.now() < endMs, `not compacted: ${found.length} of ${coverTo}`)
      await sendRecords(
        records(14)
          .slice(0, 1)
          .map((one) => ({ ...one, key: Buffer.from('end') })),
        {
          ...lz4,
          topic: compacted,
        },
      )
      await new Promise((resolve) => setTimeout(resolve, 500))
    }
    assertSame(t, bootstrapServers, compacted)
  },
)
