/** What matched comes to main as it was gathered. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import {
  firstDocuments,
  type MatchedBatch,
  type MatchedRun,
  Matches,
  unpackMatches,
} from '../../src/filter/matches.ts'
import { RUN_FILTERED } from '../../src/pool/run-reports.ts'

const offset = fc.nat(2 ** 50)
const documents = fc.array(
  fc.record({
    text: fc.string({ unit: 'binary', maxLength: 40 }),
    offset,
    timestampMs: fc.integer({ min: -1, max: 2 ** 42 }),
    type: fc.constantFrom(0, 1, 2),
  }),
  { minLength: 1, maxLength: 9 },
)
const runs = fc.array(
  fc.record({
    assignmentId: fc.nat(),
    coverFrom: offset,
    markEpoch: fc.integer({ min: -1 }),
    documents,
    copies: fc.nat(3),
    tallies: fc.array(
      fc
        .tuple(fc.nat(999), fc.nat(9), fc.nat(9), fc.nat(9))
        .map(([rule, made, dropped, sampled]) => ({ rule, documents: made, dropped, sampled })),
      { maxLength: 3 },
    ),
  }),
  { maxLength: 7 },
)

test('runs and documents come out as they went in, batch after batch', () => {
  fc.assert(
    fc.property(fc.array(runs, { maxLength: 4 }), fc.boolean(), (batches, hasRules) => {
      const matches = new Matches()
      for (const gathered of batches) {
        assert(matches.isEmpty)
        const texts: string[] = []
        const expected: MatchedRun[] = gathered.map(({ documents: own, ...rest }) => {
          const { markEpoch, copies, tallies, ...run } = rest
          for (const { text, offset: at, timestampMs, type } of own) {
            matches.body.text(text)
            if (hasRules) matches.endRuled(at, timestampMs, type, text.length)
            else matches.endDocument(at, timestampMs, type)
            texts.push(text)
          }
          const report = {
            ...run,
            coverTo: run.coverFrom + 9,
            recordCount: 8,
            valueBytes: 7,
            lowWatermark: -1,
            reason: RUN_FILTERED,
            outsideTime: 6,
            lastTimestampMs: 5,
          }
          matches.endRun(report, markEpoch, own.length, copies, tallies)
          return {
            ...report,
            markEpoch,
            offsets: Float64Array.from(own, (one) => one.offset),
            timestampsMs: Float64Array.from(own, (one) => one.timestampMs),
            timestampTypes: Uint8Array.from(own, (one) => one.type),
            copies,
            tallies,
            rules: Uint16Array.from(hasRules ? own : [], ({ text }) => text.length),
          }
        })
        assert.equal(matches.isEmpty, gathered.length === 0)
        const packed = structuredClone(matches.take())
        assert.equal(packed.documentCount, texts.length)
        const { body, ends, runs: found } = unpackMatches(packed)
        assert.deepEqual(found, expected)
        const bytes = Buffer.from(body)
        const parts = texts.map((_, at) => bytes.toString('utf8', ends[at - 1] ?? 0, ends[at]))
        assert.deepEqual(
          parts,
          texts.map((text) => Buffer.from(text).toString()),
        )
      }
    }),
  )
})

test('numbers that do not add up are refused', () => {
  const matches = new Matches()
  const { body } = matches.take()
  assert.throws(
    () => unpackMatches({ documentCount: 1, body, about: Float64Array.of(0, 1).buffer }),
    assert.AssertionError,
  )
})

function runOf(assignmentId: number, coverFrom: number, coverTo: number, ...offsets: number[]) {
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
    copies: 0,
    tallies: [],
    rules: new Uint16Array(0),
  } satisfies MatchedRun
}

const TWO_RUNS: MatchedBatch = {
  body: Buffer.from('a\nbb\nccc\nd\n') as Uint8Array<ArrayBuffer>,
  ends: Uint32Array.of(2, 5, 9, 11),
  runs: [runOf(1, 0, 10, 3, 7), runOf(2, 20, 40, 21, 30)],
}

test('a run that is cut ends before its next match, so that this stays unresolved', () => {
  const { body, ends, runs } = firstDocuments(TWO_RUNS, 3)
  assert.equal(Buffer.from(body).toString(), 'a\nbb\nccc\n')
  assert.deepEqual([...ends], [2, 5, 9])
  assert.equal(runs[0], TWO_RUNS.runs[0])
  const { coverFrom, coverTo, recordCount, offsets, timestampsMs } = runs[1]!
  assert.deepEqual([coverFrom, coverTo, recordCount], [20, 30, 10])
  assert.deepEqual([[...offsets], [...timestampsMs]], [[21], [210]])
})

test('runs behind the last document are left out, and with no document there is none', () => {
  assert.deepEqual(firstDocuments(TWO_RUNS, 2).runs, [TWO_RUNS.runs[0]])
  assert.deepEqual(firstDocuments(TWO_RUNS, 0).runs, [])
  assert.deepEqual(firstDocuments(TWO_RUNS, 4).runs, TWO_RUNS.runs)
})
