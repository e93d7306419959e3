/**
 * The filter as a thread runs it: a SlotFilter wired to the run log, to the output's credit, and to
 * what main says about names and patterns. Used by filter threads, and by ingress threads in direct
 * mode.
 */
import assert from 'node:assert/strict'
import type { Bridge, BridgeId } from '../bridge/bridge.ts'
import {
  SlotFilter,
  type AssignmentName,
  type MatchedBatch,
  type TimeSpan,
} from '../filter/slot-filter.ts'
import type { CounterRow } from '../pool/counters.ts'
import { RUN_DROPPED_OVERFLOW, RunLog, type RunReport } from '../pool/run-log.ts'
import { PHASE_END, type Signals } from '../pool/signals.ts'
import { SlotReader } from '../pool/slot-reader.ts'
import type { Slots } from '../pool/slots.ts'
import { encoderFor } from './encoders.ts'
import type { PipelineSettings } from './settings.ts'
import type { FromFilter, ThreadData, ToFilter } from './thread-data.ts'

/** One wait for the output or for main; then everything is looked at again. */
const WAIT_MS = 50

const NOTHING_TO_SERVE = () => undefined

export interface FilterStageOptions {
  readonly data: ThreadData
  readonly bridge: Bridge
  readonly slots: Slots
  readonly signals: Signals
  readonly counters: CounterRow
  readonly send: (message: FromFilter, transfer: readonly ArrayBuffer[]) => void
  /** Reads main's messages that are for the filter, until there are none. */
  readonly readMessages: () => void
}

export class FilterStage {
  readonly #options: FilterStageOptions
  readonly #filter: SlotFilter
  readonly #runLog: RunLog
  readonly #reader: SlotReader
  readonly #names = new Map<number, AssignmentName>()
  /** Ids rise: one above this was never told, one below and not in #names was given away. */
  #highestId = -1
  #matcher: BridgeId
  /** Main's newest matcher, while a slot is filtered with the one before. */
  #nextMatcher: BridgeId | null = null
  /** Set while a slot is filtered. */
  #whileWaiting: (() => void) | null = null

  constructor(options: FilterStageOptions) {
    const { data, bridge } = options
    this.#options = options
    this.#matcher = data.matcher
    this.#runLog = new RunLog(data.runLog)
    this.#reader = new SlotReader(data.slots.slots, data.slots.shape)
    this.#filter = new SlotFilter({
      bridge,
      pool: data.pool,
      reader: this.#reader,
      recordsMax: data.slots.shape.recordsMax,
      encoder: encoderFor(data.settings.output),
      span: spanOf(data.settings),
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
    const { slots, counters } = this.#options
    const release = () => slots.release(slotIndex)
    this.#whileWaiting = whileWaiting ?? NOTHING_TO_SERVE
    const { records, matched } = this.#filter.process(slotIndex, this.#matcher, release)
    this.#whileWaiting = null
    if (this.#nextMatcher !== null) this.#takeMatcher(this.#nextMatcher)
    counters.add('matched', matched)
    counters.add('filtered', records - matched)
    counters.set('lastNs', process.hrtime.bigint())
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
      case 'matcher':
        if (this.#whileWaiting === null) this.#takeMatcher(message.matcher)
        else this.#nextMatcher = message.matcher
        break
    }
  }

  /** Main closes an older one as soon as this is said. */
  #takeMatcher(matcher: BridgeId): void {
    this.#matcher = matcher
    this.#nextMatcher = null
    this.#options.send({ kind: 'matcherTaken', matcher }, [])
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
    while (!this.#runLog.tryWrite(run)) {
      if (this.#options.signals.phase === PHASE_END) return
      this.#runLog.waitForRoom(WAIT_MS)
      this.#whileWaiting?.()
    }
  }

  #deliver(batch: MatchedBatch): void {
    const { signals, data, send } = this.#options
    while (signals.isFull(data.credit)) {
      if (signals.phase === PHASE_END) return
      signals.waitForRoom(data.credit, WAIT_MS)
      this.#whileWaiting?.()
    }
    signals.take(batch.ends.length, batch.body.byteLength)
    const origins = batch.runs.flatMap(({ offsets, timestampsMs, timestampTypes }) => [
      offsets.buffer,
      timestampsMs.buffer,
      timestampTypes.buffer,
    ])
    send({ kind: 'matched', batch }, [batch.body.buffer, batch.ends.buffer, ...origins])
  }
}

function spanOf({ replay }: PipelineSettings): TimeSpan | null {
  return replay && { fromMs: replay.fromMs, toMs: replay.toMs ?? Infinity }
}
