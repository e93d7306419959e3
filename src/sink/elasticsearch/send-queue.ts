/**
 * Chooses the next documents to send from all that wait in memory, in this order.
 *
 *   pieces    parts of a failed request; sent unchanged, beside the others
 *   probes    a few documents of a held index, when a probe is due
 *   retries   rejected documents whose retry is due, filled up with fresh ones
 *   replay    documents from the spill, in turn with fresh ones, so that neither starves
 *   fresh     once there are ES_BULK_ACTIONS of them, ES_BULK_BYTES, or one is ES_BULK_FLUSH_MS old
 */
import type { Lanes } from './index-lanes.ts'
import { bytesOf, type BatchSlice } from './batch.ts'
import { Picker, requestOf, type BulkRequest } from './request.ts'
import { DueHeap, SliceQueue } from './slice-queue.ts'

export interface ScheduleBounds {
  readonly bulkActions: number
  readonly flushMs: number
}

export interface Room {
  readonly nowMs: number
  /** Bytes that a request may hold now. */
  readonly bytesMax: number
  /** Do not wait for a request to fill. */
  readonly isFlushing: boolean
}

export class Schedule {
  readonly lanes: Lanes
  readonly fresh = new SliceQueue()
  /** Documents read back from the spill. */
  readonly replay = new SliceQueue()
  /** Whether the last full request was of the spill: the two take turns. */
  #wasReplay = false
  readonly #pieces = new DueHeap<BulkRequest>()
  /** Pieces of a probe: they stay in memory, unless offsets wait for the spill. */
  readonly #probePieces = new DueHeap<BulkRequest>()
  /** Whether the last probe was a piece: the two take turns. */
  #wasPiece = false
  readonly #retries = new DueHeap<BatchSlice>()
  readonly #bounds: ScheduleBounds

  constructor(bounds: ScheduleBounds, lanes: Lanes) {
    this.#bounds = bounds
    this.lanes = lanes
  }

  retryAt(slice: BatchSlice, dueMs: number): void {
    this.#retries.push(slice, dueMs)
  }

  /** Takes documents that wait for a retry, due or not, up to a size and at least one slice. */
  takeRetries(bytesMax: number): BatchSlice[] {
    const slices: BatchSlice[] = []
    for (let bytes = 0; bytes < bytesMax;) {
      const retry = this.#retries.popDue(Infinity)
      const taken = retry === undefined ? this.#pieces.popDue(Infinity)?.slices : [retry]
      if (taken === undefined) break
      slices.push(...taken)
      for (const slice of taken) bytes += bytesOf(slice)
    }
    return slices
  }

  /** Takes from failed probes what lies in no spill; what was read back stays, to probe with. */
  takeUnspilledProbes(): BatchSlice[] {
    const taken: BatchSlice[] = []
    const kept: [probe: BulkRequest, dueMs: number][] = []
    for (;;) {
      const dueMs = this.#probePieces.nextMs
      const probe = this.#probePieces.popDue(Infinity)
      if (probe === undefined) break
      const own = probe.slices.filter(({ batch }) => !batch.isReplay)
      taken.push(...own)
      const readBack = probe.slices.filter(({ batch }) => batch.isReplay)
      if (readBack.length > 0)
        kept.push([requestOf(readBack, { isPiece: true, isProbe: true }), dueMs])
    }
    for (const [probe, dueMs] of kept) this.#probePieces.push(probe, dueMs)
    return taken
  }

  /** Sends these as they are, once they are due. */
  sendPiece(piece: BulkRequest, dueMs: number): void {
    const pieces = piece.isProbe ? this.#probePieces : this.#pieces
    pieces.push(piece, dueMs)
  }

  nextPiece(nowMs: number): BulkRequest | null {
    return this.#firstPieces.popDue(nowMs) ?? null
  }

  /** The next request that is no piece, or null when nothing is due. */
  next(room: Room): BulkRequest | null {
    return this.#probeOfLane(room.nowMs) ?? this.#bulk(room)
  }

