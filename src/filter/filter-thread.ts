/**
 * The filter as a thread runs it: a SlotFilter wired to the run reports, to the credit of the
 * output, and to what main says about names and patterns. Used by filter threads, and by ingress
 * threads in direct mode.
 */
import assert from 'node:assert/strict'
import type { Bridge, BridgeId } from '../bridge/bridge.ts'
import { FieldEditor } from './field-editor.ts'
import type { PackedBatch } from './matches.ts'
import { Rules } from './rules.ts'
import { type AssignmentName, SlotFilter, type SlotProgram, type TimeSpan } from './slot-filter.ts'
import type { CounterRow } from '../pool/counters.ts'
import type { RecordCounter } from '../pool/record-counter.ts'
import type { RecordEncoder } from '../pool/record-encoder.ts'
import { RUN_DROPPED_OVERFLOW, RunReports, type RunReport } from '../pool/run-reports.ts'
import { type CreditLimits, PHASE_END, type Signals } from '../pool/signals.ts'
import { SlotReader } from '../pool/slot-reader.ts'
import type { Slots, SlotsMemory } from '../pool/slots.ts'
import type { FilterProgram, FromFilter, ToFilter } from './filter-messages.ts'

/** One wait for the output or for main; then everything is looked at again. */
const WAIT_MS = 50

/** How long documents are gathered while slot follows slot: half of what main lets reports wait. */
const GATHER_MS = 10

const NOTHING_TO_SERVE = () => undefined

export interface FilterThreadOptions {
  readonly bridge: Bridge
  readonly pool: BridgeId
  readonly program: FilterProgram
  readonly memory: SlotsMemory
  readonly slots: Slots
  readonly runReports: SharedArrayBuffer
  readonly credit: CreditLimits
  readonly encoder: RecordEncoder
  /** Of a replay: the timestamps that are written. Null: all. */
  readonly span: TimeSpan | null
  /** Of the metrics that programs have; null: nothing is counted here. */
  readonly counter: RecordCounter | null
  readonly signals: Signals
  readonly counters: CounterRow
  readonly send: (message: FromFilter, transfer: readonly ArrayBuffer[]) => void
  /** Reads main's messages that are for the filter, until there are none. */
  readonly readMessages: () => void
}

export class FilterThread {
  readonly #options: FilterThreadOptions
  readonly #filter: SlotFilter
  readonly #runReports: RunReports
  readonly #reader: SlotReader
  readonly #names = new Map<number, AssignmentName>()
  /** Ids rise: one above this was never told, one below and not in #names was given away. */
  #highestId = -1
  #program: SlotProgram
  /** Main's newest one, while a slot is filtered with the one before. */
  #nextProgram: FilterProgram | null = null
  /** Since when documents are gathered. */
  #gatheringMs = 0
  /** Set while a slot is filtered, or what was gathered is handed on. */
  #whileWaiting: (() => void) | null = null

