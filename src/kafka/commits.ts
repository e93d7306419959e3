/**
 * The commits of an ingress thread: the watermarks that main sends, until the group has
 * acknowledged them. Used by membership.ts and ingress-thread.ts; the assignments are the
 * membership's.
 */
import assert from 'node:assert/strict'
import { isDeepStrictEqual } from 'node:util'
import type { CommitOffset, EpochOffset, LogPast, PartitionError } from '../bridge/bridge.ts'
import { messageOf } from '../core/errors.ts'
import type { BrokerQueries } from './broker-queries.ts'
import { encodeNote, METADATA_BYTES_MAX, type PartitionNote } from './commit-note.ts'
import type { MarkedOffset } from './ingress-messages.ts'
import { toCommit, type PartitionState } from './partition-state.ts'
import type { IngressOptions } from './ingress-options.ts'

/**
 * One attempt of the last commit. A group that is being rebalanced refuses commits until its
 * members have been served, which a longer attempt would keep from happening.
 */
const COMMIT_ATTEMPT_MS = 1000
/** A synchronous commit: one request to the coordinator, and one more after it has moved. */
const COMMIT_TIMEOUT_MS = 10_000

/** A group's answers to a commit while it is being rebalanced. */
export const REFUSED_BY_REBALANCE: ReadonlySet<string> = new Set([
  'REBALANCE_IN_PROGRESS',
  'ILLEGAL_GENERATION',
])
/**
 * Tries to commit a start, one a second, that a rebalance may refuse: it waits for the slowest
 * member, of which a dead one has session.timeout.ms (10 s).
 */
const REBALANCE_TRIES = 10

/** The problem to report if committing a start failed at this attempt; null: it is temporary. */
export function startProblem(error: string, attempt: number): string | null {
  const isUsual = REFUSED_BY_REBALANCE.has(error) && attempt < REBALANCE_TRIES
  return isUsual ? null : `commit of its start: ${error}`
}

/** One a second, of which each is answered or fails within seconds. */
const SENT_MARKS_MAX = 16

/** Of a broker that keeps less than that beside an offset (offset.metadata.max.bytes). */
const METADATA_TOO_LARGE = 'OFFSET_METADATA_TOO_LARGE'

type Options = Pick<IngressOptions, 'consumer' | 'commits' | 'identity' | 'send' | 'nowMs'>

/** An offset to commit, and what to keep beside it. */
interface NotedOffset extends EpochOffset {
  readonly note: PartitionNote
}

export class Commits {
  readonly #options: Options
  readonly #states: ReadonlyMap<number, PartitionState>
  /** False: the broker does not take them. */
  #hasNotes = true

  constructor(options: Options, states: ReadonlyMap<number, PartitionState>) {
    this.#options = options
    this.#states = states
  }

  /** Records watermarks to commit; `send` sends them. */
  want(commits: readonly MarkedOffset[]): void {
    for (const { topic, partition, offset, windows } of commits) {
      const state = this.#stateOf(topic, partition)
      if (state === undefined) continue
      assert(Number.isSafeInteger(offset) && offset >= 0, `${topic} [${partition}] at ${offset}`)
      state.wanted = Math.max(state.wanted, offset)
      if (windows !== undefined) state.windows = windows
    }
  }

  /** The group has answered a commit. */
  acknowledge(partitions: readonly PartitionError[]): void {
    for (const { topic, partition, offset, error } of partitions) {
      const state = this.#stateOf(topic, partition)
      if (error === METADATA_TOO_LARGE) this.#goOnWithoutNotes(state)
      if (state !== undefined) this.#acknowledgeMark(state, offset, error === null)
      if (error !== null) {
        // An older commit's answer may have taken this one's note for acknowledged.
        if (state !== undefined) state.reportedPast = state.sentPast = null
        continue
      }
      // An offset above the wanted one was sent by an earlier assignment, for the log before a
      // rewind. Taken for our own, it would keep this log's lower offsets from being committed.
      if (state === undefined || offset > state.wanted) continue
      state.committed = Math.max(state.committed, offset)
      state.reportedPast = state.sentPast
    }
  }

