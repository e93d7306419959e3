/**
 * A consumer of librdkafka's: open and signed in from its birth until it is closed.
 *
 * The only way to open one, so that none lacks its token or lets it run out: each call that may
 * need a connection first checks whether the token file is due to be read (sign-in.ts).
 *
 * Whether it is a member of the group is for its properties to say (consumer-settings.ts) and for
 * `subscribe`. It belongs to one thread, and every call is legal until `close`. What the calls mean
 * is in bridge.ts, under the same names with `consumer` before them; they throw what librdkafka
 * refuses. Bound: one client; its threads and its fetch queue are as its properties say.
 */
import assert from 'node:assert/strict'
import {
  FILL_EVENTS,
  FILL_FULL,
  type Assignment,
  type Bridge,
  type BridgeId,
  type BrokerAnswer,
  type CommitOffset,
  type ConsumerEvent,
  type FillLimits,
  type LogLine,
  type LogPast,
  type PartitionError,
  type PartitionOffset,
} from '../bridge/bridge.ts'
import { LogpipeError, messageOf } from '../core/errors.ts'
import { configRefusal, type ConsumerProperties } from './consumer-settings.ts'
import { SignIn } from './sign-in.ts'

export interface ConsumerOptions {
  readonly properties: ConsumerProperties
  /** KAFKA_TOKEN_FILE; null: none. */
  readonly tokenFile: string | null
  /** The file has no valid token now; the last one stays in use until it expires. */
  readonly warn: (message: string) => void
}

export type ClusterMetadata = ReturnType<Bridge['consumerMetadata']>

/** Without a token it has no connection, so there is nothing to wait for. */
const REFUSED_CLOSE_MS = 1000

export class Consumer {
  readonly #bridge: Bridge
  readonly #consumer: BridgeId
  readonly #signIn: SignIn
  #hasEvents = false
  #isPoolFull = false
  #isClosed = false

  /**
   * Joins nothing.
   * @throws LogpipeError KAFKA_CONFIG when librdkafka refuses the properties; KAFKA_AUTH without a
   * good token.
   */
  constructor(bridge: Bridge, { properties, tokenFile, warn }: ConsumerOptions) {
    this.#bridge = bridge
    try {
      this.#consumer = bridge.consumerOpen({ config: properties, topics: [] })
    } catch (cause) {
      const message = configRefusal(messageOf(cause), properties)
      throw new LogpipeError('KAFKA_CONFIG', message, { cause })
    }
    const nowMs = () => Date.now()
    this.#signIn = new SignIn({ bridge, consumer: this.#consumer, tokenFile, nowMs, warn })
    try {
      this.#signIn.begin()
    } catch (error) {
      this.close(REFUSED_CLOSE_MS)
      throw error
    }
  }

  /** Signs in with what these properties say from now on; a token is read again at once. */
  renew(properties: ConsumerProperties): void {
    this.#signIn.renew(properties)
  }

  /** @returns how many records were put in the slot. */
  fill(pool: BridgeId, slotIndex: number, limits: FillLimits): number {
    const result = this.#bridge.consumerFill(this.#online, pool, slotIndex, limits)
    this.#hasEvents = (result & FILL_EVENTS) !== 0
    this.#isPoolFull = (result & FILL_FULL) !== 0
    return result & ~(FILL_EVENTS | FILL_FULL)
  }

  /** The last fill took nothing, for the pool's slots hold as many bytes as they may. */
  get isPoolFull(): boolean {
    return this.#isPoolFull
  }

  poll(timeoutMs: number): void {
    const result = this.#bridge.consumerPoll(this.#online, timeoutMs)
    this.#hasEvents = (result & FILL_EVENTS) !== 0
  }

  /** Of the last fill or poll, not read yet. */
  get hasEvents(): boolean {
    return this.#hasEvents
  }

