/**
 * Reads records on the calling thread, beside a pipeline: one consumer fills one slot, which the
 * filter empties before the next fill.
 *
 * Bound. One slot, and BUFFER_BYTES of record batches in it; a fill blocks for `fillMs` at most.
 */
import assert from 'node:assert/strict'
import type { Bridge, BridgeId, ConsumerEvent, MatcherOptions } from '../bridge/bridge.ts'
import type { DocumentEdits, RuleList } from '../core/rules.ts'
import { FieldEditor } from '../filter/field-editor.ts'
import { Rules } from '../filter/rules.ts'
import { SlotFilter, type SlotFilterOptions, type SlotProgram } from '../filter/slot-filter.ts'
import type { Consumer } from '../kafka/consumer.ts'
import { type RunEntry, SlotReader } from '../pool/slot-reader.ts'
import { Slots } from '../pool/slots.ts'

interface SlotFeedOptions extends Pick<
  SlotFilterOptions,
  'encoder' | 'nameOf' | 'report' | 'deliver'
> {
  readonly bridge: Bridge
  /** The caller opens, assigns and closes it. */
  readonly consumer: Consumer
  /** What of the records the encoder is given. */
  readonly filter: MatcherOptions & { readonly metricsFrom?: number | null }
  readonly rules?: RuleList | null
  readonly edits?: DocumentEdits | null
  readonly bufferBytes: number
  readonly fillMs: number
}

/** What one fill gave. */
interface Fed {
  /** As they were read; what matched of them was delivered. */
  readonly runs: readonly RunEntry[]
  /** The ends of partitions that were reached, as their leaders know them. */
  readonly ends: readonly Extract<ConsumerEvent, { kind: 'end' }>[]
}

const RECORDS_MAX = 4096
/** Record batches asked for in one call: the add-on's own bound (bridge/native/fill.cc). */
const PULL_MAX = 128

export class SlotFeed {
  readonly #options: SlotFeedOptions
  readonly #slots: Slots
  readonly #reader: SlotReader
  readonly #pool: BridgeId
  readonly #program: SlotProgram
  readonly #filter: SlotFilter
  #lastFault: string | null = null

  constructor(options: SlotFeedOptions) {
    const { bridge, filter, rules = null, edits = null, bufferBytes } = options
    const from = filter.metricsFrom ?? null
    this.#options = options
    const shape = { slotCount: 1, bufferBytes, recordsMax: RECORDS_MAX }
    this.#slots = new Slots(Slots.allocate(shape, 1))
    const { slots } = this.#slots.memory
    this.#reader = new SlotReader(slots, shape)
    this.#pool = bridge.poolOpen(slots, shape)
    this.#program = {
      matcher: bridge.matcherOpen(filter),
      rules: rules && new Rules(bridge, rules),
      editor: edits && new FieldEditor(edits),
      // What is counted, a pipeline counts.
      counted: from === null ? undefined : { from, counter: null },
    }
    this.#filter = new SlotFilter({
      ...options,
      pool: this.#pool,
      reader: this.#reader,
      recordsMax: RECORDS_MAX,
      span: null,
    })
  }

  /** The last error that librdkafka gave, and what it said of damage; null: none. */
  get lastFault(): string | null {
    return this.#lastFault
  }

  fill(): Fed {
    const { consumer, bufferBytes: bytesMax, fillMs: timeoutMs } = this.#options
    const slotIndex = this.#slots.acquire(0)
    assert(slotIndex !== undefined, 'its only slot')
    const limits = { recordsMax: RECORDS_MAX, bytesMax, pullMax: PULL_MAX, timeoutMs }
    const recordCount = consumer.fill(this.#pool, slotIndex, { ...limits, heldMax: bytesMax })
    const runs = recordCount > 0 ? this.#filterSlot(slotIndex) : []
    if (recordCount === 0) this.#slots.giveBack(slotIndex)
    return { runs, ends: this.#readEvents() }
  }

  close(): void {
    const { bridge } = this.#options
    bridge.poolClose(this.#pool)
    bridge.matcherClose(this.#program.matcher)
    this.#program.rules?.close()
  }

  #filterSlot(slotIndex: number): readonly RunEntry[] {
    this.#slots.claimOwn(slotIndex)
    this.#reader.open(slotIndex)
    // Before the scan: where one has no room for all that matches, it leaves its part of the runs.
    const runs = Array.from({ length: this.#reader.runCount }, (_, index) =>
      this.#reader.run(index),
    )
    this.#filter.process(slotIndex, this.#program, () => this.#slots.release(slotIndex))
    this.#filter.flush()
    return runs
  }

  #readEvents(): Fed['ends'] {
    const events = this.#options.consumer.events()
    for (const event of events) {
      if (event.kind === 'error' || event.kind === 'unreadable') this.#lastFault = event.message
      if (event.kind === 'rewind') this.#lastFault = event.damage
    }
    return events.filter((event) => event.kind === 'end')
  }
}
