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

const said = (kind: 'finished' | 'stopped', ingressIndex: number) =>
  ({ kind, ingressIndex, positions: [] }) as const

test('all of them count, and the dead have stopped', () => {
  const states = new IngressStates(2, () => 0, false)
  states.note(said('finished', 0))
  states.note(said('finished', 0))
  assert.equal(states.haveFinished, false)
  states.note(said('finished', 1))
  assert.equal(states.haveFinished, true)
  states.note(said('stopped', 0))
  states.noteDeath(1)
  assert.deepEqual([states.haveStopped, states.haveClosed], [true, false])
  states.note({ kind: 'closed', ingressIndex: 0, inTime: true })
  assert.equal(states.haveClosed, true)
})

test('what a group takes from one member and gives to another is not taken for read', () => {
  const clock = { nowMs: 0 }
  const states = new IngressStates(2, () => clock.nowMs, true)
  states.note({ kind: 'standby', ingressIndex: 1 })
  states.note(said('finished', 1))
  states.note({ kind: 'revoke', ingressIndex: 0, positions: [], lost: false })
  states.note(said('finished', 0))
  assert.equal(states.haveFinished, false, 'the group has just taken something')
  clock.nowMs = 999
  states.note({ kind: 'assign', ingressIndex: 1, partitions: [], lost: [], topicIds: {} })
  clock.nowMs = 5000
  assert.equal(states.haveFinished, false, 'what was given to the second is not read yet')
  states.note(said('finished', 1))
  assert.equal(states.haveFinished, true)
})

test('Kafka can be reached while no thread says otherwise', () => {
  const states = new IngressStates(2, () => 0, false)
  assert.equal(states.kafka().canReachKafka, true)
  states.note({ kind: 'awaitingBroker', ingressIndex: 0, message: 'no broker answered' })
  assert.equal(states.kafka().canReachKafka, false)
  states.note({ kind: 'opened', ingressIndex: 0, topics: ['t'] })
  assert.equal(states.kafka().canReachKafka, true)
  states.note({ kind: 'reachable', ingressIndex: 0, isReachable: false })
  states.note({ kind: 'reachable', ingressIndex: 1, isReachable: false })
  states.note({ kind: 'reachable', ingressIndex: 0, isReachable: true })
  assert.equal(states.kafka().canReachKafka, false)
  states.note({ kind: 'reachable', ingressIndex: 1, isReachable: true })
  assert.equal(states.kafka().canReachKafka, true)
})

test('a thread whose partitions are lost, or that is refused, is no member until an assign', () => {
  const clock = { nowMs: 0 }
  const states = new IngressStates(2, () => clock.nowMs, true)
  const fault = () => states.kafka().groupFault
  const refusal = {
    ...errorMessage(1, { ...ERROR, code: 'GROUP_MAX_SIZE_REACHED', message: 'JoinGroup failed' }),
  }
  assert.match(fault() ?? '', /not given .* yet/)
  states.note({ kind: 'standby', ingressIndex: 1 })
  assert.equal(fault(), null)
  states.note({ kind: 'revoke', ingressIndex: 0, positions: [], lost: false })
  assert.equal(fault(), null, 'a rebalance is no fault')
  states.note({ kind: 'revoke', ingressIndex: 0, positions: [], lost: true })
  assert.match(fault() ?? '', /gave the partitions of this process away/)
  states.note({ kind: 'standby', ingressIndex: 1 })
  assert.notEqual(fault(), null, 'the assign of another thread mends nothing')
  states.note({ kind: 'assign', ingressIndex: 0, partitions: [], lost: [], topicIds: {} })
  assert.equal(fault(), null)
  states.note(refusal)
  assert.match(fault() ?? '', /refuses this process: GROUP_MAX_SIZE_REACHED: JoinGroup failed/)
  clock.nowMs = 59_999
  assert.notEqual(fault(), null)
  clock.nowMs = 60_000
  assert.equal(fault(), null, 'a refusal that is not repeated is over')
})

test('only a broker that names no topic speaks for the group', () => {
  const kindOf = (error: Partial<typeof ERROR>) => errorMessage(0, { ...ERROR, ...error }).kind
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
  states.note({ kind: 'waiting', ingressIndex: 0, partitions: [asked, stuck] })
  states.note({ kind: 'waiting', ingressIndex: 1, partitions: [asked] })
  const known = { groupFault: null, canReachKafka: true }
  assert.deepEqual(states.kafka(), { ...known, waiting: [stuck], stuck: [] })
  states.note({ kind: 'waiting', ingressIndex: 0, partitions: [] })
  assert.deepEqual(states.kafka().waiting, [])
})