  events(): readonly ConsumerEvent[] {
    if (!this.#hasEvents) return []
    this.#hasEvents = false
    return this.#bridge.consumerEvents(this.#open)
  }

  logs(): readonly LogLine[] {
    return this.#bridge.consumerLogs(this.#open)
  }

  subscribe(topics: readonly string[]): void {
    this.#bridge.consumerSubscribe(this.#open, topics)
  }

  assign(partitions: readonly Assignment[]): void {
    this.#bridge.consumerAssign(this.#open, partitions)
  }

  hold(partitions: readonly PartitionOffset[]): void {
    this.#bridge.consumerHold(this.#open, partitions)
  }

  begin(partitions: readonly Assignment[]): void {
    this.#bridge.consumerBegin(this.#open, partitions)
  }

  restart(assignmentId: number, newId: number, offset: number, isOther: boolean): void {
    this.#bridge.consumerRestart(this.#open, assignmentId, newId, offset, isOther)
  }

  unassign(partitions: readonly PartitionOffset[]): void {
    this.#bridge.consumerUnassign(this.#open, partitions)
  }

  get isAssignmentLost(): boolean {
    return this.#bridge.consumerAssignmentLost(this.#open)
  }

  pause(assignmentIds: readonly number[]): void {
    this.#bridge.consumerPause(this.#open, assignmentIds)
  }

  resume(assignmentIds: readonly number[]): void {
    this.#bridge.consumerResume(this.#open, assignmentIds)
  }

  seek(assignmentId: number, offset: number): void {
    this.#bridge.consumerSeek(this.#open, assignmentId, offset)
  }

  probe(assignmentId: number, offset: number): void {
    this.#bridge.consumerProbe(this.#open, assignmentId, offset)
  }

  leaderEpoch(assignmentId: number): number {
    return this.#bridge.consumerLeaderEpoch(this.#open, assignmentId)
  }

  past(assignmentId: number): LogPast {
    return this.#bridge.consumerPast(this.#open, assignmentId)
  }

  commit(offsets: readonly CommitOffset[], timeoutMs: number): PartitionError[] {
    return this.#bridge.consumerCommit(this.#online, offsets, timeoutMs)
  }

  offsetsForTimes(partitions: readonly PartitionOffset[], timeoutMs: number): PartitionError[] {
    return this.#bridge.consumerOffsetsForTimes(this.#online, partitions, timeoutMs)
  }

  /** The partition's end, as the last fetch reported it; below 0: unknown. */
  fetchedEnd(partition: PartitionOffset): number {
    return this.#bridge.consumerWatermarks(this.#open, partition, 0).high
  }

  /** @param topic null: all topics. */
  metadata(topic: string | null, timeoutMs: number): ClusterMetadata {
    return this.#bridge.consumerMetadata(this.#online, topic, timeoutMs)
  }

  /** The questions that do not block: broker-queries.ts asks them, and serves their answers. */
  askCommitted(partitions: readonly PartitionOffset[] | null, timeoutMs: number): number {
    return this.#bridge.consumerAskCommitted(this.#open, partitions, timeoutMs)
  }

  askOffsets(partitions: readonly PartitionOffset[], timeoutMs: number): number {
    return this.#bridge.consumerAskOffsets(this.#open, partitions, timeoutMs)
  }

  askTopics(topics: readonly string[], timeoutMs: number): number {
    return this.#bridge.consumerAskTopics(this.#open, topics, timeoutMs)
  }

  askCommit(offsets: readonly CommitOffset[]): number {
    return this.#bridge.consumerAskCommit(this.#open, offsets)
  }

  askMembers(group: string, timeoutMs: number): number {
    return this.#bridge.consumerAskMembers(this.#open, group, timeoutMs)
  }

  answers(waitMs: number): BrokerAnswer[] {
    return this.#bridge.consumerAnswers(this.#online, waitMs)
  }

  /** Once. @returns whether it was done within the time. */
  close(timeoutMs: number): boolean {
    assert(!this.#isClosed, 'a consumer is closed once')
    this.#isClosed = true
    return this.#bridge.consumerClose(this.#consumer, timeoutMs)
  }

  get #open(): BridgeId {
    assert(!this.#isClosed, 'a consumer that is open')
    return this.#consumer
  }

  /** For a call that may need a connection. */
  get #online(): BridgeId {
    const consumer = this.#open
    this.#signIn.refresh()
    return consumer
  }
}

/** Opens a consumer for as long as `ask` takes. @throws LogpipeError as the constructor does. */
export function withConsumer<Answer>(
  bridge: Bridge,
  options: ConsumerOptions,
  closeMs: number,
  ask: (consumer: Consumer) => Answer,
): Answer {
  const consumer = new Consumer(bridge, options)
  try {
    return ask(consumer)
  } finally {
    consumer.close(closeMs)
  }
}
