/** Where reading of a partition begins, from what brokers and the group say. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { CommittedOffset } from '../../src/bridge/bridge.ts'
import { encodeNote, NO_NOTE, NO_PAST, type PartitionNote } from '../../src/kafka/commit-note.ts'
import type { Facts } from '../../src/kafka/broker-queries.ts'
import { startAlone, startOf, type StartQuestion } from '../../src/kafka/start-offsets.ts'

const ID = 'a'.repeat(32)
const NOW_MS = 1_700_000_000_000
const HOUR_MS = 3_600_000

const committed = (
  topic: string,
  partition: number,
  offset: number,
  metadata: string | null = null,
): CommittedOffset => ({ topic, partition, offset, leaderEpoch: 4, metadata, error: null })

const metadataOf = (note: Partial<PartitionNote>) =>
  encodeNote({
    ...NO_NOTE,
    ...note,
    pipeline: { fingerprint: '0'.repeat(12), label: 'test' },
  })

/** The group began an hour ago, when topic `app` had two partitions. */
const NOTE = metadataOf({ topicId: ID, group: { atMs: NOW_MS - HOUR_MS, partitions: 2 } })

function answerOf(
  partition: number,
  facts: Partial<Facts>,
  question: Partial<StartQuestion> = {},
  begin: (asked: StartQuestion, facts: Facts) => ReturnType<typeof startOf> = startOf,
) {
  const known = {
    committed: committed('app', partition, -1001),
    first: { offset: 10, leaderEpoch: 1 },
    end: { offset: 90, leaderEpoch: 6 },
    topicId: ID,
    partitionCount: 3,
    problem: null,
  }
  const asked: StartQuestion = {
    partition: { topic: 'app', partition },
    topics: ['app', 'log-1'],
    start: { kind: 'latest' },
    takenMs: NOW_MS,
    nowMs: NOW_MS,
    isLate: false,
    ...question,
  }
  return begin(asked, { ...known, ...facts })
}

function start(...asked: Parameters<typeof answerOf>) {
  const answer = answerOf(...asked)
  if (answer.kind === 'ask') return answer.timeMs === undefined ? 'group' : answer.timeMs
  const { at, isFresh, lost, isAnew } = answer
  return [
    `${at.offset} epoch ${at.leaderEpoch} ${isFresh ? 'fresh' : 'known'}`,
    ...(lost === null ? [] : [`lost ${lost.from}-${lost.to}`]),
    ...(isAnew ? ['anew'] : []),
  ].join(' ')
}

test('what the group has committed is where reading goes on', () => {
  assert.equal(start(0, { committed: committed('app', 0, 40, NOTE) }), '40 epoch 4 known')
  const expired = { committed: committed('app', 0, 4, NOTE) }
  assert.equal(start(0, expired), '10 epoch 1 fresh lost 4-10')
})

test('an offset of another log is not taken for one of this', () => {
  const ofOther = committed('app', 0, 40, NOTE)
  const topicId = 'b'.repeat(32)
  assert.equal(start(0, { committed: ofOther, topicId }), '10 epoch 1 fresh anew')
  // Committed by something else: what was cut off would be taken for the end of the same log.
  assert.equal(start(0, { committed: committed('app', 0, 40) }), '40 epoch -1 known')
})

test('a new group begins by --start, once all of its commits are known', () => {
  assert.equal(start(0, {}), 'group')
  assert.equal(start(0, { group: [] }), '90 epoch 6 fresh')
  assert.equal(start(0, { group: [] }, { start: { kind: 'earliest' } }), '10 epoch 1 fresh')
  const byTime = { start: { kind: 'time', timeMs: 5 } } as const
  assert.equal(start(0, { group: [] }, byTime), 5)
  const atTime = { offset: 33, leaderEpoch: 2 }
  assert.equal(start(0, { group: [], atTime }, byTime), '33 epoch 2 fresh')
  const none = { offset: -1, leaderEpoch: -1 }
  assert.equal(start(0, { group: [], atTime: none }, byTime), '90 epoch 6 fresh')
  // What the group has of topics that are not read says nothing.
  assert.equal(start(0, { group: [committed('other', 0, 7, NOTE)] }), '90 epoch 6 fresh')
})

