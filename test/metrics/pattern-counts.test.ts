import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import {
  PatternCounts,
  PatternEncoder,
  totalsOf,
  type CountedPatterns,
} from '../../src/metrics/pattern-counts.ts'
import { BodyBuilder, type MatchedRecord } from '../../src/pool/record-encoder.ts'

function recordOf(value: Buffer | null): MatchedRecord {
  const empty = Buffer.alloc(0)
  const place = { topic: 't', partition: 0, offset: 0, idPrefix: '', timestampMs: 0 }
  return { ...place, timestampType: 'create', value, key: null, headers: empty }
}

/** What a pipeline counts of these records, all of which the filter has kept. */
function countsOf(counted: CountedPatterns, values: readonly (Buffer | null)[]) {
  const encoder = new PatternEncoder(counted)
  const counts = new PatternCounts(counted)
  const body = new BodyBuilder()
  for (const value of values) {
    encoder.encode(recordOf(value), body)
    body.endDocument()
  }
  counts.add('t', 3, body.take().body)
  return counts
}

const patternsOf = (...texts: string[]) => texts.map((text) => Buffer.from(text, 'latin1'))
const EXACT = { ignoreCase: false, invertMatch: false, label: null }

test('a record counts under each pattern that it holds, as a naive search says', () => {
  // Few letters, so that patterns overlap and occur.
  const text = fc.string({ unit: fc.constantFrom('a', 'A', 'b', '\u00ff'), maxLength: 6 })
  const patterns = fc.uniqueArray(text, { minLength: 2, maxLength: 5 })
  fc.assert(
    fc.property(patterns, fc.array(text), fc.boolean(), (texts, values, ignoreCase) => {
      const fold = (one: string) => (ignoreCase ? one.replaceAll('A', 'a') : one)
      const sought = texts.filter((one) => one !== '')
      fc.pre(sought.length > 1)
      const kept = values.filter((value) => sought.some((one) => fold(value).includes(fold(one))))
      const counted = { ...EXACT, patterns: patternsOf(...sought), ignoreCase }
      const counts = countsOf(
        counted,
        kept.map((value) => Buffer.from(value, 'latin1')),
      )
      const expected = sought.map(
        (one) => kept.filter((value) => fold(value).includes(fold(one))).length,
      )
      const found = kept.length === 0 ? sought.map(() => 0) : counts.list().map((one) => one.count)
      assert.deepEqual(found, expected)
    }),
  )
})

test('counts are named by pattern, topic and partition, those of zero too', () => {
  const counted = { ...EXACT, patterns: patternsOf('ERROR', '\u00ff\u0000') }
  const counts = countsOf(counted, [Buffer.from('an ERROR'), Buffer.from('ERROR')])
  assert.deepEqual(counts.list(), [
    { pattern: 'ERROR', topic: 't', partition: 3, count: 2 },
    { pattern: 'hex:ff00', topic: 't', partition: 3, count: 0 },
  ])
  assert.deepEqual(totalsOf(counts.list()), { ERROR: 2, 'hex:ff00': 0 })
})

test('a pattern may be called as what every object has', () => {
  const place = { topic: 't', partition: 0, count: 1 }
  const counts = ['constructor', '__proto__'].map((pattern) => ({ ...place, pattern }))
  assert.equal(JSON.stringify(totalsOf(counts)), '{"constructor":1,"__proto__":1}')
})

test('what holds no pattern, and what holds any, is counted as one', () => {
  const values = [null, Buffer.from('x')]
  const inverted = {
    patterns: patternsOf('a', 'b'),
    ignoreCase: false,
    invertMatch: true,
    label: null,
  }
  assert.deepEqual(totalsOf(countsOf(inverted, values).list()), { 'none of a, b': 2 })
  assert.deepEqual(totalsOf(countsOf({ ...EXACT, patterns: [] }, values).list()), { any: 2 })
})
