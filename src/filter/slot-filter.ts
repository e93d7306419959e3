/**
 * Filters slots: scans each, builds the output of what matched, reports every run.
 *
 * Used by a filter thread (worker mode) and by an ingress thread (direct mode). The slot is in
 * state FILTERING and belongs to the caller from before `process` until after it.
 *
 * Where the matches of a slot have no room in its payload they come in several scans. What matched
 * is gathered over scans and slots, and handed on when it is GATHERED_BYTES_MAX: what that costs of
 * memory does not depend on how much matches. The caller flushes what is less.
 */
import assert from 'node:assert/strict'
import type { Bridge, BridgeId, DroppedRecords } from '../bridge/bridge.ts'
import { messageOf } from '../core/errors.ts'
import { formatLogId } from '../core/log-id.ts'
import type { RecordCounter } from '../pool/record-counter.ts'
import type { MatchedRecord, RecordEncoder, RuleRoute } from '../pool/record-encoder.ts'
import { RUN_FILTERED, type RunReport } from '../pool/run-reports.ts'
import type { RunEntry, SlotReader, TimestampType } from '../pool/slot-reader.ts'
import type { EditedValue, FieldEditor } from './field-editor.ts'
import { Matches, NO_COUNTS, type PackedBatch, type RunCounts } from './matches.ts'
import type { Rules } from './rules.ts'

/**
 * Of documents, before they are handed on: enough that a message for main costs little beside the
 * scans that filled it.
 */
const GATHERED_BYTES_MAX = 256 * 1024

/** Where the records of an assignment come from. */
export interface AssignmentName {
  readonly topic: string
  readonly partition: number
  /** What stands before topic-partition-offset in the id of a document; empty for nothing. */
  readonly idPrefix: string
  /** Offsets at which the sums of metrics are cut; absent: none. */
  readonly cuts?: readonly number[]
}

/** Which hits count for metrics: alternatives of the matcher's set, from a number on. */
export interface CountedAlternatives {
  readonly from: number
  /** Null: nobody counts here; hits that no document is made of are passed over. */
  readonly counter: RecordCounter | null
}

/** What is wanted of a replay; pattern and span both decide. Times in ms since 1970. */
export interface TimeSpan {
  readonly fromMs: number
  /** Exclusive. */
  readonly toMs: number
}

/** What a slot is scanned for, and what becomes of a hit. */
export interface SlotProgram {
  readonly matcher: BridgeId
  /** Null or absent: the filter is one expression, and each match one document. */
  readonly rules?: Rules | null
  /** Null or absent: values are written as they are. */
  readonly editor?: FieldEditor | null
  /** Absent: each hit is a document, and nothing more. */
  readonly counted?: CountedAlternatives | undefined
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
  /** Takes what matched, ready to be transferred; may wait. */
  readonly deliver: (batch: PackedBatch) => void
}

/** How many records a slot had, and how many of them matched. */
export interface SlotResult {
  readonly records: number
  readonly matched: number
}

/** Before the first slot. */
const NO_PROGRAM: SlotProgram = { matcher: -1 }

export class SlotFilter {
  readonly #options: SlotFilterOptions
  /** Of the slot that is filtered. */
  #program: SlotProgram = NO_PROGRAM
  /** Of a run: where its hits that are wanted lie in the slot's index. */
  readonly #wanted: Int32Array
  readonly #matches = new Matches()
  readonly #record: SlotRecord

  constructor(options: SlotFilterOptions) {
    this.#options = options
    this.#wanted = new Int32Array(options.recordsMax)
    this.#record = new SlotRecord(options.reader)
  }

  /** Whether documents wait to be handed on. */
  get hasGathered(): boolean {
    return !this.#matches.isEmpty
  }

  /** Hands on what was gathered. */
  flush(): void {
    if (this.hasGathered) this.#options.deliver(this.#matches.take())
  }

