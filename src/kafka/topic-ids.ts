/**
 * Kafka's ids of the topics that are about to be read. A topic that was deleted and made anew has
 * another id, although names and offsets begin again.
 *
 * Asked by an ingress thread before each assign, so that no record is read whose topic's id is not
 * known. An answer that says "none" is one (brokers before 2.8); no answer is an error: documents
 * with and without a prefix would be two of the same record.
 */
import type { Bridge, BridgeId } from '../bridge/bridge.ts'
import { LogpipeError, messageOf } from '../core/errors.ts'
import type { Deadline } from './start-offsets.ts'

/** 32 hex digits by topic; null: the broker tells none. */
export type TopicIds = Readonly<Record<string, string | null>>

/** How often the ids of what is read are looked at again, and how long that may take. */
const LOOK_EVERY_MS = 10_000
const LOOK_MS_MAX = 500

/** One attempt; the deadline bounds all of them. */
const REQUEST_TIMEOUT_MS = 10_000
/** Short against an election, long against a busy loop. */
const RETRY_PAUSE_MS = 100

/** A broker that does not know the question has no ids either. */
const UNSUPPORTED = /UNSUPPORTED/

/**
 * Blocks until a broker has answered.
 * @throws LogpipeError KAFKA_UNREACHABLE when none did until the deadline.
 */
export function askTopicIds(
  bridge: Pick<Bridge, 'consumerTopicIds'>,
  consumer: BridgeId,
  topics: readonly string[],
  deadline: Deadline,
  requestMs = REQUEST_TIMEOUT_MS,
): TopicIds {
  for (;;) {
    let problem: string
    try {
      const answers = bridge.consumerTopicIds(consumer, topics, requestMs)
      const failed = answers.find((one) => one.error !== null && !UNSUPPORTED.test(one.error))
      if (failed === undefined) {
        return Object.fromEntries(answers.map(({ topic, topicId }) => [topic, topicId]))
      }
      problem = `${failed.topic}: ${failed.error}`
    } catch (thrown) {
      const code: unknown = thrown instanceof Error && 'code' in thrown ? thrown.code : ''
      if (UNSUPPORTED.test(String(code))) {
        return Object.fromEntries(topics.map((topic) => [topic, null]))
      }
      problem = messageOf(thrown)
    }
    if (deadline.nowMs() >= deadline.atMs) {
      const message = `no broker told the topics' ids: ${problem} (--id-prefix none needs none)`
      throw new LogpipeError('KAFKA_UNREACHABLE', message)
    }
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, RETRY_PAUSE_MS)
  }
}

/**
 * Looks now and then whether a topic is still the one that was assigned. librdkafka goes on at its
 * offset when a topic was made anew and has grown beyond it, and says nothing.
 *
 * Bound. One request in LOOK_EVERY_MS, of LOOK_MS_MAX at most.
 */
export class TopicIdWatch {
  readonly #bridge: Pick<Bridge, 'consumerTopicIds'>
  readonly #consumer: BridgeId
  /** Of the topics assigned so far, those that have an id. */
  readonly #known = new Map<string, string>()
  #lookedMs = 0

  constructor(bridge: Pick<Bridge, 'consumerTopicIds'>, consumer: BridgeId) {
    this.#bridge = bridge
    this.#consumer = consumer
  }

  note(topicIds: TopicIds): void {
    for (const [topic, id] of Object.entries(topicIds)) {
      if (id !== null) this.#known.set(topic, id)
    }
  }

  /** @returns a topic whose id has changed, once; null: none, or no answer in time. */
  look(nowMs: number): string | null {
    if (this.#known.size === 0 || nowMs - this.#lookedMs < LOOK_EVERY_MS) return null
    this.#lookedMs = nowMs
    try {
      const answers = this.#bridge.consumerTopicIds(
        this.#consumer,
        [...this.#known.keys()],
        LOOK_MS_MAX,
      )
      const changed = answers.find(
        ({ topic, topicId }) => topicId !== null && topicId !== this.#known.get(topic),
      )
      if (changed === undefined) return null
      this.#known.delete(changed.topic)
      return changed.topic
    } catch {
      // The next look asks again; what is wrong with the brokers is told as events of the client.
      return null
    }
  }
}
