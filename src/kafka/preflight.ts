/**
 * The first question to the cluster: does a broker answer, and are the topics there?
 *
 * Asked once by one ingress thread after its consumer was opened (the group is being joined
 * meanwhile), so that a wrong address, a wrong password or a wrong topic is one clear line and not
 * a silent wait.
 */
import type { Bridge, BridgeId, ConsumerEvent } from '../bridge/bridge.ts'
import { LogpipeError, messageOf, type ErrorCode } from '../core/errors.ts'
import { isTopicExpression, topicsMeant } from '../options/topic-expression.ts'

export interface Problem {
  readonly code: ErrorCode
  readonly message: string
}

export interface Preflight {
  /** Null when all is well. */
  readonly problem: Problem | null
  /** What came meanwhile, in order: it is still to be handled. */
  readonly events: readonly ConsumerEvent[]
  /** The topics that are there now, an expression's matches among them. */
  readonly topics: readonly TopicSize[]
}

export interface TopicSize {
  readonly topic: string
  readonly partitions: number
}

interface Target {
  readonly brokers: string
  readonly topics: readonly string[]
  readonly connectTimeoutMs: number
}

type Asked = Pick<Bridge, 'consumerMetadata' | 'consumerEvents' | 'consumerPoll'>

/**
 * The first questions are short, so that a refusal is told at once; what is left of the time is for
 * the last one, since a far or busy broker may need it for its answer.
 */
const FIRST_ATTEMPTS_MS: readonly number[] = [1000, 2000]

/** Takes at most the target's connectTimeoutMs for each topic. */
export function checkTopics(bridge: Asked, consumer: BridgeId, target: Target): Preflight {
  const events: ConsumerEvent[] = []
  const topics = new Map<string, number>()
  for (const topic of target.topics) {
    // An expression may match nothing today and something tomorrow; one request still shows that a
    // broker answers.
    const name = isTopicExpression(topic) ? null : topic
    const { found, problem } = ask(bridge, consumer, target, name, events)
    if (problem !== null) return { problem, events, topics: [] }
    const error = found.find((one) => one.topic === topic)?.error ?? null
    if (error !== null) return { problem: topicProblem(topic, error), events, topics: [] }
    try {
      for (const one of topicsMeant([topic], found)) topics.set(one.topic, one.partitions)
    } catch (thrown) {
      const told = thrown instanceof LogpipeError ? thrown : null
      if (told === null) throw thrown
      return { problem: { code: told.code, message: told.message }, events, topics: [] }
    }
  }
  return {
    problem: null,
    events,
    topics: [...topics].map(([topic, partitions]) => ({ topic, partitions })),
  }
}

interface Answer {
  readonly found: ReturnType<Bridge['consumerMetadata']>['topics']
  /** Why no broker could be asked. */
  readonly problem: Problem | null
}

function ask(
  bridge: Asked,
  consumer: BridgeId,
  target: Target,
  topic: string | null,
  events: ConsumerEvent[],
): Answer {
  let leftMs = target.connectTimeoutMs
  for (let attempt = 0; ; attempt++) {
    const timeoutMs = Math.min(leftMs, FIRST_ATTEMPTS_MS[attempt] ?? leftMs)
    leftMs -= timeoutMs
    try {
      return { found: bridge.consumerMetadata(consumer, topic, timeoutMs).topics, problem: null }
    } catch (thrown) {
      bridge.consumerPoll(consumer, 0)
      events.push(...bridge.consumerEvents(consumer))
      const refusal = refusalOf(events, target)
      if (refusal !== null) return { found: [], problem: refusal }
      if (leftMs <= 0) {
        return { found: [], problem: unreachable(events, target, messageOf(thrown)) }
      }
    }
  }
}

/** @param error librdkafka's name of it. */
export function topicProblem(topic: string, error: string): Problem {
  if (/AUTHORIZATION/.test(error)) {
    return { code: 'KAFKA_AUTH', message: `topic ${topic} may not be read (${error})` }
  }
  const advice = 'create it, or name another with --kafka-topic'
  if (/UNKNOWN_TOPIC|UNKNOWN_PARTITION/.test(error)) {
    return { code: 'KAFKA_TOPIC', message: `topic ${topic} does not exist: ${advice}` }
  }
  return { code: 'KAFKA_TOPIC', message: `topic ${topic} cannot be read: ${error}` }
}

const errorsOf = (events: readonly ConsumerEvent[]) =>
  events.filter((event) => event.kind === 'error')

/** A broker that knows us and will not have us: asking again helps nothing. */
function refusalOf(events: readonly ConsumerEvent[], target: Target): Problem | null {
  const denied = errorsOf(events).find((event) => /AUTHENTICATION|^_SSL$/.test(event.code))
  if (denied === undefined) return null
  return {
    code: 'KAFKA_AUTH',
    message:
      `${target.brokers} refused us: ${denied.message}; ` +
      'check security.protocol, sasl.* and ssl.* (--kafka-config)',
  }
}

/** The request only timed out; why no broker could be used is among the client's events. */
function unreachable(events: readonly ConsumerEvent[], target: Target, what: string): Problem {
  const reasons = errorsOf(events)
  const last = reasons.find((event) => event.code !== '_ALL_BROKERS_DOWN') ?? reasons[0]
  const waited = `${target.connectTimeoutMs / 1000} s`
  return {
    code: 'KAFKA_UNREACHABLE',
    message:
      `no broker answered at ${target.brokers} within ${waited}: ${last?.message ?? what}; ` +
      'check --kafka-brokers, and that they run',
  }
}
