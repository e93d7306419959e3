/** What a worker answers when it has tried a filter. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Command } from '../../../../src/control/web/data/api-types.ts'
import { triedOf } from '../../../../src/control/web/form/try-result.ts'

const command = (state: Command['state'], result: unknown): Command => ({
  id: 'a',
  worker_id: 'w1',
  pipeline_id: 1,
  kind: 'try',
  state,
  created_at: '',
  expires_at: '',
  result,
})

test('records stand with their verdicts, and the terms that said no', () => {
  const at = { topic: 'logs', partition: 1, time_ms: null }
  const output = {
    records: 3,
    kept: 1,
    dropped: 2,
    no_json: 1,
    reasons: [{ reason: 'level:ERROR is not met', records: 2 }],
    each: [
      { ...at, offset: 7, reason: null, value: '{"level":"ERROR"}' },
      { ...at, offset: 8, reason: 0, value: 'plain' },
      { ...at, offset: 9, reason: 0, value: null },
    ],
  }
  const tried = triedOf(command('done', { status: 0, output }))
  assert.ok(typeof tried === 'object')
  const { kept, dropped, noJson, reasons, records } = tried
  assert.deepEqual([kept, dropped, noJson, reasons.length], [1, 2, 1, 1])
  assert.deepEqual(records, [
    { at: 'logs [1] 7', value: '{"level":"ERROR"}', reason: null },
    { at: 'logs [1] 8', value: 'plain', reason: 'level:ERROR is not met' },
    { at: 'logs [1] 9', value: null, reason: 'level:ERROR is not met' },
  ])
})

test('without a result there is a reason, whatever came in its place', () => {
  const late = triedOf(command('expired', null))
  assert.ok(typeof late === 'string')
  assert.match(late, /^w1 did not answer in time/)
  const lines = { status: 2, output: ['logpipe try: /a(/ does not compile'] }
  assert.equal(triedOf(command('failed', lines)), 'logpipe try: /a(/ does not compile')
  assert.equal(triedOf(command('failed', { message: 'unknown: try' })), 'unknown: try')
  assert.equal(triedOf(command('failed', null)), 'w1 could not try it.')
  const strange = triedOf(command('done', { output: { each: [null, 5], reasons: 'x' } }))
  assert.ok(typeof strange === 'object')
  assert.deepEqual([strange.kept, strange.records.length], [0, 2])
})
