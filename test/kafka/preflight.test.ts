/** What the first question to a cluster makes of its answers. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  type Bridge,
  type ConsumerEvent,
  FILL_EVENTS,
  type LogLine,
} from '../../src/bridge/bridge.ts'
import { awaitTopics, checkTopics } from '../../src/kafka/preflight.ts'
import { consumerOn } from '../helpers/consumer-on.ts'

type Metadata = ReturnType<Bridge['consumerMetadata']>

const target = { brokers: 'b:9092', topics: ['logs'], connectTimeoutMs: 10_000 }

function metadata(error: string | null): Metadata {
  return { brokers: [], topics: [{ topic: 'logs', partitions: 1, error }] }
}

function errorEvent(code: string, message: string): ConsumerEvent {
  return { kind: 'error', code, message, fatal: false, topic: null, partition: -1, offset: -1001 }
}

/** Answers each request with the next of these; a null times out, and `events` are there then. */
function asked(
  answers: readonly (Metadata | null)[],
  events: readonly ConsumerEvent[] = [],
  logs: readonly LogLine[] = [],
) {
  const timeouts: number[] = []
  const unread = [...events]
  const unreadLogs = [...logs]
  const consumer = consumerOn({
    consumerMetadata(_consumer, _topic, timeoutMs): Metadata {
      const answer = answers[timeouts.push(timeoutMs) - 1]
      if (answer === null || answer === undefined) throw new RangeError('Local: Timed out')
      return answer
    },
    consumerPoll: () => FILL_EVENTS,
    consumerEvents: () => unread.splice(0),
    consumerLogs: () => unreadLogs.splice(0),
  })
  return { timeouts, ...checkTopics(consumer, target) }
}

test('a topic that is there is no problem', () => {
  assert.equal(asked([metadata(null)]).problem, null)
})

test('a topic that is not there, or may not be read, is named', () => {
  const missing = asked([metadata('UNKNOWN_TOPIC_OR_PART')]).problem
  assert.equal(missing?.code, 'KAFKA_TOPIC')
  assert.match(missing.message, /^topic logs does not exist: create it, or name another/)
  const near = { ...metadata(null), topics: [{ topic: 'log', error: null, partitions: 1 }] }
  assert.match(
    asked([metadata('UNKNOWN_TOPIC_OR_PART'), near]).problem?.message ?? '',
    /^topic logs does not exist \(did you mean log\?\): create it/,
  )
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
  assert.match(
    problem.message,
    /b:9092 refused the connection: wrong password; check security\.protocol/,
  )
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

test('a connection that is closed before an answer is a matter of its protocol', () => {
  const down = errorEvent('_ALL_BROKERS_DOWN', '1/1 brokers are down')
  const closed = 'b:9092/bootstrap: Disconnected: connection closed by peer'
  const line = (facility: string, message: string) => ({ level: 6, facility, message })
  const logs = [
    line('FAIL', `[thrd:b:9092/bootstrap]: ${closed} (after 5ms in state APIVERSION_QUERY)`),
    line('GETPID', 'no concern of this'),
  ]
  const { problem, logs: passedOn } = asked([], [down], logs)
  assert.match(
    problem?.message ?? '',
    /10 s: b:9092\/bootstrap: Disconnected: .*security\.protocol/,
  )
  assert.deepEqual(passedOn, logs)
  const unconnected = 'Connect to b:9092 failed: refused (after 0ms in state CONNECT)'
  const refused = asked([], [errorEvent('_TRANSPORT', unconnected)], logs).problem
  assert.match(refused?.message ?? '', /in state CONNECT\); check --brokers/)
  assert.match(asked([], [down]).problem?.message ?? '', /within 10 s: 1\/1 brokers are down$/)
})

test('a broker that is away is asked again while that is wanted, and no refusal is', () => {
  const assign: ConsumerEvent = { kind: 'assign', lost: false, partitions: [] }
  const down = errorEvent('_TRANSPORT', 'Connection refused')
  const waitFor = (roundsMax: number, last: readonly ConsumerEvent[]) => {
    const told: string[] = []
    const rounds = [[down, assign], [down], last]
    let requests = 0
    const consumer = consumerOn({
      consumerMetadata(): Metadata {
        // Three requests a round.
        if (++requests <= 6 || last.length > 0) throw new RangeError('Local: Timed out')
        return metadata(null)
      },
      consumerPoll: () => FILL_EVENTS,
      consumerEvents: () => [
        ...(requests % 3 === 1 ? (rounds[Math.floor(requests / 3)] ?? []) : []),
      ],
      consumerLogs: () => [],
    })
    const goesOn = ({ message }: { message: string }) => told.push(message) < roundsMax
    return { told, ...awaitTopics(consumer, target, { goesOn }) }
  }
  const back = waitFor(9, [])
  assert.deepEqual([back.problem, back.events, back.topics], [null, [assign], ['logs']])
  assert.equal(back.told.length, 2)
  assert.match(back.told[0] ?? '', /^no broker answered at b:9092/)
  assert.equal(waitFor(1, []).problem?.code, 'KAFKA_UNREACHABLE')
  const refused = waitFor(9, [errorEvent('_AUTHENTICATION', 'wrong password')])
  assert.deepEqual([refused.problem?.code, refused.told.length], ['KAFKA_AUTH', 2])
})

test('what came while a broker was asked is handed on, in order', () => {
  const assign: ConsumerEvent = { kind: 'assign', lost: false, partitions: [] }
  const trouble = errorEvent('_TRANSPORT', 'Connection reset')
  assert.deepEqual(asked([null, metadata(null)], [trouble, assign]).events, [trouble, assign])
})
