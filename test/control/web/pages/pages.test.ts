/** The small pure parts of the dashboard: addresses, labels, curves, marks, commands. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  columnsOf,
  countedNames,
  summaryOf,
} from '../../../../src/control/web/charts/chart-data.ts'
import { findingsOf, outputLines } from '../../../../src/control/web/pipeline/command-output.ts'
import { lettersOf } from '../../../../src/control/web/pipeline/letters.ts'
import { markedParts } from '../../../../src/control/web/pipeline/marked-text.ts'
import { labelOf } from '../../../../src/control/web/form/option-labels.ts'
import { pipelineHref, routeOf, TABS } from '../../../../src/control/web/data/route.ts'
import { POINTS_MAX, sparkPath, Sparks } from '../../../../src/control/web/charts/sparks.ts'
import { nextWorkerId, workerCommand } from '../../../../src/control/web/workers/worker-command.ts'

test('an address leads to its page, and a wrong one to none', () => {
  assert.deepEqual(routeOf(''), { page: 'pipelines' })
  assert.deepEqual(routeOf('#/'), { page: 'pipelines' })
  assert.deepEqual(routeOf('#/new'), { page: 'new' })
  assert.deepEqual(routeOf('#/metrics'), { page: 'metrics', id: 0 })
  assert.deepEqual(routeOf('#/metrics/4'), { page: 'metrics', id: 4 })
  for (const tab of TABS) {
    assert.deepEqual(routeOf(pipelineHref(3, tab)), { page: 'pipeline', id: 3, tab })
  }
  for (const wrong of ['#/pipelines', '#/pipelines/0', '#/pipelines/x', '#/pipelines/1/a', '#/x']) {
    assert.deepEqual(routeOf(wrong), { page: 'unknown' }, wrong)
  }
})

test('a label is the variable in words, without its group', () => {
  const label = (field: string, group: string) => labelOf({ field, group })
  assert.equal(label('es_bulk_flush_ms', 'elasticsearch'), 'Bulk flush (ms)')
  assert.equal(label('revoke_drain_ms', 'delivery'), 'Revoke drain (ms)')
  assert.equal(label('rust_workers', 'pool'), 'Filter threads')
})

test('a curve is broken where nothing was heard', () => {
  const at = (second: number) => new Date(second * 1000).toISOString()
  const points = [1, 2, 100].map((second) => ({ at: at(second), kafka_lag: second }))
  const { times, values } = columnsOf({ step_seconds: 1, points }, ['kafka_lag'])
  assert.deepEqual(times, [1, 2, 3, 100])
  assert.deepEqual(values.get('kafka_lag'), [1, 2, null, 100])
  assert.deepEqual(summaryOf([1, 2, null, 100, 7, null]), { last: 7, highest: 100 })
  assert.deepEqual(summaryOf([]), { last: 0, highest: 0 })
})

test('a small curve fits its box and forgets what is old', () => {
  assert.equal(sparkPath([1], 10, 10), '')
  assert.equal(sparkPath([0, 4, 2], 10, 10), 'M0.0 9.0L5.0 1.0L10.0 5.0')
  const sparks = new Sparks()
  sparks.add(1, 5)
  sparks.seed(
    1,
    Array.from({ length: 200 }, () => 1),
  )
  assert.equal(sparks.of(1).length, POINTS_MAX)
  assert.equal(sparks.of(1).at(-1), 5, 'what was seen is newer than what was before')
  assert.deepEqual(sparks.of(2), [])
})

test('what made a line match is set apart', () => {
  const text = (parts: ReturnType<typeof markedParts>) =>
    parts.map(({ text: part, isMatch }) => (isMatch ? `[${part}]` : part)).join('')
  assert.equal(text(markedParts('an ERROR here', ['ERROR'])), 'an [ERROR] here')
  assert.equal(text(markedParts('ERRORS', ['ERROR', 'ERRORS'])), '[ERRORS]')
  assert.equal(text(markedParts('a', ['', 'b'])), 'a')
  assert.equal(markedParts('aaa'.repeat(100), ['a']).length, 51)
})

test('the command that starts a worker is whole', () => {
  const about = {
    version: '0.1.0',
    program: 'bin/logpipe',
    worker_token_file: 'data/worker-token',
    worker_token_binds: false,
  }
  assert.equal(
    workerCommand(about, 'http://127.0.0.1:8088', 'worker-1'),
    'bin/logpipe sync --worker-id worker-1 --control-plane-url http://127.0.0.1:8088',
  )
  const away = workerCommand(about, 'https://logs.example', 'w')
  assert.match(away, /^WORKER_TOKEN="\$\(cat data\/worker-token\)" bin\/logpipe sync /)
  const own = { ...about, worker_token_file: null, worker_token_binds: true }
  assert.match(workerCommand(own, 'http://localhost:1', 'w'), /^WORKER_TOKEN=\.\.\. bin/)
  assert.equal(nextWorkerId(['worker-1', 'worker-3', 'x']), 'worker-2')
})

test('dead letters are read from a list, whole or cut off', () => {
  const letter = { id: 't-0-1', at: '2026-01-01T00:00:00Z', status: 400, errorType: 'e' }
  const lines = [`[${JSON.stringify(letter)},`, `${JSON.stringify({ ...letter, id: 't-0-2' })},`]
  assert.deepEqual(
    lettersOf('w', { output: [...lines, '{"id":"t-0'] }).map(({ id }) => id),
    ['t-0-1', 't-0-2'],
  )
  assert.equal(lettersOf('w', { output: [letter] })[0]?.workerId, 'w')
  assert.deepEqual(lettersOf('w', null), [])
})

test('findings of a check are told apart from what it prints before them', () => {
  const output = ['KAFKA_TOPIC logs', '', 'ok     kafka: 1 broker', 'WRONG  index: none', '1 thing']
  assert.deepEqual(findingsOf(output), [
    { word: 'ok', text: 'kafka: 1 broker' },
    { word: 'WRONG', text: 'index: none' },
  ])
  assert.deepEqual(outputLines({ output, message: 'late' }, 1), ['1 thing', 'late'])
})

test('what a pipeline counts has a curve for each name', () => {
  const at = '2026-09-01T00:00:00Z'
  const points = [
    { at, polled_per_second: 1, log_errors_per_second: 2 },
    { at, polled_per_second: 1, log_took_sum_per_second: 3, log_errors_per_second: 2 },
  ]
  assert.deepEqual(countedNames({ points }), [
    { name: 'log_errors_per_second', title: 'errors' },
    { name: 'log_took_sum_per_second', title: 'took_sum' },
  ])
})
