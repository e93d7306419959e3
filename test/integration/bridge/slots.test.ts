import assert from 'node:assert/strict'
import { test, type TestContext } from 'node:test'
import { FILL_FULL, type ConsumerEvent } from '../../../src/bridge/bridge.ts'
import * as layout from '../../../src/pool/layout.ts'
import { bridge, openConsumer, openMock, produce, Rig, until } from './rig.ts'
import type { Found, Message, Mock } from './rig.ts'

const SHAPE = { slotCount: 2, bufferBytes: 16_384, recordsMax: 64 }

/** When the record at this offset was made. */
const timeOf = (offset: number) => 1_700_000_000_000 + offset

const MESSAGES: readonly Message[] = [
  { value: 'plain ERROR' },
  { value: null, key: 'tombstone' },
  { value: '', key: 'empty' },
  { value: 'no key', headers: { trace: 'abc', empty: '' } },
  { value: Buffer.from([0, 255, 10, 13]), key: Buffer.from([0, 1]) },
  { value: 'x'.repeat(20_000) + 'ERROR', key: 'oversize', headers: { h: 'v' } },
  { value: 'ends with ERR' },
  { value: 'OR starts this' },
  ...Array.from({ length: 200 }, (_, index) => ({
    value: `${index} `.padEnd(900, '.') + (index % 7 === 0 ? 'ERROR' : ''),
    key: index % 3 === 0 ? null : `key-${index}`,
    headers: index % 5 === 0 ? { n: String(index) } : {},
  })),
].map((message, offset) => ({ ...message, timestamp: String(timeOf(offset)) }))

function matcherOf(t: TestContext, patterns: readonly string[], invertMatch = false): number {
  const matcher = bridge.matcherOpen({
    patterns: patterns.map((pattern) => Buffer.from(pattern)),
    ignoreCase: false,
    invertMatch,
  })
  t.after(() => bridge.matcherClose(matcher))
  return matcher
}

/** Librdkafka's own way: one message for each record. */
const PER_RECORD = [['logpipe.whole.batches', 'false']] as const

interface Read {
  readonly found: Found[]
  /** Scans that were not the last one of their slot. */
  readonly partCount: number
}

/** Reads the whole topic through slot 0; checks that the runs tile it, in each fill and scan. */
function readAll(
  t: TestContext,
  mock: Mock,
  matcher: number,
  more: readonly (readonly [string, string])[] = [],
  shape = SHAPE,
): Read {
  const rig = new Rig(t, shape)
  const consumer = openConsumer(t, mock, [], more)
  const events: ConsumerEvent[] = []
  const found: Found[] = []
  let next = 0
  let partCount = 0
  const tile = (from: number): number => {
    let at = from
    for (const run of rig.runs()) {
      assert.equal(run.assignmentId, 77)
      assert.equal(run.coverFrom, at)
      assert.equal(run.records, run.coverTo - run.coverFrom) // The mock leaves no gaps.
      at = run.coverTo
    }
    return at
  }
  bridge.consumerAssign(consumer, [{ topic: 't', partition: 0, offset: 0, assignmentId: 77 }])
  until(() => {
    if (rig.fill(consumer, events, { pullMax: 20 }) === 0) return false
    assert.ok(bridge.poolBytes(rig.pool) > 0)
    for (const { coverTo, lastTimestamp } of rig.runs()) {
      assert.equal(lastTimestamp, timeOf(coverTo - 1))
    }
    const filledTo = tile(next)
    const scanned = rig.scan(matcher, () => {
      next = tile(next)
      partCount++
    })
    partCount--
    found.push(...scanned)
    assert.equal(next, filledTo)
    assert.equal(bridge.poolBytes(rig.pool), 0)
    return next === MESSAGES.length
  })
  assert.deepEqual(events, [])
  assert.equal(bridge.consumerClose(consumer, 10_000), true)
  return { found, partCount }
}

function headersOf(record: Found): [string, string][] {
  const bytes = Buffer.from(record.headers, 'latin1')
  if (bytes.length === 0) return []
  let at = 4
  return Array.from({ length: bytes.readUInt32LE(0) }, () => {
    const name = bytes.toString('latin1', at + 4, (at += 4 + bytes.readUInt32LE(at)))
    const value = bytes.toString('latin1', at + 4, (at += 4 + bytes.readInt32LE(at)))
    return [name, value]
  })
}

const text = (value: Buffer | string | null | undefined) =>
  value === null || value === undefined ? null : Buffer.from(value).toString('latin1')

test('every record comes out of a slot as it was produced', async (t) => {
  const mock = openMock(t)
  await produce(mock, MESSAGES)
  const { found, partCount } = readAll(t, mock, matcherOf(t, []))
  assert.ok(partCount > MESSAGES.length / SHAPE.recordsMax - 2)
  assert.equal(found.length, MESSAGES.length)
  for (const [offset, message] of MESSAGES.entries()) {
    const record = found[offset]
    assert.ok(record)
    assert.equal(record.offset, offset)
    assert.equal(record.value, text(message.value))
    assert.equal(record.key, text(message.key))
    assert.deepEqual(headersOf(record), Object.entries(message.headers ?? {}))
    assert.equal(record.timestamp, timeOf(offset))
    assert.equal(record.timestampType, 1)
  }
})

