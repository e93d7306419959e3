/**
 * A _bulk request: which documents it holds, and their bytes in one piece.
 */
import assert from 'node:assert/strict'
import type { Lane } from './lane.ts'
import { bytesOf, countOf, fitCount, partOf, type Parcel } from './parcel.ts'

export interface BulkRequest {
  readonly parcels: readonly Parcel[]
  readonly documentCount: number
  readonly byteCount: number
  /** The lane that this request looks at, or null. */
  readonly lane: Lane | null
  /** A part of what failed together: it is sent as it is. */
  readonly isPiece: boolean
  /** Sent while nothing went well, to look. */
  readonly isProbe: boolean
}

export function requestOf(
  parcels: readonly Parcel[],
  rest: Partial<Pick<BulkRequest, 'lane' | 'isPiece' | 'isProbe'>> = {},
): BulkRequest {
  assert(parcels.length > 0)
  let documentCount = 0
  let byteCount = 0
  for (const parcel of parcels) {
    documentCount += countOf(parcel)
    byteCount += bytesOf(parcel)
  }
  const none = { lane: null, isPiece: false, isProbe: false }
  return { parcels, documentCount, byteCount, ...none, ...rest }
}

/**
 * The request's body. A view where the documents lie in one piece already, a copy otherwise.
 * @param room for the copy: at least its byteCount.
 */
export function bodyOf(request: BulkRequest, room: (byteCount: number) => Buffer): Buffer {
  const [first] = request.parcels
  if (request.parcels.length === 1 && first !== undefined) return viewOf(first)
  const body = room(request.byteCount).subarray(0, request.byteCount)
  let at = 0
  for (const parcel of request.parcels) {
    body.set(viewOf(parcel), at)
    at += bytesOf(parcel)
  }
  assert.equal(at, body.length)
  return body
}

function viewOf(parcel: Parcel): Buffer {
  const { body } = parcel.load
  const start = parcel.load.startOf(parcel.from)
  return Buffer.from(body.buffer, body.byteOffset + start, bytesOf(parcel))
}

/** The parcels of a request cut in two at half of its documents; the second may not be empty. */
export function halvesOf(request: BulkRequest): [Parcel[], Parcel[]] {
  assert(request.documentCount >= 2)
  const first = new Picker(request.documentCount >>> 1, Infinity)
  const second: Parcel[] = []
  for (const parcel of request.parcels) {
    const rest = first.add(parcel)
    if (rest !== null) second.push(rest)
  }
  return [first.parcels, second]
}

/** Fills a request up to its limits. */
export class Picker {
  readonly parcels: Parcel[] = []
  #documentsLeft: number
  #bytesLeft: number

  constructor(documentsMax: number, bytesMax: number) {
    this.#documentsLeft = documentsMax
    this.#bytesLeft = bytesMax
  }

  get isEmpty(): boolean {
    return this.parcels.length === 0
  }

  /** Takes as much of the parcel as fits. @returns the rest; null: all was taken. */
  add(parcel: Parcel): Parcel | null {
    const count = fitCount(parcel, this.#documentsLeft, this.#bytesLeft, this.isEmpty)
    if (count === 0) return parcel
    const to = parcel.from + count
    const taken = partOf(parcel, parcel.from, to)
    this.parcels.push(taken)
    this.#documentsLeft -= count
    this.#bytesLeft -= bytesOf(taken)
    return to === parcel.to ? null : partOf(parcel, to, parcel.to)
  }
}
