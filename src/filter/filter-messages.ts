/** The conversation of main and a filtering thread (an ingress thread in direct mode, too). */
import type { BridgeId } from '../bridge/bridge.ts'
import type { PackedBatch } from './matches.ts'
import type { AssignmentName } from './slot-filter.ts'

export type ToFilter =
  | {
      readonly kind: 'names'
      readonly names: readonly (AssignmentName & { readonly assignmentId: number })[]
    }
  /** These were given away; nothing of them is sent any more. */
  | { readonly kind: 'forget'; readonly assignmentIds: readonly number[] }
  | { readonly kind: 'matcher'; readonly matcher: BridgeId }

export type FromFilter =
  | { readonly kind: 'matched'; readonly batch: PackedBatch }
  /** It scans with this one from now on. */
  | { readonly kind: 'matcherTaken'; readonly matcher: BridgeId }
