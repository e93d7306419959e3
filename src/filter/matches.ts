/**
 * What matched, on its way from a filter thread to main: the documents of several runs in one body,
 * and all that is known about them in one buffer of numbers beside it.
 *
 * A message costs as much as scanning a megabyte: an object a run in it, three arrays each, and a
 * transfer of every array. So the numbers travel as they are, and main makes the objects.
 *
 * ```
 * about    run count, document count          doubles
 *          run: its report, mark, documents   RUN_DOUBLES a run
 *          offsets, then timestamps           a double a document
 *          ends                               32 bits a document
 *          timestamp types                    a byte a document
 * ```
 *
 * Beside them are the sums of metrics, which only runs with a record that counts have.
 *
 * The body is a buffer by itself: an output lets go of it before the last of its documents is
 * settled.
 */
import assert from 'node:assert/strict'
import { BodyBuilder } from '../pool/record-encoder.ts'
import type { SeriesDelta } from '../pool/record-counter.ts'
import { putReport, REPORT_DOUBLES, reportAt, type RunReport } from '../pool/run-reports.ts'

/** What a run's documents were made of: one entry for each, in the order of their offsets. */
export interface MatchedOrigins {
  readonly offsets: Float64Array<ArrayBuffer>
  /** Milliseconds since 1970; -1: the record has none. */
  readonly timestampsMs: Float64Array<ArrayBuffer>
  /** Places in TIMESTAMP_TYPES. */
  readonly timestampTypes: Uint8Array<ArrayBuffer>
}

/** What metrics count of a run. */
export interface RunCounts {
  /** Records that count for any metric. */
  readonly records: number
  readonly deltas: readonly SeriesDelta[]
}

export const NO_COUNTS: RunCounts = { records: 0, deltas: [] }

/** Of a delta in a message, with its labels: for the credit of the output. */
const DELTA_BYTES = 200

/**
 * A run of which something matched: the range it covers, and the offsets that wait for the output.
 */
export interface MatchedRun extends RunReport, MatchedOrigins {
  /** What its records add to metrics; a run may have this without having a document. */
  readonly counts?: RunCounts
  /** The leader epoch that marks its records; -1: none (core/log-id.ts). */
  readonly markEpoch: number
}

/** Documents lie in `body` in the order of the runs' offsets; `ends`: where each ends. */
export interface MatchedBatch {
  readonly body: Uint8Array<ArrayBuffer>
  readonly ends: Uint32Array<ArrayBuffer>
  readonly runs: readonly MatchedRun[]
}

/** A batch as it is transferred. */
export interface PackedBatch {
  readonly documentCount: number
  readonly body: Uint8Array<ArrayBuffer>
  readonly about: ArrayBuffer
  /** Absent: no record counts for a metric. */
  readonly counted?: {
    /** By the place of their run. */
    readonly runs: readonly (readonly [run: number, counts: RunCounts])[]
    /** About; credit is taken for them by themselves. */
    readonly bytes: number
  }
}

const HEAD_DOUBLES = 2
const RUN_DOUBLES = REPORT_DOUBLES + 2

/** The parts of `about`, by its two counts. */
function viewsOf(about: ArrayBuffer, runCount: number, documentCount: number) {
  const offsetsAt = (HEAD_DOUBLES + runCount * RUN_DOUBLES) * 8
  const timestampsAt = offsetsAt + documentCount * 8
  const endsAt = timestampsAt + documentCount * 8
  const typesAt = endsAt + documentCount * 4
  return {
    offsets: new Float64Array(about, offsetsAt, documentCount),
    timestampsMs: new Float64Array(about, timestampsAt, documentCount),
    ends: new Uint32Array(about, endsAt, documentCount),
    timestampTypes: new Uint8Array(about, typesAt, documentCount),
  }
}

const aboutBytes = (runCount: number, documentCount: number) =>
  (HEAD_DOUBLES + runCount * RUN_DOUBLES) * 8 + documentCount * (8 + 8 + 4 + 1)

