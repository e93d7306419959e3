/**
 * The main job on a real Kafka: what is written is exactly what matches, whatever the mode, the
 * number of ingress threads, the codec, and the kind of record.
 *
 * A topic for each codec holds records of all kinds (test/helpers/known-records.ts), a committed
 * and an aborted transaction among them. Each is read a few times, with other options and by a
 * group of its own; the order of lines over partitions is free, so sorted checksums are compared.
 * A group may stand in the middle of a batch, as a process that was killed leaves it; and a topic
 * is compacted, so that most of what stood between its matches is gone.
 */
import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import path from 'node:path'
import { test, type TestContext } from 'node:test'
import {
  checksumOfText,
  checksumOfValues,
  makeRecords,
  sendRecords,
  type KnownRecord,
  type SentRecord,
} from '../helpers/known-records.ts'
import { flags, Logpipe } from '../helpers/logpipe.ts'
import { bridge, openConsumer } from '../integration/bridge/rig.ts'
import { COMPACTED, type KafkaClient } from '../servers/kafka.ts'
import { sharedKafka, uniqueName } from '../servers/shared.ts'
import { serversMissing } from '../servers/stack.ts'

const CODECS = ['lz4', 'zstd', 'snappy', 'gzip', 'none']

const PARTITIONS = 4
const RECORDS = 12_000
/** A run of them mostly waits, for its group and for the second that tells of the lag. */
const RUNS_AT_ONCE = 3
/** Below, at and above a slot (1 MiB), and the 5 MB that the topic allows. */
const LARGE_BYTES = [300_000, 1_048_570, 1_048_576, 2_000_000, 5_000_000, 5_000_000]

interface Topic {
  readonly name: string
  /** What a reader of committed records sees; in the large form only what matches is kept. */
  readonly visible: readonly SentRecord[]
  readonly visibleCount: number
  /** The last visible offset of each partition; -1: none. */
  readonly lastOffsets: readonly number[]
}

function topicOf(name: string, visible: readonly SentRecord[]): Topic {
  const lastOffsets = Array.from({ length: PARTITIONS }, () => -1)
  for (const { partition, offset } of visible) {
    lastOffsets[partition] = Math.max(lastOffsets[partition] ?? -1, offset)
  }
  return { name, visible, visibleCount: visible.length, lastOffsets }
}

const missing = serversMissing(['kafka'])

const together = { skip: missing ?? false, concurrency: RUNS_AT_ONCE }

test('what is written is exactly what matches', together, async (t) => {
  const kafka = await sharedKafka(t)
  const topics = new Map<string, Topic>()
  const runs: Promise<void>[] = []
  for (const [index, codec] of CODECS.entries()) {
    topics.set(codec, await fillTopic(kafka, codec, index))
  }

  for (const [index, codec] of CODECS.entries()) {
    for (const mode of ['worker', 'direct']) {
      const ingress = String(1 + ((index + (mode === 'direct' ? 1 : 0)) % 2))
      const name = `${codec} in ${mode} mode with ${ingress} ingress threads`
      const run = t.test(name, async (t) => {
        const topic = topics.get(codec)!
        const args = ['--pattern', 'ERROR', '--mode', mode, '--ingress-threads', ingress]
        assertSame(await written(t, kafka, topic, args), valuesThat(topic, has('ERROR')))
      })
      runs.push(run)
    }
  }

  for (const [index, { args, matches }] of FILTERS.entries()) {
    const run = t.test(`what matches with ${args.join(' ')}`, async (t) => {
      const topic = topics.get(CODECS[index % CODECS.length]!)!
      assertSame(await written(t, kafka, topic, args), valuesThat(topic, matches))
    })
    runs.push(run)
  }

  for (const [index, codec] of CODECS.entries()) {
    const mode = index % 2 === 0 ? 'worker' : 'direct'
    const run = t.test(`${codec} from the middle of a batch, in ${mode} mode`, async (t) => {
      const topic = topics.get(codec)!
      const group = uniqueName('exact')
      const starts = topic.lastOffsets.map((last) => Math.floor(last / 3) + index)
      commit(t, kafka, { group, topic: topic.name, starts })
      const visible = topic.visible.filter(({ partition, offset }) => offset >= starts[partition]!)
      const rest = topicOf(topic.name, visible)
      const args = ['--pattern', 'ERROR', '--mode', mode]
      assertSame(await written(t, kafka, rest, args, group), valuesThat(rest, has('ERROR')))
    })
    runs.push(run)
  }

  const asJson = t.test('JSON lines give each record back, whatever its bytes', async (t) => {
    const topic = topics.get('zstd')!
    const text = await written(t, kafka, topic, ['--pattern', '', '--format', 'json'])
    const lines = text.toString('utf8').split('\n').slice(0, -1)
    const found = lines.map((line) => recordOfLine(line, topic.name))
    // Values as digests, so that what differs is told of a record of megabytes, too.
    assert.deepEqual(
      found.sort(byOffset).map(digested),
      [...topic.visible].sort(byOffset).map(digested),
    )
  })

  const bounded = t.test(
    'after --run-seconds it ends by itself, with everything written',
    async (t) => {
      const topic = topics.get('lz4')!
      const run = new Logpipe(t, [
        'run',
        '--brokers',
        kafka.bootstrapServers,
        '--topic',
        topic.name,
        '--group',
        uniqueName('exact'),
        '--run-seconds',
        '10',
        '--output',
        'file:out',
      ])
      const { status, stderr } = await run.ended
      assert.equal(status, 0, stderr)
      const out = readFileSync(path.join(run.folder, 'out'))
      assertSame(out, valuesThat(topic, has('ERROR')))
    },
  )
  await Promise.all([...runs, asJson, bounded])
})

