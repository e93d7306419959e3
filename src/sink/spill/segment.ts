/**
 * One segment in memory: the state of each entry (waiting, in hand or gone), and their counts by
 * partition and index. Shared by the writer, which adds entries, and the reader.
 *
 *   (encoded) --publish--> WAITING --hand out--> IN_HAND --release--> GONE
 *        |                    ^                     |
 *        |                    +-------unread--------+
 *        +--discard (the write failed)--> GONE
 *
 * An entry whose group was dropped counts as GONE whatever its state says.
 *
 * The segment itself, each step asserted:
 *
 *   OPEN --end--> ENDED --remove--> REMOVED     remove: once nothing in it is live or unpublished,
 *                                               nobody reads it, and no damage is pending
 *
 *   reading:  beginRead ... endRead, as often as there are readers; the file stays that long
 *   damage:   knowDamage (it is not scanned twice) --pin--> pending --unpin--> dealt with
 *
 * Bound. One byte an entry, plus one group for each partition and index in the segment.
 */
import assert from 'node:assert/strict'
import { HEADER_BYTES, segmentName } from './format.ts'
import type { SpillCount, StoredEntry } from './contract.ts'
import type { DamagedBytes } from './block-cursor.ts'
import { childMap, type Group, GroupTable } from './entry-counts.ts'
import type { OrdinalSpan } from './scan.ts'

const WAITING = 0
const IN_HAND = 1
const GONE = 2

/** First size of the states; doubled as needed. */
const STATES_INITIAL = 1024

export class Segment {
  readonly number: number
  readonly sync: Buffer
  readonly name: string
  /** Left by an earlier process. */
  readonly leftover: boolean
  readonly groups = new GroupTable()
  #size = 0
  #entryCount = 0
  #unpublishedCount = 0
  #readableBytes = HEADER_BYTES
  #readableCount = 0
  #waitingCount = 0
  #liveCount = 0
  #liveBytes = 0
  #hasEnded = false
  #isRemoved = false
  #isSetAside = false
  #isPinned = false
  #readerCount = 0
  #readPosition = HEADER_BYTES
  /** The first lost entry, while pinned. */
  #lostFrom = Number.POSITIVE_INFINITY
  /** Damage whose losses were reported: it is passed over in silence. */
  #knownDamage: readonly DamagedBytes[] = []
  /** Ordinals below it are gone. */
  #goneBelow = 0
  #states = new Uint8Array(STATES_INITIAL)
  readonly #indexBytes = new Map<string, number>()
  /** Entries of these partitions below this ordinal are gone: topic -> partition -> ordinal. */
  readonly #droppedBelow = new Map<string, Map<number, number>>()

  constructor(number: number, sync: Buffer, leftover: boolean) {
    this.number = number
    this.sync = sync
    this.name = segmentName(number, sync)
    this.leftover = leftover
  }

  /** Bytes encoded so far: the file's size once they are written. */
  get size(): number {
    return this.#size
  }

  /** Ordinals given out. */
  get entryCount(): number {
    return this.#entryCount
  }

  /** The reader stays below this position. */
  get readableBytes(): number {
    return this.#readableBytes
  }

  /** Ordinals below this one were published, or discarded. */
  get readableCount(): number {
    return this.#readableCount
  }

  get waitingCount(): number {
    return this.#waitingCount
  }

  get liveCount(): number {
    return this.#liveCount
  }

  /** Where the next read begins. */
  get readPosition(): number {
    return this.#readPosition
  }

  get isRemoved(): boolean {
    return this.#isRemoved
  }

  /** Its damage was reported and not yet dealt with: the file stays, to report it again. */
  get isPinned(): boolean {
    return this.#isPinned
  }

  /** It is damaged, and set aside rather than deleted. */
  get isSetAside(): boolean {
    return this.#isSetAside
  }

  /** Entries were written, and none is left to be sent. */
  get isDrained(): boolean {
    return this.#entryCount > 0 && this.#liveCount === 0 && this.#unpublishedCount === 0
  }

  /** Nothing needs it any more: its file may go. */
  get isDone(): boolean {
    return this.#isIdle && this.#liveCount === 0
  }

  /** At most half its entries are live, and a copy of those could replace it. */
  get isSparse(): boolean {
    return (
      this.#isIdle &&
      !this.leftover &&
      this.#liveCount > 0 &&
      this.#waitingCount === this.#liveCount &&
      this.#liveBytes * 2 <= this.#size
    )
  }

