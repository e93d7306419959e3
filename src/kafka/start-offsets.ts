/**
 * The offset at which a partition begins, by the brokers' answers. Pure.
 *
 *   committed                   there; records expired in between are lost; if the topic was
 *                               recreated since: at its beginning
 *   not, in a group without     by --start (earliest, latest, a time)
 *   not, in a group with some   the partition was there at the group's first start, and nobody
 *                               could be asked: by --start, as of then;
 *                               it appeared later: at its beginning
 *
 * A start is the group's, not the process's: it is committed before the first record is read. Each
 * commit keeps beside the offset which topic it is of, and the group's first start, so that every
 * later member knows which partitions were there by then (commit-note.ts).
 *
 *   outside of groups           by --start; partitions that appear later: at their beginning
 */
import assert from 'node:assert/strict'
import type { CommittedOffset, LogPast } from '../bridge/bridge.ts'
import type { WindowMark } from '../core/window-mark.ts'
import type { StartPosition } from '../options/notations.ts'
import { decodeNote, NO_PAST, type GroupStart } from './commit-note.ts'
import type { Facts, FoundOffset } from './broker-queries.ts'
import type { OffsetRange, TopicPartition } from '../core/topic-partition.ts'

/**
 * Members that start together see each other's first commits: for so long a topic without any
 * belongs to the group's first start.
 */
const STARTING_MS = 60_000

export interface StartQuestion {
  readonly partition: TopicPartition
  /** The names of those that are read. */
  readonly topics: readonly string[]
  readonly start: StartPosition
  /** When the group gave it to this process, and now; ms since 1970. */
  readonly takenMs: number
  readonly nowMs: number
  /** Not the first time that brokers are asked: "latest" means the end as of `takenMs`. */
  readonly isLate: boolean
}

export type StartAnswer =
  | {
      readonly kind: 'start'
      readonly at: FoundOffset
      /** The group has not committed it. */
      readonly isFresh: boolean
      readonly group: GroupStart | null
      /** Of the partition's log, by the group. */
      readonly past: LogPast
      /** Which windows of the log are written, by the group. */
      readonly windows: WindowMark | null
      readonly lost: OffsetRange | null
      /** The topic was recreated since the group committed. */
      readonly isAnew: boolean
    }
  /** More has to be asked. */
  | { readonly kind: 'ask'; readonly group?: true; readonly timeMs?: number }

/** The group has not read it. */
const FRESH = {
  kind: 'start',
  isFresh: true,
  past: NO_PAST,
  windows: null,
  lost: null,
  isAnew: false,
} as const

/** @param facts without a problem; with `committed`, `first`, `end` and `partitionCount`. */
export function startOf(question: StartQuestion, facts: Facts): StartAnswer {
  const { partition, nowMs, takenMs } = question
  const first = facts.first ?? { offset: 0, leaderEpoch: -1 }
  const committed = facts.committed
  if (committed !== undefined && committed.offset >= 0) {
    return fromCommitted(partition, committed, first, facts.topicId ?? null)
  }
  if (facts.group === undefined) return { kind: 'ask', group: true }
  const rows = facts.group.filter((row) => row.offset >= 0 && question.topics.includes(row.topic))
  const own = rows.filter((row) => row.topic === partition.topic)
  const starts = (own.length > 0 ? own : rows).flatMap(
    (row) => decodeNote(row.metadata)?.group ?? [],
  )
  const began = starts.length === 0 ? null : Math.min(...starts.map((one) => one.atMs))
  const isStarting = began !== null && nowMs - began < STARTING_MS
  const counts = own.length === 0 ? [] : starts.map((one) => one.partitions).filter((n) => n > 0)
  const group = {
    atMs: began ?? takenMs,
    partitions: counts.length > 0 ? Math.min(...counts) : (facts.partitionCount ?? 0),
  }
  if (counts.length > 0 && partition.partition >= group.partitions) {
    // Everything in it came after the group's start.
    const lost = first.offset > 0 ? rangeOf(partition, 0, first.offset) : null
    return { ...FRESH, at: first, group, lost }
  }
  const highest = Math.max(-1, ...own.map((row) => row.partition))
  const isUnknown = counts.length === 0 && rows.length > 0 && !isStarting
  if (isUnknown && partition.partition > highest) {
    return { ...FRESH, at: first, group }
  }
  const at = byPosition(question, facts, began, first)
  if (typeof at === 'number') return { kind: 'ask', group: true, timeMs: at }
  return { ...FRESH, at, group }
}

/** As startOf, of a reader outside of groups. @param isLater it appeared while others were read. */
export function startAlone(question: StartQuestion, facts: Facts, isLater: boolean): StartAnswer {
  const first = facts.first ?? { offset: 0, leaderEpoch: -1 }
  const at = isLater ? first : byPosition(question, facts, null, first)
  if (typeof at === 'number') return { kind: 'ask', timeMs: at }
  return { ...FRESH, at, group: null }
}

/**
 * The leader epoch helps where the log is known to be the same: it shows a truncation. An offset of
 * another log shows up as a rewind.
 */
function fromCommitted(
  partition: TopicPartition,
  { offset, leaderEpoch, metadata }: CommittedOffset,
  first: FoundOffset,
  topicId: string | null,
): StartAnswer {
  const note = decodeNote(metadata)
  const group = note?.group ?? null
  if (note !== null && note.topicId !== topicId) {
    return { ...FRESH, at: first, group, isAnew: true }
  }
  const past = note === null ? NO_PAST : pastOf(note.past, offset, leaderEpoch)
  const windows = note?.windows ?? null
  if (offset < first.offset) {
    const lost = rangeOf(partition, offset, first.offset)
    return { ...FRESH, at: first, group, past, windows, lost }
  }
  const at = { offset, leaderEpoch: note === null ? -1 : leaderEpoch }
  return { ...FRESH, at, isFresh: false, group, past, windows }
}

/** A note without `read` says no more than its commit does. */
function pastOf(past: LogPast, offset: number, leaderEpoch: number): LogPast {
  if (past.epoch >= 0) return { ...past, readTo: Math.max(past.readTo, offset) }
  return { ...past, readTo: offset, epoch: leaderEpoch }
}

/**
 * @param began when the group first started; null: now.
 * @returns a time to ask for, where that is needed.
 */
function byPosition(
  { start, takenMs, isLate }: StartQuestion,
  facts: Facts,
  began: number | null,
  first: FoundOffset,
): FoundOffset | number {
  const end = facts.end ?? first
  if (start.kind === 'earliest') return first
  if (start.kind === 'latest' && began === null && !isLate) return end
  const timeMs = start.kind === 'time' ? start.timeMs : Math.min(began ?? takenMs, takenMs)
  if (facts.atTime === undefined) return timeMs
  // Nothing is as late as that: such a partition begins at its end.
  return facts.atTime.offset >= 0 ? facts.atTime : end
}

function rangeOf({ topic, partition }: TopicPartition, from: number, to: number): OffsetRange {
  assert(from < to, 'a loss is of some offsets')
  return { topic, partition, from, to }
}
