/**
 * Indices that refuse what is written to them, each with a lane of its own in which its documents
 * wait, so that the others flow.
 *
 *   (flowing) --an item's answer says hold--> HELD --a probe is answered otherwise--> (flowing)
 *
 * While an index is held, its documents are kept out of requests; a few of them are sent alone, at
 * growing intervals, to look. There is no lane for an index that flows, so the happy path never
 * asks which index a document is for.
 *
 * Bound. LANES_MAX lanes. Documents of further held indices are retried with the others, at the
 * slowest pace. What a lane holds in memory is part of the memory queue; what is above its share
 * goes to the spill, where there is one.
 */
import { PROBE_TIMES, backoffMs, type BackoffTimes } from './backoff.ts'
import type { Partition } from './load.ts'
import { detached, partOf, type Parcel } from './parcel.ts'
import { ParcelLine } from './waiting.ts'

export const LANES_MAX = 64

/** Documents of a probe: one would do, but a few are as cheap. */
const PROBE_DOCUMENTS_MAX = 10

export class Lane {
  readonly index: string
  /** Why it is held, in one line. */
  reason: string
  readonly line = new ParcelLine()
  /** Looks so far, and when the next one is due. */
  probes = 0
  nextProbeMs = 0
  /** A look is in flight, with so many documents. */
  isProbing = false
  probedCount = 0
  /** Where its documents come from, by `topic/partition`: what would be paused. */
  readonly sources = new Map<string, Partition>()
  /** It has used up its share of the room (crowding.ts). */
  isCrowded = false

  constructor(index: string, reason: string) {
    this.index = index
    this.reason = reason
  }

  /** All that waits for the index: in the line, and in a look at it. */
  get documentCount(): number {
    return this.line.documentCount + (this.isProbing ? this.probedCount : 0)
  }

  take(parcel: Parcel): void {
    for (const source of parcel.load.sourcesOf(parcel.from, parcel.to)) {
      this.sources.set(`${source.topic}/${source.partition}`, source)
    }
    this.line.push(detached(parcel))
  }
}

export class Lanes {
  readonly #lanes = new Map<string, Lane>()
  readonly #random: () => number
  readonly #times: BackoffTimes

  constructor(random: () => number, times: BackoffTimes = PROBE_TIMES) {
    this.#random = random
    this.#times = times
  }

  get size(): number {
    return this.#lanes.size
  }

  get all(): IterableIterator<Lane> {
    return this.#lanes.values()
  }

  isHeld(index: string): boolean {
    return this.#lanes.has(index)
  }

  /**
   * Holds the index of a parcel of one document, and takes the parcel in.
   * @returns false when there is no lane left for it.
   */
  hold(index: string, parcel: Parcel, reason: string, nowMs: number): boolean {
    const held = this.#lanes.get(index)
    if (held === undefined && this.#lanes.size >= LANES_MAX) return false
    const lane = held ?? new Lane(index, reason)
    lane.reason = reason
    lane.take(parcel)
    if (held === undefined) {
      this.#lanes.set(index, lane)
      this.postpone(lane, nowMs)
    }
    return true
  }

  /** Sets the next look, further away each time. */
  postpone(lane: Lane, nowMs: number): void {
    lane.isProbing = false
    lane.probes++
    lane.nextProbeMs = nowMs + backoffMs(this.#times, lane.probes, this.#random())
  }

  /** The index takes documents again. @returns what waited, for the queue. */
  release(lane: Lane): Parcel[] {
    this.#lanes.delete(lane.index)
    const parcels: Parcel[] = []
    for (let parcel = lane.line.shift(); parcel !== undefined; parcel = lane.line.shift()) {
      parcels.push(parcel)
    }
    return parcels
  }

  /** When the next look is due; Infinity when none is. */
  get nextProbeMs(): number {
    let nextMs = Infinity
    for (const lane of this.#lanes.values()) {
      if (!lane.isProbing) nextMs = Math.min(nextMs, lane.nextProbeMs)
    }
    return nextMs
  }

  /** Takes what is needed to look at a lane that is due, or null. */
  takeProbe(nowMs: number): { readonly lane: Lane; readonly parcels: Parcel[] } | null {
    for (const lane of this.#lanes.values()) {
      if (lane.isProbing || lane.nextProbeMs > nowMs) continue
      const parcels: Parcel[] = []
      let left = PROBE_DOCUMENTS_MAX
      while (left > 0) {
        const parcel = lane.line.shift()
        if (parcel === undefined) break
        const to = Math.min(parcel.to, parcel.from + left)
        if (to < parcel.to) lane.line.unshift(partOf(parcel, to, parcel.to))
        parcels.push(partOf(parcel, parcel.from, to))
        left -= to - parcel.from
      }
      lane.isProbing = true
      lane.probedCount = PROBE_DOCUMENTS_MAX - left
      return { lane, parcels }
    }
    return null
  }

  /**
   * Keeps the documents of held indices out of a request: they go to their lanes.
   * @returns the ranges that may go on, in order.
   */
  divert(parcel: Parcel): Parcel[] {
    if (this.#lanes.size === 0) return [parcel]
    const passed: Parcel[] = []
    let from = parcel.from
    let lane = this.#lanes.get(parcel.load.indexOf(from))
    for (let at = from + 1; at <= parcel.to; at++) {
      const next = at < parcel.to ? this.#lanes.get(parcel.load.indexOf(at)) : null
      if (next === lane) continue
      const part = partOf(parcel, from, at)
      if (lane === undefined) passed.push(part)
      else lane.take(part)
      from = at
      lane = next ?? undefined
    }
    return passed
  }
}
