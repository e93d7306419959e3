/**
 * A _bulk request: which documents it holds, and their bytes in one piece.
 */
import assert from 'node:assert/strict'
import { documentLineAt } from './action-line.ts'
import { isDateable } from './index-name.ts'
import { hasField } from './json-scan.ts'
import type { Lane } from './index-lanes.ts'
import { bytesOf, countOf, fitCount, partOf, type Parcel } from './batch.ts'

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

/** The indices and data streams that its documents ask for. */
export function indicesOf({ parcels }: BulkRequest): ReadonlySet<string> {
  const names = new Set<string>()
  for (const { load, from, to } of parcels) {
    for (const { index } of load.indexRuns(from, to)) names.add(index)
  }
  return names
}

/**
 * The request's body. A view where the documents lie in one piece already, a copy otherwise.
 * @param room for the copy: at least so many bytes.
 * @param stamped documents to such an index get the time of their record, where they say none.
 */
export function bodyOf(
  request: BulkRequest,
  room: (byteCount: number) => Buffer,
  stamped: (index: string) => boolean,
): Buffer {
  const stamps = request.parcels.map((parcel) => stampsOf(parcel, stamped))
  const stampBytes = stamps.flat().reduce((sum, { text }) => sum + text.length, 0)
  const [first] = request.parcels
  if (request.parcels.length === 1 && first !== undefined && stampBytes === 0) return viewOf(first)
  const byteCount = request.byteCount + stampBytes
  const body = room(byteCount).subarray(0, byteCount)
  let at = 0
  for (const [place, parcel] of request.parcels.entries()) {
    const view = viewOf(parcel)
    let from = 0
    for (const stamp of stamps[place]!) {
      at += view.copy(body, at, from, stamp.at)
      at += body.write(stamp.text, at, 'latin1')
      from = stamp.at
    }
    at += view.copy(body, at, from)
  }
  assert.equal(at, body.length)
  return body
}

interface Stamp {
  /** Where it goes, counted from the parcel's first byte. */
  readonly at: number
  readonly text: string
}

const BRACE = 0x7b
const BRACE_END = 0x7d
const BLANK = 0x20

function stampsOf({ load, from, to }: Parcel, stamped: (index: string) => boolean): Stamp[] {
  const stamps: Stamp[] = []
  const { body } = load
  for (const run of load.indexRuns(from, to)) {
    if (!stamped(run.index)) continue
    let document = run.from
    for (const timestampMs of load.timestampsOf(run.from, run.to)) {
      const end = load.startOf(document + 1)
      const open = body.indexOf(BRACE, documentLineAt(body, load.startOf(document))) + 1
      document++
      if (hasField(body, open - 1, end, '@timestamp')) continue
      const time = new Date(isDateable(timestampMs) ? timestampMs : Date.now()).toISOString()
      const comma = isEmptyFrom(body, open) ? '' : ','
      stamps.push({ at: open - load.startOf(from), text: `"@timestamp":"${time}"${comma}` })
    }
  }
  return stamps
}

/** Whether the object that opens before `from` has no field. */
function isEmptyFrom(body: Uint8Array, from: number): boolean {
  let at = from
  while (body[at]! <= BLANK) at++
  return body[at] === BRACE_END
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
