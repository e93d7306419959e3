/** `logpipe explain` and `logpipe test`, and `logpipe try` on a file. */
import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import { test, type TestContext } from 'node:test'
import { explain, testFilters } from '../../src/cli/filters.ts'
import { tryFilter } from '../../src/cli/try.ts'
import { recordedHost } from './recorded-host.ts'

function fileOf(t: TestContext, text: string): string {
  const folder = mkdtempSync(path.join(os.tmpdir(), 'logpipe-filters-'))
  t.after(() => rmSync(folder, { recursive: true }))
  const file = path.join(folder, 'filter.yaml')
  writeFileSync(file, text)
  return file
}

test('explain prints what is searched for, as text and as JSON', () => {
  const host = recordedHost({})
  assert.equal(explain(host.context(['level:ERROR and not "x"'])), 0)
  const text = host.printed()
  assert.match(text, /^keeps +level:ERROR and not "x"\nsearched for +"ERROR"\n +or "\\\\u" \(JSON/)
  // How the add-on searches batches depends on the processor.
  assert.match(text, /\nbatches +candidates by \w/)
  assert.equal(explain(host.context(['@topic:a'])), 0)
  assert.match(host.printed(), /@topic:a: @topic is not in the value\nbatches +each record is/)
  assert.equal(explain(host.context(['--json', '--keep', 'a:b', '--drop', '@topic:t'])), 0)
  const json = JSON.parse(host.printed()) as Record<string, unknown>
  assert.deepEqual([json['keep'], json['drop']], ['a:b', '@topic:t'])
  assert.deepEqual(json['searched_for'], [
    { text: 'b', hex: '62', ignore_case: false },
    { text: String.raw`\u`, hex: '5c75', ignore_case: false },
  ])
})

test('explain refuses what is no expression, and an expression that came in pieces', () => {
  const host = recordedHost({})
  assert.throws(() => explain(host.context(['level:'])), {
    message: 'logpipe explain: column 7: expected a value, got the end',
  })
  assert.throws(() => explain(host.context(['a', 'and', 'b'])), /one argument: 'a and b'/)
  assert.throws(() => explain(host.context(['/a(/'])), /does not compile/)
})

const FILTER = `
keep: level:ERROR
drop: ['"health"', '@topic:test-*']
tests:
  - keep: {level: ERROR, n: 5}
  - drop: {level: ERROR, path: /health}
  - drop: 'ERROR, but no JSON'
  - drop: {level: ERROR}
    topic: test-1
  - drop: null
  - keep: {level: ERROR}
    key: k
    headers: {a: b}
    partition: 3
    offset: 7
    time: 2026-09-01T00:00Z
`

test('verdicts that stand in a config file are checked', (t) => {
  const host = recordedHost({})
  assert.equal(testFilters(host.context([fileOf(t, FILTER)])), 0)
  assert.match(host.printed(), /^6 verdicts in .*filter.yaml: all as expected\n$/)
})

test('a verdict that differs is printed with its line and the term that decided', (t) => {
  const host = recordedHost({})
  const file = fileOf(t, `${FILTER}  - keep: {level: WARN}\n  - drop: '{"level":"ERROR"}'\n`)
  assert.equal(testFilters(host.context([file])), 1)
  assert.equal(
    host.printed().replaceAll(file, 'F'),
    'F:17: {"level":"WARN"}\n  - keep\n  + drop  (level:ERROR is not met)\n' +
      'F:18: {"level":"ERROR"}\n  - drop\n  + keep\n' +
      '8 verdicts in F: 2 differ\n',
  )
})

test('a file of verdicts that is wrong is refused with the line', (t) => {
  const host = recordedHost({})
  const cases: readonly (readonly [text: string, says: RegExp])[] = [
    ['keep: a\n', /:1: expected a list of records with their verdicts under tests/],
    ['keep: a\ntests:\n  - kept: x\n', /:3: unknown key "kept"/],
    ['keep: a\ntests:\n  - keep: x\n    drop: y\n', /:3: expected one of keep: VALUE and drop/],
    ['keep: a\ntests:\n  - keep: x\n    offset: -1\n', /:3: offset: expected a whole number/],
    ['keep: "a:("\ntests: []\n', /keep: column 4: expected a value, got the end/],
  ]
  for (const [text, says] of cases) {
    assert.throws(() => testFilters(host.context([fileOf(t, text)])), says, text)
  }
  assert.throws(() => testFilters(host.context([])), /needs a file/)
})

test('try says what a filter does to the lines of a file', async (t) => {
  const host = recordedHost({})
  const lines = ['{"level":"ERROR"}', '{"level":"INFO"}', 'ERROR plain', '{"level":"\\u0045RROR"}']
  const file = fileOf(t, `${lines.join('\r\n')}\n`)
  const args = ['--keep', 'level:ERROR', '--file', file]
  assert.equal(await tryFilter(host.context(args)), 0)
  const text = host.printed()
  assert.match(text, /: 4 records, /)
  assert.match(text, /^kept +2 +50\.00 %/m)
  assert.match(text, /^ {2}level:ERROR is not met +2 +50\.00 %$/m)
  assert.match(text, /^rejected by the search +1 +25\.00 %/m)
  assert.match(text, /^no JSON object +1 +25\.00 %$/m)
  assert.equal(await tryFilter(host.context([...args, '--json'])), 0)
  const json = JSON.parse(host.printed()) as { kept: object; kept_examples: { value: string }[] }
  assert.deepEqual(json.kept, { records: 2, bytes: 39 })
  assert.deepEqual(
    json.kept_examples.map(({ value }) => value),
    [lines[0], lines[3]],
  )
  await assert.rejects(tryFilter(host.context([...args, '--last', '5'])), /--last is for topics/)
  await assert.rejects(tryFilter(host.context(['level:ERROR'])), /an expression --keep EXPR/)
})

const RULES = `
rules:
  all: true
  list:
    - { name: errors, keep: 'level:ERROR', drop: '"health"', index: 'errors-{+yyyy}' }
    - { name: slow, keep: 'took >= 1000', pipeline: enrich }
    - { name: few, keep: 'level:DEBUG', sample: { share: 0.0000001, by: n } }
tests:
  - keep: {level: ERROR, took: 2000}
    rule: [errors, slow]
  - keep: {took: 1000}
    rule: slow
  - drop: {level: ERROR, path: /health}
  - drop: {level: DEBUG, n: 5}
`

test('explain, test and try show which rule takes a record, and why none does', async (t) => {
  const host = recordedHost({})
  const file = fileOf(t, RULES)
  assert.equal(testFilters(host.context([file])), 0)
  assert.match(host.printed(), /4 verdicts in .*: all as expected/)
  const wrong = fileOf(t, RULES.replace('rule: slow', 'rule: errors'))
  assert.equal(testFilters(host.context([wrong])), 1)
  assert.match(host.printed(), /- keep by errors\n {2}\+ keep by slow\n/)

  assert.equal(explain(host.context(['--config', file])), 0)
  const text = host.printed()
  assert.match(text, /^1\. errors\n {3}keeps +level:ERROR\n {3}drops +"health"\n {3}index +errors-/)
  assert.match(text, /a record becomes a document for each rule that holds/)

  const lines = path.join(path.dirname(file), 'lines')
  const values = ['{"level":"ERROR","took":5000}', '{"level":"ERROR","a":"health"}', 'x']
  writeFileSync(lines, `${values.join('\n')}\n{"level":"DEBUG","n":1}\n`)
  assert.equal(await tryFilter(host.context(['--config', file, '--file', lines, '--json'])), 0)
  const tried = JSON.parse(host.printed()) as Record<string, unknown>
  assert.deepEqual(tried['rules'], [
    { rule: 'errors', documents: 1 },
    { rule: 'slow', documents: 1 },
  ])
  assert.deepEqual(tried['reasons'], [
    { reason: 'dropped by errors', records: 1 },
    { reason: 'no rule holds', records: 1 },
    { reason: 'left out by the sample of few', records: 1 },
  ])
})

test('a fault within a rule names the rule, and points at the column', () => {
  const host = recordedHost({})
  const rules = JSON.stringify([{ name: 'a', keep: ['b', '/c(/'] }])
  assert.throws(() => explain(host.context(['--rules', rules])), {
    message: /^rule "a", keep: column 3: this regular expression does not compile/,
    below: '  /c(/\n    ^',
  })
})

const FIELDS = `
rules:
  - { name: errors, keep: 'level:ERROR', fields: { remove: password } }
rule-field: rule
fields:
  rename: { msg: message }
  redact: { user.ip: mask }
add-kafka: true
tests:
  - keep: '{"level":"ERROR","n":1.10,"msg":"a","password":"b","user":{"ip":"::1"}}'
    offset: 7
    document: '{"level":"ERROR","n":1.10,"message":"a","user":{"ip":"***"},PLACE,"rule":"errors"}'
  - keep: { level: ERROR }
    rule: errors
    document: { rule: errors, level: ERROR, kafka: { topic: test, partition: 0, offset: 0 } }
`.replace('PLACE', '"kafka":{"topic":"test","partition":0,"offset":7}')

test('a case may say what is written: a text to the byte, a map as JSON', async (t) => {
  const host = recordedHost({})
  const file = fileOf(t, FIELDS)
  const status = testFilters(host.context([file]))
  assert.equal(host.printed().includes('2 verdicts'), true)
  assert.equal(status, 0)
  const wrong = fileOf(t, FIELDS.replace('"n":1.10,"message"', '"n":1.1,"message"'))
  assert.equal(testFilters(host.context([wrong])), 1)
  assert.match(
    host.printed(),
    /- \{"level":"ERROR","n":1\.1,.*\n {2}\+ \{"level":"ERROR","n":1\.10,/,
  )
  const lines = path.join(path.dirname(file), 'lines')
  writeFileSync(lines, '{"level":"ERROR","password":"b"}\n')
  assert.equal(await tryFilter(host.context(['--config', file, '--file', lines])), 0)
  const tried = host.printed()
  assert.match(tried, /kept, the latest:\n.*\{"level":"ERROR","kafka":.*"rule":"errors"\}/)
})
