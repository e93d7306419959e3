/**
 * Brokers for a Membership without librdkafka: topics, what the group has committed, partitions
 * without a leader; and the main thread's part, which gives ids. What was done is kept in `log`.
 */
import assert from 'node:assert/strict'
import {
  OFFSET_BEGINNING,
  OFFSET_END,
  OFFSET_NONE,
  type Assignment,
  type Bridge,
  type BrokerAnswer,
  type CommitOffset,
  type CommittedOffset,
  type PartitionError,
  type PartitionOffset,
} from '../../src/bridge/bridge.ts'
import { NO_PAST } from '../../src/kafka/commit-note.ts'
import type { IngressMessage, ToIngress } from '../../src/kafka/ingress-messages.ts'
import type { IngressOptions } from '../../src/kafka/ingress-options.ts'
import { Membership } from '../../src/kafka/membership.ts'
import type { Subscription } from '../../src/kafka/subscription.ts'
import type { StartPosition } from '../../src/options/notations.ts'
import { consumerOn } from './consumer-on.ts'

export interface FakePartition {
  first: number
  end: number
  hasLeader: boolean
  /** The offset that a question by time finds; -1: none. */
  atTime: number
}

const keyOf = ({ topic, partition }: { topic: string; partition: number }) =>
  `${topic}/${partition}`

export class FakeBrokers {
  nowMs = 0
  wallMs = 1_700_000_000_000
  readonly log: string[] = []
  readonly sent: IngressMessage[] = []
  readonly topicIds = new Map<string, string>()
  readonly partitions = new Map<string, FakePartition>()
  readonly committed = new Map<string, { offset: number; metadata: string | null }>()
  commitError: string | null = null
  /** The group refuses commits until its members have been served: who waits, waits in vain. */
  isRebalancing = false
  /** What the bridge says was read of each partition. */
  past = NO_PAST
  readonly begun: Assignment[] = []
  #answers: BrokerAnswer[] = []
  #question = 0
  #assignmentId = 0
  readonly #toIngress: ToIngress[] = []

  add(topic: string, ...partitions: readonly Partial<FakePartition>[]): this {
    this.topicIds.set(topic, topic.length.toString(16).padStart(32, '0'))
    for (const [partition, given] of partitions.entries()) {
      const all = { first: 0, end: 0, hasLeader: true, atTime: -1, ...given }
      this.partitions.set(keyOf({ topic, partition }), all)
    }
    return this
  }

  of(topic: string, partition: number): FakePartition {
    return this.partitions.get(keyOf({ topic, partition })) ?? assert.fail('no such partition')
  }

  /** A process of the group, new to it. */
  member(
    more: { start?: StartPosition; commits?: boolean; alone?: boolean; untilEnd?: boolean } = {},
  ): Membership {
    const { start = { kind: 'earliest' }, commits = true, alone = false, untilEnd = false } = more
    const { topicIds } = this
    const subscription: Pick<Subscription, 'topics'> = {
      get topics() {
        return [...topicIds.keys()]
      },
    }
    const options: Partial<IngressOptions> = {
      consumer: consumerOn(this.#bridge()),
      start,
      untilEnd,
      commits,
      asksGroup: !alone,
      identity: { fingerprint: '0123456789ab', label: 'test' },
      subscription: subscription as Subscription,
      revokeDrainMs: 0,
      nowMs: () => this.nowMs,
      wallMs: () => this.wallMs + this.nowMs,
      sleep: (ms) => void (this.nowMs += ms),
      send: (message) => this.#take(message),
      receive: () => this.#toIngress.shift(),
    }
    return new Membership(options as IngressOptions, () => undefined)
  }

  /** As the thread does: time passes, answers come. */
  turn(membership: Membership, ms = 1000): void {
    this.nowMs += ms
    for (let step = 0; step < 4; step++) membership.turn(() => undefined)
  }

  /** Where reading began, and what was committed, in order. */
  did(): string[] {
    return this.log.splice(0)
  }

  #take(message: IngressMessage): void {
    this.sent.push(message)
    if (message.kind !== 'assign' && message.kind !== 'restart') {
      if (message.kind === 'revoke') this.#toIngress.push({ kind: 'revoked', commits: [] })
      return
    }
    const assignments = message.partitions.map((one) => ({
      ...one,
      assignmentId: this.#assignmentId++,
    }))
    this.#toIngress.push({ kind: 'assigned', assignments })
  }