  /**
   * A small request of whatever there is, due or not: to look whether the cluster is back. Pieces
   * and documents that were not sent yet take turns, so that no document is asked again and again.
   */
  probe(documentsMax: number, room: Room): BulkRequest | null {
    this.#wasPiece = !this.#wasPiece
    const piece = () => this.#probeOfPieces(documentsMax, room)
    const others = () => this.#probeOfOthers(documentsMax, room)
    const found = this.#wasPiece ? (piece() ?? others()) : (others() ?? piece())
    // Held indices last: their refusal would say little about the cluster.
    return found ?? this.#probeOfLane(Infinity)
  }

  #probeOfPieces(documentsMax: number, { nowMs, bytesMax }: Room): BulkRequest | null {
    const piece = this.nextPiece(Infinity)
    if (piece === null) return null
    const picker = new Picker(documentsMax, bytesMax)
    const rest = piece.slices.flatMap((slice) => picker.add(slice) ?? [])
    if (rest.length > 0) this.sendPiece(requestOf(rest, { isPiece: true }), nowMs)
    return requestOf(picker.slices, { isPiece: true, isProbe: true })
  }

  #probeOfOthers(documentsMax: number, { bytesMax }: Room): BulkRequest | null {
    const picker = new Picker(documentsMax, bytesMax)
    this.#pickRetries(picker, Infinity)
    this.#pickLine(picker, this.fresh)
    this.#pickLine(picker, this.replay)
    return picker.isEmpty ? null : requestOf(picker.slices, { isProbe: true })
  }

  get #firstPieces(): DueHeap<BulkRequest> {
    return this.#probePieces.nextMs < this.#pieces.nextMs ? this.#probePieces : this.#pieces
  }

  /** When `nextPiece` has something; Infinity: not without a failure. */
  get nextPieceMs(): number {
    return this.#firstPieces.nextMs
  }

  /** When `next` may have something; Infinity: only when something comes in or comes back. */
  nextMs(): number {
    if (this.replay.first !== undefined) return 0
    const first = this.fresh.first
    const freshMs = first === undefined ? Infinity : first.sinceMs + this.#bounds.flushMs
    return Math.min(freshMs, this.#retries.nextMs, this.lanes.nextProbeMs)
  }

  #probeOfLane(nowMs: number): BulkRequest | null {
    for (;;) {
      const probe = this.lanes.takeProbe(nowMs)
      if (probe === null) return null
      if (probe.slices.length > 0) return requestOf(probe.slices, { lane: probe.lane })
      // Nothing waits in it: the next document for this index looks for itself.
      this.lanes.release(probe.lane.index)
    }
  }

  #bulk(room: Room): BulkRequest | null {
    const areRetriesDue = this.#retries.nextMs <= room.nowMs
    const isFreshReady = this.#isFreshReady(room)
    const isReplayReady = this.replay.first !== undefined
    if (!areRetriesDue && !isFreshReady && !isReplayReady) return null
    const isReplay = isReplayReady && !(isFreshReady && this.#wasReplay)
    this.#wasReplay = isReplay
    const picker = new Picker(this.#bounds.bulkActions, room.bytesMax)
    this.#pickRetries(picker, room.nowMs)
    this.#pickLine(picker, isReplay ? this.replay : this.fresh)
    // All may have been diverted to lanes.
    return picker.isEmpty ? null : requestOf(picker.slices)
  }

  #isFreshReady(room: Room): boolean {
    const first = this.fresh.first
    if (first === undefined) return false
    return (
      room.isFlushing ||
      this.fresh.documentCount >= this.#bounds.bulkActions ||
      this.fresh.byteCount >= room.bytesMax ||
      room.nowMs - first.sinceMs >= this.#bounds.flushMs
    )
  }

  #pickRetries(picker: Picker, nowMs: number): void {
    for (;;) {
      const slice = this.#retries.popDue(nowMs)
      if (slice === undefined) return
      let isFull = false
      for (const part of this.lanes.divert(slice)) {
        const rest = isFull ? part : picker.add(part)
        if (rest === null) continue
        this.#retries.push(rest, 0)
        isFull = true
      }
      if (isFull) return
    }
  }

  #pickLine(picker: Picker, line: SliceQueue): void {
    for (;;) {
      const slice = line.shift()
      if (slice === undefined) return
      const parts = this.lanes.divert(slice)
      for (const [index, part] of parts.entries()) {
        const rest = picker.add(part)
        if (rest === null) continue
        for (const later of parts.slice(index + 1).reverse()) line.unshift(later)
        line.unshift(rest)
        return
      }
    }
  }
}