  /**
   * Scans the slot and hands on what became of its runs, but for documents that are gathered. Those
   * are either all made by rules or none: between two programs of which one has rules, `flush`.
   * `release` is called as soon as the slot's bytes are no longer needed, before anything that may
   * wait for the output.
   */
  process(slotIndex: number, program: SlotProgram, release: () => void): SlotResult {
    const { bridge, pool, reader } = this.#options
    this.#program = program
    reader.open(slotIndex)
    let records = 0
    let matched = 0
    for (let hasMore = true; hasMore;) {
      const hits = bridge.slotScan(pool, slotIndex, program.matcher)
      hasMore = reader.hasMore
      records += reader.recordCount
      const plain: RunReport[] = []
      matched += this.#encodeScan(slotIndex, hits, plain)
      if (!hasMore) release()
      for (const run of plain) this.#options.report(run)
      if (this.#matches.size >= GATHERED_BYTES_MAX) this.flush()
    }
    return { records, matched }
  }

  /**
   * Gathers the documents of one scan, and puts its runs without any into `plain`. @returns how
   * many documents.
   */
  #encodeScan(slotIndex: number, hits: number, plain: RunReport[]): number {
    const { reader } = this.#options
    const { rules = null, counted } = this.#program
    const dropped = this.#droppedOf(slotIndex)
    const hasOversize = reader.isOversize && hits > 0
    this.#record.oversize = hasOversize ? this.#takeOversize(slotIndex) : null
    let hitCount = 0
    let matched = 0
    for (let runIndex = 0; runIndex < reader.runCount; runIndex++) {
      const run = reader.run(runIndex)
      hitCount += run.hitCount
      const { count, outsideTime } = this.#findWanted(run)
      const report = { ...run, reason: RUN_FILTERED, outsideTime }
      rules?.noteDropped(dropped.filter((row) => row.run === runIndex))
      const counts = this.#countRun(run)
      const documents = this.#encodeRun(run, count)
      const { tallies, copies } = rules?.takeTallies() ?? NOTHING_TALLIED
      const isCounted = tallies.length > 0 || counts.records > 0
      // Of an assignment that is unknown, nothing is said.
      if (documents > 0 || (documents === 0 && isCounted)) {
        this.#matches.endRun(report, run.markEpoch, documents, copies, tallies, counts)
        matched += rules === null ? count : Math.min(count, documents)
        // Where no documents are made, a match is what counts.
        if (counted?.from === 0) matched += counts.records
      } else plain.push(report)
    }
    assert.equal(hitCount, hits, 'a hit lies in no run')
    // It may be large.
    this.#record.oversize = null
    return matched
  }

  /**
   * Puts those of the run's hits that are within the span into #wanted, but for those that are hits
   * for metrics alone. @returns how many; and how many are outside of the span.
   */
  #findWanted(run: RunEntry): { count: number; outsideTime: number } {
    const { span, reader } = this.#options
    const { counted } = this.#program
    const end = run.firstHit + run.hitCount
    let count = 0
    let outsideTime = 0
    for (let recordIndex = run.firstHit; recordIndex < end; recordIndex++) {
      if (counted !== undefined && !this.#isKept(recordIndex, counted.from)) continue
      const timestampMs = span === null ? 0 : reader.timestampMs(recordIndex)
      const isOutside = span !== null && (timestampMs < span.fromMs || timestampMs >= span.toMs)
      if (isOutside) outsideTime++
      else this.#wanted[count++] = recordIndex
    }
    return { count, outsideTime }
  }

