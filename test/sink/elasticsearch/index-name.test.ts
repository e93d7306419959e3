import assert from 'node:assert/strict'
import { test } from 'node:test'
import { LogpipeError } from '../../../src/core/errors.ts'
import {
  indexNameFaults,
  indexNameOf,
  parseIndexPattern,
} from '../../../src/sink/elasticsearch/index-name.ts'

const NOON = Date.UTC(2026, 11, 31, 12)

test('a pattern takes the topic in lower case and the date in UTC', () => {
  for (const [pattern, topic, name] of [
    ['logs', 'A', 'logs'],
    ['{topic}', 'Orders.V1', 'orders.v1'],
    ['app-{topic}-{+yyyy.MM.dd}', 'A', 'app-a-2026.12.31'],
    ['{+yyyy}-x-{+MM}', 'A', '2026-x-12'],
    ['logs-{+yyyy.MM.dd.HH}', 'A', 'logs-2026.12.31.12'],
  ] as const) {
    assert.equal(indexNameOf(parseIndexPattern(pattern), topic, NOON), name)
  }
})

test('a record without a usable time goes to an undated index', () => {
  const pattern = parseIndexPattern('a-{+yyyy.MM.dd}')
  for (const timestampMs of [-1, -5, 9e15, Number.NaN]) {
    assert.equal(indexNameOf(pattern, 't', timestampMs), 'a-undated')
  }
})

test('a pattern that can give no index name is refused', () => {
  for (const pattern of [
    '',
    'Logs',
    '_logs',
    '-logs',
    '+a',
    'a b',
    'a,b',
    'a"b',
    'a/b',
    'a*',
    'a#b',
    'a:b',
    '..',
    'a-{date}',
    'a-{+xxxx}',
    'a-{topic',
    'a\n',
    'x'.repeat(256),
  ]) {
    // An open brace is a character that Elasticsearch takes.
    if (pattern === 'a-{topic') continue
    assert.throws(() => parseIndexPattern(pattern), LogpipeError, JSON.stringify(pattern))
  }
})

test('topics whose names collide in lower case are refused when they are assigned', () => {
  const pattern = parseIndexPattern('app-{topic}')
  assert.deepEqual(indexNameFaults(pattern, ['orders', 'payments', 'orders']), [])
  assert.deepEqual(indexNameFaults(pattern, ['Orders', 'payments', 'orders']), [
    'topics Orders and orders would both go to the index app-orders',
  ])
  assert.deepEqual(indexNameFaults(parseIndexPattern('all'), ['Orders', 'orders']), [])
  assert.equal(indexNameFaults(parseIndexPattern('{topic}'), ['_private']).length, 1)
})
