/** What the first question to a cluster makes of its answers. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Bridge, ConsumerEvent } from '../../src/bridge/bridge.ts'
import { checkTopics } from '../../src/kafka/preflight.ts'

type Metadata = ReturnType<Bridge['consumerMetadata']>

const target = { brokers: 'b:9092', topics: ['logs'], connectTimeoutMs: 10_000 }

function metadata(error: string | null): Metadata {
  return { brokers: [], topics: [{ topic: 'logs', partitions: 1, error }] }
}

function errorEvent(code: string, message: string): ConsumerEvent {
  return { kind: 'error', code, message, fatal: false, topic: null, partition: -1, offset: -1001 }
}

/** Answers each request with the next of these; a null times out, and `events` are there then. */
function asked(answers: readonly (Metadata | null)[], events: readonly ConsumerEvent[] = []) {
  const timeouts: number[] = []
  const unread = [...events]
  const bridge = {
    consumerMetadata(_consumer: number, _topic: string | null, timeoutMs: number): Metadata {
      const answer = answers[timeouts.push(timeoutMs) - 1]
      if (answer === null || answer === undefined) throw new RangeError('Local: Timed out')
      return answer
    },
    consumerPoll: () => 0,
    consumerEvents: () => unread.splice(0),
  }
  return { timeouts, ...checkTopics(bridge, 1, target) }
}

test('a topic that is there is no problem', () => {
  assert.equal(asked([metadata(null)]).problem, null)
})

test('a topic that is not there, or may not be read, is named', () => {
  const missing = asked([metadata('UNKNOWN_TOPIC_OR_PART')]).problem
  assert.equal(missing?.code, 'KAFKA_TOPIC')
  assert.match(missing.message, /^topic logs does not exist: create it, or name another/)
  const denied = asked([metadata('TOPIC_AUTHORIZATION_FAILED')]).problem
  assert.equal(denied?.code, 'KAFKA_AUTH')
})

test('a broker that takes seconds to answer is waited for', () => {
  const { problem, timeouts } = asked([null, null, metadata(null)])
  assert.equal(problem, null)
  assert.deepEqual(timeouts, [1000, 2000, 7000])
})

test('a refusal is told at once, and not when the time is over', () => {
  const { problem, timeouts } = asked(
    [null],
    [errorEvent('_ALL_BROKERS_DOWN', '1/1 down'), errorEvent('_AUTHENTICATION', 'wrong password')],
  )
  assert.equal(problem?.code, 'KAFKA_AUTH')
  assert.match(problem.message, /b:9092 refused us: wrong password; check security\.protocol/)
  assert.deepEqual(timeouts, [1000])
})

test('an unreachable broker is told with the reason that librdkafka gave', () => {
  const { problem, timeouts } = asked(
    [],
    [errorEvent('_ALL_BROKERS_DOWN', '1/1 down'), errorEvent('_TRANSPORT', 'Connection refused')],
  )
  assert.equal(problem?.code, 'KAFKA_UNREACHABLE')
  assert.match(problem.message, /no broker answered at b:9092 within 10 s: Connection refused/)
  assert.equal(
    timeouts.reduce((sum, each) => sum + each, 0),
    10_000,
  )
})

test('what came while a broker was asked is handed on, in order', () => {
  const assign: ConsumerEvent = { kind: 'assign', lost: false, partitions: [] }
  const trouble = errorEvent('_TRANSPORT', 'Connection reset')
  assert.deepEqual(asked([null, metadata(null)], [trouble, assign]).events, [trouble, assign])
})
