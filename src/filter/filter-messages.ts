/** The conversation of main and a filtering thread (an ingress thread in direct mode, too). */
import type { BridgeId } from '../bridge/bridge.ts'
import type { DocumentEdits, RuleList } from '../core/rules.ts'
import type { PackedBatch } from './matches.ts'
import type { AssignmentName } from './slot-filter.ts'

/** What records are kept, and what becomes of them: all that changes together while threads run. */
export interface FilterProgram {
  readonly matcher: BridgeId
  /** Of the matcher's set; null: it is no set of rules. */
  readonly rules: RuleList | null
  /** Null: nothing is done to documents. */
  readonly edits: DocumentEdits | null
  /** The first alternative of the matcher's set that is a metric; null: none is. */
  readonly metricsFrom: number | null
}

export type ToFilter =
  | {
      readonly kind: 'names'
      readonly names: readonly (AssignmentName & { readonly assignmentId: number })[]
    }
  /** These were given away; nothing of them is sent any more. */
  | { readonly kind: 'forget'; readonly assignmentIds: readonly number[] }
  | { readonly kind: 'program'; readonly program: FilterProgram }

export type FromFilter =
  | { readonly kind: 'matched'; readonly batch: PackedBatch }
  /** It scans with this one from now on. */
  | { readonly kind: 'matcherTaken'; readonly matcher: BridgeId }
