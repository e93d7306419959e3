/** Questions to brokers: which answers are answers, and what is missing of others. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { BrokerAnswer, CommittedOffset } from '../../src/bridge/bridge.ts'
import { BrokerQueries, type Facts, type Want } from '../../src/kafka/broker-queries.ts'
import { consumerOn } from '../helpers/consumer-on.ts'

const row = (partition: number, offset: number, error: string | null = null): CommittedOffset => ({
  topic: 'app',
  partition,
  offset,
  leaderEpoch: 2,
  metadata: null,
  error,
})

/** Each question is answered with the next of these. */
function brokers(...answers: readonly Partial<BrokerAnswer>[]) {
  let question = 0
  const ask = () => ++question
  return consumerOn({
    consumerAskCommit: ask,
    consumerAskCommitted: ask,
    consumerAskOffsets: ask,
    consumerAskTopics: ask,
    consumerAskMembers: ask,
    consumerAnswers: () =>
      answers.slice(0, question).map((answer, index) => {
        const none = { error: null, partitions: [], topics: [], members: [] }
        return { ...none, ...answer, question: index + 1 }
      }),
  })
}

function factsOf(want: Want, ...answers: readonly Partial<BrokerAnswer>[]): readonly Facts[] {
  const queries = new BrokerQueries(brokers(...answers))
  let found: readonly Facts[] = []
  const partitions = [0, 1].map((partition) => ({ topic: 'app', partition }))
  queries.ask(partitions, want, 1000, (facts) => (found = facts))
  assert.equal(queries.isBusy, true)
  queries.serve(0)
  assert.equal(queries.isBusy, false)
  return found
}

const topic = (topicId: string | null, error: string | null = null) => ({
  topics: [{ topic: 'app', topicId, partitions: 2, error }],
})

test('each partition has its own answer, and its own problem', () => {
  const want = { committed: true, first: true }
  const answered = { partitions: [row(1, 7), row(0, 5)] }
  const half = { partitions: [row(0, 3), row(1, -1001, 'LEADER_NOT_AVAILABLE')] }
  const [zero, one] = factsOf(want, answered, half)
  assert.deepEqual([zero?.committed?.offset, zero?.first?.offset, zero?.problem], [5, 3, null])
  assert.equal(one?.committed?.offset, 7)
  assert.equal(one?.problem, 'first offset: LEADER_NOT_AVAILABLE')
})

test('a question without an answer is a problem of all that it asked for', () => {
  const facts = factsOf({ end: true }, { error: '_TIMED_OUT' })
  assert.deepEqual(
    facts.map(({ problem }) => problem),
    ['end offset: _TIMED_OUT', 'end offset: _TIMED_OUT'],
  )
  const [, missing] = factsOf({ end: true }, { partitions: [row(0, 3)] })
  assert.equal(missing?.problem, 'end offset: no answer')
})

test('a topic has its id, or the broker has none; an error of the moment is neither', () => {
  const of = (answer: Partial<BrokerAnswer>) => {
    const [{ topicId, problem } = { problem: 'nothing' }] = factsOf({ topic: true }, answer)
    return [topicId, problem]
  }
  assert.deepEqual(of(topic('01')), ['01', null])
  assert.deepEqual(of(topic(null)), [null, null])
  assert.deepEqual(of({ error: '_UNSUPPORTED_FEATURE' }), [null, null])
  assert.deepEqual(of(topic(null, 'UNSUPPORTED_VERSION')), [null, null])
  const problem = "topic's id: LEADER_NOT_AVAILABLE"
  assert.deepEqual(of(topic(null, 'LEADER_NOT_AVAILABLE')), [null, problem])
})

test('a commit is answered beside reading, an offset each', () => {
  const offsets = [0, 1].map((partition) => ({ topic: 'app', partition, offset: 5 }))
  const commit = (answer: Partial<BrokerAnswer>) => {
    const queries = new BrokerQueries(brokers(answer))
    let found: readonly (string | null)[] = []
    queries.commit(offsets, (errors) => (found = errors))
    queries.serve(0)
    return found
  }
  const half = { partitions: [row(1, 5, 'REBALANCE_IN_PROGRESS'), row(0, 5)] }
  assert.deepEqual(commit(half), [null, 'REBALANCE_IN_PROGRESS'])
  assert.deepEqual(commit({ error: '_WAIT_COORD' }), ['_WAIT_COORD', '_WAIT_COORD'])
})
