/**
 * The first question to the cluster: does a broker answer, and are the topics there?
 *
 * Asked once by one ingress thread after its consumer was opened, before the group is joined, so
 * that a wrong address, a wrong password or a wrong topic is one clear line and not a silent wait.
 */
import { didYouMean } from '../core/nearest.ts'
import type { ConsumerEvent, LogLine } from '../bridge/bridge.ts'
import { LogpipeError, messageOf, type ErrorCode } from '../core/errors.ts'
import { isTopicExpression, topicsMeant } from '../options/topic-expression.ts'
import type { ClusterMetadata, Consumer } from './consumer.ts'

export interface Problem {
  readonly code: ErrorCode
  readonly message: string
}

export interface Preflight {
  /** Null when all is well. */
  readonly problem: Problem | null
  /** Events that came meanwhile, in order, still to be handled. */
  readonly events: readonly ConsumerEvent[]
  readonly logs: readonly LogLine[]
  /** The topics that are there now, an expression's matches among them. */
  readonly topics: readonly string[]
}

interface Target {
  readonly brokers: string
  readonly topics: readonly string[]
  readonly connectTimeoutMs: number
}

/** Events and log lines of librdkafka during the question. */
interface Said {
  readonly events: ConsumerEvent[]
  readonly logs: LogLine[]
}

/**
 * The first questions are short, so that a refusal comes at once; the rest of the time is for
 * the last one, since a far or busy broker may need it for its answer.
 */
const FIRST_ATTEMPTS_MS: readonly number[] = [1000, 2000]

/** Takes at most the target's connectTimeoutMs for each topic. */
export function checkTopics(consumer: Consumer, target: Target): Preflight {
  const said: Said = { events: [], logs: [] }
  const topics = new Set<string>()
  for (const topic of target.topics) {
    // An expression may match nothing today and something tomorrow; one request still shows that a
    // broker answers.
    const name = isTopicExpression(topic) ? null : topic
    const { found, problem } = ask(consumer, target, name, said)
    if (problem !== null) return { ...said, problem, topics: [] }
    const error = found.find((one) => one.topic === topic)?.error ?? null
    if (error !== null) {
      const names = () => topicNames(consumer)
      return { ...said, problem: topicProblem(topic, error, names), topics: [] }
    }
    try {
      for (const one of topicsMeant([topic], found)) topics.add(one.topic)
    } catch (thrown) {
      if (!(thrown instanceof LogpipeError)) throw thrown
      return { ...said, problem: { code: thrown.code, message: thrown.message }, topics: [] }
    }
  }
  return { ...said, problem: null, topics: [...topics] }
}

/** Decides how long to wait for a broker. */
export interface Waiting {
  /** Called before each further round, with the problem that ended the last one. */
  readonly goesOn: (problem: Problem) => boolean
}

/**
 * The same, again and again while no broker answers. Any other error is reported at once.
 * Bound: of failed rounds only events that must be answered are kept: a fatal error, once.
 */
export function awaitTopics(consumer: Consumer, target: Target, { goesOn }: Waiting): Preflight {
  let kept: ConsumerEvent[] = []
  for (;;) {
    const found = checkTopics(consumer, target)
    const events = [...kept, ...found.events]
    const isAway = found.problem?.code === 'KAFKA_UNREACHABLE'
    if (!isAway || !goesOn(found.problem)) return { ...found, events }
    kept = events.filter((event) => event.kind !== 'error' || event.fatal)
  }
}

interface Answer {
  readonly found: ClusterMetadata['topics']
  /** Why no broker could be asked. */
  readonly problem: Problem | null
}

function ask(consumer: Consumer, target: Target, topic: string | null, said: Said): Answer {
  let leftMs = target.connectTimeoutMs
  for (let attempt = 0; ; attempt++) {
    const timeoutMs = Math.min(leftMs, FIRST_ATTEMPTS_MS[attempt] ?? leftMs)
    leftMs -= timeoutMs
    try {
      return { found: consumer.metadata(topic, timeoutMs).topics, problem: null }
    } catch (thrown) {
      consumer.poll(0)
      said.events.push(...consumer.events())
      said.logs.push(...consumer.logs())
      const refusal = refusalOf(said.events, target)
      if (refusal !== null) return { found: [], problem: refusal }
      if (leftMs <= 0) {
        return { found: [], problem: unreachable(said, target, messageOf(thrown)) }
      }
    }
  }
}

