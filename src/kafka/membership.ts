/**
 * What an ingress thread holds of its group: the assignments, how far each was read, and the two
 * conversations with main that a rebalance takes.
 *
 *   assign   start offsets are resolved -> main opens ledgers and gives ids -> consumerAssign
 *   revoke   main is told the positions -> it settles what it can -> commit -> consumerUnassign
 *   rewind   the log is gone: main is told, and gives a new id -> consumerRestart
 *
 * Used by ingress-thread.ts alone. Bound: one entry an assigned partition.
 */
import { OFFSET_BEGINNING, type ConsumerEvent, type PartitionOffset } from '../bridge/bridge.ts'
import { LogpipeError, messageOf } from '../core/errors.ts'
import type { SlotReader } from '../pool/slot-reader.ts'
import { Commits } from './commits.ts'
import { endOf, heldFrom, positionOf, reachedStop, type Held } from './held.ts'
import type { Position, ToIngress } from './ingress-messages.ts'
import type { IngressOptions } from './ingress-options.ts'
import type { OffsetRange } from './offset-ranges.ts'
import { askEnds } from './partition-ends.ts'
import {
  askOffsets,
  outsideOfGroups,
  resolveStartOffsets,
  type Deadline,
  type StartOffsets,
} from './start-offsets.ts'
import { askTopicIds, TopicIdWatch, type TopicIds } from './topic-ids.ts'

/**
 * A coordinator or leader that restarts is back by then; far below max.poll.interval.ms (5 min).
 */
const ASSIGN_TIMEOUT_MS = 60_000
/** Main answers an assign within one turn of its loop. */
const ASSIGNED_TIMEOUT_MS = 10_000
/**
 * What main may be late with its answer to a revoke, beyond the drain time that it keeps itself.
 */
const REVOKED_GRACE_MS = 2000

type Rewind = Extract<ConsumerEvent, { kind: 'rewind' }>
type Meanwhile = (message: ToIngress) => void

export class Membership {
  /** What is to be committed of them. */
  readonly commits: Commits
  readonly #options: IngressOptions
  readonly #assignments = new Map<number, Held>()
  readonly #topicIds: TopicIdWatch
  readonly #readOn: (assignmentId: number) => void

