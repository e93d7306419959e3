/** When brokers are asked where partitions end, and what becomes of their answers. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { OFFSET_END, type PartitionError, type PartitionOffset } from '../../src/bridge/bridge.ts'
import { endOf, heldFrom } from '../../src/kafka/held.ts'
import { askEnds, EndsDue } from '../../src/kafka/partition-ends.ts'

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

test('an end that was asked for only rises, and no answer changes nothing', () => {
  const held = [0, 1, 2].map((partition) => heldFrom({ topic: 'app', partition, offset: 3 }, 9))
  held[1]!.askedEnd = 50
  const answer = (rows: readonly PartitionOffset[]): PartitionError[] =>
    rows.map((row) => {
      assert.equal(row.offset, OFFSET_END)
      return { ...row, offset: 20, error: row.partition === 2 ? 'LEADER_NOT_AVAILABLE' : null }
    })
  askEnds({ consumerOffsetsForTimes: (_, rows) => answer(rows) }, 1, held, 1000)
  const silent = {
    consumerOffsetsForTimes: () => {
      throw new RangeError('Local: Timed out')
    },
  }
  askEnds(silent, 1, held, 2000)
  assert.deepEqual(
    held.map((one) => [one.askedEnd, one.askedMs]),
    [
      [20, 1000],
      [50, 1000],
      [-1, -Infinity],
    ],
  )
  // It is what the lag is counted to, also where no fetch has said anything.
  const one = { ...heldFrom({ topic: 'app', partition: 0, offset: 3 }, Infinity), askedEnd: 20 }
  assert.equal(endOf(one, -1001), 20)
})
