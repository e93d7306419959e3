/** What a topic expression means, and which are refused. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { topicExpressionFault, topicsMeant } from '../../src/options/topic-expression.ts'

const KNOWN = ['x-1', 'x-22', 'x-aa', 'a.x-1', '__consumer_offsets', '__x'].map((topic) => ({
  topic,
}))
const meant = (...wanted: string[]) => topicsMeant(wanted, KNOWN).map(({ topic }) => topic)

test('an expression is searched in a name, and anchored by ^ and $ alone', () => {
  assert.deepEqual(meant('^x'), ['x-1', 'x-22', 'x-aa'])
  assert.deepEqual(meant('^x$'), [])
  assert.deepEqual(meant(String.raw`^x-\d+$`), ['x-1', 'x-22'])
  assert.deepEqual(meant(String.raw`^x\-[0-9]{1,2}$`), ['x-1', 'x-22'])
  assert.deepEqual(meant(String.raw`^[a-z\-]+$`), ['x-aa'])
  assert.deepEqual(meant('^x-(?:1|aa)$', '^a'), ['x-1', 'x-aa', 'a.x-1'])
})

test("an expression never means Kafka's own topics, and a name does", () => {
  assert.deepEqual(meant('^.*'), ['x-1', 'x-22', 'x-aa', 'a.x-1'])
  assert.deepEqual(meant('^__'), [])
  assert.deepEqual(meant('__x', 'gone'), ['__x'])
})

test('what other dialects have and JavaScript has not is refused, not taken for letters', () => {
  const refused = [
    '^',
    '^(',
    '^x-[[:digit:]]+$',
    '^[^[:space:]]*$',
    '^(?i)X',
    '^(?P<a>x)',
    String.raw`^\Qx\E`,
    String.raw`^x\z`,
    String.raw`^\h+`,
    '^x{,2}',
    '^x++',
    '^(?>x)',
    `^${'x'.repeat(1000)}`,
  ]
  for (const text of refused) assert.equal(typeof topicExpressionFault(text), 'string', text)
  const taken = [String.raw`^\w+\.\S$`, '^(?<a>x)', '^(?i:X)', '^(?!x)', '^a|b$', '^[.]']
  for (const text of taken) assert.equal(topicExpressionFault(text), null, text)
})

test('an expression that backtracks without end is stopped, in words', () => {
  const known = [{ topic: 'a'.repeat(248) }]
  assert.throws(() => topicsMeant(['^(a+)+b'], known), {
    code: 'USAGE',
    message: /\^\(a\+\)\+b took longer than 2 s over 1 topic names: avoid nested repetitions/,
  })
})
