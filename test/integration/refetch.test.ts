/**
 * Ranges of offsets read again from the embedded broker: exactly their matches come back, as the
 * documents that they were, and nothing is committed.
 */
import assert from 'node:assert/strict'
import { test, type TestContext } from 'node:test'
import { setTimeout } from 'node:timers/promises'
import { systemClock, type Clock } from '../../src/core/clock.ts'
import { encodeNote, NO_NOTE } from '../../src/kafka/commit-note.ts'
import { Refetcher } from '../../src/run/refetch.ts'
import type { OffsetRange } from '../../src/core/topic-partition.ts'
import { BulkEncoder } from '../../src/sink/elasticsearch/bulk-encoder.ts'
import type { PlacedDocument } from '../../src/sink/elasticsearch/batch.ts'
import { ELASTICSEARCH_DEFAULTS } from '../helpers/elasticsearch-defaults.ts'
import { bridge, openConsumer, openMock, produce } from './bridge/rig.ts'

const RECORDS = 3000
const MATCH_EVERY = 3

interface Opened {
  readonly refetcher: Refetcher
  readonly mock: ReturnType<typeof openMock>
  readonly warnings: string[]
}

/** Its minutes pass in a moment: each wait counts whole, and takes a fortieth of its time. */
function hastyClock(): Clock {
  let waitedMs = 0
  return {
    ...systemClock,
    monotonicMs: () => waitedMs,
    wallMs: () => systemClock.wallMs(),
    after: (delayMs, callback) =>
      systemClock.after(delayMs / 40, () => {
        waitedMs += delayMs
        callback()
      }),
  }
}

async function openRefetcher(t: TestContext): Promise<Opened> {
  const mock = openMock(t, 2)
  const warnings: string[] = []
  const values = Array.from({ length: RECORDS }, (_, index) => ({
    partition: 1,
    value: `{"level":"${index % MATCH_EVERY === 0 ? 'ERROR' : 'INFO'}","index":${index}}`,
  }))
  await produce(mock, values)
  const properties: (readonly [string, string])[] = [
    ['bootstrap.servers', mock.bootstrapServers],
    ['group.id', 'g'],
    ['group.instance.id', 'g-0'],
    ['enable.auto.commit', 'false'],
    ['enable.auto.offset.store', 'false'],
    ['enable.partition.eof', 'true'],
    ['auto.offset.reset', 'earliest'],
  ]
  const refetcher = new Refetcher({
    bridge,
    settings: {
      rules: null,
      edits: null,
      output: { kind: 'none' },
      kafka: {
        brokers: mock.bootstrapServers,
        topics: ['t'],
        groupId: 'g',
        identity: { fingerprint: '0123456789ab', label: 'test' },
        takesOver: false,
        membership: 'group',
        properties: [properties],
        clientProperties: [],
        tokenFile: null,
        start: { kind: 'earliest' },
        untilEnd: false,
        revokeDrainMs: 0,
        stallPauseMs: 1000,
        skipUnreadable: false,
        connectTimeoutMs: 5000,
      },
      filter: {
        threadCount: 1,
        patterns: [Buffer.from('ERROR')],
        ignoreCase: false,
        invertMatch: false,
      },
      pool: {
        slotCount: 1,
        bufferBytes: 16 * 1024,
        readyMax: 1,
        limits: {
          recordsMax: 100,
          bytesMax: 16 * 1024,
          pullMax: 100,
          timeoutMs: 10,
          heldMax: 1_000_000,
        },
        dropNewest: false,
      },
    },
    encoder: new BulkEncoder(ELASTICSEARCH_DEFAULTS),
    clock: hastyClock(),
    warn: (message) => warnings.push(message),
  })
  t.after(() => refetcher.close())
  return { refetcher, mock, warnings }
}

const rangeOf = (from: number, to: number) => ({ topic: 't', partition: 1, from, to })

test('a range gives its matches, whole, in order, and no others', async (t) => {
  const { refetcher } = await openRefetcher(t)
  for (const [from, to] of [
    [100, 200],
    [1500, 2999],
    [0, 1],
    [99, 101],
  ] as const) {
    const documents: PlacedDocument[] = []
    const gone = await refetcher.read(rangeOf(from, to), (refetched) => {
      documents.push(...refetched.documents)
      return Promise.resolve()
    })
    assert.deepEqual(gone, [])
    const expected = Array.from({ length: to - from }, (_, index) => from + index)
    assert.deepEqual(
      documents.map(({ offset }) => offset),
      expected.filter((offset) => offset % MATCH_EVERY === 0),
    )
    const [first] = documents
    if (first === undefined) continue
    assert.equal(
      Buffer.from(first.document).toString('utf8'),
      `{"create":{"_index":"logs-filtered","_id":"t-1-${first.offset}"}}\n` +
        `{"level":"ERROR","index":${first.offset}}\n`,
    )
    assert(first.timestampMs > 0)
  }
  assert.equal(await refetcher.committed('t', 1), null)
})

