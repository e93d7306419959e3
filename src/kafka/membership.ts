/**
 * An ingress thread's part in its group: its partitions, how far each was read, and the two
 * conversations with main during a rebalance.
 *
 *   assign   librdkafka holds them at once (consumerHold), so that the group goes on; then, each
 *            for itself:
 *
 *            waiting --answered--> its start is committed -> main opens its ledger and gives an id
 *               ^  |                                                  -> consumerBegin
 *               '--' asked again beside reading, and named until then
 *
 *   revoke   main gets the positions -> it settles what it can -> commit -> consumerUnassign
 *   rewind   the log is gone: waiting, for what identifies the new one -> main gives a new id
 *            -> consumerRestart
 *
 * Used by ingress-thread.ts alone. Bound: one entry a partition; questions in flight are at most a
 * few for each assign and one round of those that are asked again.
 */
import assert from 'node:assert/strict'
import { type ConsumerEvent, OFFSET_BEGINNING, type PartitionOffset } from '../bridge/bridge.ts'
import type { SlotReader } from '../pool/slot-reader.ts'
import { BrokerQueries, type Facts, type FoundOffset, type Want } from './broker-queries.ts'
import { NO_NOTE, NO_PAST, type PartitionNote } from './commit-note.ts'
import { Commits, startProblem } from './commits.ts'
import { askReaders, type GroupQuestion, type GroupReaders } from './group-check.ts'
import type { Position, ToIngress, TopicIds } from './ingress-messages.ts'
import type { IngressOptions } from './ingress-options.ts'
import {
  ENDS_TIMEOUT_MS,
  endOf,
  type PartitionState,
  initialState,
  positionOf,
  reachedStop,
  recordEndAnswer,
} from './partition-state.ts'
import { startAlone, startOf } from './start-offsets.ts'
import { keyOf, type OffsetRange, type TopicPartition } from '../core/topic-partition.ts'
import type { MarkedRange } from './offset-ranges.ts'

/**
 * How long a question may take, by attempt. An unreachable leader holds up those that are asked
 * together with it as long, so most are short; a far or busy broker needs a long one.
 */
const QUESTION_MS = [3000, 3000, 3000, 10_000] as const
/**
 * Between an error and the next attempt: an election takes about a second. After a question that
 * took long, ASK_AGAIN_FACTOR times as long: while one waits for a broker that refuses connections,
 * librdkafka tries to connect without a pause.
 */
const ASK_AGAIN_MS = 1000
const ASK_AGAIN_FACTOR = 3
const ASK_AGAIN_MS_MAX = 30_000
/** The thread waits so long for the first answers after an assign, then goes on reading. */
const FIRST_ANSWERS_MS = 300
/** One wait for answers: bridge.ts. */
const SERVE_MS = 20
/** How often the ids of the topics that are read are asked for, and how long that may take. */
const IDS_EVERY_MS = 10_000
const IDS_TIMEOUT_MS = 3000
const TOPIC_IS_GONE = /UNKNOWN_TOPIC/
/** Main answers within one turn of its loop; on a starved machine one took more than 10 s. */
const ASSIGNED_TIMEOUT_MS = 60_000
/**
 * What main may be late with its answer to a revoke, beyond the drain time that it keeps itself.
 */
const REVOKED_GRACE_MS = 2000

type Rewind = Extract<ConsumerEvent, { kind: 'rewind' }>
type Meanwhile = (message: ToIngress) => void

/** A partition that is not read until brokers have answered all that its start needs. */
interface Waiting extends TopicPartition {
  /** ms since 1970. */
  readonly takenMs: number
  readonly purpose:
    | { readonly kind: 'start' }
    /** Outside of groups; later: it appeared while others were read. */
    | { readonly kind: 'alone'; readonly isLater: boolean }
    /** Of a replay: no group is asked. */
    | { readonly kind: 'range'; readonly range: MarkedRange }
    /** Offset null: the first that there is. With damage it is the same log. */
    | {
        readonly kind: 'rewind'
        readonly assignmentId: number
        readonly offset: number | null
        readonly damage: string | null
      }
  attempt: number
  askedMs: number
  /** When to ask, by the monotonic clock; Infinity: asked. */
  askAtMs: number
  /** Further questions that the answers so far made necessary. */
  wantsGroup: boolean
  timeMs: number | undefined
  problem: string | null
}

