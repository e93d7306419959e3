/** Bugs that there were. The first line of each test says what was wrong. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { FakeBrokers } from '../helpers/fake-brokers.ts'

const noMessage = () => undefined
const rows = (topic: string, ...partitions: readonly number[]) =>
  partitions.map((partition) => ({ topic, partition, offset: -1001 }))

test('the start of a group that had read nothing was resolved again by the next start', () => {
  // With --start latest, what came between two runs was skipped.
  const brokers = new FakeBrokers().add('app', { end: 3 })
  const start = { kind: 'latest' } as const
  brokers.member({ start }).assign(rows('app', 0), noMessage)
  brokers.of('app', 0).end = 13
  brokers.did()
  brokers.member({ start }).assign(rows('app', 0), noMessage)
  assert.deepEqual(brokers.did(), ['hold app/0', 'begin app/0 at 3 epoch 7'])
})

test('a partition that was added while a group ran began at its end', () => {
  // What came before the group knew of it was skipped, with --start latest.
  const brokers = new FakeBrokers().add('app', { end: 5 })
  const member = brokers.member({ start: { kind: 'latest' } })
  member.assign(rows('app', 0), noMessage)
  brokers.add('app', { end: 5 }, { end: 10 })
  brokers.did()
  member.assign(rows('app', 1), noMessage)
  assert.deepEqual(brokers.did(), ['hold app/1', 'commit app/1 0', 'begin app/1 at 0 epoch 7'])
})

test('records that expired before anything was committed were lost in silence', () => {
  // The output had refused them, and the next start began at the new beginning.
  const brokers = new FakeBrokers().add('app', { end: 20 })
  brokers.member().assign(rows('app', 0), noMessage)
  Object.assign(brokers.of('app', 0), { first: 20, end: 25 })
  brokers.member().assign(rows('app', 0), noMessage)
  const assigned = brokers.sent.findLast((message) => message.kind === 'assign')
  assert.deepEqual(assigned?.lost, [{ topic: 'app', partition: 0, from: 0, to: 20 }])
})

test('one partition without a leader kept others from being read, and ended the process', () => {
  // Its offsets were asked for together with theirs, until a deadline.
  const brokers = new FakeBrokers().add('app', { hasLeader: false }, {})
  const member = brokers.member()
  member.assign(rows('app', 0, 1), noMessage)
  for (let second = 0; second < 100; second++) brokers.turn(member)
  assert.ok(brokers.did().includes('begin app/1 at 0 epoch 7'))
  assert.equal(
    brokers.sent.some(({ kind }) => kind === 'failed'),
    false,
  )
})
