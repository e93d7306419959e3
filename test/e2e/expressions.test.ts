/**
 * Filters by expression on a real Kafka: what is written is what an independent count of the sent
 * records says, for fields, keys, headers and text; and what `try` prints beforehand is the same.
 */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import path from 'node:path'
import { test, type TestContext } from 'node:test'
import { sendRecords, type KnownRecord, type SentRecord } from '../helpers/known-records.ts'
import { flags, Logpipe } from '../helpers/logpipe.ts'
import type { KafkaClient } from '../servers/kafka.ts'
import { sharedElasticsearch, sharedKafka, uniqueName } from '../servers/shared.ts'
import { serversMissing } from '../servers/stack.ts'

const missing = serversMissing(['kafka'])
const skip = missing ?? false
const PARTITIONS = 3
const RECORDS = 30_000
/** Of which each figure of `try` is counted; LOGPIPE_TEST_FULL=1 sends a million. */
const FIGURES = process.env['LOGPIPE_TEST_FULL'] === '1' ? 1_000_000 : RECORDS
/** Records in this process at one time. */
const SENT_TOGETHER = 100_000
const START_MS = Date.parse('2026-09-01T00:00:00Z')
const LEVELS = ['INFO', 'WARN', 'ERROR', 'DEBUG']

interface Made {
  readonly level: string
  readonly status: number
  readonly path: string
}

/** What a line is made of; null: it is no JSON. */
function madeOf(index: number): Made | null {
  if (index % 10 === 9) return null
  const level = LEVELS[(index * 7) % LEVELS.length] ?? ''
  return { level, status: 200 + ((index * 13) % 400), path: `/api/${index % 17}/health` }
}

function valueOf(index: number): string {
  const made = madeOf(index)
  if (made === null) return `plain ERROR ${index}`
  const { level, status, path: at } = made
  // Now and then spelled as no search for the plain bytes would find it.
  const spelled = index % 3 === 0 ? level.replace('E', String.raw`\u0045`) : level
  const number = index % 5 === 0 ? `${status / 10}e1` : String(status)
  return `{"level":"${spelled}","http":{"status":${number}},"path":"${at}","n":${index}}`
}

function records(from: number, count: number): KnownRecord[] {
  return Array.from({ length: count }, (_, place) => from + place).map((index) => ({
    partition: index % PARTITIONS,
    key: index % 4 === 0 ? null : Buffer.from(`user-${index % 100}`),
    value: index % 1000 === 500 ? null : Buffer.from(valueOf(index)),
    headers: index % 2 === 0 ? [['env', Buffer.from(index % 6 === 0 ? 'prod' : 'test')]] : [],
    timestampMs: START_MS + index * 100,
  }))
}

interface Case {
  readonly filter: Readonly<Record<string, string>>
  readonly isKept: (index: number) => boolean
}

const isTombstone = (index: number) => index % 1000 === 500
const made = (index: number) => (isTombstone(index) ? null : madeOf(index))
const raw = (index: number) => (isTombstone(index) ? '' : valueOf(index))

const CASES: readonly Case[] = [
  { filter: { keep: 'level:ERROR' }, isKept: (index) => made(index)?.level === 'ERROR' },
  {
    filter: { keep: 'http.status >= 500 and not path:/api/3/*' },
    isKept: (index) => (made(index)?.status ?? 0) >= 500 && index % 17 !== 3,
  },
  {
    filter: { keep: 'level:(WARN or DEBUG) or "plain"', drop: '@partition:1' },
    isKept: (index) =>
      index % PARTITIONS !== 1 &&
      (['WARN', 'DEBUG'].includes(made(index)?.level ?? '') || raw(index).includes('plain')),
  },
  {
    filter: { keep: '@key ~ /^user-1\\d$/ and @header.env:prod' },
    isKept: (index) => index % 4 !== 0 && /^1\d$/.test(`${index % 100}`) && index % 6 === 0,
  },
  {
    filter: { regex: 'ERROR \\d*19$' },
    isKept: (index) => /ERROR \d*19$/.test(raw(index)),
  },
  {
    filter: { drop: 'level:* or "plain"' },
    isKept: (index) => made(index) === null && !raw(index).includes('plain'),
  },
  {
    filter: { keep: '@time >= 2026-09-01T00:30Z and @offset < 9500' },
    isKept: (index) => index >= 18_000 && Math.floor(index / PARTITIONS) < 9500,
  },
]

async function fill(kafka: KafkaClient): Promise<{ topic: string; sent: readonly SentRecord[] }> {
  const topic = uniqueName('expressions')
  await kafka.createTopic(topic, PARTITIONS)
  const to = { bootstrapServers: kafka.bootstrapServers, topic, codec: 'lz4' }
  return { topic, sent: await sendRecords(records(0, RECORDS), to) }
}

