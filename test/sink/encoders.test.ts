/** raw and json: what a record becomes. */
import assert from 'node:assert/strict'
import { isUtf8 } from 'node:buffer'
import { test } from 'node:test'
import * as fc from 'fast-check'
import {
  BodyBuilder,
  type MatchedRecord,
  type RecordEncoder,
} from '../../src/pool/record-encoder.ts'
import { JsonEncoder, RawEncoder } from '../../src/sink/encoders.ts'

type Headers = readonly (readonly [name: string | Buffer, value: Buffer | null])[]

const RECORD: MatchedRecord = {
  topic: 'logs',
  partition: 3,
  offset: 42,
  idPrefix: '',
  timestampMs: 1_714_564_800_000,
  timestampType: 'create',
  key: Buffer.from('k'),
  headers: encodeHeaders([
    ['trace', Buffer.from('ab12')],
    ['raw', Buffer.from([0xff])],
    [Buffer.from([0xfe]), null],
  ]),
  value: Buffer.from('a "line"\tof text\n'),
}

function encodeHeaders(headers: Headers): Buffer {
  if (headers.length === 0) return Buffer.alloc(0)
  const parts: Buffer[] = [uint32(headers.length)]
  for (const [name, value] of headers) {
    const bytes = typeof name === 'string' ? Buffer.from(name) : name
    parts.push(uint32(bytes.length), bytes)
    parts.push(uint32((value?.length ?? -1) >>> 0), value ?? Buffer.alloc(0))
  }
  return Buffer.concat(parts)
}

function uint32(value: number): Buffer {
  const bytes = Buffer.alloc(4)
  bytes.writeUInt32LE(value)
  return bytes
}

function encoded(encoder: RecordEncoder, ...records: MatchedRecord[]): Buffer {
  const body = new BodyBuilder()
  for (const record of records) {
    encoder.encode(record, body)
    body.endDocument()
  }
  const taken = body.take()
  assert.equal(taken.ends.length, records.length)
  return Buffer.from(taken.body)
}

test('raw gives the bytes of the value and a newline, whatever they are', () => {
  const binary = Buffer.from([0, 0x0a, 0xff, 0x0d])
  const values = [Buffer.from('one'), binary, Buffer.alloc(0), null]
  const bytes = encoded(new RawEncoder(), ...values.map((value) => ({ ...RECORD, value })))
  assert.deepEqual(bytes, Buffer.concat([Buffer.from('one\n'), binary, Buffer.from('\n\n\n')]))
})

test('json gives one object a line, as its header documents', () => {
  assert.equal(
    encoded(new JsonEncoder(), RECORD).toString(),
    '{"topic":"logs","partition":3,"offset":42,"timestamp":1714564800000,' +
      '"timestamp_type":"create","key":"k",' +
      '"headers":[["trace","ab12"],["raw",{"base64":"/w=="}],[{"base64":"/g=="},null]],' +
      '"value":"a \\"line\\"\\tof text\\n"}\n',
  )
  const bare = {
    ...RECORD,
    timestampMs: -1,
    timestampType: 'none',
    key: null,
    value: null,
  } as const
  assert.equal(
    encoded(new JsonEncoder(), { ...bare, headers: Buffer.alloc(0) }).toString(),
    '{"topic":"logs","partition":3,"offset":42,"timestamp":null,"timestamp_type":"none",' +
      '"key":null,"headers":[],"value":null}\n',
  )
})

test('json keeps every byte of ASCII, and text that is longer than a chunk', () => {
  const ascii = Buffer.from(Array.from({ length: 128 }, (_, byte) => byte))
  const binary = Buffer.alloc(100_000, 0xfe)
  // Each start moves the sequences against the ends of chunks by one byte.
  const long = ['', 'a', 'ab', 'abc'].map((start) =>
    Buffer.from(start + '€"\u0001é\u{1f600}'.repeat(20_000)),
  )
  for (const value of [ascii, binary, ...long]) {
    const line = encoded(new JsonEncoder(), { ...RECORD, value }).toString()
    assert.equal(line.indexOf('\n'), line.length - 1)
    assert.deepEqual(bytesOf(JSON.parse(line).value), value)
  }
})

test('json reads values that lie in shared memory', () => {
  const value = Buffer.from(new SharedArrayBuffer(6))
  value.write('héllo')
  const line = encoded(new JsonEncoder(), { ...RECORD, value }).toString()
  assert.equal(JSON.parse(line).value, 'héllo')
})

function bytesOf(json: unknown): Buffer | null {
  if (json === null) return null
  if (typeof json === 'string') return Buffer.from(json)
  assert(typeof json === 'object' && 'base64' in json && typeof json.base64 === 'string')
  const bytes = Buffer.from(json.base64, 'base64')
  assert.equal(isUtf8(bytes), false, 'text is written as text')
  return bytes
}

const someBytes = fc.oneof(
  fc.uint8Array({ maxLength: 40 }).map((array) => Buffer.from(array)),
  fc.string({ unit: 'binary', maxLength: 40 }).map((text) => Buffer.from(text)),
  fc.string({ unit: 'binary-ascii', maxLength: 40 }).map((text) => Buffer.from(text)),
)
const bytes = fc.option(someBytes)
const names = fc.string({ unit: 'binary', maxLength: 10 })

test('parsing what json wrote gives the record again', () => {
  const record = fc.record(
    {
      topic: names,
      partition: fc.nat(),
      offset: fc.maxSafeNat(),
      timestampMs: fc.oneof(fc.constant(-1), fc.maxSafeNat()),
      timestampType: fc.constantFrom('none' as const, 'create' as const, 'append' as const),
      key: bytes,
      value: bytes,
      headers: fc.array(fc.tuple(someBytes, bytes), { maxLength: 4 }),
    },
    { noNullPrototype: true },
  )
  const encoder = new JsonEncoder()
  fc.assert(
    fc.property(fc.array(record, { maxLength: 4 }), (records) => {
      const lines = encoded(
        encoder,
        ...records.map((one) => ({ ...one, idPrefix: '', headers: encodeHeaders(one.headers) })),
      ).toString()
      const parsed = lines.split('\n').slice(0, -1)
      assert.equal(parsed.length, records.length)
      for (const [index, one] of records.entries()) {
        const object = JSON.parse(parsed[index] ?? '') as Record<string, unknown>
        assert(Array.isArray(object['headers']))
        assert.deepEqual(
          {
            topic: object['topic'],
            partition: object['partition'],
            offset: object['offset'],
            timestampMs: object['timestamp'] ?? -1,
            timestampType: object['timestamp_type'],
            key: bytesOf(object['key']),
            value: bytesOf(object['value']),
            headers: object['headers'].map(([name, value]: [unknown, unknown]) => [
              bytesOf(name),
              bytesOf(value),
            ]),
          },
          one,
        )
      }
    }),
    { numRuns: 500 },
  )
})
