/** What people are told of the ingress threads. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Log } from '../../src/core/log.ts'
import type { FromIngress } from '../../src/kafka/ingress-messages.ts'
import { errorOf, Notices } from '../../src/run/notices.ts'
import type { KafkaSettings } from '../../src/run/settings.ts'

const TROUBLE = {
  kind: 'trouble',
  ingressIndex: 0,
  code: '_ALL_BROKERS_DOWN',
  message: '1/1 brokers are down',
  fatal: false,
  topic: null,
  partition: -1,
} as const satisfies FromIngress

function newNotices(membership: KafkaSettings['membership'] = 'group') {
  const written: string[] = []
  const clock = { nowMs: 0 }
  const log = new Log({
    format: 'plain',
    level: 'info',
    quiet: false,
    isTerminal: false,
    columns: () => 80,
    write: (text) => written.push(text),
  })
  return {
    notices: new Notices(log, { membership, groupId: 'g' }, () => clock.nowMs),
    written,
    clock,
  }
}

test('before a broker has answered, trouble is left to the one line of the start', () => {
  const { notices, written } = newNotices()
  notices.tell(TROUBLE)
  assert.deepEqual(written, [])
  notices.tell({ kind: 'opened', ingressIndex: 0, topics: [] })
  notices.tell(TROUBLE)
  assert.equal(written.length, 1)
})

test('the same trouble is told once in ten seconds, with how often it was not told', () => {
  const { notices, written, clock } = newNotices()
  notices.tell({ kind: 'opened', ingressIndex: 0, topics: [] })
  for (let count = 0; count < 5; count++) notices.tell(TROUBLE)
  notices.tell({ ...TROUBLE, code: '_TRANSPORT' })
  clock.nowMs = 10_000
  notices.tell(TROUBLE)
  assert.equal(written.length, 3)
  assert.match(written[2] ?? '', /\(and 4 times since it was told last\)/)
})

test('what is fatal ends the pipeline rather than being told', () => {
  const { notices, written } = newNotices()
  const fatal = { ...TROUBLE, fatal: true }
  notices.tell(fatal)
  assert.deepEqual(written, [])
  assert.equal(errorOf(fatal)?.code, 'KAFKA_FATAL')
  assert.equal(errorOf(TROUBLE), null)
})

/** Positions of a thread: topic, offset and end of each. */
function positions(ingressIndex: number, ...list: [string, number, number][]): FromIngress {
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
  notices.tell(positions(1))
  notices.tell(positions(0, ['t', 5, -1]))
  notices.tell(positions(1, ['u', 0, 1]))
  notices.tell(positions(0, ['t', 5, 5]))
  assert.deepEqual(written, [])
  notices.tell(positions(1, ['u', 1, 1]))
  notices.tell(positions(1, ['u', 1, 1]))
  assert.equal(written.length, 1)
  assert.match(written[0] ?? '', /nothing to read: group g is at the end of u, t; another group/)
})

test('after a record, the end is nothing to speak of', () => {
  const { notices, written } = newNotices()
  notices.tell({ kind: 'first', ingressIndex: 0, atNs: 0n, cpuMicros: 0 })
  notices.tell(positions(0, ['t', 5, 5]))
  assert.deepEqual(written, [])
})

test('an empty topic, and a start at the end, are no matter of the group', () => {
  for (const [membership, end, text] of [
    ['group', 0, /nothing to read yet: t is empty$/m],
    ['alone', 7, /nothing to read yet: --start begins at the end of t$/m],
    ['static', 7, /^$/],
  ] as const) {
    const { notices, written } = newNotices(membership)
    notices.tell(positions(0, ['t', end, end]))
    assert.match(written.join(''), text)
  }
})
