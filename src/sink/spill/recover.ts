/**
 * Recovers a segment of an earlier process: checks it, cuts its torn end, seals it.
 *
 * A segment with lost entries stays unchanged until `finishRecovery`, so that a crash before the
 * damage is handled only means that it is reported again.
 */
import type { SpillDamage } from './contract.ts'
import { NameBytes, sealBlock } from './format.ts'
import { LogpipeError } from '../../core/errors.ts'
import { scanSegment, type ScannedSegment, type SegmentFile } from './scan.ts'
import { Segment } from './segment.ts'
import { type SpillStore, loadStoredMark, removeStoredMark } from './directory.ts'

export interface RecoveredSegment {
  readonly segment: Segment
  readonly scan: ScannedSegment
  /** Damage to entries that were not sent before. */
  readonly damage: readonly SpillDamage[]
}

/** @param goneBelow entries with a lower ordinal were sent before (progress.json). */
export async function recoverSegment(
  store: SpillStore,
  found: SegmentFile,
  goneBelow: number,
): Promise<RecoveredSegment> {
  const segment = new Segment(found.number, found.sync, true)
  const file = await store.disk.open(store.pathOf(segment), 'read')
  let scan: ScannedSegment
  let size: number
  try {
    size = await file.size()
    const stored = await loadStoredMark(store.disk, store.pathOf(segment), found.sync)
    scan = await scanSegment(file, found, size, stored, (entry, bytes) => {
      if (entry.ordinal < goneBelow) return
      const group = segment.groups.of(entry.topic, entry.partition, entry.index)
      segment.addLeftover(entry.ordinal, group, bytes)
    })
  } finally {
    await file.close()
  }
  if (scan.foreignVersion !== null) {
    throw new LogpipeError(
      'SPILL',
      `${store.pathOf(segment)} has format version ${scan.foreignVersion}: ` +
        'a newer logpipe wrote it; send it with `logpipe spill drain` of that version',
    )
  }
  segment.endLeftovers(scan.ordinalEnd, scan.intactEnd)
  segment.end()
  segment.grow(size)
  store.add(segment)
  const lost = scan.lostOrdinals
  const isSent = lost.length > 0 && lost.every(([, to]) => to <= goneBelow)
  const damage = scan.damage.filter((one) => one.torn || !isSent)
  if (damage.some((one) => one.lostCount > 0)) segment.pin(lost[0]?.[0] ?? scan.ordinalEnd)
  const recovered = { segment, scan, damage }
  if (!segment.isPinned) await finishRecovery(store, recovered)
  return recovered
}

/** Cuts and seals unfinished segments, and deletes empty ones. */
export async function finishRecovery(
  store: SpillStore,
  { segment, scan }: RecoveredSegment,
): Promise<void> {
  if (segment.isRemoved) return
  if (!scan.sealed && segment.liveCount > 0) {
    // The file stays until it is sealed, whatever is released meanwhile.
    segment.beginRead()
    const seal = sealBlock(segment.sync, scan.ordinalEnd, scan.storedRanges, new NameBytes())
    const file = await store.disk.open(store.pathOf(segment), 'update')
    try {
      await file.truncate(scan.intactEnd)
      store.grow(segment, scan.intactEnd - segment.size)
      await file.write(seal, scan.intactEnd)
      await file.datasync()
      store.grow(segment, seal.length)
      segment.readableToEnd()
      // Where it ends is known by its seal from now on.
      await removeStoredMark(store.disk, store.pathOf(segment))
    } catch (error) {
      // On a full disk it stays unsealed; the next start tries again.
      store.events.trouble(store.error(`seal ${segment.name}`, error).message)
    } finally {
      segment.endRead()
      await file.close()
    }
  }
  store.retire(segment)
}
