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
