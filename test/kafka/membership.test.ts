/** How a thread takes partitions, one by one, whatever brokers know of each and when. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { OFFSET_BEGINNING, type PartitionOffset } from '../../src/bridge/bridge.ts'
import { NO_PAST } from '../../src/kafka/commit-note.ts'
import { toCommit } from '../../src/kafka/partition-state.ts'
import type { Membership } from '../../src/kafka/membership.ts'
import { FakeBrokers } from '../helpers/fake-brokers.ts'

const noMessage = () => undefined

const rows = (topic: string, ...partitions: readonly number[]): PartitionOffset[] =>
  partitions.map((partition) => ({ topic, partition, offset: -1001 }))

const assign = (membership: Membership, topic: string, ...partitions: readonly number[]) =>
  membership.assign(rows(topic, ...partitions), noMessage)

const revoke = (membership: Membership, topic: string, ...partitions: readonly number[]) =>
  membership.revoke(
    { kind: 'revoke', lost: false, partitions: rows(topic, ...partitions) },
    noMessage,
  )

/** As after a fill whose run covers the offsets below `coverTo`. */
const readTo = (membership: Membership, assignmentId: number, coverTo: number) => {
  const reader = { runCount: 1, run: () => ({ assignmentId, coverTo }) }
  membership.advance(reader as unknown as Parameters<Membership['advance']>[0])
}

test('a partition without a leader holds up no other, is named, and begins when it has one', () => {
  const brokers = new FakeBrokers().add('app', {}, { hasLeader: false }, { end: 5 })
  const member = brokers.member()
  assert.equal(assign(member, 'app', 0, 1, 2), true)
  assert.deepEqual(brokers.did(), [
    'hold app/0 app/1 app/2',
    'commit app/0 0',
    'commit app/2 0',
    'begin app/0 at 0 epoch 7',
    'begin app/2 at 0 epoch 7',
  ])
  const waiting = brokers.sent.findLast((message) => message.kind === 'waiting')
  const problem = 'first offset: LEADER_NOT_AVAILABLE'
  assert.deepEqual(waiting?.partitions, [{ topic: 'app', partition: 1, problem }])
  for (let second = 0; second < 100; second++) brokers.turn(member)
  assert.deepEqual(brokers.did(), [])
  assert.deepEqual(
    brokers.sent.filter((message) => message.kind === 'failed'),
    [],
  )
  brokers.of('app', 1).hasLeader = true
  brokers.turn(member)
  assert.deepEqual(brokers.did(), ['commit app/1 0', 'begin app/1 at 0 epoch 7'])
  const last = brokers.sent.findLast((message) => message.kind === 'waiting')
  assert.deepEqual(last?.partitions, [])
})

test('where nothing is committed a start is not, either', () => {
  const brokers = new FakeBrokers().add('app', { first: 3 })
  const member = brokers.member({ commits: false })
  assign(member, 'app', 0)
  assert.deepEqual(brokers.did(), ['hold app/0', 'begin app/0 at 3 epoch 7'])
})

test('outside of groups nothing is asked of one, and what appears later has its beginning', () => {
  const brokers = new FakeBrokers().add('app', { first: 3, end: 9 }, { first: 3, end: 9 })
  brokers.committed.set('app/0', { offset: 5, metadata: null })
  const member = brokers.member({ alone: true, commits: false, start: { kind: 'latest' } })
  assign(member, 'app', 0)
  const later = { topic: 'app', partition: 1, offset: OFFSET_BEGINNING }
  member.assign([later], noMessage)
  assert.deepEqual(brokers.did(), [
    'hold app/0',
    'begin app/0 at 9 epoch 7',
    'hold app/1',
    'begin app/1 at 3 epoch 7',
  ])
})

