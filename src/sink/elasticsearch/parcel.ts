/**
 * A Parcel is a range of documents of one load that stay together: a whole batch on the happy path,
 * single documents after a partial refusal. No object is made for a document before that.
 */
import assert from 'node:assert/strict'
import type { Suspicion } from './evidence.ts'
import type { Load } from './load.ts'

/** Documents [from, to) of a load. */
export interface Parcel {
  readonly load: Load
  readonly from: number
  readonly to: number
  /** Times these documents were sent and refused. */
  readonly tries: number
  /** When they came into the queue, by the monotonic clock. */
  readonly sinceMs: number
  /** When they were first sent and refused for a reason that may be theirs (Sent); -1: never. */
  readonly refusedAt: number
  /** The longest time that they were sent with and got no answer in; 0: never. */
  readonly lateMs: number
  /** Of a document that fails alone; null for others. */
  readonly suspicion: Suspicion | null
}

/** All documents of a load, not sent yet. */
export function wholeOf(load: Load, sinceMs: number): Parcel {
  const never = { tries: 0, refusedAt: -1, lateMs: 0, suspicion: null }
  return { load, from: 0, to: load.documentCount, sinceMs, ...never }
}

export function countOf(parcel: Parcel): number {
  return parcel.to - parcel.from
}

export function bytesOf(parcel: Parcel): number {
  return parcel.load.startOf(parcel.to) - parcel.load.startOf(parcel.from)
}

/** The part [from, to) of a parcel, counted in its load. */
export function partOf(parcel: Parcel, from: number, to: number): Parcel {
  assert(from >= parcel.from && to <= parcel.to && from < to)
  return from === parcel.from && to === parcel.to ? parcel : { ...parcel, from, to }
}

/** A body is held by what is at least this part of it; less is copied out. */
const HOLDING_PART = 1 / 2

/** The parcel, in a load of its own where it would hold much more memory than it needs. */
export function detached(parcel: Parcel): Parcel {
  const { load, from, to } = parcel
  if (bytesOf(parcel) >= load.bodyBytes * HOLDING_PART) return parcel
  return { ...parcel, load: load.detach(from, to), from: 0, to: to - from }
}

/**
 * How many of a parcel's documents fit into `bytesMax` and `documentsMax`: at least one, if
 * `isFirst`, for a document larger than a whole request must go alone.
 */
export function fitCount(
  parcel: Parcel,
  documentsMax: number,
  bytesMax: number,
  isFirst: boolean,
): number {
  const { load, from } = parcel
  const start = load.startOf(from)
  let low = 0
  let high = Math.min(documentsMax, countOf(parcel))
  while (low < high) {
    const middle = (low + high + 1) >>> 1
    if (load.startOf(from + middle) - start <= bytesMax) low = middle
    else high = middle - 1
  }
  return low === 0 && isFirst && documentsMax > 0 ? 1 : low
}
