/**
 * Reads one whole segment, verifies every checksum, and reports the entries present, the entries
 * missing, and the offsets from which Kafka can supply the missing ones.
 *
 * Used at startup on the segments of an earlier process, by `spill ls|verify`, and by the reader
 * after damage. It changes nothing.
 */
import { BlockCursor } from './block-cursor.ts'
import type { SourceRange, SpillDamage } from './contract.ts'
import type { DiskFile } from '../../core/disk.ts'
import {
  checkHeader,
  HEADER_BYTES,
  KIND_ENTRY,
  KIND_RANGES,
  KIND_SEAL,
  readRanges,
  type Ranges,
  EntryReader,
  missingRanges,
  RangeTally,
} from './format.ts'

/** Of one read; large enough for a disk's full speed. */
const CHUNK_BYTES = 4 * 1024 * 1024

export interface ScannedSegment {
  readonly file: string
  readonly bytes: number
  /** Set when a later version wrote it; then nothing else was read. */
  readonly foreignVersion: number | null
  /** Intact entries. */
  readonly entryCount: number
  /** The next ordinal: entries stored, intact or not. */
  readonly ordinalEnd: number
  readonly sealed: boolean
  /** Where the last intact block ends. */
  readonly intactEnd: number
  /** The intact entries, by partition. */
  readonly ranges: readonly SourceRange[]
  /** All entries stored, lost ones too, by partition, as a seal lists them. */
  readonly storedRanges: readonly SourceRange[]
  readonly damage: readonly SpillDamage[]
  /** Ordinals [from, to) that are lost. */
  readonly lostOrdinals: readonly OrdinalSpan[]
  /** The ranges that speak for entries that are not there, damaged or torn. */
  readonly lostRanges: readonly LostRange[]
}

/** Ordinals [from, to). */
export type OrdinalSpan = readonly [from: number, to: number]

export interface LostRange {
  readonly range: SourceRange
  /** The range speaks for entries of these ordinals. */
  readonly ordinals: OrdinalSpan
}

/** The data needed to scan a segment. */
export interface SegmentFile {
  readonly name: string
  readonly number: number
  readonly sync: Buffer
}

/**
 * Scans up to `end` (the file's size, or less where a writer is at work).
 * @param stored the mark beside the segment (StoredMark), or null.
 * @param visit called for each intact entry, once, in the order of ordinals; `bytes` is the length
 * of its block.
 */
export async function scanSegment(
  file: DiskFile,
  segment: SegmentFile,
  end: number,
  stored: Ranges | null,
  visit?: (entry: EntryReader, bytes: number) => void,
): Promise<ScannedSegment> {
  const header = Buffer.alloc(Math.min(HEADER_BYTES, end))
  await file.read(header, 0)
  const verdict = checkHeader(header, segment.number, segment.sync)
  const account = new SegmentAccount()
  if (typeof verdict === 'object') return account.result(segment.name, end, [], verdict.version)
  const cursor = new BlockCursor(file, segment.sync, HEADER_BYTES, end, CHUNK_BYTES, true)
  const entry = new EntryReader()
  for (;;) {
    const step = cursor.next()
    if (step === 'end') break
    if (step === 'more') {
      await cursor.load()
      continue
    }
    account.intactEnd = cursor.position + cursor.length
    const kind = cursor.view.getUint16(cursor.at + 16, true)
    if (kind === KIND_ENTRY) {
      if (!entry.read(cursor.bytes, cursor.view, cursor.at, cursor.length)) continue
      if (account.entry(entry)) visit?.(entry, cursor.length)
    } else if (kind === KIND_RANGES || kind === KIND_SEAL) {
      const content = readRanges(cursor.bytes, cursor.view, cursor.at)
      if (kind === KIND_RANGES) account.announce(content)
      else account.seal(content)
    }
  }
  const damaged = [...cursor.damaged]
  if (verdict === 'damaged' && end > 0)
    damaged.unshift({ from: 0, to: Math.min(HEADER_BYTES, end) })
  const { ordinalEnd, storedRanges } = account
  if (stored === null || stored.entryCount <= ordinalEnd) {
    if (stored?.entryCount === ordinalEnd) account.nameStored(stored)
    return account.result(segment.name, cursor.end, damaged, null)
  }
  account.seal(stored)
  const result = account.result(segment.name, cursor.end, damaged, null)
  // Its end is lost, and the segment is to end where it is intact.
  return { ...result, sealed: false, ordinalEnd, storedRanges }
}

/** Compares the entries of a segment with those that its ranges and its seal announce. */
class SegmentAccount {
  intactEnd = HEADER_BYTES
  #entryCount = 0
  /** The next ordinal. */
  #expected = 0
  #seal: Ranges | null = null
  /** The entries up to the last intact one, where no seal lists them. */
  #stored: Ranges | null = null
  #announced: Ranges | null = null
  /** Of the entries announced last. */
  #announcedSeen = new RangeTally()
  readonly #seen = new RangeTally()
  /** Lost entries for which a ranges block speaks. */
  readonly #lost: LostRange[] = []
  readonly #lostOrdinals: OrdinalSpan[] = []

  get ordinalEnd(): number {
    return this.#expected
  }

