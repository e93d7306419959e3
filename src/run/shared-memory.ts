/**
 * The memory that main and its threads share: made once at start, and handed to each thread.
 */
import { LogpipeError } from '../core/errors.ts'
import { formatBytes } from '../core/units.ts'
import { Counters } from '../pool/counters.ts'
import type { SlotShape } from '../pool/layout.ts'
import { RunLog } from '../pool/run-log.ts'
import { Signals } from '../pool/signals.ts'
import { Slots, type SlotsMemory } from '../pool/slots.ts'
import type { PipelineSettings } from './settings.ts'
import type { ThreadData } from './thread-data.ts'

export class SharedMemory {
  readonly shape: SlotShape
  readonly slots: Slots
  readonly signals = new Signals(Signals.allocate())
  readonly counters: Counters
  /** One a thread. */
  readonly runLogs: readonly RunLog[]

  constructor({ pool }: PipelineSettings, threadCount: number) {
    const { slotCount, bufferBytes, readyMax, limits } = pool
    this.shape = { slotCount, bufferBytes, recordsMax: limits.recordsMax }
    this.slots = new Slots(allocateSlots(this.shape, readyMax))
    this.counters = new Counters(Counters.allocate(threadCount))
    this.runLogs = Array.from({ length: threadCount }, () => new RunLog(RunLog.allocate()))
  }

  /** What the thread of this row attaches to. */
  forThread(row: number): Pick<ThreadData, 'slots' | 'counters' | 'signals' | 'runLog'> {
    const runLog = this.runLogs[row]!
    return {
      slots: this.slots.memory,
      counters: this.counters.memory,
      signals: this.signals.memory,
      runLog: runLog.memory,
    }
  }
}

/** @throws LogpipeError MEMORY: more than can be had, where no limit was known before. */
function allocateSlots(shape: SlotShape, readyMax: number): SlotsMemory {
  try {
    return Slots.allocate(shape, readyMax)
  } catch (cause) {
    if (!(cause instanceof RangeError)) throw cause
    const { slotCount, bufferBytes } = shape
    const what = `${slotCount} slots of ${formatBytes(bufferBytes)} cannot be allocated`
    throw new LogpipeError('MEMORY', `${what}: lower POOL_SIZE or BUFFER_BYTES`, { cause })
  }
}
