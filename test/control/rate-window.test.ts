/** Rates over a few snapshots, whatever the pace of the heartbeats that bring them. */
import fc from 'fast-check'
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { RateWindow } from '../../src/control/history.ts'

test('a snapshot that is told twice is no standstill', () => {
  const window = new RateWindow()
  assert.deepEqual(window.add(1000, [100]), [0])
  assert.deepEqual(window.add(2000, [300]), [200])
  assert.deepEqual(window.add(2000, [300]), [200])
  assert.deepEqual(window.add(3000, [500]), [200])
})

test('what lies before the window counts no more', () => {
  const window = new RateWindow()
  for (const [atMs, count] of [
    [0, 0],
    [1000, 9000],
    [2000, 9000],
    [3000, 9000],
  ] as const) {
    window.add(atMs, [count])
  }
  assert.deepEqual(window.add(4000, [9000]), [0])
})

test('a counter that begins anew has no negative rate', () => {
  const window = new RateWindow()
  window.add(5000, [1000])
  window.add(6000, [2000])
  assert.deepEqual(window.add(500, [100]), [200], 'its process runs for half a second')
  const other = new RateWindow()
  other.add(5000, [1000])
  assert.deepEqual(other.add(6000, [50]), [50], 'without a clock of its own: since the last time')
})

test('a steady counter has its rate at any pace of heartbeats', () => {
  const paces = fc.array(fc.integer({ min: 50, max: 2500 }), { minLength: 2, maxLength: 50 })
  fc.assert(
    fc.property(paces, fc.integer({ min: 1, max: 1e6 }), (steps, rate) => {
      const window = new RateWindow()
      let nowMs = 0
      window.add(0, [0])
      for (const step of steps) {
        nowMs += step
        const snapshotMs = nowMs - (nowMs % 1000)
        const [found = -1] = window.add(snapshotMs, [(rate * snapshotMs) / 1000])
        assert.ok(Math.abs(found - (snapshotMs === 0 ? 0 : rate)) < 1e-6 * rate, `${found}`)
      }
    }),
  )
})
