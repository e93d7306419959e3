/**
 * What matched, on its way from a filter thread to main: the documents of several runs in one body,
 * and all that is known about them in one buffer of numbers beside it.
 *
 * A message costs as much as scanning a megabyte: an object a run in it, three arrays each, and a
 * transfer of every array. So the numbers travel as they are, and main makes the objects.
 *
 * ```
 * about    counts: runs, documents, tallies, documents with a rule     doubles
 *          run: its report, mark, documents, copies, tallies           RUN_DOUBLES a run
 *          tallies: rule, documents, dropped, sampled                  TALLY_DOUBLES a tally
 *          offsets, then timestamps           a double a document
 *          ends                               32 bits a document
 *          rules, where there are any         16 bits a document
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
  /** The number of the rule that each was made by; empty where there are no rules. */
  readonly rules: Uint16Array<ArrayBuffer>
}

/** What a rule made of the records of a run. */
export interface RuleTally {
  readonly rule: number
  documents: number
  /** Records that it kept but for its `drop`, and that no other rule took. */
  dropped: number
  /** Of what it took, what its sample left out. */
  sampled: number
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
  /** By how much the documents, and those left out by a sample, are more than their records. */
  readonly copies: number
  /** By rule; a run may have some without having a document. */
  readonly tallies: readonly RuleTally[]
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

const HEAD_DOUBLES = 4
const RUN_DOUBLES = REPORT_DOUBLES + 4
const TALLY_DOUBLES = 4

/** How many of each there are. */
interface Counts {
  readonly runs: number
  readonly documents: number
  readonly tallies: number
  /** All documents, or none. */
  readonly ruled: number
}

/** The parts of `about`, by its counts. */
function viewsOf(about: ArrayBuffer, { runs, documents, tallies, ruled }: Counts) {
  const offsetsAt = (HEAD_DOUBLES + runs * RUN_DOUBLES + tallies * TALLY_DOUBLES) * 8
  const timestampsAt = offsetsAt + documents * 8
  const endsAt = timestampsAt + documents * 8
  const rulesAt = endsAt + documents * 4
  const typesAt = rulesAt + ruled * 2
  return {
    offsets: new Float64Array(about, offsetsAt, documents),
    timestampsMs: new Float64Array(about, timestampsAt, documents),
    ends: new Uint32Array(about, endsAt, documents),
    rules: new Uint16Array(about, rulesAt, ruled),
    timestampTypes: new Uint8Array(about, typesAt, documents),
  }
}

const aboutBytes = ({ runs, documents, tallies, ruled }: Counts) =>
  (HEAD_DOUBLES + runs * RUN_DOUBLES + tallies * TALLY_DOUBLES) * 8 +
  documents * (8 + 8 + 4 + 1) +
  ruled * 2

/** @throws AssertionError unless it is what `take` made. */
export function unpackMatches({ body, about, counted }: PackedBatch): MatchedBatch {
  const countedRuns = new Map(counted?.runs)
  const doubles = new Float64Array(about, 0, Math.floor(about.byteLength / 8))
  const [runCount = 0, documents = 0, tallies = 0, ruled = 0] = doubles
  const counts = { runs: runCount, documents, tallies, ruled }
  assert.equal(about.byteLength, aboutBytes(counts))
  const { offsets, timestampsMs, ends, timestampTypes, rules } = viewsOf(about, counts)
  const runs: MatchedRun[] = []
  let from = 0
  let tallyAt = HEAD_DOUBLES + runCount * RUN_DOUBLES
  for (let run = 0; run < runCount; run++) {
    const at = HEAD_DOUBLES + run * RUN_DOUBLES
    const [markEpoch, documentCount, copies, tallyCount] = doubles.subarray(at + REPORT_DOUBLES)
    const to = from + documentCount!
    runs.push({
      ...reportAt(doubles, at),
      markEpoch: markEpoch!,
      copies: copies!,
      offsets: offsets.subarray(from, to),
      timestampsMs: timestampsMs.subarray(from, to),
      timestampTypes: timestampTypes.subarray(from, to),
      rules: rules.subarray(from, to),
      tallies: Array.from({ length: tallyCount! }, (_, index) =>
        tallyOf(doubles, tallyAt + index * TALLY_DOUBLES),
      ),
    })
    tallyAt += tallyCount! * TALLY_DOUBLES
    const own = countedRuns.get(run)
    if (own !== undefined) runs[run] = { ...runs[run]!, counts: own }
    from = to
  }
  assert.equal(from, documents, 'a document lies in no run')
  return { body, ends, runs }
}

function tallyOf(doubles: Float64Array, at: number): RuleTally {
  return {
    rule: doubles[at]!,
    documents: doubles[at + 1]!,
    dropped: doubles[at + 2]!,
    sampled: doubles[at + 3]!,
  }
}

/**
 * A batch with its first documents alone. The run with the last of them ends before the next match:
 * what of it lies behind is not said to be anything.
 * @param count 0 to all; with none, there is no run. The documents of one record stay together.
 */
export function firstDocuments(batch: MatchedBatch, count: number): MatchedBatch {
  const runs: MatchedRun[] = []
  let left = count
  let taken = 0
  for (const run of batch.runs) {
    if (left <= 0) break
    const part = wholeRecords(run.offsets, Math.min(left, run.offsets.length))
    left -= part
    taken += part
    const end = run.offsets[part]
    runs.push(end === undefined ? run : shortened(run, part, end))
  }
  const ends = batch.ends.slice(0, taken)
  return { body: batch.body.subarray(0, ends.at(-1) ?? 0), ends, runs }
}

/** So many of the offsets, and those that are the same as the last of them. */
function wholeRecords(offsets: Float64Array, count: number): number {
  let end = count
  while (end > 0 && end < offsets.length && offsets[end] === offsets[end - 1]) end++
  return end
}

function shortened(run: MatchedRun, count: number, coverTo: number): MatchedRun {
  const offsets = run.offsets.slice(0, count)
  return {
    ...run,
    coverTo,
    // Where offsets have gaps, as many as there can be.
    recordCount: Math.min(run.recordCount, coverTo - run.coverFrom),
    outsideTime: 0,
    // What was left out of it is not known: it counts as not kept.
    copies: count - new Set(offsets).size,
    tallies: [],
    // Metrics do not go with -n.
    counts: NO_COUNTS,
    offsets,
    timestampsMs: run.timestampsMs.slice(0, count),
    timestampTypes: run.timestampTypes.slice(0, count),
    rules: run.rules.slice(0, count),
  }
}

interface PendingRun {
  readonly report: RunReport
  readonly markEpoch: number
  readonly documents: number
  readonly copies: number
  readonly tallies: readonly RuleTally[]
}

const NO_TALLIES: readonly RuleTally[] = []

/** Gathers documents run by run, until they are taken. */
export class Matches {
  readonly body = new BodyBuilder()
  #runs: PendingRun[] = []
  #offsets: number[] = []
  #timestampsMs: number[] = []
  #timestampTypes: number[] = []
  #rules: number[] = []
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