/** A new segment lets the cleaner have the one before; it looks every 15 s. */
const COMPACTION_MS_MAX = 120_000

test('of a compacted topic exactly the matches', { skip: missing ?? false }, async (t) => {
  const kafka = await sharedKafka(t)
  const name = uniqueName('exact-compacted')
  await kafka.createTopic(name, PARTITIONS, COMPACTED)
  const sent: SentRecord[] = []
  for (const [index, codec] of CODECS.entries()) {
    const records = makeRecords({
      seed: 40 + index,
      count: 2000,
      partitions: PARTITIONS,
      largeBytes: [],
    })
    // Every match has a key of its own, and stays; of the others the last of each key does.
    const keyed = records.map((record, at) => {
      const key = has('ERROR')(record.value) ? `${codec}-${at}` : `other-${at % 7}`
      return { ...record, key: Buffer.from(key) }
    })
    const to = { bootstrapServers: kafka.bootstrapServers, topic: name, codec }
    sent.push(...(await sendRecords(keyed, to)))
  }
  const expected = sent.map(({ value }) => value).filter(has('ERROR'))
  const endMs = performance.now() + COMPACTION_MS_MAX
  for (let mode = 'worker'; ; mode = mode === 'worker' ? 'direct' : 'worker') {
    const group = uniqueName('exact')
    const run = startRun(t, kafka, name, ['--pattern', 'ERROR', '--mode', mode], group)
    await run.until('the matches are read', () => run.metric('matched_total') >= expected.length)
    await run.until('nothing is left to read', () => lagOf(run) === '0')
    const { stderr } = await run.stop()
    assertSame(readFileSync(path.join(run.folder, 'out')), expected)
    const read = Number(/read (\d+) records/.exec(stderr)?.[1])
    assert.ok(read >= expected.length, stderr)
    if (mode === 'direct' && read < sent.length / 2) break
    assert.ok(performance.now() < endMs, `not compacted: ${read} of ${sent.length} are there`)
    // The end of a segment, in each partition.
    const ends = sent.slice(0, PARTITIONS).map((one, partition) => {
      return { ...one, partition, key: Buffer.from('end'), value: Buffer.from('end') }
    })
    await sendRecords(ends, { bootstrapServers: kafka.bootstrapServers, topic: name, codec: 'lz4' })
  }
})

/** Minutes and gigabytes: asked for by LOGPIPE_TEST_FULL=1. */
const FULL_RECORDS = 1_000_000
const FULL_MATCHES = 1000
const isFull = process.env['LOGPIPE_TEST_FULL'] === '1'
const skipFull = missing ?? (isFull ? false : 'LOGPIPE_TEST_FULL=1 runs it (minutes)')

