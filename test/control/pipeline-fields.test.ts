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
    faults: [
      {
        field: 'match_drop',
        detail: 'column 7: expected a value, got the end',
        place: '  level:\n        ^',
      },
    ],
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
    {
      field: 'rules.0.keep',
      detail: 'rule "a", keep: column 7: expected a value, got the end',
      place: '  level:\n        ^',
    },
  ])
  const [index] = faultOf({ rules: [{ name: 'a', index: 'Errors' }] })
  assert.match(index?.detail ?? '', /^rule "a": index is "Errors": an index name must not contain/)
  const [edit] = faultOf({ fields: { remove: ['a..b'] } })
  assert.match(edit?.detail ?? '', /^fields, remove: expected a field/)
  const [both] = faultsTogether({ RULES: JSON.stringify(rules), MATCH_KEEP: 'a' })
  assert.match(both?.detail ?? '', /^rules say what is kept, and MATCH_KEEP says it again/)
})

test('a filter is tried beside what is saved, and nothing else is taken with it', () => {
  const fields = new PipelineFields(OPTION_FIELDS)
  const saved = {
    settings: { fields: { kafka_topic: 'logs', match_pattern: 'ERROR' }, kafkaConfig: {} },
    secrets: { es_password: 'hunter2', es_username: 'u', 'kafka_config.sasl.password': 'x' },
  }
  const checked = fields.checkTry({ match_keep: 'level:ERROR', match_drop: null }, saved)
  assert.deepEqual(checked, { variables: { MATCH_KEEP: 'level:ERROR' } })
  const other = fields.checkTry({ kafka_topic: 'others' }, saved)
  assert.deepEqual(other, { variables: { KAFKA_TOPIC: 'others' } })
  const faultsOf = (body: Readonly<Record<string, unknown>>) => {
    const found = fields.checkTry(body, saved)
    return 'faults' in found ? found.faults.map(({ field }) => field) : []
  }
  assert.deepEqual(faultsOf({ es_index: 'others', match_keep: 'a:' }), ['es_index', 'match_keep'])
  assert.deepEqual(faultsOf({ rules: [{ name: 'a' }, { name: 'b', keep: 'a:' }] }), [
    'rules.1.keep',
  ])
  // Nobody is sent the password of other brokers.
  assert.deepEqual(faultsOf({ kafka_brokers: 'thief:9092' }), ['kafka_config.sasl.password'])
  assert.deepEqual(faultsOf({ match_keep: 'a:b', match_invert: true }), ['match_invert'])
  assert.deepEqual(faultsOf({ match_keep: Array(20).fill('x'.repeat(1000)) }), [''])
})
