/** What a replay changes of a pipeline's output. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { replayOutput } from '../../src/run/replay.ts'
import { ELASTICSEARCH_DEFAULTS } from '../helpers/elasticsearch-defaults.ts'

test('a replay finds the indices of old records, and waits for the index', () => {
  const settings = { ...ELASTICSEARCH_DEFAULTS, commitOn: 'spill' } as const
  const rest = { idPrefix: 'auto', spillPath: 'spill', letters: null }
  const output = replayOutput({ kind: 'elasticsearch', settings, ...rest })
  assert.deepEqual(output, {
    kind: 'elasticsearch',
    settings: { ...settings, indexDateSpan: null, commitOn: 'index' },
    ...rest,
  })
  assert.notEqual(settings.indexDateSpan, null)
})
