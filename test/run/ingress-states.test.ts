/** How far the ingress threads have come, from what they say. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { IngressStates } from '../../src/run/ingress-states.ts'

const said = (kind: 'finished' | 'stopped', ingressIndex: number) =>
  ({ kind, ingressIndex, positions: [] }) as const

test('all of them count, and the dead have stopped', () => {
  const states = new IngressStates(2)
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

test('Kafka can be reached while no thread says otherwise', () => {
  const states = new IngressStates(2)
  assert.deepEqual(states.kafka(), { isMember: false, canReachKafka: true, waiting: [] })
  states.note({ kind: 'standby', ingressIndex: 1 })
  states.note({ kind: 'reachable', ingressIndex: 0, isReachable: false })
  states.note({ kind: 'reachable', ingressIndex: 1, isReachable: false })
  states.note({ kind: 'reachable', ingressIndex: 0, isReachable: true })
  assert.deepEqual(states.kafka(), { isMember: true, canReachKafka: false, waiting: [] })
  states.note({ kind: 'reachable', ingressIndex: 1, isReachable: true })
  assert.deepEqual(states.kafka(), { isMember: true, canReachKafka: true, waiting: [] })
})

test('partitions that wait are told once their brokers have not answered, over all threads', () => {
  const states = new IngressStates(2)
  const [asked, stuck] = [null, 'end offset: _TIMED_OUT'].map((problem, partition) => ({
    topic: 'app',
    partition,
    problem,
  }))
  assert.ok(asked !== undefined && stuck !== undefined)
  states.note({ kind: 'waiting', ingressIndex: 0, partitions: [asked, stuck] })
  states.note({ kind: 'waiting', ingressIndex: 1, partitions: [asked] })
  assert.deepEqual(states.kafka(), { isMember: true, canReachKafka: true, waiting: [stuck] })
  states.note({ kind: 'waiting', ingressIndex: 0, partitions: [] })
  assert.deepEqual(states.kafka().waiting, [])
})
