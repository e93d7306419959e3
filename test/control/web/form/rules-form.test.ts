/** Rules as a form has them: what is read comes back, and what has no place is not read. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { parseFields } from '../../../../src/options/field-edits.ts'
import { parseRules } from '../../../../src/options/rule-list.ts'
import {
  NEW_RULE,
  readEdits,
  readRules,
  writeEdits,
  writeRules,
} from '../../../../src/control/web/form/rules-form.ts'

const WHOLE = [
  {
    name: 'errors',
    keep: ['level:ERROR', '/timed? out/'],
    drop: '"health"',
    index: 'errors-{+yyyy.MM.dd}',
    pipeline: 'enrich',
    sample: { share: '10%', by: 'trace.id' },
    fields: {
      remove: ['password', 'user.email'],
      rename: { 'user.msg': 'message' },
      add: { env: 'prod', version: '1', count: 1, nothing: null, tags: ['a'] },
      redact: { 'user.ip': 'mask', 'user.id': 'hash' },
      truncate: { message: '10KiB' },
      mask: [String.raw`\b\d{13,19}\b`],
    },
  },
  { name: 'rest', sample: '0.01' },
]

test('rules come back as they were read', () => {
  for (const rules of [WHOLE, { all: true, list: WHOLE }]) {
    const text = JSON.stringify(rules)
    const form = readRules(text)
    assert.ok(form !== null)
    assert.equal(writeRules(form), text)
    assert.deepEqual(parseRules(writeRules(form)), parseRules(text))
  }
  const [rule] = readRules(JSON.stringify(WHOLE))?.rules ?? []
  assert.deepEqual([rule?.keep, rule?.share], ['level:ERROR\n/timed? out/', '10%'])
  const added = rule?.edits.filter(({ action }) => action === 'add').map(({ value }) => value)
  assert.deepEqual(added, ['prod', '"1"', '1', 'null', '["a"]'])
})

test('another spelling of the same is written in the form that is short', () => {
  const given = '{"all":false,"list":[{"name":"a","keep":["x"],"sample":0.5}]}'
  const form = readRules(given)
  assert.ok(form !== null)
  assert.equal(writeRules(form), '[{"name":"a","keep":"x","sample":"0.5"}]')
  assert.deepEqual(parseRules(writeRules(form)), parseRules(given))
  const edits = readEdits('{"redact":["a"],"remove":"b"}')
  assert.ok(edits !== null)
  assert.equal(writeEdits(edits), '{"remove":["b"],"redact":{"a":"mask"}}')
  const inOrder = parseFields(writeEdits(edits))
  assert.deepEqual(inOrder, parseFields('{"redact":["a"],"remove":"b"}'))
})

test('nothing is written of no rules, and a rule without a name keeps its place', () => {
  assert.equal(writeRules({ isEach: true, rules: [] }), '')
  assert.equal(writeEdits([{ action: 'remove', field: ' ', value: '' }]), '')
  assert.equal(writeRules({ isEach: false, rules: [NEW_RULE] }), '[{"name":""}]')
  assert.deepEqual(readRules(' '), { isEach: false, rules: [] })
})

test('what the form has no place for stays JSON', () => {
  const texts = [
    '{',
    '1',
    '[{"name":"a","unknown":1}]',
    '[{"name":"a","keep":{}}]',
    '[{"name":"a","sample":{"share":1,"of":2}}]',
    '[{"name":"a","fields":{"drop":["x"]}}]',
    '[{"name":"a","fields":{"rename":["x"]}}]',
    '[{"name":"a","fields":{"remove":{"x":1}}}]',
    '{"all":"yes","list":[]}',
  ]
  for (const text of texts) assert.equal(readRules(text), null, text)
  for (const text of ['[]', '{"mask":[1]}', '{"truncate":{"a":[]}}']) {
    assert.equal(readEdits(text), null, text)
  }
})
