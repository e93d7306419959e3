/** What is said of those who read with the same group. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { CommittedOffset, GroupMember } from '../../src/bridge/bridge.ts'
import { encodeNote, NO_NOTE } from '../../src/kafka/commit-note.ts'
import { conflictProblem, readersOf } from '../../src/kafka/group-check.ts'

const OWN = { fingerprint: '5'.repeat(12), label: '"ERROR" to stdout' }
const LOWER = { fingerprint: '4'.repeat(12), label: '"FATAL" to file' }
const HIGHER = { fingerprint: '6'.repeat(12), label: '"WARN" to file' }

const noteOf = (pipeline: typeof OWN) => encodeNote({ ...NO_NOTE, pipeline })

const member = (clientId: string, instanceId: string | null = null): GroupMember => ({
  clientId,
  host: '/10.0.0.5',
  instanceId,
})
const memberOf = ({ fingerprint }: typeof OWN, instanceId: string | null = null) =>
  member(`logpipe-pipeline-${fingerprint}`, instanceId)

/** @param committed offset and metadata of each partition. */
function ask(
  members: readonly GroupMember[] | null,
  committed: readonly [number, string?][] = [],
  topic = 't',
) {
  const rows = committed.map(([offset, metadata = null], partition): CommittedOffset => ({
    topic,
    partition,
    offset,
    leaderEpoch: -1,
    metadata,
    error: null,
  }))
  const question = { groupId: 'g', identity: OWN, instanceIds: ['X-0', 'X-1'], topics: ['^t$'] }
  return readersOf(question, { members, committed: rows })
}

test('a group that nobody reads, or that does not answer, has nothing to say', () => {
  for (const answer of [ask([]), ask([], [[-1001]]), ask(null)]) {
    assert.equal(answer.conflict, null)
    assert.deepEqual(answer.notices, [])
  }
})

test('members of the same pipeline are welcome, and what was read before is theirs', () => {
  const { conflict, notices, ownCount } = ask([memberOf(OWN)], [[9, noteOf(LOWER)]])
  assert.deepEqual([conflict, notices, ownCount], [null, [], 1])
})

test('a live member of another pipeline refuses the start, and both are named', () => {
  const { conflict } = ask([memberOf(OWN), memberOf(LOWER)], [[9, noteOf(LOWER)]])
  const { code, message } = conflictProblem(conflict ?? '')
  assert.equal(code, 'GROUP_SHARED')
  assert.equal(
    message,
    'group g is in use by another pipeline, "FATAL" to file (logpipe-pipeline-444444444444), ' +
      'from 10.0.0.5; this one is "ERROR" to stdout (555555555555); each would get only part of ' +
      'the partitions, and commit records the other wants; use another group (--group NAME), ' +
      'or --take-over to run both until the other stops',
  )
})

test('of two that meet in a group, the greater fingerprint gives way', () => {
  assert.equal(ask([memberOf(LOWER)]).givesWay, true)
  assert.equal(ask([memberOf(HIGHER)]).givesWay, false)
})

test('static members of the same name are places that this process takes over', () => {
  assert.equal(ask([memberOf(LOWER, 'X-1')]).conflict, null)
  assert.notEqual(ask([memberOf(LOWER, 'Y-1')]).conflict, null)
})

test('members of another program are told, and are no reason to refuse', () => {
  const { conflict, notices } = ask([member('rdkafka'), member('')])
  assert.equal(conflict, null)
  assert.match(
    notices.join(),
    /^group g has 2 members of another program \(rdkafka, unnamed, from 10\.0\.0\.5\)/,
  )
})

test('what another pipeline has committed is told, with how far it came', () => {
  const { conflict, notices } = ask(
    [],
    [[120, noteOf(LOWER)], [7, noteOf(OWN)], [-1001], [88, 'of another program']],
  )
  assert.equal(conflict, null)
  assert.deepEqual(notices, [
    'group g was used by another pipeline before ("FATAL" to file), which committed t [0] at ' +
      '120; this one continues from there; to read earlier records, use another group ' +
      '(--group NAME) or logpipe replay',
  ])
})

test('what another pipeline has committed of other topics is no matter of this one', () => {
  const { notices, committed } = ask([], [[120, noteOf(LOWER)]], 'other')
  assert.deepEqual([notices, committed], [[], []])
})
