/** Fields of matches: what is spliced, and that all other bytes stay as they were. */
import assert from 'node:assert/strict'
import { createHmac } from 'node:crypto'
import { test } from 'node:test'
import fc from 'fast-check'
import { FieldEditor } from '../../src/filter/field-editor.ts'
import { parseFields } from '../../src/options/field-edits.ts'
import { recordOf } from '../helpers/bulk-batch.ts'

const NOTHING = {
  fields: null,
  byRule: [],
  ruleField: null,
  ruleNames: [],
  addsKafka: false,
  redactKey: 'secret',
}

function edited(value: string, fields: unknown): string {
  const editor = new FieldEditor({ ...NOTHING, fields: parseFields(JSON.stringify(fields)) })
  return editor.edit(recordOf(value), -1).value?.toString('utf8') ?? ''
}

test('each edit changes its fields, and no other byte', () => {
  const rows: readonly (readonly [edits: object, value: string, expected: string])[] = [
    [
      { remove: ['b'] },
      '{"a":1.10, "b":2 ,"c":12345678901234567890}',
      '{"a":1.10 ,"c":12345678901234567890}',
    ],
    [{ remove: 'a' }, '{"a":1, "b":2}', '{ "b":2}'],
    [{ remove: ['a', 'b'] }, '{"a":1,"b":2}', '{}'],
    [{ remove: ['b', 'c'] }, '{"a":1,"b":2,"c":3}', '{"a":1}'],
    [{ remove: ['a', 'c'] }, '{"a":1,"b":2,"c":3,"d":4}', '{"b":2,"d":4}'],
    [{ remove: ['a.b', 'a'] }, '{"a":{"b":1},"c":1}', '{"c":1}'],
    [{ remove: ['a.b'] }, '{"a":[{"b":1},{"b":2,"c":3}],"a.b":4}', '{"a":[{},{"c":3}]}'],
    [{ remove: ['a'] }, '{"a":1,"a":2}', '{}'],
    [{ rename: { 'a.b': 'c' } }, '{"a":{"b":1},"a.b":2}', '{"a":{"c":1},"a.c":2}'],
    [{ rename: { a: 'b' } }, '{"a":1,"b":2}', '{"a":1,"b":2}'],
    [{ rename: { a: 'x', b: 'x' } }, '{"a":1,"b":2}', '{"x":1,"b":2}'],
    [{ add: { env: 'prod', n: 5 } }, '{"a":1}\n', '{"a":1,"env":"prod","n":5}\n'],
    [{ add: { env: 'prod' } }, '{ }', '{"env":"prod" }'],
    [{ add: { 'a.b': 1 } }, '{"a":{"b":2}}', '{"a":{"b":1}}'],
    [{ add: { 'a.b': 1 }, remove: 'a' }, '{"a":{"b":2}}', '{"a.b":1}'],
    [{ add: { x: 1 }, rename: { a: 'x' } }, '{"a":2}', '{"x":1}'],
    [
      { redact: ['a', 'u.ip'] },
      '{"a":12,"u":{"ip":"1.2.3.4","b":1}}',
      '{"a":"***","u":{"ip":"***","b":1}}',
    ],
    [{ redact: ['u', 'u.ip'] }, '{"u":{"ip":"1"}}', '{"u":"***"}'],
    [{ redact: 'u', rename: { 'u.a': 'b' } }, '{"u":{"a":1}}', '{"u":"***"}'],
    [{ truncate: { a: 4 } }, '{"a":"abcdef","b":"abcdef"}', '{"a":"abcd","b":"abcdef"}'],
    [{ truncate: { a: 3 } }, '{"a":"aéé"}', '{"a":"aé"}'],
    [{ truncate: { a: 2 }, redact: 'a' }, '{"a":"abcdef"}', '{"a":"***"}'],
    [{ truncate: { a: 9 } }, String.raw`{"a":"\u0061\u0062"}`, String.raw`{"a":"\u0061\u0062"}`],
    [{ truncate: { a: 1 } }, '{"a":123}', '{"a":123}'],
    [{ remove: 'a', redact: 'b', add: { c: 1 } }, 'plain "a"', 'plain "a"'],
    [{ remove: 'a' }, '[{"a":1}]', '[{"a":1}]'],
    [
      { mask: [String.raw`\b\d{4}\b`, '[a-z]{1,9}@[a-z]{1,9}'] },
      String.raw`{"1234":"of a@b, 1234","n":[5678, 1.10,56789],"t":"\u0061@b"}`,
      '{"1234":"of ***, ***","n":["***", 1.10,56789],"t":"***"}',
    ],
    [{ mask: String.raw`\d{4}`, truncate: { a: 3 } }, '{"a":"1234567"}', '{"a":"***"}'],
    [{ mask: String.raw`\d{4}` }, 'plain 1234', 'plain ***'],
  ]
  for (const [edits, value, expected] of rows) {
    assert.equal(edited(value, edits), expected, `${JSON.stringify(edits)} of ${value}`)
  }
})

