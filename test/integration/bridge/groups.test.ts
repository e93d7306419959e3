import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  OFFSET_BEGINNING,
  OFFSET_NONE,
  type BrokerAnswer,
  type ConsumerEvent,
} from '../../../src/bridge/bridge.ts'
import { bridge, openConsumer, openMock, produce, Rig, until } from './rig.ts'

const SHAPE = { slotCount: 1, bufferBytes: 65_536, recordsMax: 128 }
const COOPERATIVE = [['partition.assignment.strategy', 'cooperative-sticky']] as const
const CONSUMER = [['group.protocol', 'consumer']] as const
const EAGER = [['partition.assignment.strategy', 'range']] as const

for (const [protocol, more] of [
  ['cooperative', COOPERATIVE],
  ['eager', EAGER],
  ['consumer', CONSUMER],
] as const) {
  test(`two members share the partitions and hand them over (${protocol})`, async (t) => {
    const mock = openMock(t, 4)
    await produce(
      mock,
      Array.from({ length: 400 }, (_, index) => ({ partition: index % 4, value: `v${index}` })),
    )
    const rig = new Rig(t, SHAPE)
    const next = [0, 0, 0, 0]
    const partitionOf: number[] = []
    const step = (consumer: number, owned: Set<number>) => {
      const events: ConsumerEvent[] = []
      rig.fill(consumer, events, { recordsMax: 5 })
      for (const run of rig.runs()) {
        const partition = partitionOf[run.assignmentId] ?? -1
        assert.ok(owned.has(partition))
        assert.equal(run.coverFrom, next[partition])
        next[partition] = run.coverTo
      }
      for (const event of events) {
        if (event.kind === 'assign') {
          const rows = event.partitions.map(({ topic, partition }) => {
            owned.add(partition)
            partitionOf.push(partition)
            const assignmentId = partitionOf.length - 1
            return { topic, partition, offset: next[partition] ?? 0, assignmentId }
          })
          bridge.consumerHold(consumer, rows)
          bridge.consumerBegin(consumer, rows)
        } else if (event.kind === 'revoke') {
          for (const { partition } of event.partitions) owned.delete(partition)
          bridge.consumerUnassign(consumer, event.partitions)
        } else {
          assert.fail(JSON.stringify(event))
        }
      }
    }
    const first = openConsumer(t, mock, ['t'], more)
    const ownedByFirst = new Set<number>()
    until(() => {
      step(first, ownedByFirst)
      return ownedByFirst.size === 4 && (next[0] ?? 0) > 0
    })
    const second = openConsumer(t, mock, ['t'], more)
    const ownedBySecond = new Set<number>()
    until(() => {
      step(first, ownedByFirst)
      step(second, ownedBySecond)
      return ownedByFirst.size === 2 && ownedBySecond.size === 2
    })
    assert.equal(bridge.consumerClose(second, 10_000), true)
    until(() => {
      step(first, ownedByFirst)
      return ownedByFirst.size === 4 && next.every((offset) => offset === 100)
    })
  })
}

test('commits are answered, at once or by an event, and can be read back', async (t) => {
  const mock = openMock(t, 2)
  const rig = new Rig(t, SHAPE)
  const consumer = openConsumer(t, mock, ['t'])
  const events: ConsumerEvent[] = []
  until(() => {
    rig.fill(consumer, events)
    return events.some((event) => event.kind === 'assign')
  })
  const partitions = [0, 1].map((partition) => ({ topic: 't', partition, offset: OFFSET_NONE }))
  const before = bridge.consumerCommitted(consumer, partitions, 5000)
  assert.deepEqual(
    before.map((row) => row.offset),
    [OFFSET_NONE, OFFSET_NONE],
  )
  const rows = partitions.map((row) => ({ ...row, assignmentId: 10 + row.partition, offset: 0 }))
  bridge.consumerAssign(consumer, rows)
  const [committed] = bridge.consumerCommit(
    consumer,
    [{ topic: 't', partition: 0, offset: 5 }],
    5000,
  )
  assert.deepEqual(committed, { topic: 't', partition: 0, offset: 5, error: null })
  bridge.consumerCommit(consumer, [{ topic: 't', partition: 1, offset: 7 }], 0)
  until(() => {
    rig.fill(consumer, events)
    return events.some((event) => event.kind === 'commit')
  })
  const answer = events.find((event) => event.kind === 'commit')
  assert.equal(answer?.error, null)
  const after = bridge.consumerCommitted(consumer, partitions, 5000)
  assert.deepEqual(
    after.map((row) => row.offset),
    [5, 7],
  )
})

