/** The ledger against examples; ledger-model.test.ts has it against a naive model. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Ledger, type Tile } from '../../src/offsets/ledger.ts'

const LOGS = { assignmentId: 1, topic: 'logs', partition: 3, epoch: 1, startOffset: 100 }

function openLedger(unresolvedMax = 1000): Ledger {
  const ledger = new Ledger({ unresolvedMax })
  assert.equal(ledger.open(LOGS), null)
  return ledger
}

function coverPending(ledger: Ledger, from: number, to: number, ...pending: number[]): Tile {
  const tile = ledger.cover(LOGS.assignmentId, from, to, Float64Array.from(pending))
  assert(typeof tile === 'object')
  return tile
}

test('an assignment starts with its watermark and position at the start offset', () => {
  const ledger = openLedger()
  assert.equal(ledger.watermark(1), 100)
  assert.equal(ledger.fetchPosition(1), 100)
  assert.deepEqual(ledger.takeCommits(), [])
  assert.deepEqual([...ledger.assignments()], [LOGS])
})

test('a tile with nothing pending moves the watermark to its end', () => {
  const ledger = openLedger()
  assert.equal(ledger.cover(1, 100, 200, null), 'resolved')
  assert.equal(ledger.cover(1, 200, 250, new Float64Array(0)), 'resolved')
  assert.equal(ledger.watermark(1), 250)
  assert.deepEqual(ledger.takeCommits(), [
    { assignmentId: 1, topic: 'logs', partition: 3, offset: 250 },
  ])
  assert.deepEqual(ledger.takeCommits(), [])
})

test('the watermark stops at the lowest pending offset, whatever is settled above it', () => {
  const ledger = openLedger()
  const low = coverPending(ledger, 100, 200, 150, 160, 170)
  const high = coverPending(ledger, 200, 300, 250)
  assert.equal(ledger.watermark(1), 150)
  assert.equal(ledger.settleAll(high), true)
  assert.equal(ledger.settle(low, 1), true)
  assert.equal(ledger.watermark(1), 150)
  ledger.settle(low, 0)
  assert.equal(ledger.watermark(1), 170)
  ledger.settle(low, 2)
  assert.equal(ledger.watermark(1), 300)
  assert.equal(ledger.unresolved(1), 0)
})

test('tiles out of order leave a hole that the watermark and the position do not pass', () => {
  const ledger = openLedger()
  assert.equal(ledger.cover(1, 300, 400, null), 'resolved')
  const ahead = coverPending(ledger, 200, 300, 299)
  assert.equal(ledger.fetchPosition(1), 100)
  ledger.settleAll(ahead)
  assert.equal(ledger.watermark(1), 100)
  ledger.cover(1, 100, 200, null)
  assert.equal(ledger.fetchPosition(1), 400)
  assert.equal(ledger.watermark(1), 400)
})

test('a settle after the close is fenced and changes nothing', () => {
  const ledger = openLedger()
  const tile = coverPending(ledger, 100, 200, 150, 160)
  const whole = coverPending(ledger, 200, 300, 250)
  ledger.settle(tile, 0)
  assert.equal(ledger.close(1), 2)
  assert.equal(ledger.isOpen(1), false)
  assert.equal(ledger.pendingOf('logs', 3), 2)
  ledger.open({ ...LOGS, assignmentId: 2, epoch: 2, startOffset: 160 })
  assert.equal(ledger.settle(tile, 1), false)
  assert.equal(ledger.settleAll(whole), false)
  assert.equal(ledger.fencedCount, 2)
  assert.equal(ledger.pendingOf('logs', 3), 0)
  assert.equal(ledger.watermark(2), 160)
  assert.equal(ledger.cover(1, 300, 400, null), 'fenced')
  assert.equal(ledger.close(1), 0)
  assert.deepEqual(ledger.takeCommits(), [])
})

test('an assignment that is opened while an older one lingers closes the older one', () => {
  const ledger = openLedger()
  const tile = coverPending(ledger, 100, 200, 150)
  assert.equal(ledger.open({ ...LOGS, assignmentId: 2, epoch: 2 }), 1)
  assert.equal(ledger.settle(tile, 0), false)
  assert.equal(ledger.watermark(2), 100)
})

test('a full assignment opens again only below three quarters of the limit', () => {
  const ledger = openLedger(8)
  const tile = coverPending(ledger, 100, 200, 100, 101, 102, 103, 104, 105, 106)
  assert.equal(ledger.isFull(1), false)
  const last = coverPending(ledger, 200, 300, 200)
  assert.equal(ledger.isFull(1), true)
  ledger.settle(tile, 6)
  ledger.settle(tile, 5)
  assert.equal(ledger.unresolved(1), 6)
  assert.equal(ledger.isFull(1), true)
  ledger.settle(last, 0)
  assert.equal(ledger.isFull(1), false)
  coverPending(ledger, 300, 400, 300, 301)
  assert.equal(ledger.isFull(1), false)
})

test('tiles that a few stuck offsets keep in memory make an assignment full', () => {
  const ledger = openLedger(8)
  for (let from = 100; from < 164; from += 8) {
    const pending = Array.from({ length: 8 }, (_, index) => from + index)
    const tile = coverPending(ledger, from, from + 8, ...pending)
    for (let index = 1; index < 8; index++) ledger.settle(tile, index)
    assert.equal(ledger.isFull(1), from === 156)
  }
})

test('a second settle of the same offset is an assertion, after the close too', () => {
  const ledger = openLedger()
  const tile = coverPending(ledger, 100, 200, 150, 160)
  ledger.settle(tile, 1)
  assert.throws(() => ledger.settle(tile, 1), assert.AssertionError)
  assert.throws(() => ledger.settleAll(tile), assert.AssertionError)
  assert.throws(() => ledger.settle(tile, 2), assert.AssertionError)
  assert.throws(() => ledger.settle(tile, -1), assert.AssertionError)
  ledger.settle(tile, 0)
  assert.throws(() => ledger.settle(tile, 0), assert.AssertionError)
  const late = coverPending(ledger, 200, 300, 250)
  ledger.close(1)
  ledger.settle(late, 0)
  assert.throws(() => ledger.settle(late, 0), assert.AssertionError)
})

test('tiles that overlap, are empty, or hold offsets that are not theirs are assertions', () => {
  const wrong: [from: number, to: number, pending: number[]][] = [
    [99, 150, []],
    [150, 150, []],
    [150, 201, []],
    [250, 260, []],
    [150.5, 160, []],
    [Number.NaN, 160, []],
    [100, 150, [99]],
    [100, 150, [150]],
    [100, 150, [120, 110]],
    [100, 150, [120.5]],
  ]
  for (const [from, to, pending] of wrong) {
    const ledger = openLedger()
    ledger.cover(1, 200, 300, null)
    assert.throws(() => coverPending(ledger, from, to, ...pending), assert.AssertionError)
  }
})

test('an offset with several documents is resolved with the last of them', () => {
  const ledger = openLedger()
  const tile = coverPending(ledger, 100, 150, 120, 120, 130)
  assert.equal(ledger.pendingOf(LOGS.topic, LOGS.partition), 3)
  ledger.settle(tile, 0)
  ledger.settle(tile, 2)
  assert.equal(ledger.watermark(1), 120)
  ledger.settle(tile, 1)
  assert.equal(ledger.watermark(1), 150)
})

test('assignments that were never opened, or twice, are assertions', () => {
  const ledger = openLedger()
  const again = { ...LOGS, epoch: 2 }
  assert.throws(() => ledger.open(again), assert.AssertionError)
  assert.throws(() => ledger.cover(7, 0, 1, null), assert.AssertionError)
  assert.throws(() => ledger.watermark(7), assert.AssertionError)
  assert.throws(() => ledger.close(7), assert.AssertionError)
  const unborn = { ...LOGS, assignmentId: 2 }
  assert.throws(() => ledger.open({ ...unborn, epoch: 1 }), assert.AssertionError)
  assert.throws(() => ledger.open({ ...unborn, epoch: 2, startOffset: -2 }), assert.AssertionError)
  ledger.close(1)
  assert.throws(() => ledger.open(again), assert.AssertionError)
})

test('a retired assignment settles as before, and gives no watermark beside its successor', () => {
  const ledger = new Ledger({ unresolvedMax: 100 })
  ledger.open(LOGS)
  const tile = ledger.cover(LOGS.assignmentId, LOGS.startOffset, LOGS.startOffset + 2, null)
  assert.equal(tile, 'resolved')
  ledger.retire(LOGS.assignmentId)
  const next = { ...LOGS, assignmentId: LOGS.assignmentId + 1, epoch: LOGS.epoch + 1 }
  assert.equal(ledger.open({ ...next, startOffset: 0 }), null, 'nothing is superseded')
  const late = ledger.cover(
    LOGS.assignmentId,
    LOGS.startOffset + 2,
    LOGS.startOffset + 3,
    Float64Array.of(LOGS.startOffset + 2),
  )
  assert(late !== 'fenced' && late !== 'resolved')
  assert.equal(ledger.settle(late, 0), true)
  assert.equal(ledger.watermark(LOGS.assignmentId), LOGS.startOffset + 3)
  assert.deepEqual(ledger.takeCommits(), [])
  ledger.close(LOGS.assignmentId)
  assert.equal(ledger.cover(next.assignmentId, 0, 5, null), 'resolved')
  assert.deepEqual(
    ledger.takeCommits().map(({ offset }) => offset),
    [5],
  )
})
