/**
 * Which topics an ingress thread reads: those that the names and expressions of KAFKA_TOPIC mean
 * (options/topic-expression.ts), as far as the cluster has them.
 *
 *   group    the thread subscribes to names. For names that were given that is all: librdkafka
 *            notices new partitions by itself. For expressions the cluster's topics are listed
 *            every LIST_EVERY_MS, and the subscription is changed where others are meant.
 *   none     the topics are listed every LIST_EVERY_MS, and partitions that this thread does not
 *            have yet are its own if its share says so. Those that the first list is without are
 *            to be read from their beginning (OFFSET_BEGINNING).
 *
 * A topic leaves a subscription when two lists in a row are without it: a broker that has just
 * started may not know all of them yet.
 *
 * Used by one ingress thread. Bound. One request in LIST_EVERY_MS; it blocks the thread for
 * LIST_MS_MIN at first, and for up to LIST_MS_MAX where that was not enough.
 */
import assert from 'node:assert/strict'
import { OFFSET_BEGINNING, OFFSET_NONE, type PartitionOffset } from '../bridge/bridge.ts'
import { messageOf } from '../core/errors.ts'
import { isTopicExpression, topicsMeant } from '../options/topic-expression.ts'
import { keyOf } from '../core/topic-partition.ts'
import type { Consumer } from './consumer.ts'

interface TopicSize {
  readonly topic: string
  readonly partitions: number
}

/** With a list that fails and the next one, a new topic is noticed within a minute. */
const LIST_EVERY_MS = 20_000
const LIST_MS_MIN = 1000
const LIST_MS_MAX = 8000
/** Until the first list has come, there is nothing to do but to ask again. */
const FIRST_EVERY_MS = 1000

export interface SubscriptionOptions {
  readonly consumer: Consumer
  /** Names, or ^regular expressions. */
  readonly wanted: readonly string[]
  readonly isGroup: boolean
  /** Without a group: it has the partitions whose number leaves its index as the remainder. */
  readonly share: { readonly index: number; readonly count: number }
  readonly warn: (message: string) => void
}

export class Subscription {
  readonly #options: SubscriptionOptions
  readonly #expressions: readonly string[]
  #listedMs = -Infinity
  #isListed = false
  #timeoutMs = LIST_MS_MIN
  /** Topics that were meant by the last list but one. */
  #before: readonly string[] = []
  #subscribed: readonly string[] = []
  #given = new Set<string>()
  /** Of the last list. */
  #names: readonly string[] = []
  #unmatched: readonly string[] = []

  constructor(options: SubscriptionOptions) {
    const { index, count } = options.share
    assert(index >= 0 && index < count, `share ${index} of ${count}`)
    this.#options = options
    this.#expressions = options.wanted.filter(isTopicExpression)
  }

  /** Whether there is nothing that this thread could read. */
  get isIdle(): boolean {
    return this.#given.size === 0 && this.#subscribed.length === 0
  }

  /** Whether the partitions are known without a group's word, or that there are none. */
  get isGiven(): boolean {
    return this.#isListed && (!this.#options.isGroup || this.isIdle)
  }

  /** The names of those that are read. */
  get topics(): readonly string[] {
    return this.#options.isGroup ? this.#subscribed : this.#names
  }

  /**
   * Lists and subscribes when it is time to.
   * @returns partitions that this thread has from now on, without a group.
   */
  poll(nowMs: number): readonly PartitionOffset[] {
    const { isGroup, wanted } = this.#options
    if (isGroup && this.#expressions.length === 0) {
      this.#subscribe(wanted)
      return []
    }
    const everyMs = this.#isListed ? LIST_EVERY_MS : FIRST_EVERY_MS
    if (nowMs - this.#listedMs < everyMs) return []
    this.#listedMs = nowMs
    const found = this.#list()
    if (found === null) return []
    const isFirst = !this.#isListed
    this.#isListed = true
    this.#reportUnmatched(found)
    if (!isGroup) return this.#newShare(found, isFirst)
    const names = wanted.filter((topic) => !isTopicExpression(topic))
    const meant = found.map(({ topic }) => topic)
    // Those that the list is without for the first time.
    const staying = this.#subscribed.filter((topic) => this.#before.includes(topic))
    this.#before = meant
    this.#subscribe([...new Set([...names, ...meant, ...staying])].toSorted())
    return []
  }

  /** The topics meant; null: no broker answered in time, or an expression takes too long. */
  #list(): TopicSize[] | null {
    const { consumer, wanted } = this.#options
    const ask = (topic: string | null) => consumer.metadata(topic, this.#timeoutMs).topics
    let topics
    try {
      topics = this.#expressions.length > 0 ? ask(null) : wanted.flatMap((topic) => ask(topic))
    } catch {
      // The client's events say why no broker answered.
      this.#timeoutMs = Math.min(this.#timeoutMs * 2, LIST_MS_MAX)
      return null
    }
    this.#timeoutMs = LIST_MS_MIN
    try {
      return topicsMeant(wanted, topics)
    } catch (thrown) {
      this.#options.warn(`${messageOf(thrown)}; the list of topics stays unchanged`)
      return null
    }
  }

  #subscribe(topics: readonly string[]): void {
    const { consumer } = this.#options
    assert(this.#options.isGroup, 'a reader outside of groups subscribes to nothing')
    if (topics.join() === this.#subscribed.join()) return
    consumer.subscribe(topics)
    this.#subscribed = topics
  }

  #newShare(found: readonly TopicSize[], isFirst: boolean): PartitionOffset[] {
    const { share } = this.#options
    this.#names = found.map(({ topic }) => topic)
    const offset = isFirst ? OFFSET_NONE : OFFSET_BEGINNING
    const all = found.flatMap(({ topic, partitions }) =>
      Array.from({ length: partitions }, (_, partition) => ({
        topic,
        partition,
        offset,
      })),
    )
    const added = all.filter(
      (one) => one.partition % share.count === share.index && !this.#given.has(keyOf(one)),
    )
    for (const one of added) this.#given.add(keyOf(one))
    return added
  }

  #reportUnmatched(found: readonly TopicSize[]): void {
    const unmatched = this.#expressions.filter((one) => topicsMeant([one], found).length === 0)
    const fresh = unmatched.filter((one) => !this.#unmatched.includes(one))
    this.#unmatched = unmatched
    if (fresh.length === 0) return
    const again = `checking again every ${LIST_EVERY_MS / 1000} s`
    this.#options.warn(`no topic matches ${fresh.join(', ')}: ${again}`)
  }
}
