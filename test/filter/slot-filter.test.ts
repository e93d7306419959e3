/** The first documents of a batch, and what its runs then stand for. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { firstDocuments, type MatchedBatch, type MatchedRun } from '../../src/filter/slot-filter.ts'
import { RUN_FILTERED } from '../../src/pool/run-reports.ts'

function run(assignmentId: number, coverFrom: number, coverTo: number, ...offsets: number[]) {
  return {
    assignmentId,
    coverFrom,
    coverTo,
    recordCount: coverTo - coverFrom,
    reason: RUN_FILTERED,
    outsideTime: 0,
    lowWatermark: 0,
    valueBytes: 100,
    lastTimestampMs: 5,
    markEpoch: -1,
    offsets: Float64Array.from(offsets),
    timestampsMs: Float64Array.from(offsets, (offset) => offset * 10),
    timestampTypes: Uint8Array.from(offsets, () => 1),
  } satisfies MatchedRun
}

const BATCH: MatchedBatch = {
  body: Buffer.from('a\nbb\nccc\nd\n') as Uint8Array<ArrayBuffer>,
  ends: Uint32Array.of(2, 5, 9, 11),
  runs: [run(1, 0, 10, 3, 7), run(2, 20, 40, 21, 30)],
}

test('a run that is cut ends before its next match, so that this stays unresolved', () => {
  const { body, ends, runs } = firstDocuments(BATCH, 3)
  assert.equal(Buffer.from(body).toString(), 'a\nbb\nccc\n')
  assert.deepEqual([...ends], [2, 5, 9])
  assert.equal(runs[0], BATCH.runs[0])
  const { coverFrom, coverTo, recordCount, offsets, timestampsMs } = runs[1]!
  assert.deepEqual([coverFrom, coverTo, recordCount], [20, 30, 10])
  assert.deepEqual([[...offsets], [...timestampsMs]], [[21], [210]])
})

test('runs behind the last document are left out, and with no document there is none', () => {
  assert.deepEqual(firstDocuments(BATCH, 2).runs, [BATCH.runs[0]])
  assert.deepEqual(firstDocuments(BATCH, 0).runs, [])
  assert.deepEqual(firstDocuments(BATCH, 4).runs, BATCH.runs)
})