const placeOf = ({ partition, offset }: { partition: number; offset: number }) =>
  `${partition}-${String(offset).padStart(9, '0')}`

interface Report {
  readonly records: number
  readonly kept: { readonly records: number; readonly bytes: number }
  readonly dropped: { readonly records: number }
  readonly reasons: readonly { readonly reason: string; readonly records: number }[]
  readonly no_json: { readonly seen: number; readonly kept: number }
  readonly rejected_unread: number | null
  readonly per_second: { readonly records: number } | null
}

async function tried(t: TestContext, args: readonly string[]): Promise<Report> {
  const { status, stdout, stderr } = await new Logpipe(t, ['try', '--json', ...args]).ended
  assert.equal(status, 0, stderr)
  return JSON.parse(stdout.toString()) as Report
}

test('an expression keeps what an independent count says', { skip }, async (t) => {
  const kafka = await sharedKafka(t)
  const { topic, sent } = await fill(kafka)
  const place = flags({ brokers: kafka.bootstrapServers, topic })

  for (const [number, { filter, isKept }] of CASES.entries()) {
    await t.test(JSON.stringify(filter), async (t) => {
      const wanted = sent.filter((_, index) => isKept(index))
      assert.ok(wanted.length > 20 && wanted.length < RECORDS)
      const run = new Logpipe(t, [
        'run',
        ...place,
        ...flags({
          group: `${topic}-${number}`,
          until: 'end',
          output: 'file:out',
          format: 'json',
        }),
        ...flags({ mode: number % 2 === 0 ? 'worker' : 'direct', 'pool-size': 16 }),
        ...flags({ ...filter, 'filter-threads': 2 }),
      ])
      const ended = await run.ended
      assert.equal(ended.status, 0, ended.stderr)
      assert.match(ended.stderr, /^books balance$/m)
      const lines = readFileSync(path.join(run.folder, 'out'), 'utf8').split('\n').slice(0, -1)
      const found = lines.map((line) => placeOf(JSON.parse(line) as SentRecord))
      assert.deepEqual(found.sort(), wanted.map(placeOf).sort())

      const report = await tried(t, [...place, ...flags({ ...filter, from: 'beginning' })])
      const dropped = RECORDS - wanted.length
      assert.deepEqual(
        [report.records, report.kept.records, report.dropped.records],
        [RECORDS, wanted.length, dropped],
      )
      const bytes = wanted.reduce((sum, { value }) => sum + (value?.length ?? 0), 0)
      assert.equal(report.kept.bytes, bytes)
      assert.equal(report.no_json.seen, sent.filter((_, index) => made(index) === null).length)
      assert.equal(
        report.reasons.reduce((sum, one) => sum + one.records, 0),
        dropped,
      )
      assert.ok((report.rejected_unread ?? 0) <= dropped)
    })
  }

  await t.test('-n writes exactly so many, and the next run of the group goes on', async (t) => {
    const seen = new Set<string>()
    for (let round = 0; round < 2; round++) {
      const args = [
        ...place,
        ...flags({ group: `${topic}-n`, keep: 'level:ERROR', format: 'json' }),
      ]
      const { status, stdout, stderr } = await new Logpipe(t, ['run', '-n', '500', ...args]).ended
      assert.equal(status, 0, stderr)
      const lines = stdout.toString().split('\n').slice(0, -1)
      assert.equal(lines.length, 500)
      for (const line of lines) seen.add(placeOf(JSON.parse(line) as SentRecord))
    }
    assert.equal(seen.size, 1000)
  })

  await t.test('try looks at the last records, and expects their rate', async (t) => {
    const report = await tried(t, [...place, ...flags({ keep: 'level:ERROR', last: 3000 })])
    const last = sent.map((_, index) => index).filter((index) => index >= RECORDS - 3000)
    const kept = last.filter((index) => made(index)?.level === 'ERROR').length
    assert.deepEqual([report.records, report.kept.records], [3000, kept])
    // Ten records a second were made.
    const expected = (kept / 3000) * 10
    assert.ok(Math.abs((report.per_second?.records ?? 0) - expected) < expected / 100)
  })
})

