import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as fc from 'fast-check'
import { BodyBuilder, type MatchedRecord } from '../../../src/pool/record-encoder.ts'
import { BulkEncoder } from '../../../src/sink/elasticsearch/bulk-encoder.ts'
import type { DocumentMode } from '../../../src/sink/elasticsearch/settings.ts'
import { ELASTICSEARCH_DEFAULTS } from '../../helpers/elasticsearch-defaults.ts'
import { isStubAt, readStub } from '../../../src/sink/elasticsearch/unsendable.ts'
import { encodeOne, recordOf, SOME_TIME_MS } from '../../helpers/bulk-batch.ts'
import { FakeBulk } from '../../helpers/fake-bulk.ts'

const MODES: readonly DocumentMode[] = ['raw', 'wrap', 'auto']

function headersOf(headers: readonly (readonly [string | Buffer, Buffer | null])[]): Buffer {
  const parts: Buffer[] = [u32(headers.length)]
  for (const [name, value] of headers) {
    const nameBytes = typeof name === 'string' ? Buffer.from(name) : name
    parts.push(u32(nameBytes.length), nameBytes)
    const size = Buffer.alloc(4)
    size.writeInt32LE(value === null ? -1 : value.length)
    parts.push(size, value ?? Buffer.alloc(0))
  }
  return Buffer.concat(parts)
}

function u32(value: number): Buffer {
  const bytes = Buffer.alloc(4)
  bytes.writeUInt32LE(value)
  return bytes
}

test('the action creates a document whose id is where the record lies', () => {
  const record = recordOf('{}', { topic: 'orders', partition: 7, offset: 2 ** 53 - 1 })
  assert.equal(
    encodeOne(record).action,
    '{"create":{"_index":"logs-filtered","_id":"orders-7-9007199254740991"}}',
  )
  assert.equal(
    encodeOne({ ...record, idPrefix: '0a1b2c3d' }).action,
    '{"create":{"_index":"logs-filtered","_id":"0a1b2c3d-orders-7-9007199254740991"}}',
  )
  assert.equal(
    encodeOne(record, { documentId: 'none' }).action,
    '{"create":{"_index":"logs-filtered"}}',
  )
})

test('a rule may name the index, the pipeline and the end of the id', () => {
  const rule = { name: 'errors', index: 'errors-{+yyyy}', pipeline: 'p', idSuffix: '-errors' }
  const record = recordOf('{}', { offset: 42, key: Buffer.from('k'), rule })
  const place = '"_index":"errors-2026"'
  assert.equal(
    encodeOne(record, {}, SOME_TIME_MS).action,
    `{"create":{${place},"_id":"orders-0-42-errors","pipeline":"p"}}`,
  )
  assert.equal(
    encodeOne(record, { documentId: 'none' }, SOME_TIME_MS).action,
    `{"create":{${place},"pipeline":"p"}}`,
  )
  assert.match(
    encodeOne(record, { documentId: 'key' }).action,
    /"_id":"k","version":\d+,"version_type":"external_gte","pipeline":"p"\}\}$/,
  )
  const plain = { name: 'rest', index: null, pipeline: null, idSuffix: '' }
  assert.equal(
    encodeOne({ ...record, rule: plain }).action,
    '{"create":{"_index":"logs-filtered","_id":"orders-0-42"}}',
  )
})

test('with ids from keys the version is the time of the record, then its offset', () => {
  const keyed = (key: Buffer | null, rest: Partial<MatchedRecord> = {}) =>
    encodeOne(recordOf('{}', { key, offset: 42, ...rest }), { documentId: 'key' }).action
  assert.equal(
    keyed(Buffer.from('a"b\nü')),
    `{"index":{"_index":"logs-filtered","_id":"a\\"b\\nü","version":${SOME_TIME_MS}000042,` +
      '"version_type":"external_gte"}}',
  )
  const versionOf = (timestampMs: number, offset: number): bigint => {
    const [, digits = ''] =
      /"version":(\d+),/.exec(keyed(Buffer.from('k'), { timestampMs, offset })) ?? []
    return BigInt(digits)
  }
  assert(versionOf(SOME_TIME_MS + 1, 0) > versionOf(SOME_TIME_MS, 2 ** 53 - 1))
  assert(versionOf(SOME_TIME_MS, 43) > versionOf(SOME_TIME_MS, 42))
  assert(versionOf(SOME_TIME_MS, 0) > versionOf(-1, 2 ** 40), 'no time: older than any')
  assert.equal(versionOf(-1, 42), 42n)
  assert(versionOf(Number.MAX_SAFE_INTEGER, 999_999) < 2n ** 63n)
  assert.match(keyed(Buffer.from([0xff, 0x00])), /"_id":"base64:\/wA="/)
  assert.equal(keyed(null), '{"create":{"_index":"logs-filtered","_id":"orders-0-42"}}')
})

