/**
 * One pass over one slot: scan it, build the output of what matched, report every run.
 *
 * Used by a filter thread (worker mode) and by an ingress thread (direct mode). The slot is in
 * state FILTERING and belongs to the caller from before `process` until after it.
 */
import assert from 'node:assert/strict'
import type { Bridge, BridgeId } from '../bridge/bridge.ts'
import { BodyBuilder, type MatchedRecord, type RecordEncoder } from '../pool/record-encoder.ts'
import { RUN_FILTERED, type RunReport } from '../pool/run-log.ts'
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
  /** Records of the partition from this offset on were not asked for. */
  readonly endOf: (name: AssignmentName) => number
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
export interface MatchedRun extends RunReport, MatchedOrigins {}

/**
 * What a slot gave, ready to be transferred. Documents lie in `body` in the order of the runs'
 * offsets.
 */
export interface MatchedBatch {
  readonly body: Uint8Array<ArrayBuffer>
  readonly ends: Uint32Array<ArrayBuffer>
  readonly runs: readonly MatchedRun[]
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
  readonly #hits: Int32Array
  readonly #body = new BodyBuilder()
  readonly #record: SlotRecord

  constructor(options: SlotFilterOptions) {
    this.#options = options
    this.#hits = new Int32Array(options.recordsMax)
    this.#record = new SlotRecord(options.reader)
  }

  /**
   * Scans the slot and hands on what became of its runs. `release` is called as soon as the slot's
   * bytes are no longer needed, before anything that may wait for the output.
   */
  process(slotIndex: number, matcher: BridgeId, release: () => void): SlotResult {
    const { bridge, pool, reader } = this.#options
    reader.open(slotIndex)
    const records = reader.recordCount
    const matched = bridge.slotScan(pool, slotIndex, matcher, this.#hits)
    const plain: RunReport[] = []
    const runs: MatchedRun[] = []
    let hitIndex = 0
    let kept = 0
    for (let runIndex = 0; runIndex < reader.runCount; runIndex++) {
      const run = reader.run(runIndex)
      const hitEnd = this.#hitsBelow(run.firstRecord + run.recordCount, hitIndex, matched)
      const keptEnd = this.#keepInSpan(run, hitIndex, hitEnd)
      const origins = this.#encodeRun(run, slotIndex, hitIndex, keptEnd)
      const report = { ...run, reason: RUN_FILTERED, outsideTime: hitEnd - keptEnd }
      if (origins === undefined) plain.push(report)
      else runs.push({ ...report, ...origins })
      kept += keptEnd - hitIndex
      hitIndex = hitEnd
    }
    assert.equal(hitIndex, matched, 'a hit lies in no run')
    release()
    for (const run of plain) this.#options.report(run)
    if (runs.length > 0) this.#options.deliver({ ...this.#body.take(), runs })
    return { records, matched: kept }
  }

  /** The first hit at or behind a record. */
  #hitsBelow(record: number, from: number, hitCount: number): number {
    let index = from
    while (index < hitCount && this.#hits[index]! < record) index++
    return index
  }

  /**
   * Moves the run's hits within the span of time to the front of its part of #hits.
   * @returns where they end.
   */
  #keepInSpan(run: RunEntry, from: number, to: number): number {
    const { span, reader, nameOf } = this.#options
    const name = span === null || from === to ? undefined : nameOf(run.assignmentId)
    if (span === null || name === undefined) return to
    const endOffset = span.endOf(name)
    let end = from
    for (let index = from; index < to; index++) {
      const recordIndex = this.#hits[index]!
      const timestampMs = reader.timestampMs(recordIndex)
      if (timestampMs < span.fromMs || timestampMs >= span.toMs) continue
      if (reader.offset(recordIndex) >= endOffset) continue
      this.#hits[end++] = recordIndex
    }
    return end
  }

  /**
   * Appends the run's documents to the body. @returns their origins, or undefined when nothing
   * matched.
   */
  #encodeRun(
    run: RunEntry,
    slotIndex: number,
    from: number,
    to: number,
  ): MatchedOrigins | undefined {
    const name = from === to ? undefined : this.#options.nameOf(run.assignmentId)
    // Unknown: given away so long ago that the name is gone. Its ledger is closed: nothing may be
    // sent.
    if (name === undefined) return undefined
    const count = to - from
    const offsets = new Float64Array(count)
    const timestampsMs = new Float64Array(count)
    const timestampTypes = new Uint8Array(count)
    const { reader, encoder } = this.#options
    const oversize = reader.isOversize ? this.#takeOversize(slotIndex) : undefined
    for (let index = from; index < to; index++) {
      const recordIndex = this.#hits[index]!
      offsets[index - from] = reader.offset(recordIndex)
      timestampsMs[index - from] = reader.timestampMs(recordIndex)
      timestampTypes[index - from] = reader.timestampTypeCode(recordIndex)
      this.#record.point(recordIndex, name, oversize)
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
