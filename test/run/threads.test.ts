/** How far the ingress threads have come, from what they say. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { ConsumerEvent } from '../../src/bridge/bridge.ts'
import { errorMessage } from '../../src/kafka/ingress-messages.ts'
import { IngressStates } from '../../src/run/threads.ts'

const ERROR: Extract<ConsumerEvent, { kind: 'error' }> = {
  kind: 'error',
  code: 'GROUP_AUTHORIZATION_FAILED',
  message: 'JoinGroup failed',
  fatal: false,
  topic: null,
  partition: -1,
  offset: -1001,
}

test('all of them count, and the dead have stopped', () => {
  const states = new IngressStates(2, () => 0, false)
  states.finished(0)
  states.finished(0)
  assert.equal(states.haveFinished, false)
  states.finished(1)
  assert.equal(states.haveFinished, true)
  states.stopped(0)
  states.noteDeath(1)
  assert.deepEqual([states.haveStopped, states.haveClosed], [true, false])
  states.closed(0)
  assert.equal(states.haveClosed, true)
})

test('what a group takes from one member and gives to another is not taken for read', () => {
  const clock = { nowMs: 0 }
  const states = new IngressStates(2, () => clock.nowMs, true)
  states.regrouped({ kind: 'standby', ingressIndex: 1 })
  states.finished(1)
  states.regrouped({ kind: 'standby', ingressIndex: 0 })
  states.finished(0)
  assert.equal(states.haveFinished, false, 'the group has just taken something')
  clock.nowMs = 999
  states.regrouped({ kind: 'standby', ingressIndex: 1 })
  clock.nowMs = 5000
  assert.equal(states.haveFinished, false, 'what was given to the second is not read yet')
  states.finished(1)
  assert.equal(states.haveFinished, true)
})

test('a partition that was given away unread is waited for, but not for ever', () => {
  const clock = { nowMs: 0 }
  const states = new IngressStates(2, () => clock.nowMs, true)
  const place = { topic: 't', partition: 0 }
  const position = { ...place, assignmentId: 1, offset: 5, endOffset: 9 }
  const revoke = { kind: 'revoke', ingressIndex: 0, positions: [position], lost: false } as const
  const assign = {
    kind: 'assign',
    ingressIndex: 1,
    partitions: [{ ...place, offset: 5 }],
    lost: [],
    topicIds: {},
  } as const
  states.finished(1)
  states.regrouped(revoke)
  states.finished(0)
  clock.nowMs = 5000
  assert.equal(states.haveFinished, false, 'the second hears of it late')
  states.regrouped(assign)
  states.finished(1)
  clock.nowMs = 6000
  assert.equal(states.haveFinished, true, 'it has read the partition')

  states.regrouped({ ...assign, ingressIndex: 0 })
  states.regrouped(revoke)
  states.finished(0)
  clock.nowMs = 20_999
  assert.equal(states.haveFinished, false)
  clock.nowMs = 21_000
  assert.equal(states.haveFinished, true, 'another process has it')
})

test('Kafka can be reached while no thread says otherwise', () => {
  const states = new IngressStates(2, () => 0, false)
  assert.equal(states.kafka().canReachKafka, true)
  states.reachable(0, false)
  assert.equal(states.kafka().canReachKafka, false)
  states.reachable(0, true)
  assert.equal(states.kafka().canReachKafka, true)
  states.reachable(0, false)
  states.reachable(1, false)
  states.reachable(0, true)
  assert.equal(states.kafka().canReachKafka, false)
  states.reachable(1, true)
  assert.equal(states.kafka().canReachKafka, true)
})

test('a thread whose partitions are lost, or that is refused, is no member until an assign', () => {
  const clock = { nowMs: 0 }
  const states = new IngressStates(2, () => clock.nowMs, true)
  const fault = () => states.kafka().groupFault
  const refusal = {
    ...errorMessage({ ...ERROR, code: 'GROUP_MAX_SIZE_REACHED', message: 'JoinGroup failed' }),
  }
  assert.match(fault() ?? '', /has not assigned .* yet/)
  states.joined(1)
  assert.equal(fault(), null)
  states.lost(0)
  assert.match(fault() ?? '', /revoked the partitions of this process/)
  states.joined(1)
  assert.notEqual(fault(), null, 'the assign of another thread mends nothing')
  states.joined(0)
  assert.equal(fault(), null)
  assert(refusal.kind === 'refused')
  states.refused({ ...refusal, ingressIndex: 1 })
  assert.match(fault() ?? '', /refuses this process: GROUP_MAX_SIZE_REACHED: JoinGroup failed/)
  clock.nowMs = 59_999
  assert.notEqual(fault(), null)
  clock.nowMs = 60_000
  assert.equal(fault(), null, 'a refusal that is not repeated is over')
})

test('only a broker that names no topic speaks for the group', () => {
  const kindOf = (error: Partial<typeof ERROR>) => errorMessage({ ...ERROR, ...error }).kind
  assert.equal(kindOf({}), 'refused')
  assert.equal(kindOf({ code: '_ALL_BROKERS_DOWN' }), 'trouble')
  assert.equal(kindOf({ topic: 't' }), 'trouble')
  assert.equal(kindOf({ fatal: true }), 'trouble')
})

test('partitions that wait are named once their brokers have not answered, of all threads', () => {
  const states = new IngressStates(2, () => 0, false)
  const [asked, stuck] = [null, 'end offset: _TIMED_OUT'].map((problem, partition) => ({
    topic: 'app',
    partition,
    problem,
  }))
  assert.ok(asked !== undefined && stuck !== undefined)
  states.waiting({ kind: 'waiting', ingressIndex: 0, partitions: [asked, stuck] })
  states.waiting({ kind: 'waiting', ingressIndex: 1, partitions: [asked] })
  const known = { reading: 'reading', groupFault: null, canReachKafka: true }
  assert.deepEqual(states.kafka(), { ...known, waiting: [stuck], stuck: [] })
  states.waiting({ kind: 'waiting', ingressIndex: 0, partitions: [] })
  assert.deepEqual(states.kafka().waiting, [])
  // And those that were read before.
  states.stuck({ kind: 'stuck', ingressIndex: 1, partitions: [], unanswered: [stuck] })
  assert.deepEqual(states.kafka().waiting, [stuck])
})

test('how far the threads are from reading is one word', () => {
  const clock = { nowMs: 0 }
  const states = new IngressStates(2, () => clock.nowMs, true)
  const reading = () => states.kafka().reading
  assert.equal(reading(), 'connecting')
  states.reachable(0, true)
  assert.equal(reading(), 'joining')
  states.standby(0)
  assert.equal(reading(), 'reading', 'the other may have something')
  states.standby(1)
  assert.equal(reading(), 'standby')
  states.joined(1)
  assert.equal(reading(), 'reading')
  states.lost(1)
  assert.equal(reading(), 'joining')
  states.reachable(0, false)
  assert.equal(reading(), 'connecting')
  const alone = new IngressStates(1, () => 0, false)
  alone.reachable(0, true)
  assert.equal(alone.kafka().reading, 'connecting', 'there is no group to join')
})
