/**
 * Makes one load of what was read from the spill, or of dead letters: its documents in one piece,
 * its origins as runs.
 */
import { TIMESTAMP_TYPES } from '../../pool/slot-reader.ts'
import { NO_HOLD, type Outcome, type SinkBatch, type SinkRun } from '../sink.ts'
import type { LoadSource } from './load.ts'
import type { OverflowEntry, ReturnedEntry } from './outlets.ts'

export interface ReplayEvents {
  settled(entry: ReturnedEntry, outcome: Outcome): void
  givenBack(entry: ReturnedEntry): void
}

/** A document as it was sent, and where it came from. */
export type PlacedDocument = Omit<OverflowEntry, 'index' | 'tag'>

const NO_BYTES = new Uint8Array(0)

/** Copies the entries' documents, and lets go of the large reads that they were views of. */
export function replaySource(entries: readonly ReturnedEntry[], events: ReplayEvents): LoadSource {
  const batch = batchOf(entries, (index, outcome) => events.settled(entries[index]!, outcome))
  for (const entry of entries) entry.document = NO_BYTES
  return { ...batch, giveBack: (index) => events.givenBack(entries[index]!) }
}

/** @param settled is called once for each document, with its place in `documents`. */
export function batchOf(
  documents: readonly PlacedDocument[],
  settled: (index: number, outcome: Outcome) => void,
): SinkBatch {
  const ends = new Uint32Array(documents.length)
  let size = 0
  for (const [index, { document }] of documents.entries()) {
    size += document.length
    ends[index] = size
  }
  const body = Buffer.allocUnsafeSlow(size)
  let at = 0
  for (const { document } of documents) {
    body.set(document, at)
    at += document.length
  }
  return {
    body,
    ends,
    runs: runsOf(documents),
    settle: settled,
    settleAll: (outcome) => {
      for (let index = 0; index < documents.length; index++) settled(index, outcome)
    },
    ...NO_HOLD,
  }
}

/** Documents of one partition that follow one another make a run. */
function runsOf(documents: readonly PlacedDocument[]): SinkRun[] {
  const runs: SinkRun[] = []
  for (let first = 0; first < documents.length;) {
    const { topic, partition } = documents[first]!
    let end = first + 1
    while (documents[end]?.topic === topic && documents[end]?.partition === partition) end++
    const own = documents.slice(first, end)
    runs.push({
      topic,
      partition,
      // Assignments are the pipeline's matter, which settles by the document that moved out.
      assignmentId: 0,
      offsets: Float64Array.from(own, (each) => each.offset),
      timestampsMs: Float64Array.from(own, (each) => each.timestampMs),
      timestampTypes: Uint8Array.from(own, (each) => TIMESTAMP_TYPES.indexOf(each.timestampType)),
    })
    first = end
  }
  return runs
}
