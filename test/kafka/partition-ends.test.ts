/** When brokers are asked where partitions end. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { EndsDue } from '../../src/kafka/partition-ends.ts'

test('while records are fetched nobody is asked, otherwise every five seconds', () => {
  const due = new EndsDue()
  const asked: number[] = []
  for (let second = 1; second <= 30; second++) {
    // Fetches stand still from the 10th to the 20th second; then one partition is held.
    if (second < 10 || second >= 20) due.noteFetch()
    if (due.look(second * 1000, second >= 26)) asked.push(second)
  }
  assert.deepEqual(asked, [10, 15, 26])
})