  /** Entries seen, and entries known to be lost, by partition. */
  get storedRanges(): readonly SourceRange[] {
    const stored = new RangeTally()
    stored.addAll(this.#seen.ranges)
    stored.addAll(this.#lost.map(({ range }) => range))
    return stored.ranges
  }

  /** @returns false for no entry of its own: ordinals rise, so the block is a copy of another. */
  entry(entry: EntryReader): boolean {
    if (entry.ordinal < this.#expected) return false
    this.#gapBefore(entry.ordinal)
    this.#expected = entry.ordinal + 1
    this.#entryCount++
    const announced = this.#announced
    if (announced !== null && entry.ordinal >= announced.firstOrdinal + announced.entryCount) {
      this.#endAnnounced()
    }
    this.#seen.addOne(entry)
    if (this.#announced !== null) this.#announcedSeen.addOne(entry)
    return true
  }

  announce(content: Ranges): void {
    this.#endAnnounced()
    this.#gapBefore(content.firstOrdinal)
    this.#announced = content
    this.#announcedSeen = new RangeTally()
  }

  seal(content: Ranges): void {
    this.#gapBefore(content.entryCount)
    // Announced but never stored: cut when an earlier process found the end torn.
    const end = (this.#announced?.firstOrdinal ?? 0) + (this.#announced?.entryCount ?? 0)
    if (end > content.entryCount) this.#announced = null
    this.#endAnnounced()
    this.#seal = content
  }

  /** Reports entries lost together with their ranges block, but none behind them. */
  nameStored(content: Ranges): void {
    this.#stored = content
  }

  result(
    file: string,
    bytes: number,
    damaged: readonly { readonly from: number; readonly to: number }[],
    foreignVersion: number | null,
  ): ScannedSegment {
    const torn = this.#tornRanges()
    const lostCount = this.#lostOrdinals.reduce((sum, [from, to]) => sum + to - from, 0)
    const lostRanges = [...this.#lost, ...this.#sealLost()]
    const lost = lostRanges.map(({ range }) => range)
    const attributed = lost.reduce((sum, range) => sum + range.count, 0)
    const stored = new RangeTally()
    stored.addAll(this.#seen.ranges)
    stored.addAll(lost)
    const damage: SpillDamage[] = []
    const tail = damaged.at(-1)
    const tornTail = this.#seal === null && tail !== undefined && tail.to === bytes
    const inside = tornTail ? damaged.slice(0, -1) : damaged
    const [first, last] = [inside[0], inside.at(-1)]
    if ((first !== undefined && last !== undefined) || lostCount > 0) {
      damage.push({
        file,
        bytesFrom: first?.from ?? 0,
        bytesTo: last?.to ?? bytes,
        lostCount,
        ranges: lost,
        unattributedCount: Math.max(0, lostCount - attributed),
        torn: false,
      })
    }
    if (tornTail || torn.length > 0) {
      const tornCount = torn.reduce((sum, { range }) => sum + range.count, 0)
      damage.push({
        file,
        bytesFrom: tornTail ? tail.from : bytes,
        bytesTo: bytes,
        lostCount: tornCount,
        ranges: torn.map(({ range }) => range),
        unattributedCount: 0,
        torn: true,
      })
    }
    return {
      file,
      bytes,
      foreignVersion,
      entryCount: this.#entryCount,
      ordinalEnd: this.#expected,
      sealed: this.#seal !== null,
      intactEnd: this.intactEnd,
      ranges: this.#seen.ranges,
      storedRanges: stored.ranges,
      damage,
      lostOrdinals: this.#lostOrdinals,
      lostRanges: [...new Set([...lostRanges, ...torn])],
    }
  }

  #gapBefore(ordinal: number): void {
    if (ordinal > this.#expected) this.#lostOrdinals.push([this.#expected, ordinal])
    this.#expected = Math.max(this.#expected, ordinal)
  }

  /** Entries that were announced and did not come are lost. */
  #endAnnounced(): void {
    if (this.#announced !== null) this.#lost.push(...this.#missingOf(this.#announced))
    this.#announced = null
  }

  /** Announced, not there, and nothing intact behind: the end of an unfinished segment. */
  #tornRanges(): LostRange[] {
    const announced = this.#announced
    if (announced === null || announced.firstOrdinal + announced.entryCount <= this.#expected) {
      this.#endAnnounced()
      return []
    }
    const missing = this.#missingOf(announced)
    // Entries are missing before the last intact one as well: the ranges speak for both.
    if (this.#lostOrdinals.some(([, to]) => to > announced.firstOrdinal))
      this.#lost.push(...missing)
    this.#announced = null
    return missing
  }

  #missingOf({ firstOrdinal, entryCount, ranges }: Ranges): LostRange[] {
    const ordinals: OrdinalSpan = [firstOrdinal, firstOrdinal + entryCount]
    return missingRanges(ranges, this.#announcedSeen).map((range) => ({ range, ordinals }))
  }

  /** What only the seal or the mark knows of: entries lost together with their ranges block. */
  #sealLost(): LostRange[] {
    const seal = this.#seal ?? this.#stored
    if (seal === null) return []
    const known = new RangeTally()
    known.addAll(this.#seen.ranges)
    known.addAll(this.#lost.map(({ range }) => range))
    const ordinals: OrdinalSpan = [0, seal.entryCount]
    return missingRanges(seal.ranges, known).map((range) => ({ range, ordinals }))
  }
}
