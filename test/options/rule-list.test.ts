/** The option RULES: what is read, and what is refused in which words. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { RuleFault } from '../../src/options/field-edits.ts'
import { parseRules, planRules } from '../../src/options/rule-list.ts'

const ERRORS = '{"name":"errors","keep":"level:ERROR"}'

test('a list is read, and a map may say that every rule takes a record', () => {
  const rule = {
    name: 'errors',
    number: 0,
    keep: ['level:ERROR', '"panic"'],
    drop: ['"health"'],
    index: 'errors-{+yyyy.MM.dd}',
    pipeline: 'enrich',
    sample: { share: 0.1, by: { of: 'field', path: ['trace', 'id'] } },
    fields: null,
  }
  const text = JSON.stringify([
    { ...rule, number: undefined, drop: '"health"', sample: { share: '10%', by: 'trace.id' } },
  ])
  assert.deepEqual(parseRules(text), { isEach: false, rules: [rule] })
  const plain = {
    name: 'rest',
    number: 0,
    keep: [],
    drop: [],
    index: null,
    pipeline: null,
    sample: { share: 0.5, by: null },
    fields: null,
  }
  assert.deepEqual(parseRules('{"all":true,"list":[{"name":"rest","sample":0.5}]}'), {
    isEach: true,
    rules: [plain],
  })
  const byKey = parseRules('[{"name":"a","sample":{"share":1,"by":"@key"}}]')
  assert.deepEqual(byKey.rules[0]?.sample, { share: 1, by: { of: 'key' } })
})

test('a fault names the rule, and in an expression the column with a caret', () => {
  const rows: readonly (readonly [string, RegExp, string?])[] = [
    ['', /expected a list of rules as JSON/],
    ['[]', /expected a list of rules/],
    ['[{"keep":"a"}]', /^rule 1: expected a name/],
    ['[{"name":"a b"}]', /^rule 1: expected a name/],
    [`[${ERRORS},${ERRORS}]`, /two rules have the name "errors"/],
    ['[{"name":"sample"}]', /^rule 1: the name sample/],
    ['[{"name":"a","indx":"b"}]', /^rule 1: unknown "indx" \(did you mean index\?\)/],
    [`[${ERRORS},{"name":"b","keep":["x","level=ERROR"]}]`, /^rule "b", keep: column 6: /, '^'],
    ['[{"name":"b","drop":"a b"}]', /^rule "b", drop: column 3: /, '^'],
    ['[{"name":"b","keep":5}]', /^rule "b", keep: expected an expression in quotes/],
    ['[{"name":"b","sample":0}]', /^rule "b", sample: expected a share/],
    ['[{"name":"b","sample":{"share":"110%"}}]', /^rule "b", sample, share: expected a share/],
    ['[{"name":"b","sample":{"share":1,"by":"@time"}}]', /^rule "b", sample, by: expected a field/],
    ['[{"name":"b","pipeline":"a\\"b"}]', /^rule "b", pipeline: expected/],
    ['{"all":"perhaps","list":[{"name":"b"}]}', /^all: expected true or false/],
    ['{"list": [', /^expected a list of rules as JSON: /],
  ]
  for (const [text, message, below] of rows) {
    assert.throws(
      () => parseRules(text),
      (error: unknown) => {
        assert.ok(error instanceof RuleFault, text)
        assert.match(error.message, message)
        assert.equal(error.below?.trim().at(-1), below)
        return true
      },
    )
  }
})

test('a thousand rules are one set, and one more is refused', () => {
  const rules = (count: number) =>
    JSON.stringify(
      Array.from({ length: count }, (_, index) => ({ name: `r${index}`, keep: `a:${index}x` })),
    )
  const set = planRules(parseRules(rules(1000)))
  assert.equal(set.groups[0]?.of.length, 1000)
  assert.throws(() => parseRules(rules(1001)), /at most 1000 rules, got 1001/)
})