test('a partition that appeared after the group began is read from its beginning', () => {
  const group = [committed('app', 0, 40, NOTE), committed('app', 1, 40, NOTE)]
  assert.equal(start(2, { group }), '10 epoch 1 fresh lost 0-10')
  const first = { offset: 0, leaderEpoch: 0 }
  assert.equal(start(2, { group, first }), '0 epoch 0 fresh')
  // Told by the numbers alone where something else has committed.
  assert.equal(start(2, { group: [committed('app', 1, 40)] }), '10 epoch 1 fresh')
})

test('a partition that was there when the group began, but was not asked, is as of then', () => {
  const group = [committed('app', 0, 40, NOTE)]
  assert.equal(start(1, { group }), NOW_MS - HOUR_MS)
  const atTime = { offset: 55, leaderEpoch: 3 }
  assert.equal(start(1, { group, atTime }), '55 epoch 3 fresh')
  // The same process asks again.
  const late = { isLate: true, takenMs: NOW_MS - 5000 }
  assert.equal(start(1, { group: [] }, late), NOW_MS - 5000)
  // Between two that something else has committed.
  const others = [committed('app', 0, 40), committed('app', 2, 40)]
  assert.equal(start(1, { group: others }), '90 epoch 6 fresh')
})

test('a topic that appeared later is read from its beginning, unless the group is starting', () => {
  const ofOther = (agoMs: number) => {
    const note = metadataOf({ topicId: ID, group: { atMs: NOW_MS - agoMs, partitions: 1 } })
    return { group: [committed('log-1', 0, 40, note)] }
  }
  assert.equal(start(0, ofOther(HOUR_MS)), '10 epoch 1 fresh')
  assert.equal(start(0, ofOther(100)), NOW_MS - 100)
})

test('outside of groups --start decides, and what appears later has its beginning', () => {
  const alone = (isLater: boolean, facts: Partial<Facts>, question: Partial<StartQuestion>) =>
    start(0, facts, question, (asked, known) => startAlone(asked, known, isLater))
  const ofGroup = { committed: committed('app', 0, 40, NOTE) }
  assert.equal(alone(false, ofGroup, {}), '90 epoch 6 fresh')
  assert.equal(alone(true, ofGroup, {}), '10 epoch 1 fresh')
  assert.equal(alone(false, {}, { start: { kind: 'earliest' } }), '10 epoch 1 fresh')
  const byTime: Partial<StartQuestion> = { start: { kind: 'time', timeMs: 5 } }
  assert.equal(alone(false, {}, byTime), 5)
  assert.equal(alone(true, {}, byTime), '10 epoch 1 fresh')
  // Asked again: the end as of then.
  assert.equal(alone(false, {}, { isLate: true, takenMs: 7 }), 7)
})

test('of a log that the group has read its past is known, also when all it had has expired', () => {
  const past = { epoch: 4, readTo: 70, markFrom: 3 }
  const pastOf = (note: Partial<PartitionNote> | null, more: Partial<Facts> = {}) => {
    const metadata = note === null ? null : metadataOf({ topicId: ID, ...note })
    const answer = answerOf(0, { committed: committed('app', 0, 40, metadata), ...more })
    assert(answer.kind === 'start')
    return answer.past
  }
  assert.deepEqual(pastOf({ past }), past)
  assert.deepEqual(pastOf({ past }, { first: { offset: 60, leaderEpoch: 5 } }), past)
  // A note of version 0.2: no more was read than what its commit says.
  assert.deepEqual(pastOf({}), { epoch: 4, readTo: 40, markFrom: -1 })
  assert.deepEqual(pastOf({ past }, { topicId: 'b'.repeat(32) }), NO_PAST)
  assert.deepEqual(pastOf(null), NO_PAST)
})