  #answer(answer: Partial<BrokerAnswer>): number {
    this.#question++
    const none = { error: null, partitions: [], topics: [], members: [] }
    this.#answers.push({ ...none, ...answer, question: this.#question })
    return this.#question
  }

  #offsetOf({ topic, partition, offset }: PartitionOffset): CommittedOffset {
    const found = this.of(topic, partition)
    const none = { topic, partition, leaderEpoch: 7, metadata: null, error: null }
    if (!found.hasLeader) return { ...none, offset: OFFSET_NONE, error: 'LEADER_NOT_AVAILABLE' }
    if (offset === OFFSET_BEGINNING) return { ...none, offset: found.first }
    return { ...none, offset: offset === OFFSET_END ? found.end : found.atTime }
  }

  #committedOf(key: string): CommittedOffset {
    const [topic = '', partition = ''] = key.split('/')
    const { offset = OFFSET_NONE, metadata = null } = this.committed.get(key) ?? {}
    const place = { topic, partition: Number(partition) }
    return { ...place, offset, metadata, leaderEpoch: 7, error: null }
  }

  #commit(rows: readonly CommitOffset[]): PartitionError[] {
    return rows.map(({ topic, partition, offset, metadata = null }) => {
      const error = this.isRebalancing ? 'REBALANCE_IN_PROGRESS' : this.commitError
      if (error === null) {
        this.committed.set(keyOf({ topic, partition }), { offset, metadata })
        this.log.push(`commit ${topic}/${partition} ${offset}`)
      }
      return { topic, partition, offset, error }
    })
  }

  #bridge(): Partial<Bridge> {
    const name = ({ topic, partition }: PartitionOffset) => `${topic}/${partition}`
    return {
      consumerHold: (_, rows) => void this.log.push(`hold ${rows.map(name).join(' ')}`),
      consumerBegin: (_, rows: readonly Assignment[]) => {
        this.begun.push(...rows)
        for (const one of rows) {
          this.log.push(`begin ${name(one)} at ${one.offset} epoch ${one.leaderEpoch ?? -1}`)
        }
      },
      consumerRestart: (_, id, newId, offset, isOther) => {
        const of = isOther ? ' of another log' : ''
        this.log.push(`restart ${id} as ${newId} at ${offset}${of}`)
      },
      consumerUnassign: (_, rows) => void this.log.push(`unassign ${rows.map(name).join(' ')}`),
      consumerAssignmentLost: () => false,
      consumerWatermarks: () => ({ low: -1, high: -1 }),
      consumerLeaderEpoch: () => 7,
      consumerPast: () => this.past,
      consumerCommit: (_, rows: readonly CommitOffset[], timeoutMs) => {
        if (!this.isRebalancing) return this.#commit(rows)
        this.nowMs += timeoutMs
        throw Object.assign(new Error('cannot commit'), { code: '_TIMED_OUT' })
      },
      consumerAskCommit: (_, rows: readonly CommitOffset[]) => {
        const none = { leaderEpoch: -1, metadata: null }
        return this.#answer({ partitions: this.#commit(rows).map((row) => ({ ...none, ...row })) })
      },
      consumerAskCommitted: (_, rows) => {
        const keys = rows === null ? [...this.committed.keys()] : rows.map(keyOf)
        return this.#answer({ partitions: keys.map((key) => this.#committedOf(key)) })
      },
      consumerAskOffsets: (_, rows) =>
        this.#answer({ partitions: rows.map((row) => this.#offsetOf(row)) }),
      consumerAskTopics: (_, topics) =>
        this.#answer({
          topics: topics.map((topic) => ({
            topic,
            topicId: this.topicIds.get(topic) ?? null,
            partitions: [...this.partitions.keys()].filter((key) => key.startsWith(`${topic}/`))
              .length,
            error: this.topicIds.has(topic) ? null : 'UNKNOWN_TOPIC_OR_PART',
          })),
        }),
      consumerAskMembers: () => this.#answer({}),
      consumerAnswers: () => this.#answers.splice(0),
    }
  }
}
