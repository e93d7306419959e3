import assert from 'node:assert/strict'
import { test } from 'node:test'
import { passedOnText } from '../../src/metrics/passed-on.ts'

test('the series of one metric stand together, under its type', () => {
  const text = passedOnText([
    { labels: { worker: 'a', pipeline: 1 }, metrics: { polled_total: 5, kafka_lag: 2 } },
    { labels: { worker: 'b', pipeline: 2 }, metrics: { polled_total: 7 } },
  ])
  assert.equal(
    text,
    '# TYPE polled_total counter\n' +
      'polled_total{worker="a",pipeline="1"} 5\n' +
      'polled_total{worker="b",pipeline="2"} 7\n' +
      '# TYPE kafka_lag gauge\n' +
      'kafka_lag{worker="a",pipeline="1"} 2\n',
  )
})

test('without reports there is no text', () => {
  assert.equal(passedOnText([]), '')
})