test('whole batches and single records give the same hits', async (t) => {
  const mock = openMock(t)
  await produce(mock, MESSAGES)
  for (const patterns of [['ERROR'], [], ['no such thing'], ['ERROR', 'key'], ['trace', 'ey-1']]) {
    for (const inverted of [false, true]) {
      const matcher = matcherOf(t, patterns, inverted)
      const single = readAll(t, mock, matcher, PER_RECORD)
      assert.deepEqual(readAll(t, mock, matcher).found, single.found)
      const tiny = { slotCount: 1, bufferBytes: 1024, recordsMax: 3 }
      assert.deepEqual(readAll(t, mock, matcher, [], tiny).found, single.found)
    }
  }
  const hits = readAll(t, mock, matcherOf(t, ['ERROR'])).found
  assert.equal(hits.length, MESSAGES.filter((m) => text(m.value)?.includes('ERROR')).length)
})

test('a slot that was discarded has no records, and holds no batches', async (t) => {
  const mock = openMock(t)
  await produce(mock, MESSAGES.slice(8))
  const rig = new Rig(t, SHAPE)
  const consumer = openConsumer(t, mock)
  bridge.consumerAssign(consumer, [{ topic: 't', partition: 0, offset: 0, assignmentId: 1 }])
  until(() => rig.fill(consumer, []) > 0)
  assert.ok(bridge.poolBytes(rig.pool) > 0)
  bridge.slotDiscard(rig.pool, 0)
  assert.equal(bridge.poolBytes(rig.pool), 0)
  assert.deepEqual(rig.scan(matcherOf(t, [])), [])
})

test('calls on a slot in a state that forbids them throw', async (t) => {
  const mock = openMock(t)
  await produce(mock, MESSAGES.slice(8))
  const rig = new Rig(t, SHAPE)
  const consumer = openConsumer(t, mock)
  const matcher = matcherOf(t, [])
  bridge.consumerAssign(consumer, [{ topic: 't', partition: 0, offset: 0, assignmentId: 1 }])
  until(() => rig.fill(consumer, []) > 0)
  rig.setState(layout.SLOT_READY)
  const limits = { recordsMax: 1, bytesMax: 1, pullMax: 1, timeoutMs: 0, heldMax: 1 }
  assert.throws(() => bridge.slotScan(rig.pool, 0, matcher), RangeError)
  assert.throws(() => bridge.consumerFill(consumer, rig.pool, 0, limits), RangeError)
  assert.ok(rig.scan(matcher).length > 0)
  assert.throws(() => rig.scan(matcher), /scanned already/)
  assert.throws(() => bridge.slotOversize(rig.pool, 0), /no oversize/)
})

test('a batch gives what lies between the start and the stop, and the end is told', async (t) => {
  const mock = openMock(t)
  await produce(mock, MESSAGES)
  for (const more of [[], PER_RECORD]) {
    for (const [offset, stopOffset] of [
      [3, 150],
      [100, 101],
      [0, MESSAGES.length],
    ] as const) {
      const rig = new Rig(t, SHAPE)
      const consumer = openConsumer(t, mock, [], more)
      const found: Found[] = []
      let next: number = offset
      const assignment = { topic: 't', partition: 0, offset, stopOffset, assignmentId: 5 }
      bridge.consumerAssign(consumer, [assignment])
      until(() => {
        rig.fill(consumer, [])
        for (const run of rig.runs()) {
          assert.equal(run.coverFrom, next)
          assert.equal(run.records, run.coverTo - run.coverFrom)
          next = run.coverTo
        }
        found.push(...rig.scan(matcherOf(t, [])))
        return next >= stopOffset
      })
      assert.equal(next, stopOffset)
      assert.equal(rig.fill(consumer, [], { timeoutMs: 50 }), 0)
      const offsets = Array.from({ length: stopOffset - offset }, (_, index) => offset + index)
      assert.deepEqual(
        found.map((record) => record.offset),
        offsets,
      )
    }
  }
})

test('a fill takes nothing while slots hold as many bytes as the pool has', async (t) => {
  const mock = openMock(t)
  await produce(mock, MESSAGES)
  const rig = new Rig(t, { slotCount: 2, bufferBytes: 4096, recordsMax: 64 })
  const consumer = openConsumer(t, mock)
  bridge.consumerAssign(consumer, [{ topic: 't', partition: 0, offset: 0, assignmentId: 1 }])
  until(() => rig.fill(consumer, []) > 0)
  assert.ok(bridge.poolBytes(rig.pool) >= 8192)
  const { slotBytes } = layout.slotLayout(rig.shape)
  const second = new Int32Array(rig.memory, slotBytes, layout.HEADER_WORDS)
  Atomics.store(second, layout.HEADER_STATE, layout.SLOT_FILLING)
  const limits = { recordsMax: 64, bytesMax: 4096, pullMax: 10, timeoutMs: 1, heldMax: 8192 }
  assert.equal(bridge.consumerFill(consumer, rig.pool, 1, limits), FILL_FULL)
  rig.scan(matcherOf(t, []))
  await produce(mock, MESSAGES)
  until(() => bridge.consumerFill(consumer, rig.pool, 1, limits) > 0)
})
