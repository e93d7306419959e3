/**
 * A Parcel is a range of documents of one load that stay together: a whole batch on the happy path,
 * single documents after a partial refusal. No object is made for a document before that.
 */
import assert from 'node:assert/strict'
import type { Load } from './load.ts'

/** Documents [from, to) of a load. */
export interface Parcel {
  readonly load: Load
  readonly from: number
  readonly to: number
  /** Times these documents were sent and refused. */
  readonly tries: number
  /** Of these, with an answer that a document may give but so often (triesMax in answers.ts). */
  readonly faults: number
  /** When they came into the queue, by the monotonic clock. */
  readonly sinceMs: number
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
