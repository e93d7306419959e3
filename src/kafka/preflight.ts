/**
 * The first question to the cluster: does a broker answer, and are the topics there?
 *
 * Asked once by one ingress thread after its consumer was opened (the group is being joined
 * meanwhile), so that a wrong address, a wrong password or a wrong topic is one clear line and not
 * a silent wait.
 */
import type { Bridge, BridgeId } from '../bridge/bridge.ts'
import { messageOf, type ErrorCode } from '../core/errors.ts'

export interface Problem {
  readonly code: ErrorCode
  readonly message: string
}

interface Target {
  readonly brokers: string
  readonly topics: readonly string[]
  readonly connectTimeoutMs: number
}

type Asked = Pick<Bridge, 'consumerMetadata' | 'consumerEvents' | 'consumerPoll'>

/** @returns what is wrong, or null when all is well. */
export function checkTopics(bridge: Asked, consumer: BridgeId, target: Target): Problem | null {
  for (const topic of target.topics) {
    // A pattern may match nothing today and something tomorrow; one request still shows a broker
    // answers.
    const name = topic.startsWith('^') ? null : topic
    let error: string | null | undefined
    try {
      const { topics } = bridge.consumerMetadata(consumer, name, target.connectTimeoutMs)
      error = name === null ? null : topics.find((one) => one.topic === name)?.error
    } catch (thrown) {
      return unreachable(bridge, consumer, target, messageOf(thrown))
    }
    if (error !== null && error !== undefined) return topicProblem(name ?? topic, error)
  }
  return null
}

function topicProblem(topic: string, error: string): Problem {
  if (/AUTHORIZATION/.test(error)) {
    return { code: 'KAFKA_AUTH', message: `topic ${topic} may not be read (${error})` }
  }
  const advice = 'create it, or name another with --kafka-topic'
  if (/UNKNOWN_TOPIC|UNKNOWN_PARTITION/.test(error)) {
    return { code: 'KAFKA_TOPIC', message: `topic ${topic} does not exist: ${advice}` }
  }
  return { code: 'KAFKA_TOPIC', message: `topic ${topic} cannot be read: ${error}` }
}

/**
 * The metadata request only timed out; why no broker could be used is among the client's events.
 */
function unreachable(bridge: Asked, consumer: BridgeId, target: Target, what: string): Problem {
  bridge.consumerPoll(consumer, 0)
  const reasons = bridge.consumerEvents(consumer).filter((event) => event.kind === 'error')
  const denied = reasons.find((event) => /AUTHENTICATION|SSL/.test(event.code))
  if (denied !== undefined) {
    return { code: 'KAFKA_AUTH', message: `${target.brokers} refused us: ${denied.message}` }
  }
  const last = reasons.find((event) => event.code !== '_ALL_BROKERS_DOWN') ?? reasons[0]
  const why = last === undefined ? what : last.message
  const waited = `${target.connectTimeoutMs / 1000} s`
  return {
    code: 'KAFKA_UNREACHABLE',
    message: `no broker answered at ${target.brokers} within ${waited}: ${why}`,
  }
}
