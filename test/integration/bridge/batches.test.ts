/** Batches that no producer of ours makes: older formats, the broker's times, and damage. */
import assert from 'node:assert/strict'
import { test, type TestContext } from 'node:test'
import kafka from '@confluentinc/kafka-javascript'
import type { ConsumerEvent } from '../../../src/bridge/bridge.ts'
import * as raw from './raw-batches.ts'
import {
  bridge,
  openConsumer,
  openMock,
  Rig,
  until,
  type Found,
  type Mock,
  type Run,
} from './rig.ts'

const SHAPE = { slotCount: 1, bufferBytes: 4096, recordsMax: 16 }
const PER_RECORD = [['logpipe.whole.batches', 'false']] as const

function everything(t: TestContext): number {
  const matcher = bridge.matcherOpen({ patterns: [], ignoreCase: false, invertMatch: false })
  t.after(() => bridge.matcherClose(matcher))
  return matcher
}

interface Read {
  readonly found: Found[]
  readonly runs: Run[]
  readonly events: ConsumerEvent[]
}

/** Reads until `isDone`, and then a little longer, so that what must not come would show. */
function read(
  t: TestContext,
  mock: Mock,
  more: readonly (readonly [string, string])[],
  isDone: (read: Read) => boolean,
): Read {
  const rig = new Rig(t, SHAPE)
  const consumer = openConsumer(t, mock, [], more)
  const result: Read = { found: [], runs: [], events: [] }
  const matcher = everything(t)
  const step = () => {
    const records = rig.fill(consumer, result.events)
    result.found.push(...rig.scan(matcher, () => void result.runs.push(...rig.runs())))
    return records
  }
  bridge.consumerAssign(consumer, [{ topic: 't', partition: 0, offset: 0, assignmentId: 3 }])
  until(() => {
    step()
    return isDone(result)
  })
  for (let turn = 0; turn < 10; turn++) step()
  assert.equal(bridge.poolBytes(rig.pool), 0)
  bridge.consumerClose(consumer, 10_000)
  return result
}

const values = ({ found }: Read) => found.map(({ value }) => value)

test('records of formats 0, 1 and 2 come out alike, each way', async (t) => {
  const mock = openMock(t)
  const records = [
    { key: 'k', value: 'one' },
    { key: null, value: null },
    { key: '', value: '', timestampDelta: 7 },
  ]
  await raw.produceRaw(mock.bootstrapServers, raw.messageSet(0, records))
  await raw.produceRaw(mock.bootstrapServers, raw.messageSet(1, records))
  await raw.produceRaw(mock.bootstrapServers, raw.batch(raw.recordBytes(records), 3))
  const whole = read(t, mock, [], ({ found }) => found.length === 9)
  const single = read(t, mock, PER_RECORD, ({ found }) => found.length === 9)
  assert.deepEqual(whole.found, single.found)
  assert.deepEqual(
    whole.found.map(({ offset, key, value, timestamp, timestampType }) => {
      return [
        offset,
        key,
        value,
        timestamp < 0 ? timestamp : timestamp - raw.BASE_TIMESTAMP,
        timestampType,
      ]
    }),
    [
      [0, 'k', 'one', -1, 0],
      [1, null, null, -1, 0],
      [2, '', '', -1, 0],
      [3, 'k', 'one', 0, 1],
      [4, null, null, 0, 1],
      [5, '', '', 7, 1],
      [6, 'k', 'one', 0, 1],
      [7, null, null, 0, 1],
      [8, '', '', 7, 1],
    ],
  )
})

test('where the broker sets the times, every record has the latest of its batch', async (t) => {
  const mock = openMock(t)
  const bytes = raw.recordBytes([{ value: 'a' }, { value: 'b', timestampDelta: 3 }])
  const options = { attributes: raw.LOG_APPEND_TIME, maxTimestamp: raw.BASE_TIMESTAMP + 900 }
  await raw.produceRaw(mock.bootstrapServers, raw.batch(bytes, 2, options))
  await raw.produceRaw(mock.bootstrapServers, raw.batch(bytes, 2))
  for (const more of [[], PER_RECORD]) {
    const { found, runs } = read(t, mock, more, (one) => one.found.length === 4)
    const times = found.map(({ timestamp, timestampType }) => [
      timestamp - raw.BASE_TIMESTAMP,
      timestampType,
    ])
    assert.deepEqual(times, [
      [900, 2],
      [900, 2],
      [0, 1],
      [3, 1],
    ])
    const last = runs.at(-1)!.lastTimestamp - raw.BASE_TIMESTAMP
    assert.equal(last, more.length === 0 ? 500 : 3)
  }
})

test('where a scan meets a damaged batch, the partition is to be read again from it', async (t) => {
  const good = raw.recordBytes([{ value: 'good' }, { value: 'good' }])
  const damaged = raw.recordBytes([{ value: 'read' }, { value: 'lost' }, { value: 'lost' }])
  const second = damaged.indexOf('lost') - 6
  // A record longer than the batch, one of no length, and a batch that is cut off.
  const longer = Buffer.from(damaged)
  longer[second] = 0x7e
  const none = Buffer.from(damaged)
  none[second] = 0
  for (const bytes of [longer, none, damaged.subarray(0, second + 10)]) {
    const mock = openMock(t)
    await raw.produceRaw(mock.bootstrapServers, raw.batch(good, 2))
    await raw.produceRaw(mock.bootstrapServers, raw.batch(bytes, 3))
    const result = read(t, mock, [], ({ events }) => events.length > 0)
    assert.deepEqual(values(result), ['good', 'good', 'read'])
    assert.equal(result.runs.at(-1)?.coverTo, 3)
    assert.equal(result.events.length, 1)
    const [event] = result.events
    assert.ok(event?.kind === 'rewind')
    assert.deepEqual([event.assignmentId, event.offset], [3, 3])
    assert.match(event.damage ?? '', /^the record batch at offset 2 is damaged/)
  }
})