test('of a million records of 1 KB exactly the matches', { skip: skipFull }, async (t) => {
  const kafka = await sharedKafka(t)
  for (const codec of CODECS) {
    const name = uniqueName(`million-${codec}`)
    await kafka.createTopic(name, PARTITIONS)
    const to = { bootstrapServers: kafka.bootstrapServers, topic: name, codec }
    const all = topicOf(name, await sendRecords(millionRecords(), to))
    const topic = { ...all, visible: all.visible.filter((record) => has('ERROR')(record.value)) }
    const expected = valuesThat(topic, has('ERROR'))
    assert.equal(expected.length, FULL_MATCHES)
    for (const mode of ['worker', 'direct']) {
      for (const ingress of ['1', '2']) {
        await t.test(`${codec} in ${mode} mode with ${ingress} ingress threads`, async (t) => {
          const args = ['--pattern', 'ERROR', '--mode', mode, '--ingress-threads', ingress]
          assertSame(await written(t, kafka, topic, args), expected)
        })
      }
    }
  }
})

/** The matches differ from one another; the others are taken from a few, or memory ends. */
function millionRecords(): KnownRecord[] {
  const others = Array.from({ length: 64 }, (_, index) => {
    let text = `2026-11-22T10:00:00Z INFO host-${index} ERRO RROR `
    while (text.length < 1024) text += `request=${(index * 7919 + text.length) % 10_007} `
    return Buffer.from(text.slice(0, 1024))
  })
  return Array.from({ length: FULL_RECORDS }, (_, index) => {
    const other = others[index % others.length]!
    const isMatch = index % (FULL_RECORDS / FULL_MATCHES) === 17
    const match = () => Buffer.concat([Buffer.from(`ERROR ${index} `), other]).subarray(0, 1024)
    return {
      partition: Math.floor(index / 100) % PARTITIONS,
      key: null,
      value: isMatch ? match() : other,
      headers: [],
      timestampMs: 1_700_000_000_000 + index,
    }
  })
}

type Matches = (value: Buffer | null) => boolean

const has =
  (pattern: string | Buffer): Matches =>
  (value) =>
    value !== null && value.includes(pattern)

const FILTERS: readonly { readonly args: readonly string[]; readonly matches: Matches }[] = [
  {
    args: ['--pattern', 'error', '--ignore-case'],
    matches: (value) => value !== null && /error/i.test(value.toString('latin1')),
  },
  { args: ['--pattern', 'ERROR', '--invert-match'], matches: (value) => !has('ERROR')(value) },
  {
    args: ['--pattern', 'latency=17 9', '--pattern', 'ERROR', '--pattern-hex', 'c080'],
    matches: (value) =>
      ['latency=17 9', 'ERROR', Buffer.from('c080', 'hex')].some((each) => has(each)(value)),
  },
  { args: ['--pattern-hex', 'ff00fe'], matches: has(Buffer.from('ff00fe', 'hex')) },
]

async function fillTopic(kafka: KafkaClient, codec: string, seed: number): Promise<Topic> {
  const name = uniqueName(`exact-${codec}`)
  await kafka.createTopic(name, PARTITIONS, { 'max.message.bytes': '10000000' })
  const to = { bootstrapServers: kafka.bootstrapServers, topic: name, codec }
  const records = (count: number, largeBytes: readonly number[]) =>
    makeRecords({ seed: seed * 10 + count, count, partitions: PARTITIONS, largeBytes })
  const first = await sendRecords(records(RECORDS / 2, LARGE_BYTES), to)
  await sendRecords(records(500, [2_000_000]), { ...to, transaction: 'abort' })
  const within = await sendRecords(records(501, [1_100_000]), { ...to, transaction: 'commit' })
  const last = await sendRecords(records(RECORDS / 2 + 1, []), to)
  await sendRecords(records(100, []), { ...to, transaction: 'abort' })
  return topicOf(name, [...first, ...within, ...last])
}

