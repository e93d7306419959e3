/**
 * Makes one load of what was read from the spill: its documents in one piece, its origins as runs.
 */
import type { Outcome, SinkRun } from '../sink.ts'
import type { LoadSource } from './load.ts'
import type { ReturnedEntry } from './outlets.ts'

export interface ReplayEvents {
  settled(entry: ReturnedEntry, outcome: Outcome): void
  givenBack(entry: ReturnedEntry): void
}

export function replaySource(entries: readonly ReturnedEntry[], events: ReplayEvents): LoadSource {
  const ends = new Uint32Array(entries.length)
  let size = 0
  for (const [index, entry] of entries.entries()) {
    size += entry.document.length
    ends[index] = size
  }
  const body = Buffer.allocUnsafeSlow(size)
  let at = 0
  for (const { document } of entries) {
    body.set(document, at)
    at += document.length
  }
  return {
    body,
    ends,
    runs: runsOf(entries),
    settle: (index, outcome) => events.settled(entries[index]!, outcome),
    settleAll: (outcome) => {
      for (const entry of entries) events.settled(entry, outcome)
    },
    releaseBody: () => undefined,
    giveBack: (index) => events.givenBack(entries[index]!),
  }
}

/** Entries of one partition that follow one another make a run. */
function runsOf(entries: readonly ReturnedEntry[]): SinkRun[] {
  const runs: SinkRun[] = []
  for (let first = 0; first < entries.length;) {
    const { topic, partition } = entries[first]!
    let end = first + 1
    while (entries[end]?.topic === topic && entries[end]?.partition === partition) end++
    const offsets = Float64Array.from(entries.slice(first, end), (entry) => entry.offset)
    // Assignments are the pipeline's matter, which settles by the document that moved out.
    runs.push({ topic, partition, assignmentId: 0, offsets })
    first = end
  }
  return runs
}