/** Of a question for a better message: nobody waits long for it. */
const NAMES_MS = 2000

/** What there is, for whoever has named a topic that is not there; empty where nobody says. */
export function topicNames(consumer: Consumer): readonly string[] {
  try {
    return consumer.metadata(null, NAMES_MS).topics.map(({ topic }) => topic)
  } catch {
    // The topic is not there, whatever its neighbours are called.
    return []
  }
}

/**
 * @param error librdkafka's name of it.
 * @param names asked for the topics that there are, where it is none of them.
 */
export function topicProblem(
  topic: string,
  error: string,
  names: () => readonly string[] = () => [],
): Problem {
  if (/AUTHORIZATION/.test(error)) {
    const message = `no permission to read topic ${topic} (${error}); grant READ on it to this user`
    return { code: 'KAFKA_AUTH', message }
  }
  const advice = 'create it, or name another with --topic'
  if (/UNKNOWN_TOPIC|UNKNOWN_PARTITION/.test(error)) {
    const hint = didYouMean(topic, names())
    return { code: 'KAFKA_TOPIC', message: `topic ${topic} does not exist${hint}: ${advice}` }
  }
  return { code: 'KAFKA_TOPIC', message: `topic ${topic} cannot be read: ${error}` }
}

const errorsOf = (events: readonly ConsumerEvent[]) =>
  events.filter((event) => event.kind === 'error')

/** A broker that knows us and will not have us: asking again helps nothing. */
function refusalOf(events: readonly ConsumerEvent[], target: Target): Problem | null {
  const denied = errorsOf(events).find(({ code }) => DENIED.test(code))
  if (denied === undefined) return null
  const { code, message } = denied
  return {
    code: 'KAFKA_AUTH',
    message: `${target.brokers} refused the connection: ${message}; ${adviceOn(code, message)}`,
  }
}

/** The request only timed out. @param what the message of that error. */
function unreachable(said: Said, target: Target, what: string): Problem {
  const waited = `${target.connectTimeoutMs / 1000} s`
  const why = whyUnreachable(said) ?? what
  return {
    code: 'KAFKA_UNREACHABLE',
    message: `no broker answered at ${target.brokers} within ${waited}: ${why}`,
  }
}

/**
 * Why no broker can be used, and what to do; null: librdkafka has not said. A connection that was
 * made and then closed is no event but a line of its log.
 */
function whyUnreachable({ events, logs }: Pick<Preflight, 'events' | 'logs'>): string | null {
  const errors = errorsOf(events)
  const event = errors.findLast(({ code }) => code !== '_ALL_BROKERS_DOWN')
  const line = logs.findLast(({ facility }) => facility === 'FAIL')
  const reason = event?.message ?? line?.message.replace(/^\[thrd:.*?\]: /, '')
  if (reason === undefined) return errors.at(-1)?.message ?? null
  return `${reason}; ${adviceOn(event?.code ?? '', reason)}`
}

/** A connection is tried again within a second; why it failed is said to who polls, 50 ms long. */
const WHY_POLLS_MAX = 30
const WHY_POLL_MS = 50

/** Why a question was not answered, of a consumer that nobody else polls; null: it has not said. */
export function whyNotAsked(consumer: Consumer): string | null {
  const said: Said = { events: [], logs: [] }
  for (let poll = 0; poll < WHY_POLLS_MAX; poll++) {
    consumer.poll(WHY_POLL_MS)
    said.events.push(...consumer.events())
    said.logs.push(...consumer.logs())
    const why = whyUnreachable(said)
    if (why !== null) return why
  }
  return null
}

/** Of librdkafka's codes, those of a broker that knows us and will not have us. */
const DENIED = /AUTHENTICATION|^_SSL$/

function adviceOn(code: string, reason: string): string {
  if (DENIED.test(code)) return 'check security.protocol, sasl.* and ssl.* (--kafka-config)'
  // "(after 5ms in state APIVERSION_QUERY)": how far the connection came.
  const isConnected = / in state (?!(TRY_)?CONNECT\b)/.test(reason)
  if (!isConnected) return 'check --brokers, and that the brokers run'
  const why = 'a server listens there, but does not speak this security.protocol'
  return `${why}: check security.protocol, sasl.* and ssl.* (--kafka-config)`
}
