/**
 * Filters one slot: scans it, builds the output of what matched, reports every run.
 *
 * Used by a filter thread (worker mode) and by an ingress thread (direct mode). The slot is in
 * state FILTERING and belongs to the caller from before `process` until after it.
 *
 * Where the matches of a slot have no room in its payload they come in several scans, each of which
 * is handed on before the next: what that costs of memory does not depend on how much matches.
 */
import assert from 'node:assert/strict'
import type { Bridge, BridgeId } from '../bridge/bridge.ts'
import { formatLogId } from '../core/log-id.ts'
import { BodyBuilder, type MatchedRecord, type RecordEncoder } from '../pool/record-encoder.ts'
import { RUN_FILTERED, type RunReport } from '../pool/run-reports.ts'
import type { RunEntry, SlotReader, TimestampType } from '../pool/slot-reader.ts'

/** Where the records of an assignment come from. */
export interface AssignmentName {
  readonly topic: string
  readonly partition: number
  /** What stands before topic-partition-offset in the id of a document; empty for nothing. */
  readonly idPrefix: string
}

/** What is wanted of a replay; pattern and span both decide. Times in ms since 1970. */
export interface TimeSpan {
  readonly fromMs: number
  /** Exclusive. */
  readonly toMs: number
}

/** What a run's documents were made of: one entry for each, in the order of their offsets. */
export interface MatchedOrigins {
  readonly offsets: Float64Array<ArrayBuffer>
  /** Milliseconds since 1970; -1: the record has none. */
  readonly timestampsMs: Float64Array<ArrayBuffer>
  /** Places in TIMESTAMP_TYPES. */
  readonly timestampTypes: Uint8Array<ArrayBuffer>
}

/**
 * A run of which something matched: the range it covers, and the offsets that wait for the output.
 */
export interface MatchedRun extends RunReport, MatchedOrigins {
  /** The leader epoch that marks its records; -1: none (core/log-id.ts). */
  readonly markEpoch: number
}

/**
 * What a slot gave, ready to be transferred. Documents lie in `body` in the order of the runs'
 * offsets.
 */
export interface MatchedBatch {
  readonly body: Uint8Array<ArrayBuffer>
  readonly ends: Uint32Array<ArrayBuffer>
  readonly runs: readonly MatchedRun[]
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
    offsets: run.offsets.slice(0, count),
    timestampsMs: run.timestampsMs.slice(0, count),
    timestampTypes: run.timestampTypes.slice(0, count),
  }
}

export interface SlotFilterOptions {
  readonly bridge: Bridge
  readonly pool: BridgeId
  readonly reader: SlotReader
  readonly recordsMax: number
  readonly encoder: RecordEncoder
  /** Null: every time. */
  readonly span: TimeSpan | null
  /** The names behind an assignment id; undefined when it is unknown (it was revoked long ago). */
  readonly nameOf: (assignmentId: number) => AssignmentName | undefined
  /** Takes the report of a run without a match; may wait. */
  readonly report: (run: RunReport) => void
  /** Takes what matched; may wait. */
  readonly deliver: (batch: MatchedBatch) => void
}

/** How many records a slot had, and how many of them matched. */
export interface SlotResult {
  readonly records: number
  readonly matched: number
}

export class SlotFilter {
  readonly #options: SlotFilterOptions
  /** Of a run: where its hits that are wanted lie in the slot's index. */
  readonly #wanted: Int32Array
  readonly #body = new BodyBuilder()
  readonly #record: SlotRecord

  constructor(options: SlotFilterOptions) {
    this.#options = options
    this.#wanted = new Int32Array(options.recordsMax)
    this.#record = new SlotRecord(options.reader)
  }

  /**
   * Scans the slot and hands on what became of its runs. `release` is called as soon as the slot's
   * bytes are no longer needed, before the last part is handed on, which may wait for the output.
   */
  process(slotIndex: number, matcher: BridgeId, release: () => void): SlotResult {
    const { bridge, pool, reader } = this.#options
    reader.open(slotIndex)
    let records = 0
    let matched = 0
    for (let hasMore = true; hasMore;) {
      const hits = bridge.slotScan(pool, slotIndex, matcher)
      hasMore = reader.hasMore
      records += reader.recordCount
      const { plain, runs } = this.#encodeScan(slotIndex, hits)
      // Before they are delivered: what is transferred is no longer here.
      for (const run of runs) matched += run.offsets.length
      if (!hasMore) release()
      for (const run of plain) this.#options.report(run)
      if (runs.length > 0) this.#options.deliver({ ...this.#body.take(), runs })
    }
    return { records, matched }
  }

