/** What is still to be read, from what the ingress threads say of positions and ends. */
import type { AssignmentState } from './assignments.ts'
import type { PipelineStats } from './result.ts'

export function lagsOf(
  assignments: Iterable<Pick<AssignmentState, 'topic' | 'partition' | 'position' | 'endOffset'>>,
): Pick<PipelineStats, 'lagRecords' | 'partitionLags'> {
  const partitionLags = []
  let lagRecords: number | null = null
  for (const { topic, partition, position, endOffset } of assignments) {
    if (endOffset < 0) continue
    const lag = Math.max(0, endOffset - position)
    partitionLags.push({ topic, partition, lagRecords: lag })
    lagRecords = (lagRecords ?? 0) + lag
  }
  partitionLags.sort((left, right) => right.lagRecords - left.lagRecords)
  return { lagRecords, partitionLags }
}