test('a hash is that of the text, however JSON spells it', () => {
  const digest = createHmac('sha256', 'secret').update('a"b').digest('hex').slice(0, 32)
  const edits = { redact: { a: 'hash' } }
  assert.equal(edited(String.raw`{"a":"\u0061\"b"}`, edits), `{"a":"${digest}"}`)
  assert.equal(edited(String.raw`{"a":"a\"b"}`, edits), `{"a":"${digest}"}`)
})

test('what is not changed is the same buffer, and a byte order mark stays with it', () => {
  const fields = parseFields('{"remove":"x","rename":{"y":"z"},"truncate":{"a":100}}')
  const editor = new FieldEditor({ ...NOTHING, fields })
  for (const value of ['{"a":1}', '\ufeff{"a":1}', 'x']) {
    const record = recordOf(value)
    assert.equal(editor.edit(record, -1).value, record.value)
  }
  assert.equal(editor.edit(recordOf('\ufeff{"x":1}'), -1).value?.toString('utf8'), '{}')
  assert.equal(editor.edit(recordOf(null), -1).value, null)
})

test('a rule edits after what is done to all, gives its name, and Kafka its place', () => {
  const editor = new FieldEditor({
    fields: parseFields('{"add":{"env":"prod"},"rename":{"a":"b"}}'),
    byRule: [parseFields('{"remove":"b"}'), null],
    ruleField: ['rule'],
    ruleNames: ['errors', 'rest'],
    addsKafka: true,
    redactKey: null,
  })
  const record = recordOf('{"a":1,"rule":"x"}', { offset: 42, key: Buffer.from('k') })
  const place = `"topic":"orders","partition":0,"offset":42,"timestamp":${record.timestampMs}`
  const kafka = `"kafka":{${place},"key":"k"}`
  assert.deepEqual(
    [0, 1].map((rule) => editor.edit(record, rule).value?.toString('utf8')),
    [`{"rule":"errors","env":"prod",${kafka}}`, `{"b":1,"rule":"rest","env":"prod",${kafka}}`],
  )
  assert.equal(editor.edit(recordOf('plain'), 1).added, '"env":"prod","rule":"rest"')
})

const KEYS = ['a', 'b', 'c', 'a.b', 'é', '']
const objects = fc.letrec<{ value: unknown; object: Record<string, unknown> }>((tie) => ({
  value: fc.oneof(
    { maxDepth: 3 },
    fc.constantFrom<unknown>('x', 'a long text, longer than most', 5, 1.1, null, true),
    tie('object'),
    fc.array(tie('value'), { maxLength: 3 }),
  ),
  object: fc.dictionary(fc.constantFrom(...KEYS), tie('value'), { noNullPrototype: true }),
})).object
const paths = fc.constantFrom('a', 'b', 'a.b', 'b.c', 'a.b.c', 'é', 'c')

test('whatever is edited, an object stays a valid one, without what was removed', () => {
  fc.assert(
    fc.property(
      objects,
      fc.nat(2),
      fc.record({
        mask: fc.uniqueArray(fc.constantFrom('l[a-z]{1,3}', '5', String.raw`\d\.\d`), {
          maxLength: 2,
        }),
        remove: fc.uniqueArray(paths, { maxLength: 3 }),
        redact: fc.dictionary(paths, fc.constantFrom('mask', 'hash')),
        truncate: fc.dictionary(paths, fc.constantFrom(3, 10)),
        rename: fc.dictionary(paths, fc.constantFrom('x', 'a', 'é')),
        add: fc.dictionary(fc.constantFrom('b', 'a.b', 'new'), fc.constantFrom<unknown>(1, 'y')),
      }),
      (object, indent, edits) => {
        const json = JSON.stringify(object, null, indent)
        const result = edited(json, edits)
        const parsed = JSON.parse(result) as Record<string, unknown>
        for (const [name, value] of Object.entries(edits.add)) {
          if (!name.includes('.')) assert.deepEqual(parsed[name], value)
        }
        for (const name of edits.remove) {
          const isBack =
            Object.hasOwn(edits.add, name) || Object.values<string>(edits.rename).includes(name)
          if (!name.includes('.') && !isBack) assert.ok(!Object.hasOwn(parsed, name), result)
        }
        assert.equal(edited(json, {}), json)
      },
    ),
    { numRuns: 1000 },
  )
})
