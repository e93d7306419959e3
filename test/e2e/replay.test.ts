/**
 * A span of time once more, on a real Kafka: what is written is exactly what matches and lies in
 * the span, whatever the order of timestamps, the gaps of offsets, and the group.
 *
 * The topic's timestamps are out of order by up to two minutes, some records are later or earlier
 * than that, and an aborted transaction ends it. What is wanted is said from what was sent.
 */
import assert from 'node:assert/strict'
import { existsSync, readFileSync } from 'node:fs'
import path from 'node:path'
import { test, type TestContext } from 'node:test'
import { untilCommitted } from '../helpers/committed.ts'
import { sendRecords, type KnownRecord, type SentRecord } from '../helpers/known-records.ts'
import { flags, Logpipe, type Ended } from '../helpers/logpipe.ts'
import { COMPACTED, type KafkaClient } from '../servers/kafka.ts'
import { sharedElasticsearch, sharedKafka, uniqueName } from '../servers/shared.ts'
import { serversMissing } from '../servers/stack.ts'

const PARTITIONS = 3
const START_MS = Date.parse('2026-09-01T00:00:00Z')
const MINUTE_MS = 60_000
/** One of the records' times is in the future. */
const ANY_TIME = { 'message.timestamp.after.max.ms': String(2 ** 53) }

interface Line {
  readonly partition: number
  readonly offset: number
  readonly timestamp: number
}

/** One record a second for an hour in each partition, one in three of them with ERROR. */
function hourOfRecords(): KnownRecord[] {
  const records: KnownRecord[] = []
  for (let second = 0; second < 3600; second++) {
    for (let partition = 0; partition < PARTITIONS; partition++) {
      // Partition 1 is in order; the others go to and fro by up to two minutes.
      const jitterMs = partition === 1 ? 0 : ((second * 7919) % 240_000) - 120_000
      const timestampMs = START_MS + second * 1000 + jitterMs
      records.push(recordAt(partition, timestampMs, `${second % 3 === 0 ? 'ERROR' : 'INFO'} s`))
    }
  }
  // Nine minutes late, and half an hour; and a host whose clock is ten years ahead.
  records.splice(29 * 60 * PARTITIONS, 0, recordAt(0, START_MS + 20.5 * MINUTE_MS, 'ERROR late'))
  records.splice(55 * 60 * PARTITIONS, 0, recordAt(0, START_MS + 20.6 * MINUTE_MS, 'ERROR later'))
  records.splice(20.5 * 60 * PARTITIONS, 0, recordAt(1, START_MS + 1e7 * MINUTE_MS, 'ERROR clock'))
  return records
}

function recordAt(partition: number, timestampMs: number, text: string): KnownRecord {
  const value = Buffer.from(`${text} ${partition} ${timestampMs}`)
  return { partition, key: null, value, headers: [], timestampMs }
}

async function fill(kafka: KafkaClient): Promise<{ topic: string; sent: SentRecord[] }> {
  const topic = uniqueName('replay')
  await kafka.createTopic(topic, PARTITIONS, ANY_TIME)
  const to = { bootstrapServers: kafka.bootstrapServers, topic, codec: 'lz4' }
  const all = hourOfRecords()
  const sent = await sendRecords(all, to)
  // Offsets that no reader of committed records sees, at the end of every partition.
  const aborted = all.slice(-300).map((record) => ({ ...record, value: Buffer.from('ERROR not') }))
  await sendRecords(aborted, { ...to, transaction: 'abort' })
  return { topic, sent }
}

const at = (minutes: number) => new Date(START_MS + minutes * MINUTE_MS).toISOString()