test('read again, a damaged batch is an error in its place; what follows is read', async (t) => {
  const mock = openMock(t)
  const damaged = raw.recordBytes([{ value: 'read' }, { value: 'lost' }, { value: 'lost' }])
  damaged[damaged.indexOf('lost') - 6] = 0x7e
  await raw.produceRaw(mock.bootstrapServers, raw.batch(damaged, 3))
  await raw.produceRaw(mock.bootstrapServers, raw.batch(raw.recordBytes([{ value: 'good' }]), 1))
  const rig = new Rig(t, SHAPE)
  const consumer = openConsumer(t, mock, [])
  const matcher = everything(t)
  const events: ConsumerEvent[] = []
  const found: Found[] = []
  const take = (kind: ConsumerEvent['kind']) => {
    until(() => {
      rig.fill(consumer, events)
      found.push(...rig.scan(matcher))
      return events.some((event) => event.kind === kind)
    })
    const taken = events.splice(0)
    assert.equal(taken.length, 1)
    return taken[0]
  }
  bridge.consumerAssign(consumer, [{ topic: 't', partition: 0, offset: 0, assignmentId: 3 }])
  take('rewind')
  found.length = 0
  bridge.consumerRestart(consumer, 3, 4, 1, false)
  const what = { kind: 'unreadable', assignmentId: 4, code: '_BAD_MSG', offset: 0 }
  const message = 'the record batch at offset 0 is damaged: its records cannot be told apart'
  assert.deepEqual(take('unreadable'), { ...what, message })
  for (const offset of [1, 2]) {
    bridge.consumerProbe(consumer, 4, offset)
    assert.deepEqual(take('unreadable'), { ...what, message })
  }
  bridge.consumerProbe(consumer, 4, 3)
  assert.deepEqual(take('readable'), { kind: 'readable', assignmentId: 4, offset: 3 })
  assert.equal(found.length, 0)
  bridge.consumerSeek(consumer, 4, 3)
  until(() => {
    rig.fill(consumer, events)
    found.push(...rig.scan(matcher))
    return found.length > 0
  })
  assert.deepEqual(
    found.map(({ value }) => value),
    ['good'],
  )
})

test('a header that contradicts its batch is an error of the partition', async (t) => {
  const mock = openMock(t)
  const bytes = raw.recordBytes([{ value: 'x'.repeat(200) }])
  const lying = raw.batch(bytes, 20)
  lying.writeInt32BE(3, 21 + 2) // The last offset.
  await raw.produceRaw(mock.bootstrapServers, lying)
  const { found, events } = read(t, mock, [], (one) => one.events.length > 0)
  assert.deepEqual(found, [])
  const [event] = events
  assert.ok(event?.kind === 'unreadable')
  assert.deepEqual([event.assignmentId, event.code, event.offset], [3, '_BAD_MSG', 0])
  assert.match(event.message, /its header says 20 records/)
})

test('behind a batch whose CRC fails nothing is delivered, or it would be lost', async (t) => {
  const mock = openMock(t)
  for (const [value, badCrc] of [
    ['first', false],
    ['bad', true],
    ['third', false],
  ] as const) {
    const bytes = raw.recordBytes([{ value }, { value }])
    await raw.produceRaw(mock.bootstrapServers, raw.batch(bytes, 2, { badCrc }))
  }
  for (const more of [[], PER_RECORD]) {
    const checked = [['check.crcs', 'true'], ...more] as const
    const result = read(t, mock, checked, ({ events }) => events.length > 0)
    assert.deepEqual(values(result), ['first', 'first'])
    assert.equal(result.runs.at(-1)?.coverTo, 2)
    assert.equal(result.events.length, 1)
    const [event] = result.events
    assert.ok(event?.kind === 'unreadable')
    assert.deepEqual([event.assignmentId, event.code, event.offset], [3, '_BAD_MSG', 2])
    assert.match(event.message, /failed CRC32C check/)
  }
})

test('librdkafka goes on with the batch behind one whose CRC fails', async (t) => {
  const mock = openMock(t)
  // In one request, which the broker takes for one batch: then they come in one response.
  const batches = ['first', 'bad', 'third', 'bad', 'fifth'].map((value, baseOffset) =>
    raw.batch(raw.recordBytes([{ value }]), 1, { badCrc: value === 'bad', baseOffset }),
  )
  await raw.produceRaw(mock.bootstrapServers, Buffer.concat(batches))
  const consumer = new kafka.KafkaConsumer(
    {
      'bootstrap.servers': mock.bootstrapServers,
      'group.id': 'crc',
      'check.crcs': true,
      'enable.auto.commit': false,
    },
    {},
  )
  await new Promise<void>((resolve, reject) => {
    consumer.connect({ timeout: 20_000 }, (error: unknown) => (error ? reject(error) : resolve()))
  })
  t.after(() => new Promise<void>((resolve) => consumer.disconnect(() => resolve())))
  consumer.assign([{ topic: 't', partition: 0, offset: 0 }])
  const seen: string[] = []
  consumer.setDefaultConsumeTimeout(50)
  const deadline = performance.now() + 15_000
  while (!seen.includes('fifth') && performance.now() < deadline) {
    await new Promise<void>((resolve) => {
      consumer.consume(1, (_error: unknown, messages) => {
        for (const { value } of messages ?? []) seen.push(String(value))
        resolve()
      })
    })
  }
  assert.deepEqual(seen, ['first', 'third', 'fifth'])
})
