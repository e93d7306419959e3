/**
 * Which partitions are not read on for now: those with too many unresolved offsets, and those that
 * the output asks to hold, for they would take the room of others.
 *
 * Looked at with every tick of the coordinator; told to the ingress thread when it changes.
 */
import type { ToIngress } from '../kafka/ingress-messages.ts'
import type { Ledger } from '../offsets/ledger.ts'
import type { Sink } from '../sink/sink.ts'
import type { AssignmentState } from './assignments.ts'
import { keyOf } from '../core/topic-partition.ts'

export interface HoldParts {
  readonly ledger: Pick<Ledger, 'isOpen' | 'isFull'>
  readonly sink: Pick<Sink, 'crowdedPartitions'>
  readonly toIngress: (ingressIndex: number, message: ToIngress) => void
}

/** @param states the assignments of this process; `held` is kept in them. */
export function lookAtHolds(
  states: Iterable<AssignmentState>,
  { ledger, sink, toIngress }: HoldParts,
): void {
  const crowded = new Set(sink.crowdedPartitions?.().map(keyOf))
  for (const state of states) {
    const { assignmentId, ingressIndex, topic, partition } = state
    if (!ledger.isOpen(assignmentId)) continue
    const isHeld = ledger.isFull(assignmentId) || crowded.has(keyOf({ topic, partition }))
    if (isHeld === state.held) continue
    state.held = isHeld
    toIngress(ingressIndex, { kind: isHeld ? 'pause' : 'resume', assignmentIds: [assignmentId] })
  }
}