test('the index follows topic and date of the record', () => {
  const settings = { index: 'app-{topic}-{+yyyy.MM.dd}', indexDateSpan: null }
  const indexOf = (timestampMs: number) =>
    /"_index":"([^"]*)"/.exec(
      encodeOne(recordOf('{}', { topic: 'Orders', timestampMs }), settings).action,
    )?.[1]
  assert.equal(indexOf(SOME_TIME_MS), 'app-orders-2026.09.01')
  assert.equal(indexOf(-1), 'app-orders-undated')
  assert.equal(indexOf(8.64e15 + 1), 'app-orders-undated')
})

test('one encoder keeps partitions, days and a new prefix apart', () => {
  const encoder = new BulkEncoder(
    { ...ELASTICSEARCH_DEFAULTS, index: 'a-{+yyyy.MM.dd}' },
    () => SOME_TIME_MS,
  )
  const body = new BodyBuilder()
  const times = [SOME_TIME_MS, SOME_TIME_MS + 86_400_000, SOME_TIME_MS]
  for (const [offset, timestampMs] of times.entries()) {
    for (const partition of [0, 1]) {
      encoder.encode(recordOf('{}', { offset, partition, timestampMs }), body)
      body.endDocument()
    }
  }
  encoder.encode(recordOf('{}', { offset: 9, idPrefix: 'ffff0000' }), body)
  body.endDocument()
  const lines = Buffer.from(body.take().body).toString().split('\n')
  assert.deepEqual(
    lines.filter((_, index) => index % 2 === 0 && index < 14),
    [
      '{"create":{"_index":"a-2026.09.01","_id":"orders-0-0"}}',
      '{"create":{"_index":"a-2026.09.01","_id":"orders-1-0"}}',
      '{"create":{"_index":"a-2026.09.02","_id":"orders-0-1"}}',
      '{"create":{"_index":"a-2026.09.02","_id":"orders-1-1"}}',
      '{"create":{"_index":"a-2026.09.01","_id":"orders-0-2"}}',
      '{"create":{"_index":"a-2026.09.01","_id":"orders-1-2"}}',
      '{"create":{"_index":"a-2026.09.01","_id":"ffff0000-orders-0-9"}}',
    ],
  )
})

test('a record dated outside of the span goes to the index of its arrival, and is counted', () => {
  const dayMs = 86_400_000
  const settings = { ...ELASTICSEARCH_DEFAULTS, index: 'a-{+yyyy.MM.dd}' }
  const named = (timestampMs: number, nowMs: number, more = {}) => {
    const encoder = new BulkEncoder({ ...settings, ...more }, () => nowMs)
    const body = new BodyBuilder()
    encoder.encode(recordOf('{}', { timestampMs }), body)
    body.endDocument()
    const text = Buffer.from(body.take().body).toString()
    const counts = [encoder.takeRedated(), encoder.takeRedated()]
    return [/"_index":"([^"]*)"/.exec(text)?.[1], ...counts]
  }
  const nowMs = SOME_TIME_MS
  assert.deepEqual(named(nowMs - 30 * dayMs, nowMs), ['a-2026.08.02', 0, 0])
  assert.deepEqual(named(nowMs + dayMs, nowMs), ['a-2026.09.02', 0, 0])
  for (const timestampMs of [0, nowMs - 30 * dayMs - 1, nowMs + dayMs + 1, 2 ** 52]) {
    assert.deepEqual(named(timestampMs, nowMs), ['a-2026.09.01', 1, 0], `${timestampMs}`)
  }
  // Whenever it is read again, a record within the span has the same index: it is a duplicate.
  assert.deepEqual(named(nowMs, nowMs + 20 * dayMs), ['a-2026.09.01', 0, 0])
  assert.deepEqual(named(-1, nowMs), ['a-undated', 0, 0])
  assert.deepEqual(named(0, nowMs, { indexDateSpan: null }), ['a-1970.01.01', 0, 0])
  assert.deepEqual(named(0, nowMs, { index: 'plain' }), ['plain', 0, 0])
})

