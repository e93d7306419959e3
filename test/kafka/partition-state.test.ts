import assert from 'node:assert/strict'
import { test } from 'node:test'
import { EndsDue, endOf, initialState } from '../../src/kafka/partition-state.ts'

const state = (state: { offset: number; metEnd?: number }, stopOffset = Infinity) => ({
  ...initialState({ topic: 't', partition: 0, offset: state.offset, stopOffset }),
  metEnd: state.metEnd ?? -1,
})

test('the marker that ends a transaction is no lag, wherever it lies', () => {
  // Records 0 to 9, the marker at 10, and the end of the partition behind it.
  assert.equal(endOf(state({ offset: 10, metEnd: 11 }), 11), 10)
  // Four more that were not read.
  assert.equal(endOf(state({ offset: 10, metEnd: 11 }), 15) - 10, 4)
  assert.equal(endOf(state({ offset: 15, metEnd: 11 }), 15), 15)
})

test('before an end was met the lag is counted to the end as the last fetch said', () => {
  assert.equal(endOf(state({ offset: 3 }), 11), 11)
  assert.equal(endOf(state({ offset: 3 }), -1001), -1)
  assert.equal(endOf(state({ offset: 3 }, 7), 11), 7)
})

test('while records are fetched nobody is asked, otherwise every five seconds', () => {
  const due = new EndsDue()
  const asked: number[] = []
  for (let second = 1; second <= 30; second++) {
    // Fetches stand still from the 10th to the 20th second; then one partition is held.
    if (second < 10 || second >= 20) due.recordFetch()
    if (due.isDue(second * 1000, second >= 26)) asked.push(second)
  }
  assert.deepEqual(asked, [10, 15, 26])
})
