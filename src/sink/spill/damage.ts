/**
 * Says what the reader lost: only of entries that waited, for a scan knows nothing of what was sent
 * before it was damaged, nor of what was reported before.
 */
import type { DamagedBytes } from './block-cursor.ts'
import type { SourceRange, SpillDamage } from './contract.ts'
import type { LostRange, OrdinalSpan } from './scan.ts'
import type { LostEntries } from './segment.ts'

/** @param ranges that speak for what a scan did not find; those of other ordinals are left out. */
export function damageOf(
  file: string,
  damaged: readonly DamagedBytes[],
  { counts, ordinals }: LostEntries,
  ranges: readonly LostRange[],
): SpillDamage {
  const lostCount = counts.reduce((sum, { count }) => sum + count, 0)
  const left = new Map<string, number>()
  for (const { topic, partition, count } of counts) {
    const key = `${topic}/${partition}`
    left.set(key, (left.get(key) ?? 0) + count)
  }
  const named: SourceRange[] = []
  for (const { range, ordinals: span } of ranges) {
    const key = `${range.topic}/${range.partition}`
    const leftCount = left.get(key)
    if (leftCount === undefined || !ordinals.some((ordinal) => isWithin(ordinal, span))) continue
    // What was sent counts in the range too, so others may name what this one seems to: all stay.
    const count = Math.min(range.count, leftCount)
    left.set(key, leftCount - count)
    named.push({ ...range, count })
  }
  const [first, last] = [damaged[0], damaged.at(-1)]
  return {
    file,
    bytesFrom: first?.from ?? 0,
    bytesTo: last?.to ?? 0,
    lostCount,
    ranges: named,
    unattributedCount: [...left.values()].reduce((sum, count) => sum + count, 0),
    torn: false,
  }
}

function isWithin(ordinal: number, [from, to]: OrdinalSpan): boolean {
  return from <= ordinal && ordinal < to
}
