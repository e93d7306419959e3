/**
 * Carries out what the table of answers says, document by document.
 *
 * Used by the writer for every answered request. Neighbours with the same answer are handled as one
 * range, so a partial refusal costs work for what was refused, not for what was written.
 */
import assert from 'node:assert/strict'
import type { Outcome } from '../sink.ts'
import type { AnswerRow, Verdict } from './answers.ts'
import type { BulkItem } from './bulk-answer.ts'
import { judge } from './judge.ts'
import { partOf, type Parcel } from './parcel.ts'
import type { BulkRequest } from './request.ts'

export interface Refusal {
  readonly status: number
  readonly errorType: string
  readonly reason: string
}

/** What the writer does for a range of documents that were not written. */
export interface VerdictActions {
  retry(parcel: Parcel, refusal: Refusal): void
  hold(parcel: Parcel, refusal: Refusal): void
  deadLetter(parcel: Parcel, refusal: Refusal): void
}

export interface Tally {
  /** Documents refused with 429. */
  rejectedCount: number
  /** Documents whose index must wait. */
  heldCount: number
  /** Something was written, or found written. */
  resolvedCount: number
}

const OUTCOME_OF: Partial<Record<Verdict, Outcome>> = {
  indexed: 'indexed',
  duplicate: 'duplicate',
  drop: 'dropped',
}

/** Settles or hands on every document of an answered request. */
export function applyItems(
  request: BulkRequest,
  items: readonly BulkItem[],
  overrides: readonly AnswerRow[],
  actions: VerdictActions,
): Tally {
  assert.equal(items.length, request.documentCount)
  const tally: Tally = { rejectedCount: 0, heldCount: 0, resolvedCount: 0 }
  let first = 0
  for (const parcel of request.parcels) {
    let from = parcel.from
    while (from < parcel.to) {
      const item = items[first + from - parcel.from]!
      let to = from + 1
      while (to < parcel.to && isSame(items[first + to - parcel.from]!, item)) to++
      applyRange(partOf(parcel, from, to), item, overrides, actions, tally)
      from = to
    }
    first += parcel.to - parcel.from
  }
  return tally
}

function isSame(left: BulkItem, right: BulkItem): boolean {
  return (
    left.status === right.status &&
    left.failureStore === right.failureStore &&
    left.isDropped === right.isDropped &&
    left.errorType === right.errorType &&
    left.reason === right.reason
  )
}

/** What became of a document that was answered well. */
function writtenAs({ failureStore, isDropped }: BulkItem): Outcome {
  if (isDropped) return 'pipeline_dropped'
  return failureStore ? 'failure_store' : 'indexed'
}

function applyRange(
  parcel: Parcel,
  item: BulkItem,
  overrides: readonly AnswerRow[],
  actions: VerdictActions,
  tally: Tally,
): void {
  const row = judge({ scope: 'item', ...item }, overrides)
  const count = parcel.to - parcel.from
  const outcome = OUTCOME_OF[row.verdict]
  if (item.status === 429) tally.rejectedCount += count
  if (outcome !== undefined) {
    tally.resolvedCount += count
    parcel.load.settle(parcel.from, parcel.to, outcome === 'indexed' ? writtenAs(item) : outcome)
  } else if (row.verdict === 'dead_letter') {
    actions.deadLetter(parcel, item)
  } else if (row.verdict === 'hold') {
    tally.heldCount += count
    actions.hold(parcel, item)
  } else if (row.triesMax !== undefined) {
    const faulty = { ...parcel, faults: parcel.faults + 1 }
    if (faulty.faults >= row.triesMax) actions.deadLetter(faulty, item)
    else actions.retry(faulty, item)
  } else {
    // What a row says of a request (down, congestion, halt, ...) is, for an item, to try it again.
    actions.retry(parcel, item)
  }
}
