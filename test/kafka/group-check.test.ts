/** What is said of those who read with the same group. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { PartitionError } from '../../src/bridge/bridge.ts'
import { askReaders, conflictProblem } from '../../src/kafka/group-check.ts'
import { metadataOf } from '../../src/kafka/pipeline-identity.ts'

const OWN = { fingerprint: '5'.repeat(12), label: '"ERROR" to stdout' }
const LOWER = { fingerprint: '4'.repeat(12), label: '"FATAL" to file' }
const HIGHER = { fingerprint: '6'.repeat(12), label: '"WARN" to file' }

const member = (clientId: string, instanceId: string | null = null) => ({
  clientId,
  host: '/10.0.0.5',
  instanceId,
})
const memberOf = ({ fingerprint }: typeof OWN, instanceId: string | null = null) =>
  member(`logpipe-pipeline-${fingerprint}`, instanceId)

type Members = readonly ReturnType<typeof member>[]

function ask(members: Members | null, committed: readonly [number, string?][] = []) {
  const bridge = {
    consumerGroupMembers: () => {
      if (members === null) throw new RangeError('Local: Timed out')
      return [...members]
    },
    consumerCommitted: (): PartitionError[] =>
      committed.map(([offset, metadata], partition) => ({
        topic: 't',
        partition,
        offset,
        error: null,
        ...(metadata === undefined ? {} : { metadata }),
      })),
  }
  const topics = [{ topic: 't', partitions: committed.length }]
  const question = { groupId: 'g', identity: OWN, instanceIds: ['X-0', 'X-1'], topics }
  return askReaders(bridge, 1, question)
}

test('a group that nobody reads, or that does not answer, has nothing to say', () => {
  for (const answer of [ask([]), ask([], [[-1001]]), ask(null)]) {
    assert.equal(answer.conflict, null)
    assert.deepEqual(answer.notices, [])
  }
})

test('members of the same pipeline are welcome, and what was read before is theirs', () => {
  const { conflict, notices, ownCount } = ask([memberOf(OWN)], [[9, metadataOf(LOWER)]])
  assert.deepEqual([conflict, notices, ownCount], [null, [], 1])
})

test('a live member of another pipeline refuses the start, and both are named', () => {
  const { conflict } = ask([memberOf(OWN), memberOf(LOWER)], [[9, metadataOf(LOWER)]])
  const { code, message } = conflictProblem(conflict ?? '')
  assert.equal(code, 'GROUP_SHARED')
  assert.equal(
    message,
    'group g is read by another pipeline, "FATAL" to file (logpipe-pipeline-444444444444), from ' +
      '10.0.0.5; this one is "ERROR" to stdout (555555555555): each would get a part of the ' +
      'partitions, and commit as filtered what the other wants; give this one a group of its ' +
      'own (--group NAME), or start it beside the other, until that has ended (--take-over)',
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
    [[120, metadataOf(LOWER)], [7, metadataOf(OWN)], [-1001], [88, 'of another program']],
  )
  assert.equal(conflict, null)
  assert.deepEqual(notices, [
    'group g was used by another pipeline before ("FATAL" to file), which read up to t [0] at ' +
      '120: this one goes on from there; to read it again, name another group (--group NAME) ' +
      'or use logpipe replay',
  ])
})
