/**
 * Gives each index that rejects its documents a lane in which they wait, so that others flow. A
 * lane belongs to the index that the documents were going to, which an ingest pipeline may have
 * chosen, not to the one they name.
 *
 * ```
 * (flowing) --an item of it waits--> HELD --the index takes a document--> (flowing)
 * ```
 *
 * While an index is held, a few of its documents are sent alone as a probe, at growing intervals:
 * in turn the newest, and the newest with some of the oldest, so that no single document can keep
 * the lane closed. Once it is clear that all documents that name an index would end in the lane,
 * they go there directly (diverted). An index that flows has no lane, so the happy path never looks
 * at a document's index.
 *
 * Bound. LANES_MAX lanes. Documents of further held indices are retried with the others, at the
 * slowest rate. A lane's documents in memory are part of the memory queue; those above its quota go
 * to the spill, if there is one.
 */
import { backoffMs, type BackoffTimes } from '../../core/backoff.ts'
import { keyOf, type TopicPartition } from '../../core/topic-partition.ts'
import { countOf, detached, partOf, type BatchSlice } from './batch.ts'
import type { SpillQueue } from '../spill/contract.ts'
import { PROBE_TIMES, type ElasticsearchSettings } from './settings.ts'
import { SliceQueue } from './slice-queue.ts'

export const LANES_MAX = 64

/** Documents of a probe: one would do, but a few are as cheap. */
const PROBE_DOCUMENTS_MAX = 10
/**
 * This many documents that ask for an index, of two requests at least, must end in a lane one after
 * another before all that ask for it are taken to belong there.
 */
const DIVERT_DOCUMENTS = 100

/** Why a document goes to a lane. */
interface HoldCause {
  /** The index it was going to, and the one it asks for. */
  readonly where: string
  readonly asked: string
  readonly reason: string
  /** The answer is about the index: the next document for it would meet the same. */
  readonly isCertain: boolean
  readonly startedMs: number
}

/** Documents that ask for one index and went to the lane, with none taken in between. */
interface Asking {
  documentCount: number
  /** When it last rejected a document; a later one counts as another request. */
  refusedMs: number
  requestCount: number
}

export class Lane {
  readonly index: string
  readonly sinceMs: number
  /** Why it is held, in one line. */
  reason: string
  readonly line = new SliceQueue()
  /** Looks so far, and when the next one is due. */
  probes = 0
  nextProbeMs = 0
  /** A probe is in flight, with this many documents. */
  isProbing = false
  probedCount = 0
  readonly asking = new Map<string, Asking>()
  /** Where its documents come from, by `topic/partition`: what would be paused. */
  readonly sources = new Map<string, TopicPartition>()
  /** It has used up its part of the room. */
  isOverQuota = false

  constructor(index: string, reason: string, sinceMs: number) {
    this.index = index
    this.reason = reason
    this.sinceMs = sinceMs
  }

  /** All documents waiting for the index: in the line, and in a probe. */
  get documentCount(): number {
    return this.line.documentCount + (this.isProbing ? this.probedCount : 0)
  }

  enqueue(slice: BatchSlice): void {
    for (const source of slice.batch.sourcesOf(slice.from, slice.to)) {
      this.sources.set(keyOf(source), source)
    }
    // Rejected documents and those from the spill go before ones the index has not seen yet.
    const isKnown = slice.tries > 0 || slice.batch.isReplay
    if (isKnown) this.line.unshift(detached(slice))
    else this.line.push(detached(slice))
  }

  /** @returns whether all that ask for the index end here. */
  recordAsking({ where, asked, isCertain, startedMs }: HoldCause, count: number, nowMs: number) {
    if (this.asking.size >= LANES_MAX) this.asking.clear()
    const before = this.asking.get(asked)
    const asking = before ?? { documentCount: 0, refusedMs: -Infinity, requestCount: 0 }
    this.asking.set(asked, asking)
    asking.documentCount += count
    if (startedMs >= asking.refusedMs) asking.requestCount++
    asking.refusedMs = nowMs
    const isMany = asking.documentCount >= DIVERT_DOCUMENTS && asking.requestCount > 1
    return isMany || (isCertain && asked === where)
  }

  takeProbe(): BatchSlice[] {
    const { line } = this
    const slices: BatchSlice[] = []
    const newest = line.pop()
    if (newest === undefined) return slices
    const rest = countOf(newest) === 1 ? undefined : partOf(newest, newest.from, newest.to - 1)
    if (rest !== undefined) line.push(rest)
    slices.push(partOf(newest, newest.to - 1, newest.to))
    if (this.probes % 2 === 1) return slices
    for (let left = PROBE_DOCUMENTS_MAX - 1; left > 0;) {
      const slice = line.shift()
      if (slice === undefined) break
      const to = Math.min(slice.to, slice.from + left)
      if (to < slice.to) line.unshift(partOf(slice, to, slice.to))
      slices.push(partOf(slice, slice.from, to))
      left -= to - slice.from
    }
    return slices
  }
}

export class Lanes {
  readonly #lanes = new Map<string, Lane>()
  /** Lanes by the index that is asked for, where all that ask for it wait. */
  readonly #diverted = new Map<string, Lane>()
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

  of(where: string): Lane | undefined {
    return this.#lanes.get(where)
  }

