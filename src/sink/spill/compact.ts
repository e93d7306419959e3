/**
 * Makes room when the spill is nearly full of segments of which little is live: copies what is left
 * of one to the newest segment, and so frees the old one.
 *
 * That happens when one lane is held up while the others drain: its entries lie scattered over many
 * segments, and each keeps its whole segment on the disk.
 * Bound. One segment at a time, at most half of it live but at the end of a drain. Leftovers stay
 * where they are until then: their tags mean nothing, and a copy would not say so.
 */
import { messageOf } from '../../core/errors.ts'
import { SpillReader } from './reader.ts'
import type { HeldEntry, Segment } from './segment.ts'
import type { SpillStore } from './store.ts'
import type { SpillWriter } from './writer.ts'

export class Compactor {
  readonly #store: SpillStore
  readonly #writer: SpillWriter
  readonly #segmentBytes: number
  /** Its own: the caller's read may be under way. */
  readonly #reader: SpillReader
  /** The copy under way; it never rejects. */
  #working: Promise<void> | null = null

  constructor(store: SpillStore, writer: SpillWriter, segmentBytes: number) {
    this.#store = store
    this.#writer = writer
    this.#segmentBytes = segmentBytes
    this.#reader = new SpillReader(store)
  }

  /** Starts a copy when less than two segments' room is left and one is worth it. */
  start(): void {
    const { freeBytes } = this.#writer
    if (this.#working !== null || freeBytes > 2 * this.#segmentBytes) return
    // Half of what is free: the copy brings ranges, a header and a seal of its own.
    const segment = this.#store.segments.find(
      (one) => isWorthCopying(one) && one.liveBytes * 2 <= freeBytes,
    )
    if (segment === undefined) return
    this.#working = this.copy(segment).finally(() => {
      this.#working = null
    })
  }

  async idle(): Promise<void> {
    while (this.#working !== null) await this.#working
  }

  /** Moves all that waits in a segment; on a full disk it stays where it is. */
  async copy(segment: Segment): Promise<void> {
    let held: HeldEntry[] = []
    let outcome = 'full'
    try {
      held = await this.#reader.readAll(segment)
      outcome = await this.#writer.copy(held)
    } catch (error) {
      // Nothing is lost: the entries wait where they were.
      this.#store.events.trouble(`the spill cannot copy ${segment.name}: ${messageOf(error)}`)
    }
    for (const entry of held) {
      if (outcome === 'stored') segment.release(entry)
      else segment.unread(entry)
    }
    this.#store.retire(segment)
  }
}

function isWorthCopying(segment: Segment): boolean {
  return (
    segment.closed &&
    !segment.leftover &&
    !segment.pinned &&
    segment.unpublishedCount === 0 &&
    segment.readerCount === 0 &&
    segment.liveCount > 0 &&
    segment.waitingCount === segment.liveCount &&
    segment.liveBytes * 2 <= segment.size
  )
}