test('the end of a partition is told behind its records', async (t) => {
  const mock = openMock(t)
  await produce(mock, [{ value: 'one' }, { value: 'two' }])
  const rig = new Rig(t, SHAPE)
  const consumer = openConsumer(t, mock, [], [['enable.partition.eof', 'true']])
  bridge.consumerAssign(consumer, [
    { topic: 't', partition: 0, offset: OFFSET_BEGINNING, assignmentId: 3 },
  ])
  const events: ConsumerEvent[] = []
  let records = 0
  until(() => {
    records += rig.fill(consumer, events, { recordsMax: 1 })
    if (events.length > 0) assert.equal(records, 2)
    return events.length > 0
  })
  assert.deepEqual(events, [{ kind: 'end', assignmentId: 3, offset: 2 }])
  assert.deepEqual(
    bridge.consumerWatermarks(consumer, { topic: 't', partition: 0, offset: 0 }, 5000),
    { low: 0, high: 2 },
  )
  const metadata = bridge.consumerMetadata(consumer, 't', 5000)
  assert.deepEqual(metadata.topics, [{ topic: 't', partitions: 1, error: null }])
  // The mock cluster has no controller, which is what is asked for ids.
  const question = bridge.consumerAskTopics(consumer, ['t'], 5000)
  const topics = [{ topic: 't', topicId: null, partitions: 0, error: null }]
  const answer = { question, error: null, partitions: [], topics, members: [] }
  assert.deepEqual(bridge.consumerAnswers(consumer, 0), [answer])
  const times = [{ topic: 't', partition: 0, offset: OFFSET_BEGINNING }]
  assert.equal(bridge.consumerOffsetsForTimes(consumer, times, 5000)[0]?.offset, 0)
})

test('records go on at the next offset after random pauses', async (t) => {
  const mock = openMock(t, 2)
  await produce(
    mock,
    Array.from({ length: 600 }, (_, index) => ({
      partition: index % 2,
      value: `${index}`.repeat(50),
    })),
  )
  const rig = new Rig(t, SHAPE)
  const consumer = openConsumer(t, mock)
  bridge.consumerAssign(
    consumer,
    [0, 1].map((partition) => ({ topic: 't', partition, offset: 0, assignmentId: partition })),
  )
  const next = [0, 0]
  let seed = 5
  const random = (below: number) => {
    seed = (seed * 48_271) % 2_147_483_647
    return seed % below
  }
  until(() => {
    const assignmentId = random(2)
    if (random(3) === 0) bridge.consumerPause(consumer, [assignmentId])
    else bridge.consumerResume(consumer, [assignmentId])
    let records = 0
    const count = rig.fill(consumer, [], { bytesMax: 300 + random(2000), pullMax: 1 + random(50) })
    for (const run of rig.runs()) {
      assert.equal(run.coverFrom, next[run.assignmentId])
      next[run.assignmentId] = run.coverTo
      records += run.coverTo - run.coverFrom
    }
    assert.equal(records, count)
    return next.every((offset) => offset === 300)
  })
})

test('errors of the cluster arrive as events, and lines as logs', (t) => {
  const mock = openMock(t)
  const rig = new Rig(t, SHAPE)
  const consumer = openConsumer(t, mock, [], [['debug', 'broker']])
  bridge.mockBrokerDown(mock.id, 1)
  const events: ConsumerEvent[] = []
  until(() => {
    rig.fill(consumer, events)
    return events.some((event) => event.kind === 'error' && event.code === '_ALL_BROKERS_DOWN')
  })
  const lines = bridge.consumerLogs(consumer)
  assert.ok(lines.some((line) => line.facility === 'FAIL' && line.message.length > 0))
  bridge.mockBrokerUp(mock.id, 1)
})

test('partitions that are held are in the group and not read, until each begins', async (t) => {
  const mock = openMock(t, 2)
  await produce(
    mock,
    [0, 1].flatMap((partition) => [
      { partition, value: 'one' },
      { partition, value: 'two' },
    ]),
  )
  const rig = new Rig(t, SHAPE)
  const consumer = openConsumer(t, mock, ['t'])
  const events: ConsumerEvent[] = []
  until(() => {
    rig.fill(consumer, events)
    return events.some((event) => event.kind === 'assign')
  })
  const held = [0, 1].map((partition) => ({ topic: 't', partition, offset: OFFSET_NONE }))
  bridge.consumerHold(consumer, held)
  assert.throws(() => bridge.consumerHold(consumer, held), RangeError)
  assert.equal(rig.fill(consumer, events, { timeoutMs: 50 }), 0)
  const begin = (partition: number, offset: number) => ({
    topic: 't',
    partition,
    offset,
    leaderEpoch: 0,
    assignmentId: 5 + partition,
  })
  bridge.consumerBegin(consumer, [begin(1, 1)])
  until(() => rig.fill(consumer, events) > 0)
  assert.partialDeepStrictEqual(rig.runs(), [{ assignmentId: 6, coverFrom: 1, coverTo: 2 }])
  assert.ok(bridge.consumerLeaderEpoch(consumer, 6) >= 0)
  // Given back before it began, it can be taken again.
  const [first] = held
  assert.ok(first !== undefined)
  bridge.consumerUnassign(consumer, [first])
  bridge.consumerHold(consumer, [first])
  bridge.consumerBegin(consumer, [begin(0, 0)])
  until(() => rig.fill(consumer, events) > 0)
  assert.partialDeepStrictEqual(rig.runs(), [{ assignmentId: 5, coverFrom: 0, coverTo: 2 }])
})

