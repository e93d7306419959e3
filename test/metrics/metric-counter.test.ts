/** What filter threads count: labels, numbers, windows and cuts. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { loadBridge } from '../../src/bridge/load.ts'
import { parseMetric } from '../../src/core/expression/metric.ts'
import { LABEL_CHARS_MAX, MetricCounter } from '../../src/metrics/metric-counter.ts'
import type { MatchedRecord } from '../../src/pool/record-encoder.ts'
import { encodeHeaders } from '../../src/pool/slot-reader.ts'

const bridge = loadBridge(undefined)

function recordOf(value: string | null, more: Partial<MatchedRecord> = {}): MatchedRecord {
  return {
    topic: 't',
    partition: 3,
    offset: 0,
    idPrefix: '',
    timestampMs: 1500,
    timestampType: 'create',
    key: null,
    headers: Buffer.alloc(0),
    value: value === null ? null : Buffer.from(value),
    ...more,
  }
}

function counterOf(texts: readonly string[], windowMs: number | null = null): MetricCounter {
  return new MetricCounter(
    bridge,
    texts.map((text) => parseMetric(text).spec),
    windowMs,
  )
}

/** Labels of the one series that a record adds to. */
function labelsOf(by: string, record: MatchedRecord): readonly string[] {
  const counter = counterOf([`n=* by ${by}`])
  counter.count(record, [0])
  return counter.take()[0]?.labels ?? []
}

test('a label is the text of a field, as an expression reads it', () => {
  const value = '{"a":{"b":"x"},"n":1.50,"t":true,"l":[null,["first"],"second"],"o":{},"z":null}'
  const by = 'b=a.b, n, t, l, o, z, none'
  const expected = ['x', '1.50', 'true', 'first', '', '', '']
  assert.deepEqual(labelsOf(by, recordOf(value)), expected)
  assert.deepEqual(labelsOf('x=a.b', recordOf('{"a.b":"\\u0041","a":{"c":1}}')), ['A'])
  assert.deepEqual(labelsOf('a', recordOf('{"a":1,"a":2}')), ['2'])
  for (const none of ['no JSON', '[1]', '', null]) {
    assert.deepEqual(labelsOf('a', recordOf(none)), [''])
  }
})

test('a label may be of the record itself', () => {
  const headers = encodeHeaders([
    ['env', Buffer.from('prod')],
    ['none', null],
  ])
  const record = recordOf(null, { key: Buffer.from('k'), headers })
  const by = '@topic, @partition, @key, @header.env, @header.none, @header.other'
  assert.deepEqual(labelsOf(by, record), ['t', '3', 'k', 'prod', '', ''])
})

test('a long label is cut, and stays text', () => {
  const [label = ''] = labelsOf('a', recordOf(JSON.stringify({ a: `x${'\u{1f600}'.repeat(99)}` })))
  assert.ok(label.length === LABEL_CHARS_MAX && label.isWellFormed())
})

test('numbers are read of fields and by a group; what has none is counted as that', () => {
  const counter = counterOf(['s=sum(n)', 'h=histogram(n; 10 100)', 'r=sum(/took=(\\S+)ms/)'])
  const values = ['{"n":5}', '{"n":"50"}', '{"n":1e3}', '{"n":"x"}', '{}', 'took=007ms', 'took=ms']
  for (const value of values) counter.count(recordOf(value), [0, 1, 2])
  const deltas = counter.take()
  assert.deepEqual(
    deltas.map(({ count, sum, missing, buckets }) => ({ count, sum, missing, buckets })),
    [
      { count: 3, sum: 1055, missing: 4, buckets: null },
      { count: 3, sum: 1055, missing: 4, buckets: [1, 1, 1] },
      { count: 1, sum: 7, missing: 6, buckets: null },
    ],
  )
  assert.deepEqual(counter.take(), [])
})

test('windows and cuts part a series, and all that was counted is in one part', () => {
  const record = fc.record({
    timestampMs: fc.oneof(fc.constant(-1), fc.integer({ min: 0, max: 100 })),
    label: fc.constantFrom('a', 'b'),
  })
  const cut = fc.integer({ min: 0, max: 20 })
  fc.assert(
    fc.property(fc.array(record), fc.array(cut, { maxLength: 2 }), (records, cuts) => {
      const counter = counterOf(['n=* by l'], 10)
      counter.cutAt(cuts)
      const expected = new Map<string, number>()
      for (const [offset, { timestampMs, label }] of records.entries()) {
        counter.count(recordOf(JSON.stringify({ l: label }), { offset, timestampMs }), [0])
        const window = timestampMs < 0 ? -1 : Math.floor(timestampMs / 10) * 10
        const key = `${window} ${label} ${cuts.filter((at) => offset >= at).length}`
        expected.set(key, (expected.get(key) ?? 0) + 1)
      }
      const found = counter.take().map(({ windowMs, labels, firstOffset, count }) => {
        const part = cuts.filter((at) => firstOffset >= at).length
        return [`${windowMs} ${labels.join()} ${part}`, count] as const
      })
      assert.deepEqual(new Map(found), expected)
    }),
  )
})