/** As the group of a process that was killed: these are the next offsets, by partition. */
function commit(
  t: TestContext,
  { bootstrapServers }: KafkaClient,
  { group, topic, starts }: { group: string; topic: string; starts: readonly number[] },
): void {
  const consumer = openConsumer(t, { id: 0, bootstrapServers }, [], [['group.id', group]])
  const rows = starts.map((offset, partition) => ({ topic, partition, offset }))
  const answers = bridge.consumerCommit(consumer, rows, 30_000)
  assert.ok(answers.every(({ error }) => error === null))
  bridge.consumerClose(consumer, 10_000)
}

function startRun(
  t: TestContext,
  kafka: KafkaClient,
  topic: string,
  args: readonly string[],
  group: string,
): Logpipe {
  return new Logpipe(t, [
    'run',
    ...flags({ brokers: kafka.bootstrapServers, topic, group }),
    ...flags({ 'run-seconds': 0, output: 'file:out', 'pool-size': 64, 'filter-threads': 2 }),
    ...args,
  ])
}

/** Also where the last thing in a partition is the end of a transaction. */
const lagOf = (run: Logpipe) => /\| lag=(\d+)[^|]*$/.exec(run.stderr)?.[1]

/** Runs until everything was read, stops it in order. @returns what it wrote. */
async function written(
  t: TestContext,
  kafka: KafkaClient,
  topic: Topic,
  args: readonly string[],
  group = uniqueName('exact'),
): Promise<Buffer> {
  const run = startRun(t, kafka, topic.name, args, group)
  await run.until('all is read', () => run.metric('polled_total') >= topic.visibleCount)
  await run.until('nothing is left to read', () => lagOf(run) === '0')
  const { stderr } = await run.stop()
  const read = `read ${topic.visibleCount} records`
  assert.ok(stderr.includes(read), `${read}:\n${stderr}`)
  await assertCommitted(kafka, topic, group)
  return readFileSync(path.join(run.folder, 'out'))
}

/** Nothing that was read is left to be read again. */
async function assertCommitted(kafka: KafkaClient, topic: Topic, group: string): Promise<void> {
  const committed = await kafka.groupOffsets(group, topic.name)
  for (const [partition, last] of topic.lastOffsets.entries()) {
    // An empty partition need not be committed.
    if (last >= 0) assert.ok((committed[partition] ?? -1) > last, `partition ${partition}`)
  }
}

function valuesThat(topic: Topic, matches: Matches): (Buffer | null)[] {
  const values = topic.visible.map((record) => record.value).filter(matches)
  assert.ok(values.length > 10, 'something matches')
  return values
}

function assertSame(out: Buffer, expected: readonly (Buffer | null)[]): void {
  assert.deepEqual(checksumOfText(out), checksumOfValues(expected))
}

interface JsonLine {
  readonly topic: string
  readonly partition: number
  readonly offset: number
  readonly timestamp: number
  readonly timestamp_type: string
  readonly key: JsonBytes
  readonly value: JsonBytes
  readonly headers: readonly (readonly [name: string, value: JsonBytes])[]
}

function recordOfLine(line: string, topic: string): SentRecord {
  const parsed = JSON.parse(line) as JsonLine
  assert.equal(parsed.topic, topic)
  assert.equal(parsed.timestamp_type, 'create')
  return {
    partition: parsed.partition,
    key: bytesOf(parsed.key),
    value: bytesOf(parsed.value),
    headers: parsed.headers.map(([name, value]) => [name, bytesOf(value)]),
    timestampMs: parsed.timestamp,
    offset: parsed.offset,
  }
}

type JsonBytes = null | string | { readonly base64: string }

function bytesOf(value: JsonBytes): Buffer | null {
  if (value === null) return null
  return typeof value === 'string' ? Buffer.from(value) : Buffer.from(value.base64, 'base64')
}

function digested({ value, ...rest }: SentRecord): object {
  const sha256 = value === null ? null : createHash('sha256').update(value).digest('hex')
  return { ...rest, sha256, bytes: value?.length }
}

function byOffset(left: SentRecord, right: SentRecord): number {
  return left.partition - right.partition || left.offset - right.offset
}
