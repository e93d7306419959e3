/**
 * A _bulk request: its documents, and their bytes in one piece.
 */
import assert from 'node:assert/strict'
import { documentLineAt } from './action-line.ts'
import { isDateable } from './index-name.ts'
import { hasField } from '../../core/json-scan.ts'
import type { Lane } from './index-lanes.ts'
import { bytesOf, countOf, fitCount, partOf, type BatchSlice } from './batch.ts'

export interface BulkRequest {
  readonly slices: readonly BatchSlice[]
  readonly documentCount: number
  readonly byteCount: number
  /** The lane that this request probes, or null. */
  readonly lane: Lane | null
  /** A part of what failed together: it is sent as it is. */
  readonly isPiece: boolean
  /** Sent while nothing went well, to look. */
  readonly isProbe: boolean
}

export function requestOf(
  slices: readonly BatchSlice[],
  rest: Partial<Pick<BulkRequest, 'lane' | 'isPiece' | 'isProbe'>> = {},
): BulkRequest {
  assert(slices.length > 0)
  let documentCount = 0
  let byteCount = 0
  for (const slice of slices) {
    documentCount += countOf(slice)
    byteCount += bytesOf(slice)
  }
  const none = { lane: null, isPiece: false, isProbe: false }
  return { slices, documentCount, byteCount, ...none, ...rest }
}

/** The indices and data streams that its documents ask for. */
export function indicesOf({ slices }: BulkRequest): ReadonlySet<string> {
  const names = new Set<string>()
  for (const { batch, from, to } of slices) {
    for (const { index } of batch.indexRuns(from, to)) names.add(index)
  }
  return names
}

/**
 * The request's body. A view where the documents lie in one piece already, a copy otherwise.
 * @param room for the copy: at least this many bytes.
 * @param stamped documents to such an index get the time of their record, where they say none.
 */
export function bodyOf(
  request: BulkRequest,
  room: (byteCount: number) => Buffer,
  stamped: (index: string) => boolean,
): Buffer {
  const stamps = request.slices.map((slice) => stampsOf(slice, stamped))
  const stampBytes = stamps.flat().reduce((sum, { text }) => sum + text.length, 0)
  const [first] = request.slices
  if (request.slices.length === 1 && first !== undefined && stampBytes === 0) return viewOf(first)
  const byteCount = request.byteCount + stampBytes
  const body = room(byteCount).subarray(0, byteCount)
  let at = 0
  for (const [place, slice] of request.slices.entries()) {
    const view = viewOf(slice)
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
  /** Where it goes, counted from the slice's first byte. */
  readonly at: number
  readonly text: string
}

const BRACE = 0x7b
const BRACE_END = 0x7d
const BLANK = 0x20

function stampsOf({ batch, from, to }: BatchSlice, stamped: (index: string) => boolean): Stamp[] {
  const stamps: Stamp[] = []
  const { body } = batch
  for (const run of batch.indexRuns(from, to)) {
    if (!stamped(run.index)) continue
    let document = run.from
    for (const timestampMs of batch.timestampsOf(run.from, run.to)) {
      const end = batch.startOf(document + 1)
      const open = body.indexOf(BRACE, documentLineAt(body, batch.startOf(document))) + 1
      document++
      if (hasField(body, open - 1, end, '@timestamp')) continue
      const time = new Date(isDateable(timestampMs) ? timestampMs : Date.now()).toISOString()
      const comma = isEmptyFrom(body, open) ? '' : ','
      stamps.push({ at: open - batch.startOf(from), text: `"@timestamp":"${time}"${comma}` })
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

function viewOf(slice: BatchSlice): Buffer {
  const { body } = slice.batch
  const start = slice.batch.startOf(slice.from)
  return Buffer.from(body.buffer, body.byteOffset + start, bytesOf(slice))
}

/** The slices of a request cut in two at half of its documents; the second may not be empty. */
export function halvesOf(request: BulkRequest): [BatchSlice[], BatchSlice[]] {
  assert(request.documentCount >= 2)
  const first = new Picker(request.documentCount >>> 1, Infinity)
  const second: BatchSlice[] = []
  for (const slice of request.slices) {
    const rest = first.add(slice)
    if (rest !== null) second.push(rest)
  }
  return [first.slices, second]
}

/** Fills a request up to its limits. */
export class Picker {
  readonly slices: BatchSlice[] = []
  #documentsLeft: number
  #bytesLeft: number

  constructor(documentsMax: number, bytesMax: number) {
    this.#documentsLeft = documentsMax
    this.#bytesLeft = bytesMax
  }

  get isEmpty(): boolean {
    return this.slices.length === 0
  }

  /** Takes as much of the slice as fits. @returns the rest; null: all was taken. */
  add(slice: BatchSlice): BatchSlice | null {
    const count = fitCount(slice, this.#documentsLeft, this.#bytesLeft, this.isEmpty)
    if (count === 0) return slice
    const to = slice.from + count
    const taken = partOf(slice, slice.from, to)
    this.slices.push(taken)
    this.#documentsLeft -= count
    this.#bytesLeft -= bytesOf(taken)
    return to === slice.to ? null : partOf(slice, to, slice.to)
  }
}