async function replay(
  t: TestContext,
  kafka: KafkaClient,
  topic: string,
  args: readonly string[],
): Promise<{ readonly ended: Ended; readonly lines: readonly Line[]; readonly folder: string }> {
  const run = new Logpipe(t, [
    'replay',
    ...flags({ brokers: kafka.bootstrapServers, topic }),
    ...flags({ 'pool-size': 16, 'filter-threads': 1, format: 'json', output: 'file:out' }),
    ...args,
  ])
  const ended = await run.ended
  const out = path.join(run.folder, 'out')
  const text = existsSync(out) ? readFileSync(out, 'utf8') : ''
  const lines = text
    .split('\n')
    .slice(0, -1)
    .map((line) => JSON.parse(line) as Line)
  return { ended, lines, folder: run.folder }
}

const keyOf = ({ partition, offset }: { partition: number; offset: number }) =>
  `${partition}-${String(offset).padStart(9, '0')}`

function assertLines(lines: readonly Line[], wanted: readonly SentRecord[]): void {
  assert.deepEqual(lines.map(keyOf).sort(), wanted.map(keyOf).sort())
}

const isError = ({ value }: SentRecord) => value?.includes('ERROR') === true

function within(from: number, to: number): (record: SentRecord) => boolean {
  const [fromMs, toMs] = [START_MS + from * MINUTE_MS, START_MS + to * MINUTE_MS]
  return ({ timestampMs }) => timestampMs >= fromMs && timestampMs < toMs
}

const missing = serversMissing(['kafka'])

test('a replay writes what matches and lies in the span', { skip: missing ?? false }, async (t) => {
  const kafka = await sharedKafka(t)
  const { topic, sent } = await fill(kafka)
  const span = ['--from', at(20), '--to', at(21)]

  for (const mode of ['worker', 'direct']) {
    await t.test(`timestamps in no order, in mode ${mode}`, async (t) => {
      const { ended, lines } = await replay(t, kafka, topic, [...span, '--mode', mode])
      assert.equal(ended.status, 0, ended.stderr)
      const wanted = sent.filter(isError).filter(within(20, 21))
      assert.ok(wanted.length > 50)
      assertLines(lines, wanted)
      assert.match(ended.stderr, /^books balance$/m)
      assert.match(ended.stderr, /filtered\(time\)/)
      assert.match(
        ended.stderr,
        /replays records from 2026-09-01T00:20:00.000Z to 2026-09-01T00:21/,
      )
      // What lies before the span was not read.
      const [, read = ''] = /read (\d+) records/.exec(ended.stderr) ?? []
      assert.ok(Number(read) > wanted.length && Number(read) < sent.length * 0.75, `read ${read}`)
    })
  }

  await t.test('some partitions only, to their end, past an aborted transaction', async (t) => {
    const args = ['--from', at(58), '--partitions', '0,2']
    const { ended, lines } = await replay(t, kafka, topic, args)
    assert.equal(ended.status, 0, ended.stderr)
    const wanted = sent.filter(isError).filter(within(58, Infinity))
    assertLines(
      lines,
      wanted.filter(({ partition }) => partition !== 1),
    )
    assert.equal(new Set(lines.map(({ partition }) => partition)).size, 2)
  })

  await t.test('a span that holds nothing ends at once, and says so', async (t) => {
    const { ended, lines } = await replay(t, kafka, topic, ['--from', '2050-01-01T00:00Z'])
    assert.equal(ended.status, 0, ended.stderr)
    assert.match(ended.stderr, /nothing to replay/)
    assert.deepEqual(lines, [])
    // Before everything: all of it is read, and none of it is in the span.
    const before = ['--from', at(-100), '--to', at(-50)]
    const early = await replay(t, kafka, topic, before)
    assert.equal(early.ended.status, 0, early.ended.stderr)
    assert.deepEqual(early.lines, [])
  })

  await t.test('what cannot be is refused in one line', async (t) => {
    const none = await replay(t, kafka, topic, ['--from', at(0), '--partitions', '7'])
    assert.equal(none.ended.status, 1)
    assert.match(none.ended.stderr, /has 3 partitions, 0 to 2; --partitions names 7$/m)
    const absent = await replay(t, kafka, uniqueName('absent'), ['--from', at(0)])
    assert.equal(absent.ended.status, 1)
    assert.match(absent.ended.stderr, /topic absent-\w+ (does not exist|cannot be read)/)
  })

  await t.test('a pipeline of the same group goes on, and nothing is committed', async (t) => {
    // The very name that a replay gives to librdkafka.
    const group = 'logpipe-replay'
    const args = [...flags({ brokers: kafka.bootstrapServers, topic, group }), '--run-seconds', '0']
    // One member: a second one that joins late would be given partitions of the first.
    const one = ['--ingress-threads', '1', '--group-instance-id', 'm']
    const member = [...args, ...one, '--output', 'file:live']
    const live = new Logpipe(t, ['run', ...member, '--pool-size', '16', '--filter-threads', '1'])
    await live.until('all is read', () => live.metric('polled_total') >= sent.length)
    const committed = await untilCommitted({ kafka, group, topic, run: live }, [3602, 3600, 3600])
    const { ended } = await replay(t, kafka, topic, span)
    assert.equal(ended.status, 0, ended.stderr)
    assert.deepEqual(await kafka.groupOffsets(group, topic), committed)
    const { stderr } = await live.stop()
    assert.equal(stderr.match(/revoked|lost/g), null, stderr)
  })
})