test('a partition whose start the group refuses is not read until it is committed', () => {
  const brokers = new FakeBrokers().add('app', {})
  brokers.commitError = 'REBALANCE_IN_PROGRESS'
  const member = brokers.member()
  assert.equal(assign(member, 'app', 0), false)
  assert.deepEqual(brokers.did(), ['hold app/0'])
  brokers.commitError = null
  brokers.turn(member)
  assert.deepEqual(brokers.did(), ['commit app/0 0', 'begin app/0 at 0 epoch 7'])
})

test('a partition that is given away while it waits is forgotten', () => {
  const brokers = new FakeBrokers().add('app', { hasLeader: false })
  const member = brokers.member()
  assign(member, 'app', 0)
  revoke(member, 'app', 0)
  brokers.of('app', 0).hasLeader = true
  brokers.turn(member)
  assert.deepEqual(brokers.did(), ['hold app/0', 'unassign app/0'])
  assert.deepEqual(brokers.sent.findLast((one) => one.kind === 'waiting')?.partitions, [])
})

test('a range of a replay begins where it was asked to, and the group is not asked', () => {
  const brokers = new FakeBrokers().add('app', { first: 0, end: 9 })
  brokers.committed.set('app/0', { offset: 8, metadata: null })
  const member = brokers.member({ commits: false })
  member.assignRanges([{ topic: 'app', partition: 0, from: 2, to: 4 }], noMessage)
  assert.deepEqual(brokers.did(), ['hold app/0', 'begin app/0 at 2 epoch -1'])
  assert.equal(member.isFinished, false)
})

test('up to the end, a partition is read to the end it had when it was given', () => {
  const brokers = new FakeBrokers().add('app', { end: 9 }, { end: 4 }, { end: 0 })
  brokers.committed.set('app/1', { offset: 4, metadata: null })
  const member = brokers.member({ untilEnd: true })
  assign(member, 'app', 0, 1, 2)
  const finished = () =>
    member.takeFinished().map((id) => member.assignments.get(id)?.partition ?? -1)
  assert.deepEqual(new Set(finished()), new Set([1, 2]), 'of these there was nothing to read')
  assert.equal(member.isFinished, false)
  // A fetch meets an end that is later than that: what lies between is left to the next reader.
  const [first, state] = [...member.assignments].find(([, one]) => one.partition === 0) ?? []
  member.recordEnd(first ?? -1, 12)
  assert.ok(state !== undefined)
  assert.equal(toCommit({ ...state, offset: 9, wanted: 9 }), 9)
  assert.deepEqual(finished(), [0])
  assert.equal(member.isFinished, true)
})

test('a topic that was made anew while it is read is read from its beginning', () => {
  const brokers = new FakeBrokers().add('app', { end: 50 })
  const member = brokers.member()
  assign(member, 'app', 0)
  brokers.did()
  brokers.topicIds.set('app', 'f'.repeat(32))
  for (let second = 0; second < 10; second++) brokers.turn(member)
  assert.deepEqual(brokers.did(), ['restart 0 as 1 at 0 of another log'])
  const restart = brokers.sent.findLast((message) => message.kind === 'restart')
  assert.deepEqual(restart?.topicIds, { app: 'f'.repeat(32) })
  for (let second = 0; second < 30; second++) brokers.turn(member)
  assert.deepEqual(brokers.did(), [], 'once')
})

test('a topic that was made anew while nobody read it is read from its beginning', () => {
  const brokers = new FakeBrokers().add('app', { end: 50 })
  const first = brokers.member()
  assign(first, 'app', 0)
  readTo(first, 0, 40)
  first.commits.want([{ topic: 'app', partition: 0, offset: 40 }])
  first.commits.send(0)
  brokers.topicIds.set('app', 'f'.repeat(32))
  brokers.of('app', 0).end = 90
  brokers.did()
  assign(brokers.member(), 'app', 0)
  assert.deepEqual(brokers.did(), ['hold app/0', 'commit app/0 0', 'begin app/0 at 0 epoch 7'])
  const told = brokers.sent.findLast((one) => 'code' in one && one.code === 'TOPIC_RECREATED')
  assert.match(told !== undefined && 'message' in told ? told.message : '', /topic recreated/)
})