  /** The runs of one scan, without and with documents; those are in the body. */
  #encodeScan(slotIndex: number, hits: number): { plain: RunReport[]; runs: MatchedRun[] } {
    const { reader } = this.#options
    const plain: RunReport[] = []
    const runs: MatchedRun[] = []
    let hitCount = 0
    for (let runIndex = 0; runIndex < reader.runCount; runIndex++) {
      const run = reader.run(runIndex)
      hitCount += run.hitCount
      const wantedCount = this.#findWanted(run)
      const report = { ...run, reason: RUN_FILTERED, outsideTime: run.hitCount - wantedCount }
      const origins = this.#encodeRun(run, slotIndex, wantedCount)
      if (origins === undefined) plain.push(report)
      else runs.push({ ...report, ...origins })
    }
    assert.equal(hitCount, hits, 'a hit lies in no run')
    return { plain, runs }
  }

  /** Puts those of the run's hits that are within the span into #wanted. @returns how many. */
  #findWanted(run: RunEntry): number {
    const { span, reader } = this.#options
    const end = run.firstHit + run.hitCount
    let count = 0
    for (let recordIndex = run.firstHit; recordIndex < end; recordIndex++) {
      const timestampMs = span === null ? 0 : reader.timestampMs(recordIndex)
      const isOutside = span !== null && (timestampMs < span.fromMs || timestampMs >= span.toMs)
      if (!isOutside) this.#wanted[count++] = recordIndex
    }
    return count
  }

  /**
   * Appends the run's documents to the body. @returns their origins, or undefined when nothing
   * matched.
   */
  #encodeRun(run: RunEntry, slotIndex: number, count: number): MatchedOrigins | undefined {
    const name = count === 0 ? undefined : this.#options.nameOf(run.assignmentId)
    // Unknown: given away so long ago that the name is gone. Its ledger is closed: nothing may be
    // sent.
    if (name === undefined) return undefined
    const offsets = new Float64Array(count)
    const timestampsMs = new Float64Array(count)
    const timestampTypes = new Uint8Array(count)
    const { reader, encoder } = this.#options
    const { markEpoch } = run
    const named = { ...name, idPrefix: formatLogId({ prefix: name.idPrefix, markEpoch }) }
    const oversize = reader.isOversize ? this.#takeOversize(slotIndex) : undefined
    for (let index = 0; index < count; index++) {
      const recordIndex = this.#wanted[index]!
      offsets[index] = reader.offset(recordIndex)
      timestampsMs[index] = reader.timestampMs(recordIndex)
      timestampTypes[index] = reader.timestampTypeCode(recordIndex)
      this.#record.point(recordIndex, named, oversize)
      encoder.encode(this.#record, this.#body)
      this.#body.endDocument()
    }
    return { offsets, timestampsMs, timestampTypes }
  }

  #takeOversize(slotIndex: number): OversizeParts {
    const { value, key, headers } = this.#options.bridge.slotOversize(this.#options.pool, slotIndex)
    const asBuffer = (bytes: Uint8Array | null) =>
      bytes === null ? null : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
    return { value: asBuffer(value), key: asBuffer(key), headers: asBuffer(headers) ?? EMPTY }
  }
}

interface OversizeParts {
  readonly value: Buffer | null
  readonly key: Buffer | null
  readonly headers: Buffer
}

const EMPTY = Buffer.alloc(0)

/** One record of the slot, pointed from hit to hit so that none is allocated. */
class SlotRecord implements MatchedRecord {
  readonly #reader: SlotReader
  #index = 0
  #oversize: OversizeParts | undefined
  topic = ''
  partition = 0
  idPrefix = ''

  constructor(reader: SlotReader) {
    this.#reader = reader
  }

  point(recordIndex: number, name: AssignmentName, oversize: OversizeParts | undefined): void {
    this.#index = recordIndex
    this.#oversize = oversize
    this.topic = name.topic
    this.partition = name.partition
    this.idPrefix = name.idPrefix
  }

  get offset(): number {
    return this.#reader.offset(this.#index)
  }

  get timestampMs(): number {
    return this.#reader.timestampMs(this.#index)
  }

  get timestampType(): TimestampType {
    return this.#reader.timestampType(this.#index)
  }

  get value(): Buffer | null {
    return this.#oversize === undefined ? this.#reader.value(this.#index) : this.#oversize.value
  }

  get key(): Buffer | null {
    return this.#oversize === undefined ? this.#reader.key(this.#index) : this.#oversize.key
  }

  get headers(): Buffer {
    return this.#oversize === undefined ? this.#reader.headers(this.#index) : this.#oversize.headers
  }
}