  /** Whether what asks for this index, or was on its way to it, waits. */
  isHeld(index: string): boolean {
    return this.#lanes.has(index) || this.#diverted.has(index)
  }

  /**
   * Takes a slice in that asks for one index.
   * @returns false when there is no lane left for it.
   */
  hold(slice: BatchSlice, cause: HoldCause, nowMs: number): boolean {
    const { where, asked, reason } = cause
    const held = this.#lanes.get(where)
    if (held === undefined && this.#lanes.size >= LANES_MAX) return false
    const lane = held ?? new Lane(where, reason, nowMs)
    lane.reason = reason
    if (lane.recordAsking(cause, countOf(slice), nowMs)) this.#diverted.set(asked, lane)
    lane.enqueue(slice)
    if (held === undefined) {
      this.#lanes.set(where, lane)
      this.postpone(lane, nowMs)
    }
    return true
  }

  /** A document that asks for this index was written: not all that do belong in a lane. */
  taken(asked: string): void {
    this.#diverted.delete(asked)
    for (const lane of this.#lanes.values()) lane.asking.delete(asked)
  }

  /** Sets the next look, further away each time. */
  postpone(lane: Lane, nowMs: number): void {
    lane.isProbing = false
    lane.probes++
    lane.nextProbeMs = nowMs + backoffMs(this.#times, lane.probes, this.#random())
  }

  /** The index accepts documents again. @returns the waiting ones, for the queue. */
  release(where: string): BatchSlice[] {
    const slices: BatchSlice[] = []
    const lane = this.#lanes.get(where)
    if (lane === undefined) return slices
    this.#lanes.delete(where)
    for (const [asked, of] of this.#diverted) if (of === lane) this.#diverted.delete(asked)
    for (let slice = lane.line.shift(); slice !== undefined; slice = lane.line.shift()) {
      slices.push(slice)
    }
    return slices
  }

  /** When the next look is due; Infinity when none is. */
  get nextProbeMs(): number {
    let nextMs = Infinity
    for (const lane of this.#lanes.values()) {
      if (!lane.isProbing) nextMs = Math.min(nextMs, lane.nextProbeMs)
    }
    return nextMs
  }

  /** Takes documents to probe a lane that is due, or null. */
  takeProbe(nowMs: number): { readonly lane: Lane; readonly slices: BatchSlice[] } | null {
    for (const lane of this.#lanes.values()) {
      if (lane.isProbing || lane.nextProbeMs > nowMs) continue
      const slices = lane.takeProbe()
      lane.isProbing = true
      lane.probedCount = slices.reduce((sum, slice) => sum + countOf(slice), 0)
      return { lane, slices }
    }
    return null
  }

  /**
   * Keeps documents that would end in a lane out of a request: they go there at once.
   * @returns the ranges that may go on, in order.
   */
  divert(slice: BatchSlice): BatchSlice[] {
    if (this.#diverted.size === 0) return [slice]
    const passed: BatchSlice[] = []
    let from = slice.from
    let lane = this.#diverted.get(slice.batch.indexOf(from))
    for (let at = from + 1; at <= slice.to; at++) {
      const next = at < slice.to ? this.#diverted.get(slice.batch.indexOf(at)) : null
      if (next === lane) continue
      const part = partOf(slice, from, at)
      if (lane === undefined) passed.push(part)
      else lane.enqueue(part)
      from = at
      lane = next ?? undefined
    }
    return passed
  }
}

/*
 * When a held index is over its quota, and which partitions are then not read on.
 *
 * Its documents wait in the spill, or without one in memory, beside those of all others. Its quota
 * is half of that room. Above it the partitions that its documents come from are paused: their
 * other records stay in Kafka, and the room that is left is for the indices that flow. Records that
 * were fetched before the pause are still taken, beyond the quota, as long as there is room at all.
 *
 * Bound. The partitions of LANES_MAX lanes.
 */

/** Of the spill, or of the memory queue's documents and bytes. */
const QUOTA = 1 / 2
/** Share of its quota below which its partitions resume: pausing discards fetched records. */
const REOPEN_PART = 0.75

const NOBODY: readonly TopicPartition[] = []

/** Checks every lane again. @returns the partitions to pause; one may come twice. */
export function partitionsOverQuota(
  lanes: Lanes,
  overflow: Pick<SpillQueue, 'bytesOfIndex'> | null,
  settings: ElasticsearchSettings,
): readonly TopicPartition[] {
  if (lanes.size === 0) return NOBODY
  const partitions: TopicPartition[] = []
  for (const lane of lanes.all) {
    const used = usedPart(lane, overflow, settings)
    lane.isOverQuota = used >= (lane.isOverQuota ? QUOTA * REOPEN_PART : QUOTA)
    if (lane.isOverQuota) partitions.push(...lane.sources.values())
  }
  return partitions
}

/** 0 to 1, and somewhat more. */
function usedPart(
  { index, line }: Lane,
  overflow: Pick<SpillQueue, 'bytesOfIndex'> | null,
  { spillBytesMax, queueCap, queueBytes }: ElasticsearchSettings,
): number {
  const inMemory = Math.max(line.documentCount / queueCap, line.byteCount / queueBytes)
  const hasDisk = overflow !== null && spillBytesMax > 0
  const onDisk = hasDisk ? overflow.bytesOfIndex(index) / spillBytesMax : 0
  return Math.max(inMemory, onDisk)
}