test('raw leaves a JSON object as it is, with its large numbers and repeated names', () => {
  const value = '{ "id": 9007199254740993, "a":1,"a":2, "x":1.10 , "s":"\\u0041" }'
  for (const document of ['raw', 'auto'] as const) {
    assert.equal(encodeOne(recordOf(value), { document }).document, value)
    const lines = value.replaceAll(' ', '\r\n')
    const without = value.replaceAll(' ', '')
    assert.equal(encodeOne(recordOf(lines), { document }).document, without)
  }
})

test('a byte order mark in front of a JSON object is no part of the document', () => {
  for (const [value, document] of [
    ['\uFEFF{"a":1}', '{"a":1}'],
    ['\uFEFF {\n"a":1}', ' {"a":1}'],
  ] as const) {
    assert.equal(encodeOne(recordOf(value)).document, document)
    assert.equal(encodeOne(recordOf(value), { document: 'raw' }).document, document)
  }
  for (const value of ['\uFEFF', '\uFEFFtext', '\uFEFF\uFEFF{}', ' \uFEFF{}']) {
    const { message } = JSON.parse(encodeOne(recordOf(value)).document) as { message: string }
    assert.equal(message, value)
  }
})

test('wrap keeps the text, the time and the origin', () => {
  const record = recordOf('say "hi"\n\tü\u0001', {
    partition: 3,
    offset: 42,
    key: Buffer.from('k'),
    headers: headersOf([
      ['trace', Buffer.from('t1')],
      [Buffer.from([0xfe]), null],
      ['raw', Buffer.from([0xff])],
    ]),
  })
  assert.deepEqual(JSON.parse(encodeOne(record, { document: 'wrap' }).document), {
    '@timestamp': '2026-09-01T12:30:15.250Z',
    message: 'say "hi"\n\tü\u0001',
    kafka: {
      topic: 'orders',
      partition: 3,
      offset: 42,
      key: 'k',
      headers: [
        { name: 'trace', value: 't1' },
        { name_base64: '/g==', value: null },
        { name: 'raw', value_base64: '/w==' },
      ],
    },
  })
})

test('what is no JSON object is wrapped, and raw says so', () => {
  for (const value of ['plain', '[1]', '{"a":1', '', null]) {
    const auto = JSON.parse(encodeOne(recordOf(value), { document: 'auto' }).document) as object
    const raw = JSON.parse(encodeOne(recordOf(value), { document: 'raw' }).document) as object
    assert.deepEqual(auto, {
      '@timestamp': '2026-09-01T12:30:15.250Z',
      message: value,
      kafka: { topic: 'orders', partition: 0, offset: 0 },
    })
    assert.deepEqual(raw, { ...auto, tags: ['_not_json_object'] })
  }
})

test('a record without a usable time gets the time of encoding, and keeps its number', () => {
  const at = (timestampMs: number) =>
    JSON.parse(encodeOne(recordOf('x', { timestampMs }), { document: 'wrap' }, 1000).document) as {
      '@timestamp': string
      kafka: { timestamp?: number }
    }
  assert.equal(at(-1)['@timestamp'], '1970-01-01T00:00:01.000Z')
  assert.equal(at(-1).kafka.timestamp, undefined)
  assert.equal(at(9e15)['@timestamp'], '1970-01-01T00:00:01.000Z')
  assert.equal(at(9e15).kafka.timestamp, 9e15)
  assert.equal(at(-5).kafka.timestamp, -5)
})

test('bytes that are not UTF-8 survive as base64, in every mode', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 200 }), fc.constantFrom(...MODES), (bytes, document) => {
      const value = Buffer.from(bytes)
      const parsed = JSON.parse(encodeOne(recordOf(value), { document }).document) as {
        message?: string
        message_base64?: string
      }
      if (parsed.message === undefined && parsed.message_base64 === undefined) return
      const back =
        parsed.message === undefined
          ? Buffer.from(parsed.message_base64 ?? '', 'base64')
          : Buffer.from(parsed.message)
      assert.deepEqual(back, value)
    }),
  )
})

test('a JSON object with bytes that are not UTF-8 does not go in as it is', () => {
  const value = Buffer.from('{"a":"?"}')
  value[6] = 0xff
  for (const document of MODES) {
    const line = encodeOne(recordOf(value), { document }).document
    assert.match(line, /"message_base64":"eyJhIjoi\/yJ9"/)
  }
})

