/** What comes of a partition when an error stands where a record was due. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { ConsumerEvent } from '../../../src/bridge/bridge.ts'
import { bridge, openConsumer, openMock, produce, Rig, until } from './rig.ts'

const SHAPE = { slotCount: 1, bufferBytes: 65_536, recordsMax: 64 }
const FETCH = 1
/** Kafka's CORRUPT_MESSAGE; librdkafka calls it INVALID_MSG. */
const CORRUPT = 2
const REFUSED = 29
const ID = 5

const messages = Array.from({ length: 30 }, (_, index) => ({ value: `record ${index}` }))

test('nothing is delivered behind an error, until the partition is resumed', async (t) => {
  const mock = openMock(t)
  await produce(mock, messages)
  const consumer = openConsumer(t, mock, [], [['enable.partition.eof', 'true']])
  const rig = new Rig(t, SHAPE)
  const events: ConsumerEvent[] = []
  const takeEvents = (kind: ConsumerEvent['kind']) => {
    const found = events.filter((event) => event.kind === kind)
    events.length = 0
    return found
  }
  const untilEvent = (kind: ConsumerEvent['kind']) => {
    until(() => {
      assert.equal(rig.fill(consumer, events), 0)
      return events.some((event) => event.kind === kind)
    })
    return takeEvents(kind)
  }
  // It fails once; what librdkafka fetches of its own accord after that is not delivered.
  bridge.mockPushErrors(mock.id, FETCH, [CORRUPT])
  bridge.consumerAssign(consumer, [{ topic: 't', partition: 0, offset: 10, assignmentId: ID }])
  const [failed] = untilEvent('unreadable')
  assert.ok(failed?.kind === 'unreadable')
  assert.deepEqual([failed.assignmentId, failed.code], [ID, 'INVALID_MSG'])
  for (let turn = 0; turn < 50; turn++) assert.equal(rig.fill(consumer, events), 0)
  assert.deepEqual(events, [])

  bridge.consumerPause(consumer, [ID])
  bridge.consumerProbe(consumer, ID, 20)
  const [readable] = untilEvent('readable')
  assert.deepEqual(readable, { kind: 'readable', assignmentId: ID, offset: 20 })
  // The end answers, too.
  bridge.consumerProbe(consumer, ID, 30)
  assert.deepEqual(untilEvent('readable'), [{ kind: 'readable', assignmentId: ID, offset: 30 }])
  // A fetch that was under way when the probe began may take the error, and is thrown away.
  until(() => {
    bridge.mockPushErrors(mock.id, FETCH, [CORRUPT])
    bridge.consumerProbe(consumer, ID, 15)
    until(() => {
      assert.equal(rig.fill(consumer, events), 0)
      return events.some(({ kind }) => kind === 'readable' || kind === 'unreadable')
    })
    return takeEvents('unreadable').length === 1
  })

  // The next offset to deliver is what it was.
  bridge.consumerPause(consumer, [ID])
  bridge.consumerResume(consumer, [ID])
  until(() => rig.fill(consumer, events) > 0)
  assert.equal(rig.runs()[0]?.coverFrom, 10)
})

test('a refusal is told again after a pause, which throws earlier reports away', async (t) => {
  const mock = openMock(t)
  await produce(mock, messages)
  const consumer = openConsumer(t, mock, [], [['fetch.error.backoff.ms', '100']])
  const rig = new Rig(t, SHAPE)
  bridge.mockPushErrors(mock.id, FETCH, Array<number>(20).fill(REFUSED))
  bridge.consumerAssign(consumer, [{ topic: 't', partition: 0, offset: 10, assignmentId: ID }])
  // librdkafka reports it once, until a fetch succeeds or begins anew: as after a pause, which
  // throws away what was fetched, reports among it.
  for (let time = 0; time < 3; time++) {
    const events: ConsumerEvent[] = []
    bridge.consumerPause(consumer, [ID])
    bridge.consumerResume(consumer, [ID])
    until(() => {
      assert.equal(rig.fill(consumer, events), 0)
      return events.length > 0
    })
    const [event] = events
    assert.ok(event?.kind === 'unreadable')
    assert.deepEqual([event.code, event.offset], ['TOPIC_AUTHORIZATION_FAILED', 10])
  }
  bridge.consumerClose(consumer, 10_000)
})