/** @throws AssertionError unless it is what `take` made. */
export function unpackMatches({ body, about, counted }: PackedBatch): MatchedBatch {
  const countsOf = new Map(counted?.runs)
  const doubles = new Float64Array(about, 0, Math.floor(about.byteLength / 8))
  const [runCount = 0, documentCount = 0] = doubles
  assert.equal(about.byteLength, aboutBytes(runCount, documentCount))
  const { offsets, timestampsMs, ends, timestampTypes } = viewsOf(about, runCount, documentCount)
  const runs: MatchedRun[] = []
  let from = 0
  for (let run = 0; run < runCount; run++) {
    const at = HEAD_DOUBLES + run * RUN_DOUBLES
    const to = from + doubles[at + REPORT_DOUBLES + 1]!
    runs.push({
      ...reportAt(doubles, at),
      markEpoch: doubles[at + REPORT_DOUBLES]!,
      offsets: offsets.subarray(from, to),
      timestampsMs: timestampsMs.subarray(from, to),
      timestampTypes: timestampTypes.subarray(from, to),
    })
    const counts = countsOf.get(run)
    if (counts !== undefined) runs[run] = { ...runs[run]!, counts }
    from = to
  }
  assert.equal(from, documentCount, 'a document lies in no run')
  return { body, ends, runs }
}

/**
 * A batch with its first documents alone. The run with the last of them ends before the next match:
 * what of it lies behind is not said to be anything.
 * @param count 0 to all; with none, there is no run.
 */
export function firstDocuments(batch: MatchedBatch, count: number): MatchedBatch {
  const runs: MatchedRun[] = []
  let left = count
  for (const run of batch.runs) {
    if (left === 0) break
    const taken = Math.min(left, run.offsets.length)
    left -= taken
    const end = run.offsets[taken]
    runs.push(end === undefined ? run : shortened(run, taken, end))
  }
  const ends = batch.ends.slice(0, count)
  return { body: batch.body.subarray(0, ends.at(-1) ?? 0), ends, runs }
}

function shortened(run: MatchedRun, count: number, coverTo: number): MatchedRun {
  return {
    ...run,
    coverTo,
    // Where offsets have gaps, as many as there can be.
    recordCount: Math.min(run.recordCount, coverTo - run.coverFrom),
    outsideTime: 0,
    // Metrics do not go with -n.
    counts: NO_COUNTS,
    offsets: run.offsets.slice(0, count),
    timestampsMs: run.timestampsMs.slice(0, count),
    timestampTypes: run.timestampTypes.slice(0, count),
  }
}

interface PendingRun {
  readonly report: RunReport
  readonly markEpoch: number
  readonly documents: number
}

/** Gathers documents run by run, until they are taken. */
export class Matches {
  readonly body = new BodyBuilder()
  #runs: PendingRun[] = []
  #offsets: number[] = []
  #timestampsMs: number[] = []
  #timestampTypes: number[] = []
  #counts: (readonly [run: number, counts: RunCounts])[] = []
  #deltaCount = 0

  /** Bytes that wait to be handed on. */
  get size(): number {
    return this.body.size + this.#deltaCount * DELTA_BYTES
  }

  get isEmpty(): boolean {
    return this.#runs.length === 0
  }

  /** Ends the document that was written to the body. */
  endDocument(offset: number, timestampMs: number, timestampType: number): void {
    this.body.endDocument()
    this.#offsets.push(offset)
    this.#timestampsMs.push(timestampMs)
    this.#timestampTypes.push(timestampType)
  }

  /** The last `documents` documents are this run's. */
  endRun(
    report: RunReport,
    markEpoch: number,
    documents: number,
    counts: RunCounts = NO_COUNTS,
  ): void {
    assert(documents > 0 || counts.records > 0)
    if (counts.records > 0) this.#counts.push([this.#runs.length, counts])
    this.#deltaCount += counts.deltas.length
    this.#runs.push({ report, markEpoch, documents })
  }

  /** Hands over what was gathered, and begins anew. */
  take(): PackedBatch {
    const { body, ends } = this.body.take()
    const documentCount = ends.length
    const runs = this.#runs
    const about = new ArrayBuffer(aboutBytes(runs.length, documentCount))
    const doubles = new Float64Array(about, 0, HEAD_DOUBLES + runs.length * RUN_DOUBLES)
    doubles.set([runs.length, documentCount])
    for (const [run, { report, markEpoch, documents }] of runs.entries()) {
      const at = HEAD_DOUBLES + run * RUN_DOUBLES
      putReport(doubles, at, report)
      doubles.set([markEpoch, documents], at + REPORT_DOUBLES)
    }
    const views = viewsOf(about, runs.length, documentCount)
    views.offsets.set(this.#offsets)
    views.timestampsMs.set(this.#timestampsMs)
    views.timestampTypes.set(this.#timestampTypes)
    views.ends.set(ends)
    this.#runs = []
    this.#offsets = []
    this.#timestampsMs = []
    this.#timestampTypes = []
    const counted = { runs: this.#counts, bytes: this.#deltaCount * DELTA_BYTES }
    this.#counts = []
    this.#deltaCount = 0
    return { documentCount, body, about, ...(counted.runs.length > 0 && { counted }) }
  }
}
