/** Metrics as options: from flags, and from maps in the config file. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { LogpipeError } from '../../src/core/errors.ts'
import { parseMetric } from '../../src/core/expression/metric.ts'
import { countingFilter } from '../../src/options/metrics.ts'
import { resolve } from '../../src/options/resolve.ts'

function metricsIn(yaml: string): readonly string[] {
  const given = { command: 'run', args: ['--config', 'p.yaml'], env: {} } as const
  return resolve({ ...given, readText: () => yaml }).config.metrics
}

function faultIn(yaml: string): LogpipeError {
  try {
    metricsIn(yaml)
  } catch (error) {
    if (error instanceof LogpipeError) return error
    throw error
  }
  throw new Error('it was taken')
}

test('metrics in the config file are texts, or maps of their parts', () => {
  const yaml = `
metrics:
  errors: level:ERROR by service
  took:
    histogram: took_ms
    bounds: [10, 100]
    where: path:"/api" and status < 500
    by: [service, code=http.status]
  sent: { sum: '/sent (\\d+)/', by: '@topic' }
  slow: { count: took_ms >= 500, where: a or b, by: { s: service.name } }
`
  const metrics = metricsIn(yaml)
  assert.deepEqual(metrics, [
    'errors=level:ERROR by service',
    'took=histogram(took_ms; 10 100) path:"/api" and status < 500 by service, code=http.status',
    'sent=sum(/sent (\\d+)/) by @topic',
    'slow=(took_ms >= 500) and (a or b) by s=service.name',
  ])
  for (const text of metrics) parseMetric(text)
  assert.deepEqual(metricsIn('metrics: ["a=x", b=y by c]'), ['a=x', 'b=y by c'])
})

test('a wrong metric in the file is named with its line, and its column in the text', () => {
  const wrong = faultIn('metrics:\n  a:\n    sum: b\n    per: c\n')
  assert.match(wrong.message, /^p\.yaml:3:5: metrics: a has an unknown key "per"/)
  assert.match(
    faultIn('metrics: { a: { by: b } }').message,
    /a has one of count, sum and histogram$/,
  )
  assert.match(faultIn('metrics: { a: { sum: b, bounds: [1] } }').message, /is no histogram$/)
  assert.match(faultIn('metrics: { a: [b] }').message, /a is an expression, or a map of count/)
  const text = faultIn('metrics:\n  a: level=ERROR\n')
  assert.match(text.message, /^p\.yaml:1:1: metrics: column 8: expected :, got =/)
  assert.match(text.below ?? '', /a=level=ERROR\n +\^$/)
})

test('a bare number is what -n is for', () => {
  const count = () => resolve({ command: 'run', args: ['--count', '10'], env: {} })
  assert.throws(count, /--count: column 1: .* got a number: did you mean -n 10\?/)
  const tap = () => resolve({ command: 'tap', args: ['topic', '--count', '10'], env: {} })
  assert.throws(tap, /unknown option --count of logpipe tap \(did you mean --max-records\?\)/)
})

test('what is kept and what is counted are one set', () => {
  const config = resolve({
    command: 'run',
    args: ['--keep', 'a', '--drop', 'b', '--count', 'm=c', '--count', 'n=*'],
    env: {},
  }).config
  const both = countingFilter(config, false)
  assert.equal(both.metricsFrom, 1)
  const groups = (JSON.parse(both.expression) as { groups: { all: boolean; of: object[] }[] })
    .groups
  assert.deepEqual(
    groups.map(({ all, of }) => [all, of.length]),
    [
      [false, 1],
      [true, 2],
    ],
  )
  const alone = countingFilter(config, true)
  assert.equal(alone.metricsFrom, 0)
  assert.equal((JSON.parse(alone.expression) as { groups: object[] }).groups.length, 1)
})
