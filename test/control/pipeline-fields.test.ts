/** What the control plane says of a pipeline's variables together. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { faultsTogether, OPTION_FIELDS, PipelineFields } from '../../src/control/pipeline-fields.ts'

test('a pipeline may count in place of writing', () => {
  assert.deepEqual(faultsTogether({ PRODUCT_LINE: 'metrics' }), [])
})

test('what run would refuse is refused before a worker has it, each fault at its field', () => {
  const faults = faultsTogether({ POOL_SIZE: '2', ES_USERNAME: 'u', BATCH_BYTES: '2MiB' })
  const found = faults.map(({ field, detail }) => `${field} ${detail}`)
  assert.equal(found.length, 3)
  assert.match(found[0] ?? '', /^pool_size expected at least \d+ slots, got 2/)
  assert.match(found[1] ?? '', /^batch_bytes BATCH_BYTES \(2097152\) must not exceed BUFFER_BYTES/)
  assert.match(found[2] ?? '', /^es_username requires ES_PASSWORD as well/)
  const [answer] = faultsTogether({ ES_ANSWER: 'a=b' })
  assert.equal(answer?.field, 'es_answer')
  assert.match(answer.detail, /^expected an error type/)
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
  assert.deepEqual(faultsTogether(variables), [])
  assert.deepEqual(fields.check({ name: 'a', match_drop: 'level:' }), {
    faults: [{ field: 'match_drop', detail: 'column 7: expected a value, got the end' }],
  })
  const [fault] = faultsTogether({ MATCH_KEEP: 'a', MATCH_INVERT: '1' })
  assert.match(fault?.detail ?? '', /inverts patterns, and does not go with --keep/)
})

test('rules and fields come as JSON or as text, and go to the child as text', () => {
  const fields = new PipelineFields(OPTION_FIELDS)
  const rules = [{ name: 'errors', keep: 'level:ERROR', index: 'errors-{+yyyy}' }]
  const edits = { remove: ['password'] }
  const checked = fields.check({ name: 'a', rules, fields: edits, rule_field: 'rule' })
  assert.ok('draft' in checked)
  const variables = fields.variables(checked.draft.settings)
  assert.equal(variables['RULES'], JSON.stringify(rules))
  assert.equal(variables['FIELDS'], JSON.stringify(edits))
  assert.deepEqual(faultsTogether(variables), [])
  const again = fields.check({ name: 'a', ...checked.draft.settings.fields })
  assert.deepEqual('draft' in again && again.draft.settings, checked.draft.settings)

  const faultOf = (body: object) => {
    const answer = fields.check({ name: 'a', ...body })
    return 'faults' in answer ? answer.faults : []
  }
  assert.deepEqual(faultOf({ rules: [{ name: 'a', keep: 'level:' }] }), [
    { field: 'rules', detail: 'rule "a", keep: column 7: expected a value, got the end' },
  ])
  const [index] = faultOf({ rules: [{ name: 'a', index: 'Errors' }] })
  assert.match(index?.detail ?? '', /^rule "a": index is "Errors": an index name must not contain/)
  const [edit] = faultOf({ fields: { remove: ['a..b'] } })
  assert.match(edit?.detail ?? '', /^fields, remove: expected a field/)
  const [both] = faultsTogether({ RULES: JSON.stringify(rules), MATCH_KEEP: 'a' })
  assert.match(both?.detail ?? '', /^rules say what is kept, and MATCH_KEEP says it again/)
})