  #isKept(recordIndex: number, metricsFrom: number): boolean {
    const [first = Infinity] = this.#record.alternativesAt(recordIndex)
    return first < metricsFrom
  }

  /** Adds the run's hits to metrics. */
  #countRun(run: RunEntry): RunCounts {
    const { counted } = this.#program
    const counter = counted?.counter ?? null
    if (counted === undefined || counter === null || run.hitCount === 0) return NO_COUNTS
    const name = this.#options.nameOf(run.assignmentId)
    // Given away: its new reader counts them.
    if (name === undefined) return NO_COUNTS
    counter.cutAt(name.cuts ?? [])
    let records = 0
    for (let hit = 0; hit < run.hitCount; hit++) {
      const recordIndex = run.firstHit + hit
      const metrics = this.#record
        .alternativesAt(recordIndex)
        .filter((alternative) => alternative >= counted.from)
        .map((alternative) => alternative - counted.from)
      if (metrics.length === 0) continue
      records++
      this.#record.point(recordIndex, name)
      counter.count(this.#record, metrics)
    }
    return { records, deltas: counter.take() }
  }

  /** Who dropped the records of the scan that rules drop. */
  #droppedOf(slotIndex: number): readonly DroppedRecords[] {
    const { bridge, pool, reader } = this.#options
    const { rules = null } = this.#program
    return rules !== null && reader.hasDropped ? bridge.slotDropped(pool, slotIndex) : []
  }

  /** Gathers the run's documents. @returns how many; -1: its assignment is unknown. */
  #encodeRun(run: RunEntry, count: number): number {
    if (count === 0) return 0
    const name = this.#options.nameOf(run.assignmentId)
    // Given away so long ago that the name is gone. Its ledger is closed: nothing may be sent.
    if (name === undefined) return -1
    const { reader } = this.#options
    const { rules = null } = this.#program
    const { markEpoch } = run
    const named = { ...name, idPrefix: formatLogId({ prefix: name.idPrefix, markEpoch }) }
    if (rules !== null) return this.#encodeByRules(rules, count, named)
    for (let index = 0; index < count; index++) {
      const recordIndex = this.#wanted[index]!
      this.#record.point(recordIndex, named)
      this.#encode(-1)
      this.#matches.endDocument(
        reader.offset(recordIndex),
        reader.timestampMs(recordIndex),
        reader.timestampTypeCode(recordIndex),
      )
    }
    return count
  }

  /** The same where rules say what becomes of each record. */
  #encodeByRules(rules: Rules, count: number, named: AssignmentName): number {
    const { reader } = this.#options
    const record = this.#record
    let documents = 0
    for (let index = 0; index < count; index++) {
      const recordIndex = this.#wanted[index]!
      record.point(recordIndex, named)
      for (const rule of rules.take(record, record.alternatives)) {
        record.rule = rules.route(rule)
        this.#encode(rule)
        const timestampMs = reader.timestampMs(recordIndex)
        const typeCode = reader.timestampTypeCode(recordIndex)
        const number = rules.numberOf(rule)
        this.#matches.endRuled(reader.offset(recordIndex), timestampMs, typeCode, number)
        documents++
      }
    }
    return documents
  }

  /** Makes the document of the record that is pointed at. @param rule -1: there are none. */
  #encode(rule: number): void {
    const { encoder } = this.#options
    const { editor = null } = this.#program
    const { body } = this.#matches
    const record = this.#record
    if (editor !== null) {
      record.edited = null
      try {
        record.edited = editor.edit(record, rule)
      } catch (error) {
        if (encoder.refuse === undefined) throw error
        encoder.refuse(record, messageOf(error), body)
        return
      }
    }
    encoder.encode(record, body)
  }

  #takeOversize(slotIndex: number): OversizeParts {
    const { value, key, headers, alternatives } = this.#options.bridge.slotOversize(
      this.#options.pool,
      slotIndex,
    )
    const asBuffer = (bytes: Uint8Array | null) =>
      bytes === null ? null : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
    return {
      value: asBuffer(value),
      key: asBuffer(key),
      headers: asBuffer(headers) ?? EMPTY,
      alternatives,
    }
  }
}

interface OversizeParts {
  readonly value: Buffer | null
  readonly key: Buffer | null
  readonly headers: Buffer
  readonly alternatives: readonly number[]
}

const EMPTY = Buffer.alloc(0)
const NOTHING_TALLIED = { tallies: [], copies: 0 }

/** One record of the slot, pointed from hit to hit so that none is allocated. */
class SlotRecord implements MatchedRecord {
  readonly #reader: SlotReader
  #index = 0
  /** Of a scan with one record that lies beside the slot; else null. */
  oversize: OversizeParts | null = null
  topic = ''
  partition = 0
  idPrefix = ''
  rule: RuleRoute | null = null
  /** What is written in place of the value; null: the value itself. */
  edited: EditedValue | null = null

  constructor(reader: SlotReader) {
    this.#reader = reader
  }

  point(recordIndex: number, name: AssignmentName): void {
    this.#index = recordIndex
    this.edited = null
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

  get added(): string {
    return this.edited === null ? '' : this.edited.added
  }

  get value(): Buffer | null {
    if (this.edited !== null) return this.edited.value
    return this.oversize === null ? this.#reader.value(this.#index) : this.oversize.value
  }

  get key(): Buffer | null {
    return this.oversize === null ? this.#reader.key(this.#index) : this.oversize.key
  }

  /** Of a set, those that hold. */
  get alternatives(): readonly number[] {
    return this.alternativesAt(this.#index)
  }

  /** The same of any record of the scan. */
  alternativesAt(recordIndex: number): readonly number[] {
    return this.oversize === null
      ? this.#reader.alternatives(recordIndex)
      : this.oversize.alternatives
  }

  get headers(): Buffer {
    return this.oversize === null ? this.#reader.headers(this.#index) : this.oversize.headers
  }
}