/** The cleaner of a test's broker looks every 15 s. */
const COMPACT_MS_MAX = 120_000

test('gaps of compaction are passed', { skip: missing ?? false }, async (t) => {
  const kafka = await sharedKafka(t)
  const topic = uniqueName('replay-compacted')
  await kafka.createTopic(topic, 1, {
    ...ANY_TIME,
    ...COMPACTED,
  })
  const to = { bootstrapServers: kafka.bootstrapServers, topic, codec: 'none' }
  const records = Array.from({ length: 600 }, (_, index) => ({
    ...recordAt(0, START_MS + index * 1000, 'ERROR'),
    key: Buffer.from(`key-${index % 40}`),
  }))
  const sent = await sendRecords(records, to)
  const endMs = performance.now() + COMPACT_MS_MAX
  for (;;) {
    // A new segment lets the cleaner have the one before.
    await sendRecords([{ ...recordAt(0, START_MS + 3_600_000, 'x'), key: Buffer.from('x') }], to)
    const { ended, lines } = await replay(t, kafka, topic, ['--from', at(0), '--to', at(10)])
    assert.equal(ended.status, 0, ended.stderr)
    assert.match(ended.stderr, /^books balance$/m)
    if (lines.length === 40) {
      assertLines(lines, sent.slice(-40))
      return
    }
    assert.ok(performance.now() < endMs, `not compacted: ${lines.length} lines`)
    await new Promise((resolve) => setTimeout(resolve, 3000))
  }
})

const withoutSearch = serversMissing(['kafka', 'elasticsearch'])

test(
  'into Elasticsearch twice: no second document',
  { skip: withoutSearch ?? false },
  async (t) => {
    const kafka = await sharedKafka(t)
    const url = await sharedElasticsearch(t)
    const { topic, sent } = await fill(kafka)
    const index = uniqueName('replayed')
    const args = ['--from', at(10), '--to', at(40), '--output', 'elasticsearch']
    // A cold server may take seconds to make an index.
    const to = flags({ 'es-url': url, 'es-index': index, 'es-timeout-ms': 20_000 })
    const wanted = sent.filter(isError).filter(within(10, 40))
    const count = async () => {
      await fetch(`${url}/${index}/_refresh`, { method: 'POST' })
      const answer = await fetch(`${url}/${index}/_count`)
      return ((await answer.json()) as { count: number }).count
    }
    const first = await replay(t, kafka, topic, [...args, ...to])
    assert.equal(first.ended.status, 0, first.ended.stderr)
    assert.equal(await count(), wanted.length)
    const second = await replay(t, kafka, topic, [...args, ...to])
    assert.equal(second.ended.status, 0, second.ended.stderr)
    assert.equal(await count(), wanted.length)
    assert.match(second.ended.stderr, /duplicate/)
    assert.match(second.ended.stderr, /^books balance$/m)
  },
)
