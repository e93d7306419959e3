/**
 * The generator: its matches are exactly those that were meant, its sizes exact, its bytes
 * repeatable.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as fc from 'fast-check'
import {
  type LogLinesOptions,
  makeLogLines,
  matchesAmong,
  NATURAL_LINE_BYTES_MAX,
} from '../../src/core/log-lines.ts'

const NATURAL: LogLinesOptions = { seed: 7, errorShare: 0.1, recordBytes: null, multiLine: true }
const START_MS = Date.UTC(2026, 0, 31, 23, 59, 59, 990)

function linesOf(options: LogLinesOptions, count: number): { text: string; isError: boolean }[] {
  const lines = makeLogLines(options)
  return Array.from({ length: count }, (_unused, index) => {
    const line = lines.next(START_MS + index)
    return { text: Buffer.from(line.bytes).toString('latin1'), isError: line.isError }
  })
}

test('ERROR is in the lines where it was meant, once each, and in no other', () => {
  fc.assert(
    fc.property(
      fc.nat(),
      fc.double({ min: 0, max: 1, noNaN: true }),
      fc.option(fc.integer({ min: 5, max: 2000 })),
      (seed, errorShare, recordBytes) => {
        const count = 100
        const lines = linesOf({ seed, errorShare, recordBytes, multiLine: true }, count)
        for (const { text, isError } of lines) {
          assert.equal(text.split('ERROR').length - 1, isError ? 1 : 0)
          if (recordBytes !== null) assert.equal(text.length, recordBytes)
        }
        assert.equal(lines.filter((line) => line.isError).length, matchesAmong(count, errorShare))
      },
    ),
    { numRuns: 40 },
  )
})

test('shares that people type give whole numbers of matches', () => {
  assert.equal(matchesAmong(1_000_000, 0.001), 1000)
  assert.equal(matchesAmong(10, 0.1), 1)
  assert.equal(matchesAmong(7, 0), 0)
  assert.equal(matchesAmong(7, 1), 7)
})

test('the same seed gives the same bytes, another seed others', () => {
  assert.deepEqual(linesOf(NATURAL, 500), linesOf(NATURAL, 500))
  assert.notDeepEqual(linesOf(NATURAL, 500), linesOf({ ...NATURAL, seed: 8 }, 500))
})

test('lines are UTF-8, and those that look like JSON are JSON, at any size', () => {
  for (const recordBytes of [null, 250, 300, 317, 1000]) {
    const lines = makeLogLines({ ...NATURAL, recordBytes })
    let jsonCount = 0
    let wideCount = 0
    for (let index = 0; index < 2000; index++) {
      const { bytes } = lines.next(START_MS + index)
      const text = new TextDecoder('utf-8', { fatal: true }).decode(bytes)
      if (text.length < bytes.byteLength) wideCount++
      if (!text.startsWith('{')) continue
      jsonCount++
      assert.equal(typeof JSON.parse(text), 'object')
    }
    assert.ok(jsonCount > 200, `${jsonCount} lines of JSON`)
    assert.ok(wideCount > 200, `${wideCount} lines with characters beyond ASCII`)
  }
})

test('times are those given, in each format, also across midnight', () => {
  const texts = linesOf({ ...NATURAL, errorShare: 0 }, 400).map((line) => line.text)
  assert.ok(texts.some((text) => text.includes('2026-01-31T23:59:59.99')))
  assert.ok(texts.some((text) => text.includes('2026-02-01T00:00:00.')))
  assert.ok(texts.some((text) => text.includes('[01/Feb/2026:00:00:00 +0000]')))
  assert.ok(!texts.some((text) => /%[TLINF]/.test(text)), 'no mark is left')
})

test('stack traces occur only where several lines are wanted', () => {
  const breaks = (multiLine: boolean) =>
    linesOf({ ...NATURAL, errorShare: 1, multiLine }, 300).filter(({ text }) => text.includes('\n'))
  assert.ok(breaks(true).length > 0)
  assert.equal(breaks(false).length, 0)
})

test('no natural line is longer than the bound the demo counts with', () => {
  for (let seed = 0; seed < 20; seed++) {
    const sizes = linesOf({ ...NATURAL, seed, errorShare: 0.5 }, 500).map(
      (each) => each.text.length,
    )
    assert.ok(Math.max(...sizes) <= NATURAL_LINE_BYTES_MAX)
  }
})

test('a size that cannot hold ERROR is a usage error, unless there is to be none', () => {
  assert.throws(() => makeLogLines({ ...NATURAL, recordBytes: 4 }), { code: 'USAGE' })
  assert.equal(linesOf({ ...NATURAL, recordBytes: 4, errorShare: 0 }, 1)[0]?.text.length, 4)
  assert.equal(linesOf({ ...NATURAL, recordBytes: 0, errorShare: 0 }, 1)[0]?.text, '')
})
