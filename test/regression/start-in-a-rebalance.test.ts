/**
 * A commit of a partition's start blocked its thread while the group was being rebalanced. The
 * group waits for its members to be served, so the commit failed, and the next try came 7 s later.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { FakeBrokers } from '../helpers/fake-brokers.ts'

test('the start of a partition is committed as soon as its group is together', () => {
  const brokers = new FakeBrokers().add('app', {})
  const member = brokers.member()
  brokers.isRebalancing = true
  member.assign([{ topic: 'app', partition: 0, offset: -1001 }], () => undefined)
  brokers.isRebalancing = false
  brokers.turn(member)
  assert.deepEqual(brokers.did(), ['hold app/0', 'commit app/0 0', 'begin app/0 at 0 epoch 7'])
})

test('a start that waits for a rebalance was a fault within its first second', () => {
  // Every second start of a group warned that partitions were not read, and /ready said so.
  const brokers = new FakeBrokers().add('app', {})
  const member = brokers.member()
  const problems = () =>
    brokers.sent.flatMap((message) =>
      message.kind === 'waiting' ? message.partitions.flatMap(({ problem }) => problem ?? []) : [],
    )
  brokers.isRebalancing = true
  member.assign([{ topic: 'app', partition: 0, offset: -1001 }], () => undefined)
  for (let second = 0; second < 5; second++) brokers.turn(member)
  assert.deepEqual(problems(), [])
  // One that does not end is a fault.
  for (let second = 0; second < 10; second++) brokers.turn(member)
  assert.match(problems().join(), /^commit of its start: REBALANCE_IN_PROGRESS/)
})