  constructor(options: FilterThreadOptions) {
    const { bridge, pool, memory, encoder, span } = options
    this.#options = options
    this.#program = this.#programOf(options.program)
    this.#runReports = new RunReports(options.runReports)
    this.#reader = new SlotReader(memory.slots, memory.shape)
    this.#filter = new SlotFilter({
      bridge,
      pool,
      reader: this.#reader,
      recordsMax: memory.shape.recordsMax,
      encoder,
      span,
      nameOf: (assignmentId) => this.#nameOf(assignmentId),
      report: (run) => this.#report(run),
      deliver: (batch) => this.#deliver(batch),
    })
  }

  /**
   * Filters a slot in state FILTERING, and frees it.
   * @param whileWaiting is called over and over while the output or main has no room. It may bring
   * messages of main's.
   */
  process(slotIndex: number, whileWaiting: (() => void) | null = null): void {
    const { slots, counters, encoder } = this.#options
    const release = () => slots.release(slotIndex)
    const hadGathered = this.#filter.hasGathered
    const { records, matched } = this.#serving(whileWaiting, () =>
      this.#filter.process(slotIndex, this.#program, release),
    )
    if (this.#filter.hasGathered) {
      const nowMs = performance.now()
      if (!hadGathered) this.#gatheringMs = nowMs
      else if (nowMs - this.#gatheringMs >= GATHER_MS) this.flush(whileWaiting)
    }
    counters.add('matched', matched)
    counters.add('filtered', records - matched)
    const redated = encoder.takeRedated?.() ?? 0
    if (redated > 0) counters.add('redated', redated)
    counters.set('lastNs', process.hrtime.bigint())
  }

  /** Whether documents wait for more to come. */
  get hasGathered(): boolean {
    return this.#filter.hasGathered
  }

  /** Hands on what was gathered: before the caller waits for anything. */
  flush(whileWaiting: (() => void) | null = null): void {
    if (this.hasGathered) this.#serving(whileWaiting, () => this.#filter.flush())
  }

  /** What waits in it for the output or for main calls back; it may come to here again. */
  #serving<Result>(whileWaiting: (() => void) | null, work: () => Result): Result {
    const outer = this.#whileWaiting
    this.#whileWaiting = whileWaiting ?? NOTHING_TO_SERVE
    const result = work()
    this.#whileWaiting = outer
    if (outer === null && this.#nextProgram !== null) this.#takeProgram(this.#nextProgram)
    return result
  }

  /** Reports the runs of a slot that the caller is about to discard. */
  reportDropped(slotIndex: number): void {
    this.#reader.open(slotIndex)
    for (let runIndex = 0; runIndex < this.#reader.runCount; runIndex++) {
      const run = this.#reader.run(runIndex)
      this.#report({ ...run, reason: RUN_DROPPED_OVERFLOW, outsideTime: 0 })
    }
  }

  handleMessage(message: ToFilter): void {
    switch (message.kind) {
      case 'names':
        for (const { assignmentId, ...name } of message.names) {
          this.#names.set(assignmentId, name)
          this.#highestId = Math.max(this.#highestId, assignmentId)
        }
        break
      case 'forget':
        for (const assignmentId of message.assignmentIds) this.#names.delete(assignmentId)
        break
      case 'program':
        if (this.#whileWaiting === null) this.#takeProgram(message.program)
        else this.#nextProgram = message.program
        break
    }
  }

  /**
   * Main closes an older matcher as soon as this is said. Of documents that are handed on together,
   * all have rules or none: with those that are gathered, a change from one to the other waits for
   * the flush that follows in any case.
   */
  #takeProgram(program: FilterProgram): void {
    const { rules = null } = this.#program
    const isMixed = (rules === null) !== (program.rules === null)
    this.#nextProgram = isMixed && this.hasGathered ? program : null
    if (this.#nextProgram !== null) return
    rules?.close()
    this.#program = this.#programOf(program)
    this.#options.send({ kind: 'matcherTaken', matcher: program.matcher }, [])
  }

  #programOf({ matcher, rules, edits, metricsFrom: from }: FilterProgram): SlotProgram {
    const { bridge, counter } = this.#options
    return {
      matcher,
      rules: rules && new Rules(bridge, rules),
      editor: edits && new FieldEditor(edits),
      counted: from === null ? undefined : { from, counter },
    }
  }

  #nameOf(assignmentId: number): AssignmentName | undefined {
    if (assignmentId > this.#highestId) {
      // Main tells the names before it lets the ingress thread assign, so they are there to be
      // read.
      this.#options.readMessages()
      assert(assignmentId <= this.#highestId, `assignment ${assignmentId} was never told`)
    }
    return this.#names.get(assignmentId)
  }

  /** Waits for main to make room; given up when the process ends: then the run stays unresolved. */
  #report(run: RunReport): void {
    while (!this.#runReports.tryWrite(run)) {
      if (this.#options.signals.phase === PHASE_END) return
      this.#runReports.waitForRoom(WAIT_MS)
      this.#whileWaiting?.()
    }
  }

  #deliver(batch: PackedBatch): void {
    const { signals, credit, send } = this.#options
    while (signals.isFull(credit)) {
      if (signals.phase === PHASE_END) return
      signals.waitForRoom(credit, WAIT_MS)
      this.#whileWaiting?.()
    }
    signals.take(batch.documentCount, batch.body.byteLength)
    if (batch.counted !== undefined) signals.take(0, batch.counted.bytes)
    send({ kind: 'matched', batch }, [batch.body.buffer, batch.about])
  }
}
