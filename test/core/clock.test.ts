/** The clock that tests own. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ManualClock } from '../../src/core/clock.ts'

test('timers of a manual clock run in the order in which they fall due', () => {
  const clock = new ManualClock(1000)
  const seen: string[] = []
  clock.after(20, () => seen.push(`b@${clock.monotonicMs()}`))
  clock.after(10, () => {
    seen.push(`a@${clock.monotonicMs()}`)
    clock.after(5, () => seen.push(`c@${clock.monotonicMs()}`))
  })
  const cancel = clock.after(12, () => seen.push('never'))
  cancel()
  clock.advance(30)
  assert.deepEqual(seen, ['a@1010', 'c@1015', 'b@1020'])
  assert.equal(clock.monotonicMs(), 1030)
  assert.equal(clock.pendingCount, 0)
})