/** A waiting partition of which everything is known. */
interface Ready {
  readonly waiting: Waiting
  readonly at: FoundOffset
  readonly isFresh: boolean
  readonly note: PartitionNote
  readonly lost: OffsetRange | null
  readonly stopOffset: number
}

export class Membership {
  /** Their commits. */
  readonly commits: Commits
  readonly #options: IngressOptions
  readonly #queries: BrokerQueries
  readonly #assignments = new Map<number, PartitionState>()
  readonly #waiting = new Map<string, Waiting>()
  /** Answered since the last turn. */
  #ready: Ready[] = []
  /** Something of the waiting has changed since main was informed. */
  #isUnreported = false
  /** Nobody is to be asked before. */
  #askAtMs = Infinity
  #askedIdsMs: number
  readonly #readOn: (assignmentId: number) => void

  /** @param readOn of an assignment that was not read while main had it paused. */
  constructor(options: IngressOptions, readOn: (assignmentId: number) => void) {
    this.#options = options
    this.#readOn = readOn
    this.#queries = new BrokerQueries(options.consumer)
    this.#askedIdsMs = options.nowMs()
    this.commits = new Commits(options, this.#assignments)
  }

  assignmentIds(): number[] {
    return [...this.#assignments.keys()]
  }

  /** By assignment. */
  get assignments(): ReadonlyMap<number, PartitionState> {
    return this.#assignments
  }

  /** Those that nothing keeps from being read, and of which there is more to read. */
  resumable(): number[] {
    return [...this.#assignments]
      .filter(([, one]) => !one.isPausedByMain && !one.finished && !one.aside)
      .map(([id]) => id)
  }

  /** The assignments that have reached their stop since the last call. */
  takeFinished(): number[] {
    const ids: number[] = []
    for (const [id, state] of this.#assignments) {
      if (!reachedStop(state)) continue
      state.finished = true
      ids.push(id)
    }
    return ids
  }

  /** Whether everything was read up to where it ends. */
  get isFinished(): boolean {
    return (
      this.#waiting.size === 0 && [...this.#assignments.values()].every((state) => state.finished)
    )
  }

  get hasHeld(): boolean {
    return [...this.#assignments.values()].some((one) => one.isPausedByMain)
  }

  /** @returns those still assigned: messages of main and events of the group may cross. */
  hold(assignmentIds: readonly number[]): number[] {
    for (const id of assignmentIds) this.#set(id, { isPausedByMain: true })
    return assignmentIds.filter((id) => this.#assignments.has(id))
  }

  /** @returns those that are read on. */
  letGo(assignmentIds: readonly number[]): number[] {
    for (const id of assignmentIds) this.#set(id, { isPausedByMain: false })
    return this.resumable().filter((id) => assignmentIds.includes(id))
  }

  /** A slot was filled: its runs say how far each assignment was read. */
  advance(reader: SlotReader): void {
    for (let runIndex = 0; runIndex < reader.runCount; runIndex++) {
      const { assignmentId, coverTo } = reader.run(runIndex)
      const state = this.#assignments.get(assignmentId)
      if (state === undefined) continue
      assert(coverTo >= state.offset, `read to ${coverTo} after ${state.offset}`)
      state.offset = coverTo
    }
  }

  recordEnd(assignmentId: number, endOffset: number): void {
    this.#set(assignmentId, { metEnd: endOffset })
  }

  /** With the partitions' ends as the last fetch reported them. */
  positions(): Position[] {
    const { consumer } = this.#options
    return [...this.#assignments].map(([id, state]) => {
      state.endOffset = endOf(state, consumer.fetchedEnd(state))
      return positionOf(id, state)
    })
  }

  /** Who reads with the group, asked beside reading. */
  askReaders(question: GroupQuestion, done: (readers: GroupReaders) => void): void {
    askReaders(this.#queries, question, done)
  }

  /** Asks brokers where these end; the end of what nobody answers for stays as it was. */
  askEnds(asked: readonly PartitionState[] = [...this.#assignments.values()]): void {
    if (asked.length === 0) return
    const { nowMs } = this.#options
    const askedMs = nowMs()
    this.#queries.ask(asked, { end: true }, ENDS_TIMEOUT_MS, (facts) => {
      for (const [index, state] of asked.entries())
        recordEndAnswer(state, facts[index], askedMs, nowMs())
    })
  }

  /**
   * Answers an assign, and reads what brokers know enough of; the rest waits.
   * @returns whether anything began.
   */
  assign(partitions: readonly PartitionOffset[], meanwhile: Meanwhile): boolean {
    const { consumer, send, asksGroup } = this.#options
    consumer.hold(partitions)
    if (partitions.length === 0) {
      send({ kind: 'standby' })
      return false
    }
    for (const one of partitions) {
      const isLater = one.offset === OFFSET_BEGINNING
      this.#wait(one, asksGroup ? { kind: 'start' } : { kind: 'alone', isLater })
    }
    return this.#awaitFirst(meanwhile)
  }

  /** Reads these ranges, none of them empty, without asking the group. */
  assignRanges(ranges: readonly MarkedRange[], meanwhile: Meanwhile): boolean {
    const { consumer } = this.#options
    for (const { from, to } of ranges) assert(from >= 0 && from < to, 'no range is empty')
    consumer.hold(ranges.map(({ topic, partition, from }) => ({ topic, partition, offset: from })))
    for (const range of ranges) this.#wait(range, { kind: 'range', range })
    return this.#awaitFirst(meanwhile)
  }

  /**
   * The offsets of this partition come again, with other records: they belong to another
   * assignment. Records of the old log are settled beside it (run/assignments.ts).
   */
  rewind({ assignmentId, offset, damage }: Omit<Rewind, 'kind' | 'expected'>): void {
    const state = this.#assignments.get(assignmentId)
    // Given back between the record and now.
    if (state !== undefined) this.#wait(state, { kind: 'rewind', assignmentId, offset, damage })
  }

  /**
   * Sends due questions, and begins partitions whose answers are complete. Never waits for brokers,
   * only for main.
   * @returns whether anything began.
   */
  turn(meanwhile: Meanwhile, waitMs = 0): boolean {
    this.#askWaiting()
    this.#askIds()
    this.#queries.serve(waitMs)
    this.#askWaiting() // Questions that the answers made necessary.
    const began = this.#ready.length > 0 && this.#beginReady(meanwhile)
    this.#reportWaiting()
    return began
  }

  revoke(event: Extract<ConsumerEvent, { kind: 'assign' | 'revoke' }>, meanwhile: Meanwhile): void {
    const { consumer, send, revokeDrainMs } = this.#options
    for (const one of event.partitions) this.#forget(one)
    const lost = event.lost || consumer.isAssignmentLost
    const positions = this.#positionsOf(event.partitions)
    if (positions.length > 0) {
      send({ kind: 'revoke', positions, lost })
      const answer = this.#await('revoked', revokeDrainMs + REVOKED_GRACE_MS, meanwhile)
      if (!lost && answer !== undefined) this.commits.sendRevoked(answer.commits)
    }
    consumer.unassign(event.partitions)
    const assignmentIds = positions.map((one) => one.assignmentId)
    for (const id of assignmentIds) this.#assignments.delete(id)
    send({ kind: 'unassigned', assignmentIds })
    this.#reportWaiting()
  }

  #wait({ topic, partition }: TopicPartition, purpose: Waiting['purpose']): void {
    const key = keyOf({ topic, partition })
    // Reported twice for the same log: the first answer is on its way.
    if (purpose.kind === 'rewind' && this.#waiting.has(key)) return
    const asked = { attempt: 0, askedMs: 0, askAtMs: 0, wantsGroup: false, timeMs: undefined }
    const takenMs = this.#options.wallMs()
    this.#waiting.set(key, { topic, partition, takenMs, purpose, problem: null, ...asked })
    this.#isUnreported = true
    this.#askAtMs = 0
  }

  #forget(one: TopicPartition): void {
    if (this.#waiting.delete(keyOf(one))) this.#isUnreported = true
  }

  /** Answers come within milliseconds, and there is nothing else to read yet. */
  #awaitFirst(meanwhile: Meanwhile): boolean {
    const { nowMs } = this.#options
    const endMs = nowMs() + FIRST_ANSWERS_MS
    let began = this.turn(meanwhile)
    while (this.#queries.isBusy && nowMs() < endMs) began = this.turn(meanwhile, SERVE_MS) || began
    return began
  }

  /** Those that need the same are asked together. */
  #askWaiting(): void {
    const nowMs = this.#options.nowMs()
    if (nowMs < this.#askAtMs) return
    this.#askAtMs = Infinity
    const rounds = new Map<string, { want: Want; list: Waiting[] }>()
    for (const one of this.#waiting.values()) {
      if (one.askAtMs > nowMs) {
        this.#askAtMs = Math.min(this.#askAtMs, one.askAtMs)
        continue
      }
      one.askAtMs = Infinity
      one.askedMs = nowMs
      const want = wantOf(one)
      const kind = `${JSON.stringify(want)} ${one.attempt % QUESTION_MS.length}`
      const round = rounds.get(kind) ?? { want, list: [] }
      rounds.set(kind, round)
      round.list.push(one)
    }
    for (const { want, list } of rounds.values()) {
      const timeoutMs = QUESTION_MS[(list[0]?.attempt ?? 0) % QUESTION_MS.length] ?? 0
      this.#queries.ask(list, want, timeoutMs, (facts) => {
        for (const [index, one] of list.entries()) this.#answered(one, facts[index])
      })
    }
  }

  #answered(waiting: Waiting, facts: Facts | undefined): void {
    assert.equal(waiting.askAtMs, Infinity, 'an answer to a question')
    if (facts === undefined || facts.problem !== null) {
      const tookMs = this.#options.nowMs() - waiting.askedMs
      this.#askAgain(waiting, facts?.problem ?? 'no answer', tookMs)
      return
    }
    const { purpose, takenMs } = waiting
    const topicId = facts.topicId ?? null
    const note = { ...NO_NOTE, topicId }
    const known = { waiting, isFresh: false, note, lost: null, stopOffset: Infinity }
    if (purpose.kind === 'range') {
      const { from, to: stopOffset, markFrom = NO_PAST.markFrom } = purpose.range
      const own = { ...note, past: { ...NO_PAST, markFrom } }
      this.#ready.push({ ...known, at: { offset: from, leaderEpoch: -1 }, note: own, stopOffset })
      return
    }
    if (purpose.kind === 'rewind') {
      const offset = purpose.offset ?? facts.first?.offset ?? 0
      this.#ready.push({ ...known, at: { offset, leaderEpoch: -1 } })
      return
    }
    const { subscription, start, untilEnd, wallMs } = this.#options
    const topics = subscription?.topics ?? []
    const isLate = waiting.attempt > 0
    const question = { partition: waiting, topics, start, takenMs, nowMs: wallMs(), isLate }
    const answer =
      purpose.kind === 'alone'
        ? startAlone(question, facts, purpose.isLater)
        : startOf(question, facts)
    if (answer.kind === 'ask') {
      waiting.wantsGroup ||= answer.group === true
      waiting.timeMs = answer.timeMs ?? waiting.timeMs
      waiting.askAtMs = 0
      this.#askAtMs = 0
      return
    }
    const { at, isFresh, group, past, windows, lost, isAnew } = answer
    const stopOffset = untilEnd ? Math.max(at.offset, facts.end?.offset ?? 0) : Infinity
    const own = { topicId, group, past, windows }
    this.#ready.push({ waiting, at, isFresh, note: own, lost, stopOffset })
    if (isAnew) this.#reportAnew(waiting, at.offset)
  }

  #reportAnew({ topic, partition }: TopicPartition, offset: number): void {
    const { send } = this.#options
    const message = `topic recreated since the group committed: reading from offset ${offset}`
    const what = { code: 'TOPIC_RECREATED', message, fatal: false } as const
    send({ kind: 'trouble', ...what, topic, partition, offset })
  }