  /**
   * Commits every wanted offset that is not acknowledged yet, failed ones again; and the same
   * offset again if more was read meanwhile, for the note that says so.
   * timeoutMs 0 does not wait: a `commit` event follows.
   * @returns librdkafka's name of the error, or null.
   */
  send(timeoutMs: number): string | null {
    const { consumer, commits } = this.#options
    if (!commits) return null
    const rows: NotedOffset[] = []
    for (const [assignmentId, state] of this.#states) {
      state.wanted = toCommit(state)
      const readTo = Math.max(state.offset, state.metEnd)
      assert(state.wanted <= readTo, `a commit of ${state.wanted}, but read only to ${readTo}`)
      const past = consumer.past(assignmentId)
      if (state.wanted < 0) continue
      if (state.wanted <= state.committed && !this.#isUnreported(state, past)) continue
      state.sentPast = past
      const { topic, partition, wanted: offset, windows } = state
      const note = { ...state.note, past, windows }
      if (windows !== null && this.#hasNotes && state.sentMarks.length < SENT_MARKS_MAX) {
        assert(offset >= (state.sentMarks.at(-1)?.offset ?? 0), 'commits never go back')
        state.sentMarks.push({ offset, windows })
      }
      const leaderEpoch = consumer.leaderEpoch(assignmentId)
      rows.push({ topic, partition, offset, leaderEpoch, note })
    }
    return this.#commit(rows, timeoutMs)
  }

  /**
   * Commits where partitions begin that the group has no offset of, before they are read. Does not
   * block: a group that is being rebalanced answers once its members have been served.
   * @param rows one or more.
   * @param done gets the error of each, in their order, or null.
   */
  askStarts(
    queries: BrokerQueries,
    rows: readonly NotedOffset[],
    done: (errors: readonly (string | null)[]) => void,
  ): void {
    assert(rows.length > 0, 'a start to commit')
    queries.commit(this.#withNotes(rows), done)
  }

  #commit(noted: readonly NotedOffset[], timeoutMs: number): string | null {
    const { consumer } = this.#options
    if (noted.length === 0) return null
    try {
      const answers = consumer.commit(this.#withNotes(noted), timeoutMs)
      if (timeoutMs > 0) this.acknowledge(answers)
      return answers.find((one) => one.error !== null)?.error ?? null
    } catch (thrown) {
      return codeOf(thrown)
    }
  }

  #withNotes(noted: readonly NotedOffset[]): CommitOffset[] {
    const { identity: pipeline } = this.#options
    return noted.map(({ note, ...row }) => ({
      ...row,
      metadata: this.#hasNotes ? encodeNote({ ...note, pipeline }) : null,
    }))
  }

  /**
   * As send, again until it succeeds; between two attempts `serve` lets the group go on.
   */
  sendFinally(timeoutMs: number, serve: () => void): void {
    const { nowMs } = this.#options
    const deadlineMs = nowMs() + timeoutMs
    for (;;) {
      const leftMs = Math.max(1, Math.round(deadlineMs - nowMs()))
      const error = this.send(Math.min(COMMIT_ATTEMPT_MS, leftMs))
      if (error === null) return
      if (nowMs() >= deadlineMs) {
        this.#options.send({ kind: 'commitFailed', error })
        return
      }
      serve()
    }
  }

  /** The group waits for this member: one attempt. If it fails, the next owner reads again. */
  sendRevoked(commits: readonly MarkedOffset[]): void {
    this.want(commits)
    const error = this.send(COMMIT_TIMEOUT_MS)
    if (error !== null) this.#options.send({ kind: 'commitFailed', error })
  }

  /** Windows of metrics are written once the group has their mark: they would wait for ever. */
  #goOnWithoutNotes(state: PartitionState | undefined): void {
    this.#hasNotes = false
    if (state === undefined || state.windows === null) return
    const message =
      `METRICS_INDEX keeps up to ${METADATA_BYTES_MAX} bytes beside each committed offset, and ` +
      'the brokers refuse that: raise their offset.metadata.max.bytes, or unset METRICS_INDEX'
    this.#options.send({ kind: 'failed', code: 'KAFKA_CONFIG', message })
  }

  #isUnreported(
    { reportedPast, windows, reportedWindows }: PartitionState,
    past: LogPast,
  ): boolean {
    if (!this.#hasNotes) return false
    if (!isDeepStrictEqual(windows, reportedWindows)) return true
    return reportedPast === null || !isDeepStrictEqual(reportedPast, past)
  }

  /**
   * Answers come in the order of commits, but for one that is waited for. Of those of one offset
   * the oldest is taken, so a reported mark is always committed.
   */
  #acknowledgeMark(state: PartitionState, offset: number, isTaken: boolean): void {
    const index = state.sentMarks.findIndex((one) => one.offset === offset)
    const windows = state.sentMarks[index]?.windows ?? null
    state.sentMarks.splice(0, index + 1)
    if (!isTaken || windows === null) return
    state.reportedWindows = windows
    for (const [assignmentId, one] of this.#states) {
      if (one === state) this.#options.send({ kind: 'marked', assignmentId, windows })
    }
  }

  #stateOf(topic: string, partition: number): PartitionState | undefined {
    for (const state of this.#states.values()) {
      if (state.partition === partition && state.topic === topic) return state
    }
    return undefined
  }
}

function codeOf(thrown: unknown): string {
  const code: unknown = thrown instanceof Error && 'code' in thrown ? thrown.code : undefined
  return typeof code === 'string' ? code : messageOf(thrown)
}
