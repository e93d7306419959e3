/**
 * What an ingress thread holds of its group: the assignments, how far each was read, and the two
 * conversations with main that a rebalance takes.
 *
 *   assign   start offsets are resolved -> main opens ledgers and gives ids -> consumerAssign
 *   revoke   main is told the positions -> it settles what it can -> commit -> consumerUnassign
 *   rewind   as revoke, but nothing is committed -> main gives a new id -> consumerRestart
 *
 * Used by ingress-thread.ts alone. Bound: one entry an assigned partition.
 */
import type { ConsumerEvent, PartitionError, PartitionOffset } from '../bridge/bridge.ts'
import { LogpipeError, messageOf } from '../core/errors.ts'
import type { SlotReader } from '../pool/slot-reader.ts'
import { endOf, heldFrom, positionOf, reachedStop, type Held } from './held.ts'
import type { Position, ToIngress } from './ingress-messages.ts'
import type { IngressOptions } from './ingress-options.ts'
import type { OffsetRange } from './offset-ranges.ts'
import { resolveStartOffsets, type StartOffsets } from './start-offsets.ts'

/**
 * A coordinator or leader that restarts is back by then; far below max.poll.interval.ms (5 min).
 */
const ASSIGN_TIMEOUT_MS = 60_000
/**
 * One attempt of the last commit. A group that is being rebalanced refuses commits until its
 * members have been served, which a longer attempt would keep from happening.
 */
const COMMIT_ATTEMPT_MS = 1000
/** Main answers an assign within one turn of its loop. */
const ASSIGNED_TIMEOUT_MS = 10_000
/**
 * What main may be late with its answer to a revoke, beyond the drain time that it keeps itself.
 */
const REVOKED_GRACE_MS = 2000
/** A synchronous commit: one request to the coordinator, and one more after it has moved. */
const COMMIT_TIMEOUT_MS = 10_000

type Meanwhile = (message: ToIngress) => void

export class Membership {
  readonly #options: IngressOptions
  readonly #assignments = new Map<number, Held>()

