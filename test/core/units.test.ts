/** Quantities as people type and read them. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import {
  formatBytes,
  formatDuration,
  parseBytes,
  parseDurationMs,
  parseTime,
} from '../../src/core/units.ts'

test('bytes are parsed with binary and decimal units', () => {
  assert.equal(parseBytes('1048576'), 1_048_576)
  assert.equal(parseBytes('1MiB'), 1_048_576)
  assert.equal(parseBytes('16m'), 16_777_216)
  assert.equal(parseBytes('1.5 KB'), 1500)
})

test('what is not a quantity is undefined rather than a guess', () => {
  for (const text of [
    '',
    'x',
    '-1',
    '1.2.3',
    '5 furlongs',
    '1e3',
    '0.3b',
    '99999999999999999999',
  ]) {
    assert.equal(parseBytes(text), undefined, text)
    if (text !== '0.3b') assert.equal(parseDurationMs(text), undefined, text)
  }
})

test('durations are milliseconds unless they say otherwise', () => {
  assert.equal(parseDurationMs('1500'), 1500)
  assert.equal(parseDurationMs('2s'), 2000)
  assert.equal(parseDurationMs('7d'), 604_800_000)
})

test('quantities are printed as in the status lines', () => {
  assert.equal(formatBytes(86_297_804), '82.3 MiB')
  assert.equal(formatBytes(12), '12 B')
  assert.equal(formatDuration(12), '12 ms')
  assert.equal(formatDuration(1500), '1.5 s')
  assert.equal(formatDuration(61_000), '1m 1s')
  assert.equal(formatDuration(90_061_000), '1d 1h')
})

test('times need a zone and must exist', () => {
  assert.equal(parseTime('2026-09-01T00:00Z'), Date.UTC(2026, 8, 1))
  assert.equal(parseTime('2026-09-01T02:30:15.5+02:00'), Date.UTC(2026, 8, 1, 0, 30, 15, 500))
  assert.equal(parseTime('2026-09-01Z'), Date.UTC(2026, 8, 1))
  for (const text of [
    '2026-09-01',
    '2026-09-01T00:00',
    '2026-02-30T00:00Z',
    '2026-13-01T00:00Z',
    '2026-01-01T24:00Z',
    'now',
    '1756684800000',
  ]) {
    assert.equal(parseTime(text), undefined, text)
  }
})

test('every moment that Date prints is read back', () => {
  fc.assert(
    fc.property(
      fc.date({ min: new Date(0), max: new Date('9999-12-31T00:00:00Z'), noInvalidDate: true }),
      (date) => assert.equal(parseTime(date.toISOString()), date.getTime()),
    ),
  )
})