test('an action inside a record is never carried out, in any mode', async () => {
  const fake = new FakeBulk()
  const url = await fake.listen()
  const smuggled = ['delete', 'create', 'index', 'update'].flatMap((action) => {
    const line = JSON.stringify({ [action]: { _index: 'logs-filtered', _id: 'victim' } })
    return ['\n', '\r\n', '\r', '\n\n', '\u0000\n'].flatMap((end) => [
      `{"m":1}${end}${line}${end}{"evil":1}`,
      `{"m":1${end}}${end}${line}`,
      `plain${end}${line}${end}`,
      `{"m":"${end}"}${end}${line}`,
      `${end}${line}${end}{"m":1}`,
    ])
  })
  fake.documents.set('logs-filtered/victim', 'untouched')
  for (const document of MODES) {
    for (const [offset, value] of smuggled.entries()) {
      const { text } = encodeOne(recordOf(value, { offset, topic: document }), { document })
      await fetch(`${url}/_bulk`, { method: 'POST', body: text })
    }
  }
  await fake.close()
  assert.equal(fake.documents.get('logs-filtered/victim'), 'untouched')
  assert.equal(fake.documents.size, 1 + MODES.length * smuggled.length)
  for (const request of fake.requests) assert.deepEqual(request.items.length, 1)
  for (const source of fake.documents.values()) assert(!source.startsWith('{"evil"'))
})

test('whatever a record, its key or its headers hold, a document is two lines', () => {
  const bytes = fc.oneof(
    fc.uint8Array({ maxLength: 60 }),
    fc.string().map((text) => Buffer.from(text)),
    fc.json().map((text) => Buffer.from(text)),
  )
  fc.assert(
    fc.property(
      bytes,
      bytes,
      bytes,
      bytes,
      fc.constantFrom(...MODES),
      fc.constantFrom('offset', 'key', 'none' as const),
      (value, key, header, name, document, documentId) => {
        const record = recordOf(Buffer.from(value), {
          key: Buffer.from(key),
          headers: headersOf([[Buffer.from(name), Buffer.from(header)]]),
        })
        const { action, document: line } = encodeOne(record, { document, documentId })
        JSON.parse(action)
        JSON.parse(line)
      },
    ),
  )
})

test('a record that is too large, or whose document is, leaves a stub of its head', () => {
  const settings = { maxRecordBytes: 5000 }
  const stubOf = (value: string) => {
    const { action, document } = encodeOne(recordOf(value), settings)
    assert.equal(document, '{}')
    return readStub(Buffer.from(`${action}\n`))
  }
  const large = stubOf('x'.repeat(5001))
  assert.equal(large.errorType, 'record_too_large')
  assert.match(large.reason, /at least 4\.9 KiB, more than --max-record-bytes \(4\.9 KiB\)/)
  assert.equal(large.bytes, 5001)
  assert.equal(Buffer.from(large.head).toString(), 'x'.repeat(1024))
  // In JSON a NUL takes six bytes.
  assert.equal(stubOf('\0'.repeat(1000)).bytes, 1000)
  assert.match(encodeOne(recordOf('x'.repeat(4000)), settings).action, /^\{"create"/)
})

test('an error while a record is encoded is of that record alone', () => {
  const encoder = new BulkEncoder(ELASTICSEARCH_DEFAULTS)
  const body = new BodyBuilder()
  const broken = { ...recordOf('x'), headers: Buffer.from([9, 0, 0, 0]) }
  for (const record of [recordOf('{}', { offset: 1 }), broken, recordOf('{}', { offset: 2 })]) {
    encoder.encode(record, body)
    body.endDocument()
  }
  const { body: bytes, ends } = body.take()
  assert.deepEqual(
    [0, ends[0]!, ends[1]!].map((start) => isStubAt(bytes, start)),
    [false, true, false],
  )
  assert.equal(readStub(bytes.subarray(ends[0], ends[1])).errorType, 'record_not_encoded')
})

test('what needs escapes comes back as it was, wherever they lie', () => {
  fc.assert(
    fc.property(
      fc.array(fc.constantFrom('"', '\\', '\0', '\x1f', '\n', '\x7f', 'ü', 'x'.repeat(255))),
      (parts) => {
        const text = parts.join('')
        const { document } = encodeOne(recordOf(text), { document: 'wrap' })
        assert.equal((JSON.parse(document) as { message: string }).message, text)
      },
    ),
  )
})