  constructor(options: IngressOptions) {
    this.#options = options
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

  /** @returns those that are still there: what main says may cross what the group says. */
  hold(assignmentIds: readonly number[]): number[] {
    for (const id of assignmentIds) this.#set(id, { held: true })
    return assignmentIds.filter((id) => this.#assignments.has(id))
  }

  letGo(assignmentIds: readonly number[]): void {
    for (const id of assignmentIds) this.#set(id, { held: false })
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

  /** With the partitions' ends as the last fetch told them; asks no broker. */
  positionsWithEnds(): Position[] {
    const { bridge, consumer } = this.#options
    for (const held of this.#assignments.values()) {
      const { high } = bridge.consumerWatermarks(consumer, held, 0)
      held.endOffset = endOf(held, high)
    }
    return this.positions()
  }

  /** Answers an assign; an error that outlasts its time is told to main, which ends the process. */
  assign(partitions: readonly PartitionOffset[], meanwhile: Meanwhile): void {
    const { bridge, consumer, ingressIndex, send, start } = this.#options
    if (partitions.length === 0) {
      bridge.consumerAssign(consumer, [])
      send({ kind: 'standby', ingressIndex })
      return
    }
    const deadline = { nowMs: this.#options.nowMs, atMs: this.#options.nowMs() + ASSIGN_TIMEOUT_MS }
    let resolved
    try {
      resolved = resolveStartOffsets(bridge, consumer, partitions, start, deadline)
    } catch (thrown) {
      const code = thrown instanceof LogpipeError ? thrown.code : 'BRIDGE_CALL'
      send({ kind: 'failed', ingressIndex, code, message: messageOf(thrown) })
      return
    }
    this.#begin(resolved, meanwhile)
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
    send({ kind: 'assign', ingressIndex, ...resolved })
    const answer = this.#await('assigned', ASSIGNED_TIMEOUT_MS, meanwhile)
    // Without an answer main is ending the process; the group will hear of it when the consumer
    // closes.
    if (answer === undefined) return
    for (const one of answer.assignments) {
      const stopOffset = stops.get(`${one.topic}/${one.partition}`) ?? Infinity
      this.#assignments.set(one.assignmentId, heldFrom(one, stopOffset))
    }
    bridge.consumerAssign(consumer, answer.assignments)
  }

  revoke(event: Extract<ConsumerEvent, { kind: 'assign' | 'revoke' }>, meanwhile: Meanwhile): void {
    const { bridge, consumer, ingressIndex, send, revokeDrainMs } = this.#options
    const lost = event.lost || bridge.consumerAssignmentLost(consumer)
    const positions = this.#positionsOf(event.partitions)
    if (positions.length > 0) {
      send({ kind: 'revoke', ingressIndex, positions, lost })
      const answer = this.#await('revoked', revokeDrainMs + REVOKED_GRACE_MS, meanwhile)
      if (!lost && answer !== undefined) this.#commitRevoked(answer.commits)
    }
    bridge.consumerUnassign(consumer, event.partitions)
    const assignmentIds = positions.map((one) => one.assignmentId)
    for (const id of assignmentIds) this.#assignments.delete(id)
    send({ kind: 'unassigned', ingressIndex, assignmentIds })
  }

  /**
   * The offsets of this partition come again, with other records: they belong to another
   * assignment. What was read of the old log is settled first, for it cannot be read again; its
   * offsets say nothing about the new one, so none is committed.
   */
  rewind(event: Extract<ConsumerEvent, { kind: 'rewind' }>, meanwhile: Meanwhile): void {
    const { bridge, consumer, ingressIndex, send, revokeDrainMs } = this.#options
    const { assignmentId, offset } = event
    const position = this.positions().find((one) => one.assignmentId === assignmentId)
    // Given back between the record and now.
    if (position === undefined) return
    send({ kind: 'rewind', ingressIndex, position, offset })
    this.#await('revoked', revokeDrainMs + REVOKED_GRACE_MS, meanwhile)
    const { topic, partition } = position
    send({ kind: 'restart', ingressIndex, partitions: [{ topic, partition, offset }] })
    const [anew] = this.#await('assigned', ASSIGNED_TIMEOUT_MS, meanwhile)?.assignments ?? []
    // Without an answer main is ending the process.
    if (anew === undefined) return
    const stopOffset = this.#assignments.get(assignmentId)?.stopOffset ?? Infinity
    this.#assignments.delete(assignmentId)
    this.#assignments.set(anew.assignmentId, heldFrom(anew, stopOffset))
    bridge.consumerRestart(consumer, assignmentId, anew.assignmentId, anew.offset)
  }

  /** Notes what is to be committed; commitWanted sends it. */
  want(commits: readonly PartitionOffset[]): void {
    for (const { topic, partition, offset } of commits) {
      const held = this.#heldOf(topic, partition)
      if (held !== undefined) held.wanted = Math.max(held.wanted, offset)
    }
  }

  /** The group has answered a commit. */
  noteCommit(partitions: readonly PartitionError[]): void {
    for (const { topic, partition, offset, error } of partitions) {
      const held = error === null ? this.#heldOf(topic, partition) : undefined
      if (held !== undefined) held.committed = Math.max(held.committed, offset)
    }
  }

  /**
   * Commits what is wanted and was not acknowledged yet, also what an earlier attempt failed at.
   * timeoutMs 0 does not wait: a `commit` event follows.
   * @returns librdkafka's name of what went wrong, or null.
   */
  commitWanted(timeoutMs: number): string | null {
    const { bridge, consumer } = this.#options
    const commits = [...this.#assignments.values()]
      .filter((held) => held.wanted > held.committed)
      .map(({ topic, partition, wanted }) => ({ topic, partition, offset: wanted }))
    if (commits.length === 0) return null
    try {
      const answers = bridge.consumerCommit(consumer, commits, timeoutMs)
      if (timeoutMs > 0) this.noteCommit(answers)
      return answers.find((one) => one.error !== null)?.error ?? null
    } catch (thrown) {
      return codeOf(thrown)
    }
  }

  /**
   * As commitWanted, again until it succeeds; between two attempts `serve` lets the group go on.
   */
  commitFinally(timeoutMs: number, serve: () => void): void {
    const { ingressIndex, send, nowMs } = this.#options
    const deadlineMs = nowMs() + timeoutMs
    for (;;) {
      const leftMs = Math.max(1, Math.round(deadlineMs - nowMs()))
      const error = this.commitWanted(Math.min(COMMIT_ATTEMPT_MS, leftMs))
      if (error === null) return
      if (nowMs() >= deadlineMs) {
        send({ kind: 'commitFailed', ingressIndex, error })
        return
      }
      serve()
    }
  }

  #heldOf(topic: string, partition: number): Held | undefined {
    for (const held of this.#assignments.values()) {
      if (held.partition === partition && held.topic === topic) return held
    }
    return undefined
  }

  /** The group waits for this member: one attempt. What fails is read again by the next owner. */
  #commitRevoked(commits: readonly PartitionOffset[]): void {
    const { ingressIndex, send } = this.#options
    this.want(commits)
    const error = this.commitWanted(COMMIT_TIMEOUT_MS)
    if (error !== null) send({ kind: 'commitFailed', ingressIndex, error })
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

function codeOf(thrown: unknown): string {
  const code: unknown = thrown instanceof Error && 'code' in thrown ? thrown.code : undefined
  return typeof code === 'string' ? code : messageOf(thrown)
}