test('questions are answered beside reading, a partition each', async (t) => {
  const mock = openMock(t, 2)
  await produce(mock, [{ value: 'one' }, { value: 'two' }])
  const consumer = openConsumer(t, mock, [])
  bridge.consumerMetadata(consumer, 't', 5000)
  const rows = [0, 1, 9].map((partition) => ({ topic: 't', partition, offset: OFFSET_BEGINNING }))
  const rightRow = { topic: 't', partition: 0, offset: 5, metadata: 'a note', leaderEpoch: 0 }
  bridge.consumerCommit(consumer, [rightRow], 5000)
  const first = bridge.consumerAskOffsets(consumer, rows, 5000)
  const noted = { ...rightRow, partition: 1, offset: 7, metadata: null }
  const commit = bridge.consumerAskCommit(consumer, [noted])
  const committed = bridge.consumerAskCommitted(consumer, rows.slice(0, 2), 5000)
  const answers = new Map<number, BrokerAnswer>()
  until(() => {
    for (const one of bridge.consumerAnswers(consumer, 20)) answers.set(one.question, one)
    return answers.size === 3
  })
  assert.deepEqual(
    answers.get(commit)?.partitions.map(({ offset, error }) => [offset, error]),
    [[7, null]],
  )
  assert.deepEqual(
    answers.get(first)?.partitions.map(({ offset, error }) => error ?? offset),
    [0, 0, '_UNKNOWN_PARTITION'],
  )
  assert.deepEqual(
    answers.get(committed)?.partitions.map(({ offset, metadata }) => [offset, metadata]),
    [
      [5, 'a note'],
      [7, null],
    ],
  )
})

/** Kafka's request kinds and error codes, for mockPushErrors. */
const [JOIN_GROUP, HEARTBEAT] = [11, 12]
const [GROUP_AUTHORIZATION_FAILED, FENCED_INSTANCE_ID] = [30, 82]

test('a consumer that its group has fenced says so once, with the reason', (t) => {
  const mock = openMock(t)
  const rig = new Rig(t, SHAPE)
  const consumer = openConsumer(t, mock, ['t'], [['group.instance.id', 'node-7'], ...EAGER])
  const events: ConsumerEvent[] = []
  until(() => {
    rig.fill(consumer, events)
    return events.some((event) => event.kind === 'assign')
  })
  const begin = { topic: 't', partition: 0, offset: 0, leaderEpoch: -1, assignmentId: 1 }
  bridge.consumerHold(consumer, [begin])
  bridge.consumerBegin(consumer, [begin])
  bridge.mockPushErrors(mock.id, HEARTBEAT, [FENCED_INSTANCE_ID])
  until(() => {
    rig.fill(consumer, events)
    return events.some((event) => event.kind === 'error')
  })
  for (let more = 0; more < 3; more++) rig.fill(consumer, events)
  const errors = events.filter((event) => event.kind === 'error')
  assert.deepEqual(
    errors.map(({ code, fatal, topic }) => ({ code, fatal, topic })),
    [{ code: 'FENCED_INSTANCE_ID', fatal: true, topic: null }],
  )
  assert.match(errors[0]?.message ?? '', /fenced/)
})

test('a refusal of the group arrives as an event, and the group is joined later', (t) => {
  const mock = openMock(t)
  const rig = new Rig(t, SHAPE)
  bridge.mockPushErrors(mock.id, JOIN_GROUP, [GROUP_AUTHORIZATION_FAILED])
  const consumer = openConsumer(t, mock, ['t'])
  const events: ConsumerEvent[] = []
  until(() => {
    rig.fill(consumer, events)
    return events.some((event) => event.kind === 'assign')
  })
  const errors = events.filter((event) => event.kind === 'error')
  assert.deepEqual(
    errors.map(({ code, fatal, topic, partition }) => ({ code, fatal, topic, partition })),
    [{ code: 'GROUP_AUTHORIZATION_FAILED', fatal: false, topic: null, partition: -1 }],
  )
})
