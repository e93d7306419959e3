/** What the control plane says of a pipeline's variables together. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { faultTogether, OPTION_FIELDS, PipelineFields } from '../../src/control/pipeline-fields.ts'

test('a pipeline may count in place of writing', () => {
  assert.equal(faultTogether({ PRODUCT_LINE: 'metrics' }), undefined)
})

test('what run would refuse is refused before a worker has it', () => {
  assert.match(faultTogether({ POOL_SIZE: '2' }) ?? '', /^POOL_SIZE: 2 slots are too few/)
  assert.match(faultTogether({ ES_ANSWER: 'a=b' }) ?? '', /^ES_ANSWER: expected an error type/)
  assert.match(faultTogether({ ES_USERNAME: 'u' }) ?? '', /^ES_USERNAME: needs ES_PASSWORD/)
})

test('a filter is kept as it is given, and one that is wrong is refused with its column', () => {
  const fields = new PipelineFields(OPTION_FIELDS)
  const match_keep = ['level:ERROR and not "health"', '@topic:app-*']
  const checked = fields.check({ name: 'a', match_keep, match_regex: 'a+' })
  assert.ok('draft' in checked)
  const { settings } = checked.draft
  assert.deepEqual(settings.fields['match_keep'], match_keep)
  const variables = fields.variables(settings)
  assert.equal(variables['MATCH_KEEP'], match_keep.join('\n'))
  assert.equal(faultTogether(variables), undefined)
  assert.deepEqual(fields.check({ name: 'a', match_drop: 'level:' }), {
    faults: [{ field: 'match_drop', detail: 'column 7: expected a value, got the end' }],
  })
  assert.match(
    faultTogether({ MATCH_KEEP: 'a', MATCH_INVERT: '1' }) ?? '',
    /MATCH_INVERT: inverts patterns, and does not go with --keep/,
  )
})
