/**
 * The memory that main and its threads share: made once at start, and handed to each thread.
 */
import { Counters } from '../pool/counters.ts'
import type { SlotShape } from '../pool/layout.ts'
import { RunLog } from '../pool/run-log.ts'
import { Signals } from '../pool/signals.ts'
import { Slots } from '../pool/slots.ts'
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
    this.slots = new Slots(Slots.allocate(this.shape, readyMax))
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