  /** @param problem null: nobody need know. @param tookMs how long it took to hear so. */
  #askAgain(waiting: Waiting, problem: string | null, tookMs: number): void {
    assert.equal(waiting.askAtMs, Infinity, 'it is asked again once its answer has come')
    this.#isUnreported ||= waiting.problem !== problem
    waiting.problem = problem
    waiting.attempt++
    const nowMs = this.#options.nowMs()
    waiting.askAtMs =
      nowMs + Math.min(ASK_AGAIN_MS_MAX, Math.max(ASK_AGAIN_MS, ASK_AGAIN_FACTOR * tookMs))
    this.#askAtMs = Math.min(this.#askAtMs, waiting.askAtMs)
  }

  #beginReady(meanwhile: Meanwhile): boolean {
    const ready = this.#ready.filter(({ waiting }) => this.#waiting.get(keyOf(waiting)) === waiting)
    this.#ready = []
    const [rewound, others] = [true, false].map((isRewind) =>
      ready.filter(({ waiting }) => (waiting.purpose.kind === 'rewind') === isRewind),
    )
    for (const one of rewound ?? []) this.#restart(one, meanwhile)
    return this.#begin(others ?? [], meanwhile)
  }

  /** Main opens the ledgers, and librdkafka begins to read. */
  #begin(list: readonly Ready[], meanwhile: Meanwhile): boolean {
    const ready = this.#commitStarts(list)
    if (ready.length === 0) return false
    const { consumer, send } = this.#options
    send({
      kind: 'assign',
      partitions: ready.map(({ waiting: { topic, partition }, at: { offset }, note }) => {
        return { topic, partition, offset, windows: note.windows }
      }),
      lost: ready.flatMap(({ lost }) => lost ?? []),
      topicIds: topicIdsOf(ready),
    })
    const answer = this.#await('assigned', ASSIGNED_TIMEOUT_MS, meanwhile)
    if (answer === undefined) {
      this.#giveUp()
      return false
    }
    assert.equal(answer.assignments.length, ready.length, 'an assignment for each')
    const byKey = new Map(ready.map((one) => [keyOf(one.waiting), one]))
    const begun = answer.assignments.map((one) => {
      const of = byKey.get(keyOf(one))
      assert(of !== undefined, 'an assignment that was asked for')
      assert(!this.#assignments.has(one.assignmentId), 'an assignment id is used once')
      const { note, at, waiting, stopOffset } = of
      this.#forget(one)
      const stop = stopOffset === Infinity ? {} : { stopOffset }
      const isCommitted = waiting.purpose.kind === 'start'
      this.#assignments.set(one.assignmentId, initialState({ ...one, ...stop, isCommitted, note }))
      // Main may begin at a later offset, known from an earlier assignment of this process.
      const leaderEpoch = at.offset === one.offset ? at.leaderEpoch : -1
      return { ...one, ...stop, leaderEpoch, past: note.past }
    })
    consumer.begin(begun)
    return true
  }

  /** @returns those that may begin: others follow once the group has their start. */
  #commitStarts(ready: readonly Ready[]): readonly Ready[] {
    const fresh = this.#options.commits ? ready.filter(({ isFresh }) => isFresh) : []
    if (fresh.length === 0) return ready
    const rows = fresh.map(({ waiting: { topic, partition }, at, note }) => {
      return { topic, partition, ...at, note }
    })
    this.commits.askStarts(this.#queries, rows, (errors) => {
      for (const [index, one] of fresh.entries()) {
        const error = errors[index] ?? null
        if (error === null) this.#ready.push({ ...one, isFresh: false })
        else this.#askAgain(one.waiting, startProblem(error, one.waiting.attempt), 0)
      }
    })
    return ready.filter(({ isFresh }) => !isFresh)
  }

  /** Once the partition is known to be another log. */
  #restart({ waiting, at, note: { topicId } }: Ready, meanwhile: Meanwhile): void {
    const { consumer, send } = this.#options
    const { topic, partition, purpose } = waiting
    this.#forget(waiting)
    const before =
      purpose.kind === 'rewind' ? this.#assignments.get(purpose.assignmentId) : undefined
    if (before === undefined || purpose.kind !== 'rewind') return
    const { assignmentId } = purpose
    const partitions = [{ topic, partition, offset: at.offset }] as const
    const position = positionOf(assignmentId, before)
    const topicIds = { [topic]: topicId }
    const { damage } = purpose
    send({ kind: 'restart', position, partitions, topicIds, damage })
    const [anew] = this.#await('assigned', ASSIGNED_TIMEOUT_MS, meanwhile)?.assignments ?? []
    if (anew === undefined) return this.#giveUp()
    assert(!this.#assignments.has(anew.assignmentId), 'an assignment id is used once')
    this.#assignments.delete(assignmentId)
    const isOther = topicId !== before.note.topicId
    const windows = isOther ? null : before.windows
    const note = { topicId, group: before.note.group, past: NO_PAST, windows }
    this.#assignments.set(
      anew.assignmentId,
      initialState({ ...anew, stopOffset: before.stopOffset, note }),
    )
    consumer.restart(assignmentId, anew.assignmentId, anew.offset, isOther)
    // Main takes the new assignment for one that is read, and would never ask for that; nor is it
    // aside.
    if (before.isPausedByMain || before.aside) this.#readOn(anew.assignmentId)
  }

  /**
   * A topic whose id differs from that at its assign was recreated. If the new log has grown beyond
   * the old offset, librdkafka continues there and skips the records below: so the topic is read
   * from its beginning, as after a rewind.
   */
  #askIds(): void {
    const nowMs = this.#options.nowMs()
    if (nowMs - this.#askedIdsMs < IDS_EVERY_MS) return
    this.#askedIdsMs = nowMs
    const known = [...this.#assignments].filter(([, { note }]) => note.topicId !== null)
    if (known.length === 0) return
    const partitions = known.map(([, state]) => state)
    this.#queries.ask(partitions, { topic: true }, IDS_TIMEOUT_MS, (facts) => {
      for (const [index, [assignmentId, state]] of known.entries()) {
        const { topicId = null, problem } = facts[index] ?? { problem: 'no answer' }
        if (this.#assignments.get(assignmentId) !== state) continue
        state.isGone = TOPIC_IS_GONE.test(problem ?? '')
        const isOther = topicId !== null && topicId !== state.note.topicId
        const purpose = { kind: 'rewind', assignmentId, offset: null, damage: null } as const
        if (isOther) this.#wait(state, purpose)
      }
    })
  }

  #reportWaiting(): void {
    if (!this.#isUnreported) return
    this.#isUnreported = false
    const { send } = this.#options
    const partitions = [...this.#waiting.values()].map(({ topic, partition, problem }) => ({
      topic,
      partition,
      problem,
    }))
    send({ kind: 'waiting', partitions })
  }

  /**
   * Main has opened the ledgers, or will, for partitions that nobody is going to read: it was held
   * up for longer than it may be. Once the process ends anyway, nobody listens.
   */
  #giveUp(): void {
    const { send } = this.#options
    const message = 'the main thread did not answer about an assignment'
    send({ kind: 'failed', code: 'THREAD', message })
  }

  #positionsOf(partitions: readonly PartitionOffset[]): Position[] {
    return this.positions().filter((state) =>
      partitions.some((one) => one.topic === state.topic && one.partition === state.partition),
    )
  }

  #set(assignmentId: number, change: Partial<PartitionState>): void {
    const state = this.#assignments.get(assignmentId)
    if (state !== undefined) Object.assign(state, change)
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

function wantOf({ purpose, wantsGroup, timeMs }: Waiting): Want {
  switch (purpose.kind) {
    case 'range':
      return { topic: true }
    case 'rewind':
      return purpose.offset === null ? { topic: true, first: true } : { topic: true }
    case 'start':
    case 'alone':
      return {
        committed: purpose.kind === 'start',
        first: true,
        end: true,
        topic: true,
        ...(wantsGroup ? { group: true } : {}),
        ...(timeMs === undefined ? {} : { timeMs }),
      }
  }
}

function topicIdsOf(ready: readonly Ready[]): TopicIds {
  return Object.fromEntries(ready.map(({ waiting, note }) => [waiting.topic, note.topicId]))
}
