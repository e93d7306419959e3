/** What people are told of the ingress threads. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Of } from '../../src/kafka/ingress-messages.ts'
import { fatalErrorOf, Notices, RedatedNotice } from '../../src/run/notices.ts'
import type { KafkaSettings } from '../../src/run/settings.ts'
import { logInto } from '../helpers/log-into.ts'

const TROUBLE = {
  kind: 'trouble',
  ingressIndex: 0,
  code: '_ALL_BROKERS_DOWN',
  message: '1/1 brokers are down',
  fatal: false,
  topic: null,
  partition: -1,
  offset: -1001,
} as const satisfies Of<'trouble'>

function newNotices(membership: KafkaSettings['membership'] = 'group', threadCount = 2) {
  const written: string[] = []
  const clock = { nowMs: 0 }
  const log = logInto((text) => written.push(text))
  return {
    notices: new Notices(
      log,
      { membership, groupId: 'g', properties: [[], []].slice(0, threadCount) },
      () => clock.nowMs,
    ),
    written,
    clock,
  }
}

test('before a broker has answered, trouble is left to the one line of the start', () => {
  const { notices, written } = newNotices()
  notices.trouble(TROUBLE)
  assert.deepEqual(written, [])
  notices.opened()
  notices.trouble(TROUBLE)
  assert.equal(written.length, 1)
})

test('a topic that was never there is left to it as well', () => {
  const { notices, written } = newNotices()
  notices.trouble({ ...TROUBLE, code: 'UNKNOWN_TOPIC_OR_PART', topic: 'app', partition: 0 })
  assert.deepEqual(written, [])
})

test('the same trouble is told once in ten seconds, with how often it was not told', () => {
  const { notices, written, clock } = newNotices()
  notices.opened()
  for (let count = 0; count < 5; count++) notices.trouble(TROUBLE)
  notices.trouble({ ...TROUBLE, code: '_TRANSPORT' })
  clock.nowMs = 10_000
  notices.trouble(TROUBLE)
  assert.equal(written.length, 3)
  assert.match(written[2] ?? '', /\(and 4 more since the last such line\)/)
})

test('that a broker is waited for is told once a minute', () => {
  const { notices, written, clock } = newNotices()
  for (let round = 0; round < 7; round++) {
    notices.awaitingBroker({
      kind: 'awaitingBroker',
      ingressIndex: 0,
      message: 'no broker answered at b:9092',
    })
    clock.nowMs += 10_000
  }
  assert.equal(written.length, 2)
  assert.match(written[0] ?? '', /no broker answered at b:9092; retrying until it answers/)
})

test('what is fatal names the instance, and what to do', () => {
  const instance = (id: string) => [['group.instance.id', id]] as const
  const kafka = { groupId: 'g', properties: [instance('node-7-0'), instance('node-7-1')] }
  const fatal = { ...TROUBLE, ingressIndex: 1, code: 'FENCED_INSTANCE_ID', fatal: true }
  assert.equal(fatalErrorOf(fatal, kafka).code, 'KAFKA_FATAL')
  assert.match(
    fatalErrorOf(fatal, kafka).message,
    /FENCED_INSTANCE_ID: .*group g, instance id node-7-1\); another process .*--group-instance-id/,
  )
  const other = fatalErrorOf({ ...fatal, code: 'UNKNOWN' }, { groupId: 'g', properties: [] })
  assert.match(other.message, /UNKNOWN: .* \(group g\); restart it/)
})

test('a partition that is not read is named with the reason, and not while it is asked for', () => {
  const { notices, written } = newNotices()
  const partitions = [null, 'first offset: LEADER_NOT_AVAILABLE'].map((problem, partition) => ({
    topic: 'app',
    partition,
    problem,
  }))
  notices.waiting({ kind: 'waiting', ingressIndex: 0, partitions })
  assert.equal(written.length, 1)
  assert.match(
    written[0] ?? '',
    /app \[1\] is not consumed yet: first offset: LEADER_NOT_AVAILABLE/,
  )
})

test('a topic that was deleted is told once, until it is assigned again', () => {
  const { notices, written, clock } = newNotices()
  notices.opened()
  const gone = { ...TROUBLE, code: 'UNKNOWN_TOPIC_OR_PART', topic: 'app' }
  for (let partition = 0; partition < 20; partition++) {
    notices.trouble({ ...gone, partition })
    clock.nowMs += 60_000
  }
  assert.equal(written.length, 1)
  const partitions = [{ topic: 'app', partition: 0, offset: 0 }]
  notices.assign({ kind: 'assign', ingressIndex: 0, partitions, lost: [], topicIds: {} })
  notices.trouble({ ...gone, partition: 0 })
  assert.equal(written.length, 3)
})

/** Positions of a thread: topic, offset and end of each. */
function positions(ingressIndex: number, ...list: [string, number, number][]): Of<'positions'> {
  const all = list.map(([topic, offset, endOffset], partition) => ({
    assignmentId: partition,
    topic,
    partition,
    offset,
    endOffset,
  }))
  return { kind: 'positions', ingressIndex, positions: all }
}

test('a group that has read everything before is told so, once', () => {
  const { notices, written } = newNotices()
  notices.positions(positions(0, ['t', 5, -1]))
  notices.positions(positions(1))
  notices.positions(positions(1, ['u', 0, 1]))
  notices.positions(positions(0, ['t', 5, 5]))
  assert.deepEqual(written, [])
  notices.positions(positions(1, ['u', 1, 1]))
  notices.positions(positions(1, ['u', 1, 1]))
  assert.equal(written.length, 1)
  assert.match(
    written[0] ?? '',
    /nothing to read: group g is at the end of t, u; use another group/,
  )
})

test('the end is nothing to speak of while a partition waits, or a thread has said nothing', () => {
  const { notices, written } = newNotices()
  notices.positions(positions(0, ['t', 5, 5]))
  assert.deepEqual(written, [])
  const waiting = { topic: 't', partition: 1, problem: null }
  notices.waiting({ kind: 'waiting', ingressIndex: 1, partitions: [waiting] })
  notices.positions(positions(1))
  assert.deepEqual(written, [])
  notices.waiting({ kind: 'waiting', ingressIndex: 1, partitions: [] })
  notices.positions(positions(1, ['t', 7, 7]))
  assert.match(written.join(), /nothing to read: group g is at the end of t;/)
})

test('after a record, the end is nothing to speak of', () => {
  const { notices, written } = newNotices()
  notices.first()
  notices.positions(positions(0, ['t', 5, 5]))
  assert.deepEqual(written, [])
})

test('an empty topic, and a start at the end, are no matter of the group', () => {
  for (const [membership, end, text] of [
    ['group', 0, /nothing to read yet: t is empty$/m],
    ['alone', 7, /nothing to read yet: --start begins at the end of t$/m],
    ['static', 7, /^$/],
  ] as const) {
    const { notices, written } = newNotices(membership, 1)
    notices.positions(positions(0, ['t', end, end]))
    assert.match(written.join(''), text)
  }
})

test('records of another time are told once a minute, with their number', () => {
  const written: string[] = []
  const notice = new RedatedNotice(logInto((text) => written.push(text)))
  for (const [count, nowMs] of [
    [0, 0],
    [5, 1000],
    [9, 30_000],
    [12, 61_000],
    [12, 200_000],
  ] as const) {
    notice.look(count, nowMs)
  }
  assert.deepEqual(
    written.map((line) => /^logpipe: warn: (\d+) records are dated outside/.exec(line)?.[1]),
    ['5', '7'],
  )
})
