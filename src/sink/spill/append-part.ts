/** What one append has in one segment: published or discarded together. */
import type { Group } from './groups.ts'
import type { Segment } from './segment.ts'

export class AppendPart {
  readonly segment: Segment
  readonly firstOrdinal: number
  /** Ends of the part: the next ordinal, and the file position behind it. */
  endOrdinal: number
  endBytes: number
  /** Runs of entries of one group, in order. */
  readonly runs: { readonly group: Group; count: number; bytes: number }[] = []

  constructor(segment: Segment) {
    this.segment = segment
    this.firstOrdinal = segment.entryCount
    this.endOrdinal = segment.entryCount
    this.endBytes = segment.size
  }
}