  get liveBytes(): number {
    return this.#liveBytes
  }

  get #isIdle(): boolean {
    return (
      this.#hasEnded && !this.#isPinned && this.#unpublishedCount === 0 && this.#readerCount === 0
    )
  }

  /** Ordinals below it are gone, and saved as progress; never past the first pending loss. */
  get goneBelow(): number {
    while (
      this.#goneBelow < this.#readableCount &&
      (this.#states[this.#goneBelow] ?? GONE) === GONE
    ) {
      this.#goneBelow++
    }
    return this.#isPinned ? Math.min(this.#goneBelow, this.#lostFrom) : this.#goneBelow
  }

  /** Its file will have `bytes` more; fewer, where they are negative. */
  grow(bytes: number): void {
    assert(!this.#isRemoved, 'a removed segment does not grow')
    this.#size += bytes
    assert(this.#size >= 0, 'a segment has a size')
  }

  /** No more entries come. */
  end(): void {
    assert(!this.#hasEnded, 'ended once')
    this.#hasEnded = true
  }

  /** Its file is about to be deleted, or set aside. */
  remove(): void {
    assert(!this.#isRemoved, 'removed once')
    assert(this.#hasEnded && this.#unpublishedCount === 0, 'nobody writes it any more')
    this.#isRemoved = true
  }

  setAside(): void {
    assert(!this.#isRemoved && this.#liveCount === 0, 'set aside before its file goes')
    this.#isSetAside = true
  }

  beginRead(): void {
    assert(!this.#isRemoved, 'a removed segment is not read')
    this.#readerCount++
  }

  endRead(): void {
    assert(this.#readerCount > 0, 'a read ends once')
    this.#readerCount--
  }

  /** The next read goes on at this position. */
  readOn(position: number): void {
    assert(position >= HEADER_BYTES && position <= this.#size, 'a position in the segment')
    this.#readPosition = position
  }

  /** The file was cut or sealed: the whole file is readable. */
  readableToEnd(): void {
    assert(this.#hasEnded && !this.#isRemoved, 'an ended segment is sealed')
    this.#readableBytes = this.#size
  }

  isKnownDamage({ from, to }: DamagedBytes): boolean {
    return this.#knownDamage.some((one) => one.from <= from && to <= one.to)
  }

  knowDamage(damaged: readonly DamagedBytes[]): void {
    this.#knownDamage = [...this.#knownDamage, ...damaged]
  }

  /** The next read begins at the start and checks damage as if for the first time. */
  rescan(): void {
    this.#knownDamage = []
    this.#readPosition = HEADER_BYTES
  }

  /** Entries are lost, from this ordinal on at the earliest: keeps the file until `unpin`. */
  pin(lostFrom: number): void {
    assert(!this.#isRemoved && lostFrom >= 0, 'lost entries were in a file')
    this.#isPinned = true
    this.#lostFrom = Math.min(this.#lostFrom, lostFrom)
  }

  /** The loss was dealt with. */
  unpin(): void {
    this.#isPinned = false
    this.#lostFrom = Number.POSITIVE_INFINITY
  }

  /** Whether `read` would find something here. */
  hasWaiting(accepts: ((index: string) => boolean) | undefined): boolean {
    if (this.#waitingCount === 0 || accepts === undefined) return this.#waitingCount > 0
    for (const group of this.groups.all()) {
      if (group.waitingCount > 0 && accepts(group.index)) return true
    }
    return false
  }

  /** Gives the next ordinal to an entry that was encoded in `bytes` bytes. */
  encoded(part: AppendPart, group: Group, bytes: number): void {
    part.add(group, bytes)
    this.#giveOrdinal(part, WAITING)
  }

  /** Gives the next ordinal to an entry that is gone before it is written. */
  encodedGone(part: AppendPart): void {
    part.addGone()
    this.#giveOrdinal(part, GONE)
  }

  /** The part is on the disk, and so is all of its append. */
  publish(part: AppendPart): void {
    this.#endPart(part)
    assert(part.firstOrdinal >= this.#readableCount, 'appends are published in their order')
    assert(part.endBytes > this.#readableBytes && part.endBytes <= this.#size)
    this.#readableBytes = part.endBytes
    this.#readableCount = part.endOrdinal
    for (const { group, count: runCount, bytes } of part.runs) {
      // Dropped while it was being written.
      if (group.isDropped) continue
      this.#addLive(group, runCount, bytes)
      this.#addWaiting(group, runCount, bytes)
    }
  }

  /** The append failed: whatever of the part is on the disk does not count. */
  discard(part: AppendPart): void {
    this.#endPart(part)
    this.#states.fill(GONE, part.firstOrdinal, part.endOrdinal)
  }

  /** Takes in an entry that an earlier process stored; in ascending order. */
  addLeftover(ordinal: number, group: Group, bytes: number): void {
    assert(this.leftover && !this.#hasEnded, 'recovery takes in leftovers')
    this.#reserveStates(ordinal + 1)
    assert(ordinal >= this.#entryCount, 'leftovers come in their order')
    this.#states.fill(GONE, this.#entryCount, ordinal)
    this.#states[ordinal] = WAITING
    this.#entryCount = ordinal + 1
    this.#readableCount = ordinal + 1
    this.#addLive(group, 1, bytes)
    this.#addWaiting(group, 1, bytes)
  }

  /** All leftovers are in: entries behind the last one, up to `end`, are gone. */
  endLeftovers(end: number, readableBytes: number): void {
    assert(this.leftover && end >= this.#entryCount, 'no leftover lies behind the end')
    this.#reserveStates(end)
    this.#states.fill(GONE, this.#entryCount, end)
    this.#entryCount = end
    this.#readableCount = end
    this.#readableBytes = readableBytes
  }

  isWaiting(ordinal: number, topic: string, partition: number): boolean {
    if (ordinal >= this.#readableCount || this.#states[ordinal] !== WAITING) return false
    if (this.#droppedBelow.size === 0) return true
    return ordinal >= (this.#droppedBelow.get(topic)?.get(partition) ?? 0)
  }

  handOut(ordinal: number, group: Group, bytes: number): void {
    assert.equal(this.#states[ordinal], WAITING)
    assert(this.#readerCount > 0, 'an entry is taken by a read')
    this.#states[ordinal] = IN_HAND
    this.#addWaiting(group, -1, -bytes)
  }

  /** @returns false when its partition was dropped meanwhile. */
  release({ ordinal, group, bytes }: ReadEntry): boolean {
    assert.equal(this.#states[ordinal], IN_HAND, 'released once, after a read')
    this.#states[ordinal] = GONE
    if (group.isDropped) return false
    this.#addLive(group, -1, -bytes)
    return true
  }

  /** @returns false when its partition was dropped meanwhile. */
  unread({ ordinal, group, position, bytes }: ReadEntry): boolean {
    assert.equal(this.#states[ordinal], IN_HAND, 'given back once, after a read')
    this.#states[ordinal] = group.isDropped ? GONE : WAITING
    if (group.isDropped) return false
    this.#addWaiting(group, 1, bytes)
    this.#readPosition = Math.min(this.#readPosition, position)
    // It may have been damaged while it was in hand, and then it was not reported as lost.
    this.#knownDamage = []
    return true
  }

  /** Forgets a partition's entries. @returns how many were live. */
  drop(topic: string, partition: number): number {
    let count = 0
    for (const group of this.groups.remove(topic, partition)) {
      count += group.liveCount
      this.#addWaiting(group, -group.waitingCount, -group.waitingBytes)
      this.#addLive(group, -group.liveCount, -group.liveBytes)
      group.drop()
    }
    childMap(this.#droppedBelow, topic).set(partition, this.#entryCount)
    return count
  }

  /**
   * After damage: only intact waiting entries stay. Entries in hand were read before.
   * @param missing ordinals that are not there, whatever their state.
   */
  keepIntact(intact: readonly IntactEntry[], missing: readonly OrdinalSpan[]): LostEntries {
    const left = new Map<Group, { count: number; bytes: number }>()
    let above = -1
    for (const { ordinal, topic, partition, index, bytes } of intact) {
      assert(ordinal > above, 'each entry comes once, in order')
      above = ordinal
      if (!this.isWaiting(ordinal, topic, partition)) continue
      const group = this.groups.of(topic, partition, index)
      const sum = left.get(group) ?? { count: 0, bytes: 0 }
      left.set(group, { count: sum.count + 1, bytes: sum.bytes + bytes })
    }
    const counts: SpillCount[] = []
    for (const group of this.groups.all()) {
      const { count, bytes } = left.get(group) ?? { count: 0, bytes: 0 }
      const [gone, goneBytes] = [group.waitingCount - count, group.waitingBytes - bytes]
      assert(gone >= 0, 'damage makes no entries')
      this.#addWaiting(group, -gone, -goneBytes)
      this.#addLive(group, -gone, -goneBytes)
      if (gone > 0) counts.push({ topic: group.topic, partition: group.partition, count: gone })
    }
    const ordinals: number[] = []
    for (const [from, to] of missing) {
      for (let ordinal = from; ordinal < Math.min(to, this.#readableCount); ordinal++) {
        if (this.#states[ordinal] !== WAITING) continue
        this.#states[ordinal] = GONE
        ordinals.push(ordinal)
      }
    }
    return { counts, ordinals }
  }

  /** Bytes of the live entries of one index. */
  bytesOfIndex(index: string): number {
    return this.#indexBytes.get(index) ?? 0
  }

  #giveOrdinal(part: AppendPart, state: number): void {
    assert.equal(part.segment, this)
    assert(!this.#hasEnded, 'an ended segment takes no entry')
    this.#reserveStates(this.#entryCount + 1)
    this.#states[this.#entryCount] = state
    this.#entryCount++
    this.#unpublishedCount++
    assert(part.endOrdinal === this.#entryCount, 'one append is encoded at a time')
  }

  #endPart(part: AppendPart): void {
    part.end()
    this.#unpublishedCount -= part.endOrdinal - part.firstOrdinal
    assert(this.#unpublishedCount >= 0, 'no more ends than was encoded')
  }

  #addLive(group: Group, count: number, bytes: number): void {
    group.addLive(count, bytes)
    this.#liveCount += count
    this.#liveBytes += bytes
    this.#indexBytes.set(group.index, (this.#indexBytes.get(group.index) ?? 0) + bytes)
  }

  #addWaiting(group: Group, count: number, bytes: number): void {
    group.addWaiting(count, bytes)
    this.#waitingCount += count
  }

  #reserveStates(count: number): void {
    if (count <= this.#states.length) return
    const grown = new Uint8Array(Math.max(count, this.#states.length * 2))
    grown.set(this.#states)
    this.#states = grown
  }
}

/** Entries that waited and can no longer be read. */
export interface LostEntries {
  /** By partition and index. */
  readonly counts: readonly SpillCount[]
  /** Ascending; those of dropped partitions among them. */
  readonly ordinals: readonly number[]
}

/** An entry that a scan found. */
export interface IntactEntry {
  readonly ordinal: number
  readonly topic: string
  readonly partition: number
  readonly index: string
  readonly bytes: number
}

/** An entry in the caller's hand. */
export interface ReadEntry extends StoredEntry {
  readonly segment: Segment
  readonly ordinal: number
  readonly group: Group
  /** Its place in the segment's file, and its length there. */
  readonly position: number
  readonly bytes: number
}

/** Entries of one group, one behind the other. */
interface GroupRun {
  readonly group: Group
  count: number
  bytes: number
}

/**
 * The entries of one append in one segment: published or discarded together, once. The writer makes
 * it and says where it ends in the file; the segment does the rest.
 */
export class AppendPart {
  readonly segment: Segment
  readonly firstOrdinal: number
  #endOrdinal: number
  #endBytes: number
  #hasEnded = false
  readonly #runs: GroupRun[] = []

  constructor(segment: Segment) {
    this.segment = segment
    this.firstOrdinal = segment.entryCount
    this.#endOrdinal = segment.entryCount
    this.#endBytes = segment.size
  }

  /** The ordinal behind its last entry. */
  get endOrdinal(): number {
    return this.#endOrdinal
  }

  /** The file position behind its last block. */
  get endBytes(): number {
    return this.#endBytes
  }

  /** In the order of their ordinals. */
  get runs(): readonly Readonly<GroupRun>[] {
    return this.#runs
  }

  add(group: Group, bytes: number): void {
    this.addGone()
    const run = this.#runs.at(-1)
    if (run !== undefined && run.group === group) {
      run.count++
      run.bytes += bytes
    } else {
      this.#runs.push({ group, count: 1, bytes })
    }
  }

  addGone(): void {
    assert(!this.#hasEnded, 'a part that ended takes no entry')
    this.#endOrdinal++
  }

  endAt(bytes: number): void {
    assert(bytes > this.#endBytes, 'its blocks lie one behind the other')
    this.#endBytes = bytes
  }

  end(): void {
    assert(!this.#hasEnded, 'published or discarded, once')
    this.#hasEnded = true
  }
}
