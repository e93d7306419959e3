/**
 * The state of one assignment in an ingress thread. Used by membership.ts, which owns them.
 */
import assert from 'node:assert/strict'
import type { LogPast } from '../bridge/bridge.ts'
import type { Facts } from './broker-queries.ts'
import { NO_NOTE, type PartitionNote } from './commit-note.ts'
import type { WindowMark } from '../core/window-mark.ts'
import type { Position } from './ingress-messages.ts'

export interface PartitionState {
  readonly topic: string
  readonly partition: number
  /** Everything below went into slots. */
  offset: number
  endOffset: number
  /** The end as brokers answered, and when; and as a read has met it; -1: none yet. */
  askedEnd: number
  askedMs: number
  metEnd: number
  /** No broker says where it ends: why, and since when; null: one does, or none was asked. */
  unanswered: { readonly problem: string; readonly sinceMs: number } | null
  /** Of a replay, or a run up to the end: nothing from here on is read; Infinity otherwise. */
  readonly stopOffset: number
  /** Its topic was deleted. */
  isGone: boolean
  /** All of it was read, up to stopOffset. */
  finished: boolean
  /** Main asked for a pause: for unresolved offsets, a held index, or open windows of metrics. */
  isPausedByMain: boolean
  /** Set aside for a time: it cannot be read on (unreadable.ts). */
  aside: boolean
  /**
   * The watermark that main sent last, and the highest that the group has acknowledged; -1: none.
   */
  wanted: number
  committed: number
  /** Kept beside each committed offset; its past is as it was when the partition began. */
  readonly note: PartitionNote
  /** The past of the log as the group has it, and as it was sent last; null: neither is known. */
  reportedPast: LogPast | null
  sentPast: LogPast | null
  /** Which windows are written, as main said last; null: it writes none. */
  windows: WindowMark | null
  /** As the group has it. */
  reportedWindows: WindowMark | null
  /** Of commits that the group has not answered, in their order; SENT_MARKS_MAX at most. */
  readonly sentMarks: { readonly offset: number; readonly windows: WindowMark | null }[]
}

/** An assignment when it begins. */
export interface PartitionStart {
  readonly topic: string
  readonly partition: number
  readonly offset: number
  readonly stopOffset?: number
  /** The group has committed the start. */
  readonly isCommitted?: boolean
  readonly note?: PartitionNote
}

export function initialState(start: PartitionStart): PartitionState {
  const { topic, partition, offset, note = NO_NOTE } = start
  assert(Number.isSafeInteger(offset) && offset >= 0, `${topic} [${partition}] at ${offset}`)
  assert(start.stopOffset === undefined || start.stopOffset >= 0, 'a stop is an offset')
  const committed = start.isCommitted === true ? offset : -1
  return {
    topic,
    partition,
    offset,
    stopOffset: start.stopOffset ?? Infinity,
    endOffset: -1,
    askedEnd: -1,
    askedMs: -Infinity,
    metEnd: -1,
    unanswered: null,
    isGone: false,
    finished: false,
    isPausedByMain: false,
    aside: false,
    wanted: committed,
    committed,
    note,
    reportedPast: start.isCommitted === true ? note.past : null,
    sentPast: null,
    windows: note.windows,
    reportedWindows: start.isCommitted === true ? note.windows : null,
    sentMarks: [],
  }
}

/**
 * The offset to commit. Behind the last record may lie transaction markers, or a compacted tail:
 * once a read has met the end behind them, and all records are settled, they are included. Nothing
 * behind the stop is, because it was not read.
 */
export function toCommit({ wanted, offset, metEnd, stopOffset }: PartitionState): number {
  const isAll = wanted >= 0 && wanted >= offset
  return isAll ? Math.max(wanted, Math.min(metEnd, stopOffset)) : wanted
}

/** A broker answered where the partition ends. */
export function recordAskedEnd(state: PartitionState, end: number, nowMs: number): void {
  assert(nowMs >= state.askedMs, 'answers come in the order of the clock')
  state.askedEnd = Math.max(state.askedEnd, end)
  state.askedMs = nowMs
  state.unanswered = null
}

/** The answer to the question where it ends, or that there was none. */
export function recordEndAnswer(
  state: PartitionState,
  facts: Pick<Facts, 'end' | 'problem'> | undefined,
  askedMs: number,
  nowMs: number,
): void {
  const end = facts?.end
  if (end === undefined) recordUnanswered(state, facts?.problem ?? 'no answer', askedMs)
  else recordAskedEnd(state, end.offset, nowMs)
}

/** Nobody answered where it ends. */
export function recordUnanswered(state: PartitionState, problem: string, nowMs: number): void {
  state.unanswered = { problem, sinceMs: state.unanswered?.sinceMs ?? nowMs }
}

export function positionOf(assignmentId: number, state: PartitionState): Position {
  const { topic, partition, offset, endOffset } = state
  return { assignmentId, topic, partition, offset, endOffset }
}

/** It has just reached its stop. */
export function reachedStop(state: PartitionState): boolean {
  return !state.finished && Math.max(state.offset, state.metEnd) >= state.stopOffset
}

/** The end that its lag is counted to. @param high the partition's end as the last fetch said. */
export function endOf(state: PartitionState, high: number): number {
  if (state.isGone) return -1
  // It ends where it was asked to; of a compacted tail there is nothing to read.
  if (state.finished) return state.offset
  if (state.stopOffset < Infinity) return state.stopOffset
  // Between the last record and an end that a read has met lies no record, only transaction markers
  // or a compacted tail. Nobody can read these, so they are no lag.
  const unreadable = Math.max(0, state.metEnd - state.offset)
  return Math.max(state.metEnd, state.askedEnd, high) - unreadable
}

/*
 * The ends of partitions while no records come: a fetch reports its partition's end, but a
 * stalled thread and a paused partition fetch nothing, a response that is too large never arrives,
 * and their lag would seem to stand still.
 *
 * Used by the ingress thread, which asks for those that do not move more often (unreadable.ts).
 * Bound. One question in ENDS_EVERY_MS, beside reading.
 */

const ENDS_EVERY_MS = 5000
/** What is not answered by then is asked for again. */
export const ENDS_TIMEOUT_MS = 1000

/** When brokers have to be asked for all ends. */
export class EndsDue {
  #hasFetched = false
  #askedMs = -Infinity

  recordFetch(): void {
    this.#hasFetched = true
  }

  /** Once a second. @param hasHeld whether a partition is paused by itself. */
  isDue(nowMs: number, hasHeld: boolean): boolean {
    const isStill = hasHeld || !this.#hasFetched
    this.#hasFetched = false
    if (!isStill || nowMs - this.#askedMs < ENDS_EVERY_MS) return false
    this.#askedMs = nowMs
    return true
  }
}
