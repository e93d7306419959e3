/** JSON of others: as JSON.parse reads it, up to a number of values. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { parseBounded } from '../../src/core/bounded-json.ts'

test('a text of as many values is read, one of more is not', () => {
  assert.deepEqual(parseBounded('[{},{},{}]', 6), [{}, {}, {}])
  assert.equal(parseBounded('[{},{},{}]', 5), undefined)
  assert.deepEqual(parseBounded('{"a":"},{,\\"[,","b":1}', 2), { a: '},{,"[,', b: 1 })
  assert.equal(parseBounded('{"a":', 10), undefined)
  assert.equal(parseBounded('"\\\\",[', 10), undefined)
  assert.equal(parseBounded('', 0), undefined)
  assert.equal(parseBounded('7', 0), 7)
})

test('whatever JSON holds, each of its values is counted, and none within a string', () => {
  const countOf = (value: unknown): number => {
    if (typeof value !== 'object' || value === null) return 0
    const members = Object.values(value)
    // Its bracket, and a comma for each member but the first.
    return members.reduce((sum: number, one) => sum + countOf(one), Math.max(1, members.length))
  }
  fc.assert(
    fc.property(fc.json(), (text) => {
      const value: unknown = JSON.parse(text)
      const count = countOf(value)
      assert.deepEqual(parseBounded(text, count), value)
      if (count > 0) assert.equal(parseBounded(text, count - 1), undefined)
    }),
    { numRuns: 50 },
  )
})

test('a text of a hundred levels is read, one of more is not', () => {
  const deep = (levels: number) => '['.repeat(levels) + ']'.repeat(levels)
  assert.deepEqual(parseBounded(deep(2), 1000), [[]])
  assert.notEqual(parseBounded(deep(100), 1000), undefined)
  assert.equal(parseBounded(deep(101), 1000), undefined)
  assert.equal(parseBounded(`[${'[],'.repeat(200)}[]]`, 1000) !== undefined, true, 'no deeper')
})

test('no JSON of any kind makes it throw', () => {
  fc.assert(
    fc.property(
      fc.string({ unit: fc.constantFrom('{', '}', '[', ']', ',', ':', '"', '\\', 'a1 ') }),
      (text) => {
        parseBounded(text, 20)
      },
    ),
  )
})
