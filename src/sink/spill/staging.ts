/**
 * What is on its way to the disk: appends, and the buffers that their entries are encoded into.
 * Used by the writer alone.
 */
import assert from 'node:assert/strict'
import type { AppendPlan } from './append-plan.ts'
import type { SpillEntry } from './contract.ts'
import type { DiskFile } from './disk.ts'
import type { RangeTally } from './range-tally.ts'
import type { AppendPart, Segment } from './segment.ts'

/** Written and synced at a time: large enough that the sync is a small part of it. */
export const STAGING_BYTES = 4 * 1024 * 1024

/** The segment that is being written. */
export interface OpenSegment {
  readonly segment: Segment
  readonly file: DiskFile
  readonly tally: RangeTally
}

/** One append under way. */
export interface Ticket {
  readonly entries: readonly SpillEntry[]
  readonly plan: AppendPlan
  readonly parts: AppendPart[]
  /** Of the plan, what is not yet counted in the store's bytes. */
  reservedBytes: number
  settled: boolean
  readonly resolve: (outcome: 'stored' | 'full') => void
  readonly reject: (error: unknown) => void
}

export class Staging {
  bytes: Buffer
  view: DataView
  used = 0
  open: OpenSegment | null = null
  /** Where its first byte goes in the segment's file. */
  position = 0
  /** It ends with the seal: nothing follows in its segment. */
  closes = false
  /** Appends whose last byte is in it. */
  tickets: Ticket[] = []

  constructor(size: number) {
    this.bytes = Buffer.allocUnsafeSlow(size)
    this.view = new DataView(this.bytes.buffer, this.bytes.byteOffset, size)
  }

  /** Before bytes of a segment are added: all in one buffer are of one segment. */
  begin(open: OpenSegment): void {
    if (this.used === 0) {
      this.open = open
      this.position = open.segment.size
    }
    assert.equal(this.open, open)
  }

  reset(): void {
    this.used = 0
    this.open = null
    this.closes = false
    this.tickets = []
  }
}
