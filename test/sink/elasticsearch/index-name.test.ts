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
    'a-topic}',
    'a\n',
    'x'.repeat(256),
  ]) {
    assert.throws(() => parseIndexPattern(pattern), LogpipeError, JSON.stringify(pattern))
  }
})

test('a date of letters that are not replaced is refused, with those that are', () => {
  for (const [format, letters] of [
    ['yyyy.mm.dd', 'mm'],
    ['yyyy.ww', 'ww'],
    ['xxxx.ww', 'xxxx'],
    ['yyyy.MM.DD', 'DD'],
    ['YYYY.MM.dd', 'YYYY'],
    ["yyyy-'w'ww", 'w'],
    ['yy.MM.dd', 'yy'],
    ['MMM-yyyy', 'MMM'],
    ['MMMM', 'MMMM'],
    ['yyyyMMddHHmm', 'mm'],
    ['yyyyyyyy', 'yyyyyyyy'],
    ['yyyy.MM.ddZ', 'Z'],
    ['yyyy年MM月', '年'],
  ] as const) {
    assert.throws(() => parseIndexPattern(`a-{+${format}}`), {
      code: 'USAGE',
      message:
        `ES_INDEX is "a-{+${format}}": {+${format}} has "${letters}"; ` +
        'a date consists of yyyy (year), MM (month), dd (day) and HH (hour)',
    })
  }
  assert.throws(() => parseIndexPattern('a-{+2026}'), {
    message: /\{\+2026\} has no letters; a date/,
  })
  assert.equal(indexNameOf(parseIndexPattern('a-{+yyyyMMddHH_0}'), 't', NOON), 'a-2026123112_0')
})

test("the notation of Logstash, with its %, is refused with logpipe's", () => {
  for (const pattern of ['logs-%{+yyyy.MM.dd}', '%{topic}', 'a-%{topic}-x']) {
    assert.throws(() => parseIndexPattern(pattern), {
      message: /the % would become part of the name: write \{\S+\} without it$/,
    })
  }
  assert.equal(indexNameOf(parseIndexPattern('50%-{topic}'), 't', NOON), '50%-t')
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
