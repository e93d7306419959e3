/** That the checker of a chaos run sees what it is there to see. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { compare, type FoundDocument } from './checker.ts'
import type { Offsets } from './feed.ts'

const acknowledged = new Map<string, Offsets>([
  ['orders/0', ['match', 'filtered', 'poison', undefined, 'match']],
])
const origin = (offset: number) => ({ topic: 'orders', partition: 0, offset })
const document = (offset: number, change: Partial<FoundDocument> = {}): FoundDocument => ({
  ...origin(offset),
  id: `0a1b2c3d-orders-0-${offset}`,
  version: 1,
  ...change,
})

test('a run in which all is where it belongs has no findings', () => {
  assert.deepEqual(compare(acknowledged, [document(4), document(0)], [origin(2)]), {
    expected: 2,
    lettersExpected: 1,
    lost: [],
    duplicated: [],
    wrong: [],
    lettersMissing: [],
    lettersWrong: [],
    lettersAgain: 0,
    unvouched: 0,
  })
})

test('what is missing is lost, as a document and as a letter', () => {
  const findings = compare(acknowledged, [document(4)], [])
  assert.deepEqual(findings.lost, ['orders/0/0'])
  assert.deepEqual(findings.lettersMissing, ['orders/0/2'])
})

test('a record in two documents, and a document written twice, are duplicates', () => {
  const again = document(0, { id: 'ffffffff-orders-0-0' })
  const findings = compare(acknowledged, [document(0), again, document(4, { version: 2 })], [])
  assert.deepEqual(findings.duplicated, ['orders/0/0', 'orders/0/4'])
})

test('what should not be there is wrong: filtered, refused, under the id of another', () => {
  const documents = [document(0, { id: 'orders-0-7' }), document(1), document(2), document(3)]
  const findings = compare(acknowledged, documents, [origin(4), origin(2), origin(2), origin(9)])
  assert.deepEqual(findings.wrong, [
    'orders/0/0: under orders-0-7',
    'orders/0/1: filtered',
    'orders/0/2: poison',
  ])
  assert.deepEqual(findings.lettersWrong, ['orders/0/4'])
  assert.equal(findings.lettersAgain, 1)
  assert.equal(findings.unvouched, 1)
})