  /** @param readOn of an assignment that was not read while main had it held. */
  constructor(options: IngressOptions, readOn: (assignmentId: number) => void) {
    this.#options = options
    this.#readOn = readOn
    this.commits = new Commits(options, this.#assignments)
    this.#topicIds = new TopicIdWatch(options.bridge, options.consumer)
  }

  assignmentIds(): number[] {
    return [...this.#assignments.keys()]
  }

  /** Those that main has not asked to hold, and of which there is more to read. */
  resumable(): number[] {
    return [...this.#assignments].filter(([, one]) => !one.held && !one.finished).map(([id]) => id)
  }

  /** Of a replay: the assignments that have come to their end since the last call. */
  takeFinished(): number[] {
    const ids: number[] = []
    for (const [id, held] of this.#assignments) {
      if (!reachedStop(held)) continue
      held.finished = true
      ids.push(id)
    }
    return ids
  }

  /** Of a replay: whether everything was read. */
  get isFinished(): boolean {
    return [...this.#assignments.values()].every((held) => held.finished)
  }

  get hasHeld(): boolean {
    return [...this.#assignments.values()].some((one) => one.held)
  }

  /** @returns those that are still there: what main says may cross what the group says. */
  hold(assignmentIds: readonly number[]): number[] {
    for (const id of assignmentIds) this.#set(id, { held: true })
    return assignmentIds.filter((id) => this.#assignments.has(id))
  }

  /** @returns those that are read on. */
  letGo(assignmentIds: readonly number[]): number[] {
    for (const id of assignmentIds) this.#set(id, { held: false })
    return this.resumable().filter((id) => assignmentIds.includes(id))
  }

  /** A slot was filled: its runs say how far each assignment was read. */
  advance(reader: SlotReader): void {
    for (let runIndex = 0; runIndex < reader.runCount; runIndex++) {
      const run = reader.run(runIndex)
      this.#set(run.assignmentId, { offset: run.coverTo })
    }
  }

  noteEnd(assignmentId: number, endOffset: number): void {
    this.#set(assignmentId, { metEnd: endOffset })
  }

  positions(): Position[] {
    return [...this.#assignments].map(([id, held]) => positionOf(id, held))
  }

  /** With the partitions' ends as the last fetch told them, or, `afresh`, as brokers tell them. */
  positionsWithEnds(afresh: boolean): Position[] {
    const { bridge, consumer } = this.#options
    if (afresh) askEnds(bridge, consumer, [...this.#assignments.values()])
    for (const held of this.#assignments.values()) {
      const { high } = bridge.consumerWatermarks(consumer, held, 0)
      held.endOffset = endOf(held, high)
    }
    return this.positions()
  }

  /** Answers an assign; an error that outlasts its time is told to main, which ends the process. */
  assign(partitions: readonly PartitionOffset[], meanwhile: Meanwhile): void {
    const { bridge, consumer, ingressIndex, send, start, asksGroup } = this.#options
    if (partitions.length === 0) {
      bridge.consumerAssign(consumer, [])
      send({ kind: 'standby', ingressIndex })
      return
    }
    const resolved = this.#ask((deadline) =>
      resolveStartOffsets(
        asksGroup ? bridge : outsideOfGroups(bridge),
        consumer,
        partitions,
        start,
        deadline,
      ),
    )
    if (resolved !== null) this.#begin(resolved, meanwhile)
  }

  /** Reads these ranges, none of them empty, without asking the group. */
  assignRanges(ranges: readonly OffsetRange[], meanwhile: Meanwhile): void {
    const partitions = ranges.map(({ topic, partition, from }) => ({
      topic,
      partition,
      offset: from,
    }))
    const stops = new Map(ranges.map((one) => [`${one.topic}/${one.partition}`, one.to]))
    this.#begin({ partitions, lost: [] }, meanwhile, stops)
  }

  /** Main opens the ledgers, and librdkafka begins to read. */
  #begin(
    resolved: StartOffsets,
    meanwhile: Meanwhile,
    stops: ReadonlyMap<string, number> = new Map(),
  ): void {
    const { bridge, consumer, ingressIndex, send } = this.#options
    const topics = [...new Set(resolved.partitions.map((one) => one.topic))]
    const topicIds = this.#askTopicIds(topics)
    if (topicIds === null) return
    send({ kind: 'assign', ingressIndex, ...resolved, topicIds })
    const answer = this.#await('assigned', ASSIGNED_TIMEOUT_MS, meanwhile)
    if (answer === undefined) return this.#giveUp()
    for (const one of answer.assignments) {
      const stopOffset = stops.get(`${one.topic}/${one.partition}`) ?? Infinity
      this.#assignments.set(one.assignmentId, heldFrom(one, stopOffset))
    }
    bridge.consumerAssign(consumer, answer.assignments)
  }

  /**
   * A topic of another id than at its assign was made anew. librdkafka goes on at its offset where
   * the new log has grown beyond it, and leaves out what lies below: that is read from its
   * beginning, as after a rewind.
   */
  lookAtTopicIds(nowMs: number, meanwhile: Meanwhile): void {
    const { bridge, consumer } = this.#options
    const topic = this.#topicIds.look(nowMs)
    if (topic === null) return
    const own = this.positions().filter((one) => one.topic === topic)
    const firsts = this.#ask((deadline) =>
      askOffsets(bridge, consumer, 'first offsets', own, OFFSET_BEGINNING, deadline),
    )
    for (const [index, { assignmentId }] of own.entries()) {
      const offset = firsts?.[index] ?? -1
      if (offset >= 0) this.rewind({ assignmentId, offset }, meanwhile)
    }
  }

  /** Empty where nobody wants them; null: main was told that no broker answers. */
  #askTopicIds(topics: readonly string[]): TopicIds | null {
    const { bridge, consumer, wantsTopicIds } = this.#options
    if (!wantsTopicIds) return {}
    const topicIds = this.#ask((deadline) => askTopicIds(bridge, consumer, topics, deadline))
    if (topicIds !== null) this.#topicIds.note(topicIds)
    return topicIds
  }

  /**
   * Main has opened the ledgers, or will, for partitions that nobody is going to read: it was held
   * up for longer than it may be. Once the process ends anyway, nobody listens.
   */
  #giveUp(): void {
    const { ingressIndex, send } = this.#options
    const message = 'the main thread gave no answer about an assignment'
    send({ kind: 'failed', ingressIndex, code: 'THREAD', message })
  }

  /** Null: no broker answered in time; main was told, and ends the process. */
  #ask<T>(question: (deadline: Deadline) => T): T | null {
    const { ingressIndex, send, nowMs } = this.#options
    try {
      return question({ nowMs, atMs: nowMs() + ASSIGN_TIMEOUT_MS })
    } catch (thrown) {
      const code = thrown instanceof LogpipeError ? thrown.code : 'BRIDGE_CALL'
      send({ kind: 'failed', ingressIndex, code, message: messageOf(thrown) })
      return null
    }
  }

  revoke(event: Extract<ConsumerEvent, { kind: 'assign' | 'revoke' }>, meanwhile: Meanwhile): void {
    const { bridge, consumer, ingressIndex, send, revokeDrainMs } = this.#options
    const lost = event.lost || bridge.consumerAssignmentLost(consumer)
    const positions = this.#positionsOf(event.partitions)
    if (positions.length > 0) {
      send({ kind: 'revoke', ingressIndex, positions, lost })
      const answer = this.#await('revoked', revokeDrainMs + REVOKED_GRACE_MS, meanwhile)
      if (!lost && answer !== undefined) this.commits.sendRevoked(answer.commits)
    }
    bridge.consumerUnassign(consumer, event.partitions)
    const assignmentIds = positions.map((one) => one.assignmentId)
    for (const id of assignmentIds) this.#assignments.delete(id)
    send({ kind: 'unassigned', ingressIndex, assignmentIds })
  }

  /**
   * The offsets of this partition come again, with other records: they belong to another
   * assignment. What was read of the old log is settled beside it (run/former-logs.ts).
   */
  rewind(
    { assignmentId, offset }: Pick<Rewind, 'assignmentId' | 'offset'>,
    meanwhile: Meanwhile,
  ): void {
    const { bridge, consumer, ingressIndex, send } = this.#options
    const position = this.positions().find((one) => one.assignmentId === assignmentId)
    // Given back between the record and now.
    if (position === undefined) return
    const { topic, partition } = position
    const topicIds = this.#askTopicIds([topic])
    if (topicIds === null) return
    const partitions = [{ topic, partition, offset }] as const
    send({ kind: 'restart', ingressIndex, position, partitions, topicIds })
    const [anew] = this.#await('assigned', ASSIGNED_TIMEOUT_MS, meanwhile)?.assignments ?? []
    if (anew === undefined) return this.#giveUp()
    const before = this.#assignments.get(assignmentId)
    this.#assignments.delete(assignmentId)
    this.#assignments.set(anew.assignmentId, heldFrom(anew, before?.stopOffset ?? Infinity))
    bridge.consumerRestart(consumer, assignmentId, anew.assignmentId, anew.offset)
    // Main takes the new assignment for one that is read, and would never ask for that.
    if (before?.held === true) this.#readOn(anew.assignmentId)
  }

  #positionsOf(partitions: readonly PartitionOffset[]): Position[] {
    return this.positions().filter((held) =>
      partitions.some((one) => one.topic === held.topic && one.partition === held.partition),
    )
  }

  #set(assignmentId: number, change: Partial<Held>): void {
    const held = this.#assignments.get(assignmentId)
    if (held !== undefined) Object.assign(held, change)
  }

  /** Waits for main's answer; everything else that arrives is handled meanwhile. */
  #await<Kind extends 'assigned' | 'revoked'>(
    kind: Kind,
    timeoutMs: number,
    meanwhile: Meanwhile,
  ): Extract<ToIngress, { kind: Kind }> | undefined {
    const deadlineMs = this.#options.nowMs() + timeoutMs
    for (;;) {
      const message = this.#options.receive()
      if (message?.kind === kind) return message as Extract<ToIngress, { kind: Kind }>
      if (message !== undefined) meanwhile(message)
      else if (this.#options.nowMs() >= deadlineMs) return undefined
      else this.#options.sleep(1)
    }
  }
}
