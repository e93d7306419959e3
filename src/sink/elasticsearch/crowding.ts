/**
 * When a held index has used up its share of the room, and which partitions are then not read on.
 *
 * Its documents wait in the spill, or without one in memory, beside those of all others. Its share
 * is half of that. Where it is used up, the partitions that its documents come from are paused:
 * what they have more of stays in Kafka, and the room that is left is for the indices that flow.
 * What was fetched of them before the pause still comes, and is taken: beyond the share, as long as
 * there is room at all.
 *
 * Bound. The partitions of LANES_MAX lanes.
 */
import type { Lane, Lanes } from './lane.ts'
import type { Partition } from './load.ts'
import type { Overflow } from './outlets.ts'
import type { ElasticsearchSettings } from './settings.ts'

/** Of the spill, or of the memory queue's documents and bytes. */
const SHARE = 1 / 2
/** Of its share, below which its partitions are read again: pausing costs what was fetched. */
const REOPEN_PART = 0.75

const NOBODY: readonly Partition[] = []

/** Looks at every lane anew. @returns the partitions to be paused; one may come twice. */
export function crowdedPartitions(
  lanes: Lanes,
  overflow: Pick<Overflow, 'bytesOfIndex'> | null,
  settings: ElasticsearchSettings,
): readonly Partition[] {
  if (lanes.size === 0) return NOBODY
  const partitions: Partition[] = []
  for (const lane of lanes.all) {
    const used = usedPart(lane, overflow, settings)
    lane.isCrowded = used >= (lane.isCrowded ? SHARE * REOPEN_PART : SHARE)
    if (lane.isCrowded) partitions.push(...lane.sources.values())
  }
  return partitions
}

/** 0 to 1, and somewhat more. */
function usedPart(
  { index, line }: Lane,
  overflow: Pick<Overflow, 'bytesOfIndex'> | null,
  { spillBytesMax, queueCap, queueBytes }: ElasticsearchSettings,
): number {
  const inMemory = Math.max(line.documentCount / queueCap, line.byteCount / queueBytes)
  const hasDisk = overflow !== null && spillBytesMax > 0
  const onDisk = hasDisk ? overflow.bytesOfIndex(index) / spillBytesMax : 0
  return Math.max(inMemory, onDisk)
}
