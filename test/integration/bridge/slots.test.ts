import assert from 'node:assert/strict'
import { test, type TestContext } from 'node:test'
import type { ConsumerEvent } from '../../../src/bridge/bridge.ts'
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

interface Read {
  readonly found: Found[]
  readonly views: number
}

/** Reads the whole topic through slot 0; checks that the runs tile it. */
function readAll(t: TestContext, mock: Mock, matcher: number, viewsMax: number): Read {
  const rig = new Rig(t, SHAPE)
  const consumer = openConsumer(t, mock)
  const events: ConsumerEvent[] = []
  const found: Found[] = []
  let next = 0
  let views = 0
  bridge.consumerAssign(consumer, [{ topic: 't', partition: 0, offset: 0, assignmentId: 77 }])
  until(() => {
    const count = rig.fill(consumer, events, { viewsMax, pullMax: 20 })
    if (count === 0) return false
    views += bridge.poolViews(rig.pool)
    for (const run of rig.runs()) {
      assert.equal(run.assignmentId, 77)
      assert.equal(run.coverFrom, next)
      next = run.coverTo
    }
    const lastTimes = rig.runs().map((run) => timeOf(run.coverTo - 1))
    assert.deepEqual(rig.lastTimes(), lastTimes)
    found.push(...rig.scan(matcher))
    // Also where no entry of the index was written, for nothing matched.
    assert.deepEqual(rig.lastTimes(), lastTimes)
    assert.equal(bridge.poolViews(rig.pool), 0)
    return next === MESSAGES.length
  })
  assert.deepEqual(events, [])
  assert.equal(bridge.consumerClose(consumer, 10_000), true)
  return { found, views }
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
  const { found } = readAll(t, mock, matcherOf(t, []), 0)
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

test('views and copies give the same hits', async (t) => {
  const mock = openMock(t)
  await produce(mock, MESSAGES)
  for (const patterns of [['ERROR'], [], ['no such thing'], ['ERROR', 'key']]) {
    for (const inverted of [false, true]) {
      const matcher = matcherOf(t, patterns, inverted)
      const copies = readAll(t, mock, matcher, 0)
      const views = readAll(t, mock, matcher, 2)
      assert.ok(views.views > copies.views)
      assert.equal(copies.views, 1) // The oversize record.
      assert.deepEqual(views.found, copies.found)
    }
  }
  const hits = readAll(t, mock, matcherOf(t, ['ERROR']), 2).found
  assert.equal(hits.length, MESSAGES.filter((m) => text(m.value)?.includes('ERROR')).length)
})

test('a slot that was discarded has no records, and gives its view back', async (t) => {
  const mock = openMock(t)
  await produce(mock, MESSAGES.slice(8))
  const rig = new Rig(t, SHAPE)
  const consumer = openConsumer(t, mock)
  bridge.consumerAssign(consumer, [{ topic: 't', partition: 0, offset: 0, assignmentId: 1 }])
  until(() => rig.fill(consumer, [], { viewsMax: 2 }) > 0)
  assert.equal(bridge.poolViews(rig.pool), 1)
  bridge.slotDiscard(rig.pool, 0)
  assert.equal(bridge.poolViews(rig.pool), 0)
  assert.deepEqual(rig.scan(matcherOf(t, [])), [])
})

test('calls on a slot in a state that forbids them throw', async (t) => {
  const mock = openMock(t)
  await produce(mock, MESSAGES.slice(8))
  const rig = new Rig(t, SHAPE)
  const consumer = openConsumer(t, mock)
  const matcher = matcherOf(t, [])
  bridge.consumerAssign(consumer, [{ topic: 't', partition: 0, offset: 0, assignmentId: 1 }])
  until(() => rig.fill(consumer, [], { viewsMax: 2 }) > 0)
  rig.setState(layout.SLOT_READY)
  const hits = new Int32Array(SHAPE.recordsMax)
  const limits = { recordsMax: 1, bytesMax: 1, pullMax: 1, timeoutMs: 0, viewsMax: 0 }
  assert.throws(() => bridge.slotScan(rig.pool, 0, matcher, hits), RangeError)
  assert.throws(() => bridge.consumerFill(consumer, rig.pool, 0, limits), RangeError)
  assert.ok(rig.scan(matcher).length > 0)
  assert.throws(() => rig.scan(matcher), /scanned already/)
  assert.throws(() => bridge.slotOversize(rig.pool, 0), /no oversize/)
  // A copy whose index was damaged from TypeScript is refused, not read.
  until(() => rig.fill(consumer, []) > 0)
  const { recordsAt } = layout.slotLayout(SHAPE)
  const record = new Int32Array(rig.memory, recordsAt, 6)
  record[layout.RECORD_VALUE_START] = 2 ** 31 - 1
  assert.throws(() => rig.scan(matcher), /damaged/)
})
