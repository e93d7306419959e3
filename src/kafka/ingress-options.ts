/**
 * The options of an ingress thread: its consumer, the pool, and its line to main. Made once, by the
 * thread's entry (run/), and shared by the parts of the thread.
 */
import type { BridgeId, FillLimits } from '../bridge/bridge.ts'
import type { CounterRow } from '../pool/counters.ts'
import type { Signals } from '../pool/signals.ts'
import type { SlotReader } from '../pool/slot-reader.ts'
import type { Slots } from '../pool/slots.ts'
import type { Consumer } from './consumer.ts'
import type { IngressMessage, ToIngress } from './ingress-messages.ts'
import type { AskReaders } from './group-check.ts'
import type { PipelineIdentity } from './pipeline-identity.ts'
import type { Subscription } from './subscription.ts'
import type { StartPosition } from '../options/notations.ts'
import type { MarkedRange } from './offset-ranges.ts'

/** The filter of a thread (filter/). While the output has no room it calls back, over and over. */
export interface FilterHere {
  /** Filters the slot, and releases it. */
  process(slotIndex: number, whileWaiting: () => void): void
  /** Hands on the matches gathered so far. */
  flush(whileWaiting: () => void): void
  readonly hasGathered: boolean
}

export interface IngressOptions {
  readonly consumer: Consumer
  readonly pool: BridgeId
  readonly slots: Slots
  readonly reader: SlotReader
  readonly counters: CounterRow
  readonly signals: Signals
  readonly limits: FillLimits
  readonly start: StartPosition
  /** Read each partition up to the end that it has when it is given, and say when all are read. */
  readonly untilEnd: boolean
  /** Whether anything is committed. */
  readonly commits: boolean
  readonly revokeDrainMs: number
  /** Time without a free slot after which the partitions are paused. */
  readonly stallPauseMs: number
  /** Skip records that cannot be read, and count them as lost. */
  readonly skipUnreadable: boolean
  /** OVERFLOW_DROP_NEWEST: drop the newest records rather than wait. */
  readonly dropNewest: boolean
  readonly send: (message: IngressMessage) => void
  /** The next message from main, if there is one. */
  readonly receive: () => ToIngress | undefined
  /** Sleeps; the thread has no event loop to return to. */
  readonly sleep: (ms: number) => void
  /** Direct mode: filters slots in this thread. */
  readonly filterHere: FilterHere | null
  /** Drops the records of a slot, and reports its runs. */
  readonly drop: (slotIndex: number) => void
  readonly nowMs: () => number
  /** ms since 1970. */
  readonly wallMs: () => number
  /** The topics to read; null: the ranges say it, or nothing can be read. */
  readonly subscription: Subscription | null
  /** Whether the group's offsets say where to begin. */
  readonly asksGroup: boolean
  /** Kept by the group beside each offset. */
  readonly identity: PipelineIdentity
  /** Called once, when the group has given its first assignment. */
  readonly onJoined: (ask: AskReaders) => void
  /** What to read without a group, and no more; null: all from the start offset on. */
  readonly ranges: readonly MarkedRange[] | null
}
