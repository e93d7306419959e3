/**
 * What main hands to a thread when it starts, and says to it later.
 *
 * Two files see it: pipeline.ts, which starts the threads, and thread-entry.ts, which they run.
 */
import type { MessagePort } from 'node:worker_threads'
import type { BridgeId } from '../bridge/bridge.ts'
import type { AssignmentName, MatchedBatch } from '../filter/slot-filter.ts'
import type { CreditLimits } from '../pool/signals.ts'
import type { SlotsMemory } from '../pool/slots.ts'
import type { PipelineSettings } from './settings.ts'

export interface ThreadData {
  readonly role: 'ingress' | 'filter'
  /** Counts from 0 within the role. */
  readonly index: number
  /** The thread's row in the counters, and its run log. */
  readonly row: number
  readonly settings: PipelineSettings
  readonly pool: BridgeId
  readonly matcher: BridgeId
  readonly slots: SlotsMemory
  readonly counters: SharedArrayBuffer
  readonly signals: SharedArrayBuffer
  readonly runLog: SharedArrayBuffer
  readonly credit: CreditLimits
  /** The thread's line to main. */
  readonly port: MessagePort
}

/** What a filtering thread hears from main (an ingress thread in direct mode, too). */
export type ToFilter =
  | {
      readonly kind: 'names'
      readonly names: readonly (AssignmentName & { readonly assignmentId: number })[]
    }
  /** These were given away; nothing of them is sent any more. */
  | { readonly kind: 'forget'; readonly assignmentIds: readonly number[] }
  | { readonly kind: 'matcher'; readonly matcher: BridgeId }

/** What a filtering thread says to main. */
export type FromFilter =
  | { readonly kind: 'matched'; readonly batch: MatchedBatch }
  /** It scans with this one from now on. */
  | { readonly kind: 'matcherTaken'; readonly matcher: BridgeId }
