/** A pipeline's program with another filter, to be tried. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { withFilter } from '../../src/sync/programs.ts'

test('a filter that is tried takes the place of the whole own one, and of nothing else', () => {
  const own = {
    pipelineId: 1,
    name: 'x',
    revision: 3,
    variables: { KAFKA_TOPIC: 'logs', MATCH_PATTERN: 'ERROR', MATCH_INVERT: '1' },
    secrets: { ES_PASSWORD: 'hunter2' },
    fallback: null,
  }
  const tried = withFilter(own, { MATCH_KEEP: 'level:ERROR' })
  assert.deepEqual(tried.variables, { KAFKA_TOPIC: 'logs', MATCH_KEEP: 'level:ERROR' })
  assert.deepEqual(tried.secrets, own.secrets)
  assert.deepEqual(own.variables, { ...own.variables, MATCH_PATTERN: 'ERROR' }, 'untouched')
})
