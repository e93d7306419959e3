/** Numbers and times as people read them. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { ago, bytes, counted, shortNumber } from '../../../../src/control/web/parts/format.ts'

test('a number has three figures and a letter', () => {
  const cases: readonly (readonly [number, string])[] = [
    [0, '0'],
    [7, '7'],
    [0.25, '0.25'],
    [12.34, '12.3'],
    [999, '999'],
    [999.6, '1k'],
    [1234, '1.23k'],
    [85_000, '85.0k'],
    [999_600, '1M'],
    [7_000_000, '7M'],
    [-1500, '-1.5k'],
  ]
  for (const [value, text] of cases) assert.equal(shortNumber(value), text, String(value))
})

test('no number is wider than its column', () => {
  fc.assert(
    fc.property(fc.double({ min: 0, max: 999e12, noNaN: true }), (value) => {
      assert.ok(shortNumber(value).length <= 6, shortNumber(value))
    }),
  )
})

test('bytes go by 1024', () => {
  assert.equal(bytes(0), '0 B')
  assert.equal(bytes(1023), '1023 B')
  assert.equal(bytes(1024), '1 KiB')
  assert.equal(bytes(16_777_216), '16.0 MiB')
  assert.equal(bytes(1_500_000_000), '1.4 GiB')
})

test('time past is told in the largest unit that fits', () => {
  const now = Date.parse('2026-01-02T00:00:00Z')
  assert.equal(ago('2026-01-01T23:59:58Z', now), 'just now')
  assert.equal(ago('2026-01-01T23:59:18Z', now), '42 s ago')
  assert.equal(ago('2026-01-01T23:54:01Z', now), '5 min ago')
  assert.equal(ago('2025-12-29T00:00:00Z', now), '4 d ago')
  assert.equal(ago('2026-01-03T00:00:00Z', now), 'just now', 'another clock may be ahead')
  assert.equal(ago('never', now), 'never')
})

test('one is not many', () => {
  assert.equal(counted(1, 'worker'), '1 worker')
  assert.equal(counted(0, 'worker'), '0 workers')
  assert.equal(counted(1234, 'match'), '1,234 matches')
})