  /** The same, of a document that a rule made; then all are made by one. */
  endRuled(offset: number, timestampMs: number, timestampType: number, rule: number): void {
    this.endDocument(offset, timestampMs, timestampType)
    this.#rules.push(rule)
  }

  /** The last `documents` documents are this run's. */
  endRun(
    report: RunReport,
    markEpoch: number,
    documents: number,
    copies = 0,
    tallies: readonly RuleTally[] = NO_TALLIES,
    counts: RunCounts = NO_COUNTS,
  ): void {
    assert(documents > 0 || tallies.length > 0 || counts.records > 0)
    if (counts.records > 0) this.#counts.push([this.#runs.length, counts])
    this.#deltaCount += counts.deltas.length
    this.#runs.push({ report, markEpoch, documents, copies, tallies })
  }

  /** Hands over what was gathered, and begins anew. */
  take(): PackedBatch {
    const { body, ends } = this.body.take()
    const documentCount = ends.length
    const runs = this.#runs
    const counts: Counts = {
      runs: runs.length,
      documents: documentCount,
      tallies: runs.reduce((sum, { tallies }) => sum + tallies.length, 0),
      ruled: this.#rules.length,
    }
    assert(counts.ruled === 0 || counts.ruled === documentCount)
    const about = new ArrayBuffer(aboutBytes(counts))
    const doubles = new Float64Array(about, 0, Math.floor(about.byteLength / 8))
    doubles.set([counts.runs, counts.documents, counts.tallies, counts.ruled])
    let tallyAt = HEAD_DOUBLES + runs.length * RUN_DOUBLES
    for (const [run, { report, markEpoch, documents, copies, tallies }] of runs.entries()) {
      const at = HEAD_DOUBLES + run * RUN_DOUBLES
      putReport(doubles, at, report)
      doubles.set([markEpoch, documents, copies, tallies.length], at + REPORT_DOUBLES)
      for (const { rule, documents: made, dropped, sampled } of tallies) {
        doubles.set([rule, made, dropped, sampled], tallyAt)
        tallyAt += TALLY_DOUBLES
      }
    }
    const views = viewsOf(about, counts)
    views.offsets.set(this.#offsets)
    views.timestampsMs.set(this.#timestampsMs)
    views.timestampTypes.set(this.#timestampTypes)
    views.rules.set(this.#rules)
    views.ends.set(ends)
    this.#runs = []
    this.#offsets = []
    this.#timestampsMs = []
    this.#timestampTypes = []
    this.#rules = []
    const counted = { runs: this.#counts, bytes: this.#deltaCount * DELTA_BYTES }
    this.#counts = []
    this.#deltaCount = 0
    return { documentCount, body, about, ...(counted.runs.length > 0 && { counted }) }
  }
}