test('the figures of try are those of a count of all records', { skip }, async (t) => {
  const kafka = await sharedKafka(t)
  const topic = uniqueName('figures')
  await kafka.createTopic(topic, PARTITIONS)
  const to = { bootstrapServers: kafka.bootstrapServers, topic, codec: 'lz4' }
  for (let from = 0; from < FIGURES; from += SENT_TOGETHER) {
    await sendRecords(records(from, Math.min(SENT_TOGETHER, FIGURES - from)), to)
  }
  const counted = {
    kept: { records: 0, bytes: 0 },
    dropped: { records: 0, bytes: 0 },
    no_json: { seen: 0, kept: 0 },
  }
  const reasons = new Map<string, number>()
  for (let index = 0; index < FIGURES; index++) {
    const status = made(index)?.status ?? 0
    const isHigh = status >= 300
    const isNo = index % 17 === 3
    const isLate = made(index)?.level === 'DEBUG'
    const isKept = isHigh && !isNo && !isLate
    const sum = isKept ? counted.kept : counted.dropped
    sum.records++
    sum.bytes += Buffer.byteLength(raw(index))
    if (made(index) === null) counted.no_json.seen++
    if (isKept) continue
    const reason = !isHigh
      ? 'http.status >= 300 is not met'
      : isNo
        ? String.raw`not path:\/api\/3\/* is not met`
        : 'dropped by level:DEBUG'
    reasons.set(reason, (reasons.get(reason) ?? 0) + 1)
  }
  const keep = 'http.status >= 300 and not path:/api/3/*'
  const given = { brokers: to.bootstrapServers, topic, keep, drop: 'level:DEBUG' }
  const report = await tried(t, flags({ ...given, from: 'beginning' }))
  const { kept, dropped, no_json } = report
  assert.equal(report.records, FIGURES)
  assert.partialDeepStrictEqual({ kept, dropped, no_json }, counted)
  const told = report.reasons.map(({ reason, records: count }) => [reason, count])
  assert.deepEqual(Object.fromEntries(told), Object.fromEntries(reasons))
  t.diagnostic(`${FIGURES} records, ${kept.records} kept, ${kept.bytes} bytes`)
})

const searchMissing = serversMissing()

test(
  'try names the fields that the index then refuses',
  { skip: searchMissing ?? false },
  async (t) => {
    const [kafka, url] = await Promise.all([sharedKafka(t), sharedElasticsearch(t)])
    const [topic, index] = [uniqueName('mapping'), uniqueName('mapping')]
    const put = (method: string, at: string, body: string) =>
      fetch(`${url}${at}`, { method, body, headers: { 'content-type': 'application/json' } })
    const properties = {
      status: { type: 'long' },
      at: { type: 'date' },
      ok: { type: 'boolean' },
      level: { type: 'keyword' },
      http: { properties: { method: { type: 'keyword' } } },
    }
    const mappings = { dynamic: 'strict', properties }
    assert.equal((await put('PUT', `/${index}`, JSON.stringify({ mappings }))).status, 200)
    const values = [
      '{"level":"a","status":"500","at":"2026-09-01T00:00:00Z","ok":"true"}',
      '{"level":5,"status":1.5,"at":1756684800000,"ok":false}',
      '{"level":"a","status":"many"}',
      '{"level":{"name":"a"}}',
      '{"level":"a","at":"yesterday"}',
      '{"level":"a","ok":"maybe"}',
      '{"level":"a","http":"GET"}',
      '{"level":"a","other":1}',
      '{"level":"a","http.method":"GET","status":null}',
      '{"level":"a","status":["1","x"]}',
    ]
    await kafka.createTopic(topic, 1)
    const sending = values.map((value, at) => ({
      partition: 0,
      key: null,
      value: Buffer.from(value),
      headers: [],
      timestampMs: START_MS + at,
    }))
    const { bootstrapServers } = kafka
    await sendRecords(sending, { bootstrapServers, topic, codec: 'none' })
    const args = flags({ brokers: bootstrapServers, topic, keep: '*', 'es-url': url })
    const { stdout, stderr, status } = await new Logpipe(t, [
      'try',
      '--json',
      ...args,
      ...flags({ 'es-index': index }),
    ]).ended
    assert.equal(status, 0, stderr)
    const { mapping } = JSON.parse(stdout.toString()) as {
      mapping: { fields: { field: string; records: number }[] }
    }
    const told = mapping.fields.map(({ field, records: count }) => `${field} ${count}`)
    assert.deepEqual(told.sort(), ['at 1', 'http 1', 'level 1', 'ok 1', 'other 1', 'status 2'])
    const statuses = await Promise.all(
      values.map(async (value) => (await put('POST', `/${index}/_doc`, value)).status),
    )
    assert.deepEqual(statuses, [201, 201, 400, 400, 400, 400, 400, 400, 201, 400])
    // Of a key that stands twice: what our documentation says of Elasticsearch.
    const twice = await put('POST', `/${index}/_doc`, '{"level":"a","level":"b"}')
    assert.equal(twice.status, 400, await twice.text())
  },
)