test('a topic that was deleted has no lag', () => {
  const brokers = new FakeBrokers().add('app', { end: 5 }, { end: 5 })
  const member = brokers.member()
  assign(member, 'app', 0, 1)
  member.recordEnd(0, 5)
  brokers.topicIds.delete('app')
  for (let second = 0; second < 30; second++) brokers.turn(member)
  assert.deepEqual(
    member.positions().map(({ endOffset }) => endOffset),
    [-1, -1],
  )
})

test('brokers say where partitions end, one without a leader leaves the others known', () => {
  const brokers = new FakeBrokers().add('app', { end: 5 }, { end: 6 })
  const member = brokers.member()
  assign(member, 'app', 0, 1)
  brokers.of('app', 0).end = 20
  brokers.of('app', 1).hasLeader = false
  member.askEnds()
  brokers.turn(member)
  assert.deepEqual(
    member.positions().map(({ endOffset }) => endOffset),
    [20, -1],
  )
})

test('markers behind the last record are committed once all records are settled', () => {
  const brokers = new FakeBrokers().add('app', { end: 12 })
  const member = brokers.member()
  assign(member, 'app', 0)
  brokers.did()
  readTo(member, 0, 10)
  member.recordEnd(0, 12)
  member.commits.want([{ topic: 'app', partition: 0, offset: 9 }])
  member.commits.send(1)
  member.commits.want([{ topic: 'app', partition: 0, offset: 10 }])
  member.commits.send(1)
  member.commits.send(1)
  assert.deepEqual(brokers.did(), ['commit app/0 9', 'commit app/0 12'])
})

test('an offset that was not read is not committed', () => {
  const brokers = new FakeBrokers().add('app', { end: 50 })
  const member = brokers.member()
  assign(member, 'app', 0)
  readTo(member, 0, 10)
  member.commits.want([{ topic: 'app', partition: 0, offset: 11 }])
  assert.throws(() => member.commits.send(0), /a commit of 11, but read only to 10/)
})

test('how far a log was read, and since when it is marked, go to the next owner', () => {
  const brokers = new FakeBrokers().add('app', { end: 50 })
  const first = brokers.member()
  assign(first, 'app', 0)
  assert.deepEqual(brokers.begun[0]?.past, NO_PAST)
  brokers.past = { epoch: 7, readTo: 45, markFrom: -1 }
  readTo(first, 0, 45)
  first.commits.want([{ topic: 'app', partition: 0, offset: 40 }])
  first.commits.send(0)
  assign(brokers.member(), 'app', 0)
  assert.deepEqual(brokers.begun[1]?.past, brokers.past)
  // A cut is met: the same log, whose past counts on.
  first.rewind({ assignmentId: 0, offset: 42, damage: null })
  brokers.did()
  brokers.turn(first)
  assert.deepEqual(brokers.did(), ['restart 0 as 2 at 42'])
  brokers.past = { epoch: 8, readTo: 45, markFrom: 8 }
  first.commits.want([{ topic: 'app', partition: 0, offset: 42 }])
  first.commits.send(0)
  assign(brokers.member(), 'app', 0)
  assert.deepEqual(brokers.begun[2]?.past, brokers.past)
  brokers.topicIds.set('app', 'f'.repeat(32))
  assign(brokers.member(), 'app', 0)
  assert.deepEqual(brokers.begun[3]?.past, NO_PAST, 'of another log')
})

test('a replay marks the records that its group marks', () => {
  const brokers = new FakeBrokers().add('app', { end: 9 })
  const member = brokers.member({ commits: false })
  member.assignRanges([{ topic: 'app', partition: 0, from: 2, to: 4, markFrom: 5 }], noMessage)
  assert.deepEqual(brokers.begun[0]?.past, { ...NO_PAST, markFrom: 5 })
})
