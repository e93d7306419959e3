/** A pipeline as a form has it, and back. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Option, PipelineContent } from '../../../../src/control/web/data/api-types.ts'
import {
  bodyOf,
  changesBetween,
  effectiveText,
  formOf,
  rebase,
  suggestedName,
} from '../../../../src/control/web/form/form-values.ts'

const option = (field: string, more: Partial<Option> = {}): Option => ({
  field,
  variable: field.toUpperCase(),
  group: 'kafka',
  group_title: 'Kafka',
  kind: 'string',
  choices: [],
  min: null,
  max: null,
  default: null,
  secret: false,
  repeatable: false,
  description: 'An option.',
  help: '',
  ...more,
})
const OPTIONS = [
  option('kafka_topic', { default: 'test' }),
  option('match_pattern', { repeatable: true }),
  option('match_invert', { kind: 'switch', default: '0' }),
  option('pool_size', { kind: 'count' }),
  option('es_password', { secret: true }),
]
const content = (more: Readonly<Record<string, unknown>> = {}): PipelineContent => ({
  name: 'p',
  replicas: 1,
  kafka_config: {},
  secrets: {},
  ...more,
})

test('what is read comes back as it was', () => {
  const pipeline = content({
    kafka_topic: 'logs',
    match_pattern: [' ERROR ', 'FATAL'],
    match_invert: true,
    pool_size: 64,
    kafka_config: { 'client.id': 'x' },
  })
  assert.deepEqual(bodyOf(formOf(pipeline, OPTIONS), OPTIONS), {
    name: 'p',
    replicas: 1,
    kafka_topic: 'logs',
    match_pattern: [' ERROR ', 'FATAL'],
    match_invert: true,
    pool_size: '64',
    kafka_config: { 'client.id': 'x' },
  })
})

test('an empty field is not sent, so that its default holds', () => {
  const values = formOf(content({ kafka_topic: 'logs' }), OPTIONS)
  const body = bodyOf({ ...values, fields: { kafka_topic: ' ', match_pattern: '\n' } }, OPTIONS)
  assert.deepEqual(Object.keys(body), ['name', 'replicas', 'kafka_config'])
})

test('a blank within a pattern is meant, and one pattern is no list', () => {
  const values = formOf(content(), OPTIONS)
  const body = bodyOf({ ...values, fields: { match_pattern: ' level=error\r\n' } }, OPTIONS)
  assert.equal(body['match_pattern'], ' level=error')
})

test('what is no number goes to the API, which says what is wrong', () => {
  const values = formOf(content(), OPTIONS)
  assert.equal(bodyOf({ ...values, replicas: 'two' }, OPTIONS)['replicas'], 'two')
  assert.equal(bodyOf({ ...values, replicas: '' }, OPTIONS)['replicas'], 1)
})

test('a stored secret stays unless it is typed over or removed', () => {
  const pipeline = content({
    secrets: { es_password: 'set', 'kafka_config.sasl.password': 'set' },
  })
  const values = formOf(pipeline, OPTIONS)
  const [row] = values.properties
  assert.deepEqual(row, { key: 0, name: 'sasl.password', value: '', stored: true })
  assert.deepEqual(bodyOf(values, OPTIONS), { name: 'p', replicas: 1, kafka_config: {} })
  const removed = { ...values, properties: [], removed: ['sasl.password'] }
  const body = bodyOf({ ...removed, secrets: { es_password: null } }, OPTIONS)
  assert.equal(body['es_password'], null)
  assert.deepEqual(body['kafka_config'], { 'sasl.password': null })
  assert.equal(bodyOf({ ...values, secrets: { es_password: 'x' } }, OPTIONS)['es_password'], 'x')
})

test('changes are told by field, with secrets only as being there', () => {
  const before = content({ kafka_topic: 'a', secrets: { es_password: 'unset' } })
  const after = content({ match_invert: true, secrets: { es_password: 'set' } })
  assert.deepEqual(changesBetween(before, after, OPTIONS), [
    { field: 'kafka_topic', before: 'a', after: '' },
    { field: 'es_password', before: '', after: 'a secret' },
    { field: 'match_invert', before: '', after: '1' },
  ])
  assert.deepEqual(changesBetween(after, after, OPTIONS), [])
})

test('an edit upon a newer revision keeps what each of the two changed', () => {
  const base = formOf(content({ kafka_topic: 'a', pool_size: 8 }), OPTIONS)
  const mine = { ...base, fields: { ...base.fields, kafka_topic: 'mine' } }
  const theirs = formOf(
    content({ kafka_topic: 'theirs', pool_size: 16, kafka_config: { 'client.id': 'x' } }),
    OPTIONS,
  )
  const both = rebase(base, mine, theirs)
  assert.equal(both.fields['kafka_topic'], 'mine')
  assert.equal(both.fields['pool_size'], '16')
  assert.equal(both.properties[0]?.value, 'x')
})

test('what holds is what is set, or the default', () => {
  assert.equal(effectiveText(content(), 'kafka_topic', OPTIONS), 'test')
  assert.equal(effectiveText(content({ kafka_topic: 'x' }), 'kafka_topic', OPTIONS), 'x')
  assert.equal(effectiveText(content(), 'unknown', OPTIONS), '')
})

test('a suggested name is nobody else’s', () => {
  assert.equal(suggestedName('logs', 'app-{+yyyy.MM.dd}', new Set()), 'logs-to-app')
  assert.equal(suggestedName('^logs.*', '', new Set()), 'logs-to-index')
  const taken = new Set(['a-to-b', 'a-to-b-2'])
  assert.equal(suggestedName('a', 'b', taken), 'a-to-b-3')
})