test('every record of what was read is told: matching, filtered out, or behind', async (t) => {
  const { refetcher } = await openRefetcher(t)
  let [found, filtered, behind] = [0, 0, 0]
  await refetcher.read(rangeOf(300, 600), ({ documents, filteredCount, behindCount }) => {
    found += documents.length
    filtered += filteredCount
    behind += behindCount
    return Promise.resolve()
  })
  assert.equal(found, 100)
  assert(
    filtered >= 200 && Math.abs(filtered - (found + behind) * 2) <= 2,
    `${filtered}, ${behind} behind`,
  )
})

test('what lies beyond the end of the partition, or in no topic, is gone', async (t) => {
  const { refetcher, warnings } = await openRefetcher(t)
  const nothing = () => Promise.resolve()
  assert.deepEqual(await refetcher.read(rangeOf(2990, 4000), nothing), [rangeOf(3000, 4000)])
  assert.deepEqual(await refetcher.read(rangeOf(5000, 5010), nothing), [rangeOf(5000, 5010)])
  assert.match(
    warnings.join('\n'),
    /t \[1\]: brokers report end offset 3000, but offset 3999 was already read/,
  )
  assert.equal(warnings.length, 1, 'told once, and the next range is not waited for')
  const elsewhere = { topic: 'deleted', partition: 0, from: 3, to: 5 }
  assert.deepEqual(await refetcher.read(elsewhere, nothing), [elsewhere])
  assert.match(warnings[1] ?? '', /deleted \[0\]: brokers report end offset 0, but offset 4 was/)
})

test('records at the offsets of those that were cut off do not stand in for them', async (t) => {
  const { refetcher, mock } = await openRefetcher(t)
  // Up to 3010 was read, and was cut off at 3000: the group marks the records of the next leader.
  bridge.mockElect(mock.id, 't', 1, 1)
  const message = { partition: 1, value: '{"level":"ERROR"}' }
  await produce(
    mock,
    Array.from({ length: 20 }, () => message),
  )
  const past = { epoch: 1, readTo: 3010, markFrom: 1 }
  const pipeline = { fingerprint: '0123456789ab', label: 'test' }
  const committer = openConsumer(t, mock)
  const metadata = encodeNote({ ...NO_NOTE, pipeline, past })
  bridge.consumerCommit(committer, [{ topic: 't', partition: 1, offset: 2990, metadata }], 10_000)
  const read = async (range: OffsetRange) => {
    const found: number[] = []
    const unread = await refetcher.read(range, ({ documents }) => {
      found.push(...documents.map(({ offset }) => offset))
      for (const { document, offset } of documents) {
        const isMarked = Buffer.from(document).includes(`"_id":"@1-t-1-${offset}"`)
        assert.equal(isMarked, range.log === '@1')
      }
      return Promise.resolve()
    })
    return { found, unread }
  }
  assert.deepEqual(await read(rangeOf(2994, 3002)), {
    found: [2994, 2997],
    unread: [{ ...rangeOf(3000, 3002), isOtherLog: true }],
  })
  const marked = { ...rangeOf(3000, 3002), log: '@1' }
  assert.deepEqual(await read(marked), { found: [3000, 3001], unread: [] })
})

test('a broker that knows less than was read before is not believed at once', async (t) => {
  const { refetcher, mock } = await openRefetcher(t)
  const documents: PlacedDocument[] = []
  const reading = refetcher.read(rangeOf(RECORDS, RECORDS + 2), (refetched) => {
    documents.push(...refetched.documents)
    return Promise.resolve()
  })
  await setTimeout(500)
  await produce(mock, [
    { partition: 1, value: 'ERROR 1' },
    { partition: 1, value: 'ERROR 2' },
  ])
  assert.deepEqual(await reading, [])
  assert.deepEqual(
    documents.map(({ offset }) => offset),
    [RECORDS, RECORDS + 1],
  )
})

test('a close ends what is under way', async (t) => {
  const { refetcher } = await openRefetcher(t)
  const reading = refetcher.read(rangeOf(0, RECORDS), () => {
    refetcher.close()
    return Promise.resolve()
  })
  await assert.rejects(reading, { code: 'DEADLINE' })
})
