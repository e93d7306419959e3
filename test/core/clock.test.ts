/** The clock that tests own. */
import assert from 'node:assert/strict'
import { getEventListeners } from 'node:events'
import { test } from 'node:test'
import { ManualClock, sleep } from '../../src/core/clock.ts'

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

test('a sleep ends with its time or with the signal, and leaves nothing behind', async () => {
  const clock = new ManualClock()
  const whole = sleep(clock, 50)
  clock.advance(50)
  await whole
  const controller = new AbortController()
  const { signal } = controller
  const left = () => [clock.pendingCount, getEventListeners(signal, 'abort').length]
  const slept = sleep(clock, 50, signal)
  clock.advance(50)
  await slept
  const cutShort = sleep(clock, 50, signal)
  assert.deepEqual(left(), [1, 1])
  controller.abort()
  await cutShort
  await sleep(clock, 50, signal)
  assert.deepEqual(left(), [0, 0])
})
