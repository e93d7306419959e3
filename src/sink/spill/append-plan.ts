/**
 * Plans one append before a byte of it is written: which entries share a ranges block, and how much
 * of the disk it can take at most, so that `full` is known at once.
 */
import type { SourceRange, SpillEntry } from './contract.ts'
import type { NameBytes } from './format.ts'
import { ENTRY_HEAD_BYTES, HEADER_BYTES, logName, RANGES_BYTES_MAX, rangesBytes } from './format.ts'
import { RangeTally } from './range-tally.ts'

/** Entries [from, to) of an append, behind one ranges block. */
export interface EntryGroup {
  readonly from: number
  readonly to: number
  readonly ranges: readonly SourceRange[]
  /** Of the ranges block and the entries. */
  readonly bytes: number
}

export interface AppendPlan {
  readonly groups: readonly EntryGroup[]
  readonly bytes: number
  /** Headers and seals of the segments that it may begin, at most. */
  readonly overheadBytes: number
}

export function planAppend(
  entries: readonly SpillEntry[],
  segmentBytes: number,
  names: NameBytes,
): AppendPlan {
  const groups: EntryGroup[] = []
  const all = new RangeTally()
  let totalBytes = 0
  for (let from = 0; from < entries.length;) {
    const tally = new RangeTally()
    let to = from
    let entriesBytes = 0
    for (; to < entries.length; to++) {
      const entry = entries[to]
      if (entry === undefined) break
      const bytes = entryBytes(entry, names)
      if (to > from && entriesBytes + bytes > RANGES_BYTES_MAX) break
      entriesBytes += bytes
      tally.addOne(entry)
    }
    const bytes = rangesBytes(tally.ranges, names) + entriesBytes
    groups.push({ from, to, ranges: tally.ranges, bytes })
    all.addAll(tally.ranges)
    totalBytes += bytes
    from = to
  }
  // Every segment holds at least one group, and segments end at most one group early.
  const room = Math.max(1, segmentBytes - RANGES_BYTES_MAX)
  const segmentCount = Math.min(groups.length, Math.ceil(totalBytes / room)) + 1
  const segmentOverhead = HEADER_BYTES + rangesBytes(all.ranges, names)
  return { groups, bytes: totalBytes, overheadBytes: segmentCount * segmentOverhead }
}

function entryBytes(entry: SpillEntry, names: NameBytes): number {
  const nameBytes = names.ofEntry(logName(entry), entry.index).bytes.length
  return ENTRY_HEAD_BYTES + nameBytes + entry.document.length
}
