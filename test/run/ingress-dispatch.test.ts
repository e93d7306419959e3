/** What a message of an ingress thread means to those who hear of it. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { FromIngress } from '../../src/kafka/ingress-messages.ts'
import { dispatch, type Hearers } from '../../src/run/ingress-dispatch.ts'
import { Notices } from '../../src/run/notices.ts'
import { IngressStates } from '../../src/run/threads.ts'
import { TopicWatch } from '../../src/run/topic-identity.ts'
import { ELASTICSEARCH_DEFAULTS } from '../helpers/elasticsearch-defaults.ts'
import { logInto } from '../helpers/log-into.ts'

const ERROR = { code: 'X', message: 'broken', topic: null, partition: -1, offset: -1001 } as const

function rig() {
  const heard: string[] = []
  const hear = (what: string) => () => void heard.push(what)
  const log = logInto((text) => heard.push(text.trimEnd().replace(/^\S+ +/, '')))
  const kafka = { membership: 'group', groupId: 'g', properties: [[]] } as const
  const settings = { ...ELASTICSEARCH_DEFAULTS, index: '{topic}' }
  const output = { settings, idPrefix: 'none', spillPath: 'spill', letters: null }
  const ingress = new IngressStates(1, () => 0, false)
  const coordinator = {
    assign: hear('assign'),
    revoke: hear('revoke'),
    restart: hear('restart'),
    unassigned: hear('unassigned'),
    skipped: hear('skipped'),
    assignments: { note: hear('positions') },
  }
  const hearers: Hearers = {
    coordinator: coordinator as unknown as Hearers['coordinator'],
    notices: new Notices(log, kafka, () => 0),
    ingress,
    topics: new TopicWatch({ ...output, kind: 'elasticsearch' }, () => undefined),
    times: { noteFirst: hear('first') },
    kafka,
    fail: ({ code }) => heard.push(`fail ${code}`),
  }
  const say = (message: FromIngress) => dispatch(message, hearers)
  return { say, ingress, heard: () => heard.splice(0) }
}

function assignOf(...topics: string[]): FromIngress {
  const partitions = topics.map((topic) => ({ topic, partition: 0, offset: 0 }))
  return { kind: 'assign', ingressIndex: 0, partitions, lost: [], topicIds: {} }
}

test('topics that the output refuses end it before any of their records is read', () => {
  const { say, heard } = rig()
  say(assignOf('Orders', 'orders'))
  const [told, ...then] = heard()
  assert.match(told ?? '', /assigned 2 partitions/)
  assert.deepEqual(then, ['fail INDEX_NAME', 'assign'])
})

test('what a thread cannot go on after ends it, and is not told besides', () => {
  const { say, heard } = rig()
  say({ kind: 'opened', ingressIndex: 0, topics: [] })
  say({ ...ERROR, kind: 'trouble', ingressIndex: 0, fatal: true })
  say({ kind: 'failed', ingressIndex: 0, code: 'KAFKA_AUTH', message: 'refused' })
  say({ kind: 'failed', ingressIndex: 0, code: 'of the bridge', message: 'refused' })
  assert.deepEqual(heard(), ['fail KAFKA_FATAL', 'fail KAFKA_AUTH', 'fail BRIDGE_CALL'])
  say({ ...ERROR, kind: 'trouble', ingressIndex: 0, fatal: false })
  assert.match(heard().join(), /kafka: X: broken$/)
})

test('a rebalance is no fault, and partitions that were lost are', () => {
  const { say, ingress, heard } = rig()
  say(assignOf('a'))
  const revoke = { kind: 'revoke', ingressIndex: 0, positions: [] } as const
  say({ ...revoke, lost: false })
  assert.equal(ingress.kafka().groupFault, null)
  say({ ...revoke, lost: true })
  assert.match(ingress.kafka().groupFault ?? '', /revoked the partitions of this process/)
  assert.equal(heard().filter((what) => what === 'revoke').length, 2)
  say({ ...ERROR, kind: 'refused', ingressIndex: 0, fatal: false })
  assert.match(ingress.kafka().groupFault ?? '', /refuses this process: X: broken/)
  say({ kind: 'standby', ingressIndex: 0 })
  assert.equal(ingress.kafka().groupFault, null)
})

test('a broker that is waited for is not reached until one has answered', () => {
  const { say, ingress } = rig()
  say({ kind: 'awaitingBroker', ingressIndex: 0, message: 'no broker answered' })
  assert.equal(ingress.kafka().canReachKafka, false)
  say({ kind: 'opened', ingressIndex: 0, topics: [] })
  assert.equal(ingress.kafka().canReachKafka, true)
})

test('positions reach the ledger before a thread counts as finished or stopped', () => {
  const { say, ingress, heard } = rig()
  for (const kind of ['finished', 'stopped'] as const) {
    say({ kind, ingressIndex: 0, positions: [] })
  }
  say({ kind: 'closed', ingressIndex: 0, inTime: true })
  assert.deepEqual(heard(), ['positions', 'positions'])
  assert.deepEqual(
    [ingress.haveFinished, ingress.haveStopped, ingress.haveClosed],
    Array(3).fill(true),
  )
})
