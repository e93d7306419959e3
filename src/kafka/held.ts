/**
 * What an ingress thread knows of one assignment. Used by membership.ts, which owns them.
 */
import type { Position } from './ingress-messages.ts'

export interface Held {
  readonly topic: string
  readonly partition: number
  /** Everything below went into slots. */
  offset: number
  endOffset: number
  /** The end of the partition that a read has met; -1: none yet. */
  metEnd: number
  /** Of a replay: nothing from here on is read; Infinity otherwise. */
  readonly stopOffset: number
  /** All of it was read, up to stopOffset. */
  finished: boolean
  /** Main asked for a pause: too many unresolved offsets. */
  held: boolean
  /**
   * The watermark that main told last, and the highest that the group has acknowledged; -1: none.
   */
  wanted: number
  committed: number
}

export function heldFrom(
  { topic, partition, offset }: Pick<Held, 'topic' | 'partition' | 'offset'>,
  stopOffset: number,
): Held {
  const unknown = { endOffset: -1, metEnd: -1, wanted: -1, committed: -1 }
  return { topic, partition, offset, stopOffset, finished: false, held: false, ...unknown }
}

export function positionOf(assignmentId: number, held: Held): Position {
  const { topic, partition, offset, endOffset } = held
  return { assignmentId, topic, partition, offset, endOffset }
}

/** It has just come to the end of what a replay reads of it. */
export function reachedStop(held: Held): boolean {
  return !held.finished && Math.max(held.offset, held.metEnd) >= held.stopOffset
}

/** The end that its lag is counted to. @param high the partition's end as the last fetch said. */
export function endOf(held: Held, high: number): number {
  // A replay ends where it was told to; of a compacted tail there is nothing to read.
  if (held.finished) return held.offset
  if (held.stopOffset < Infinity) return held.stopOffset
  // What lies between the last record and an end that a read has met is no record: the marker of a
  // transaction, or what compaction left. Nobody can read it, so it is no lag.
  const unreadable = Math.max(0, held.metEnd - held.offset)
  return Math.max(held.metEnd, high) - unreadable
}
