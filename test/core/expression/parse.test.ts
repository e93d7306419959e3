/** Expressions: what is read, what is refused and where, and that what is printed is read back. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import {
  EXPRESSION_CHARS_MAX,
  EXPRESSION_DEPTH_MAX,
  EXPRESSION_NESTING_MAX,
  EXPRESSION_NODES_MAX,
  type ExpressionNode,
} from '../../../src/core/expression/ast.ts'
import { ExpressionError, parseExpression } from '../../../src/core/expression/parse.ts'
import { printExpression } from '../../../src/core/expression/print.ts'
import { expressions } from '../../helpers/random-expressions.ts'

function nodeOf(text: string): ExpressionNode {
  return parseExpression(text).node
}

function faultOf(text: string): ExpressionError {
  try {
    parseExpression(text)
  } catch (error) {
    if (error instanceof ExpressionError) return error
    throw error
  }
  throw new Error(`${text} was taken`)
}

const bytes = (text: string, ignoreCase = false) =>
  ({ kind: 'bytes', hex: Buffer.from(text).toString('hex'), ignoreCase }) as const
const field = (name: string, test_: object) =>
  ({ kind: 'compare', target: { of: 'field', path: name.split('.') }, test: test_ }) as const

test('text on its own is bytes anywhere in the value', () => {
  assert.deepEqual(nodeOf('ERROR'), bytes('ERROR'))
  assert.deepEqual(nodeOf('"0 ERRORs"'), bytes('0 ERRORs'))
  assert.deepEqual(nodeOf('"error"i'), bytes('error', true))
  assert.deepEqual(nodeOf('"\\x00\\xff\\u0045\\ud83d\\ude00\\n"'), {
    kind: 'bytes',
    hex: '00ff45f09f98800a',
    ignoreCase: false,
  })
  assert.deepEqual(nodeOf('a\\:b'), bytes('a:b'))
  assert.deepEqual(nodeOf('\\and'), bytes('and'))
  assert.deepEqual(nodeOf('*'), { kind: 'all', of: [] })
})

test('and binds tighter than or, and not tighter than both', () => {
  assert.deepEqual(nodeOf('a or b and not c'), {
    kind: 'any',
    of: [bytes('a'), { kind: 'all', of: [bytes('b'), { kind: 'not', of: bytes('c') }] }],
  })
  assert.deepEqual(nodeOf('(a OR b) AND c'), {
    kind: 'all',
    of: [{ kind: 'any', of: [bytes('a'), bytes('b')] }, bytes('c')],
  })
  assert.deepEqual(nodeOf('android'), bytes('android'))
})

test('a field is compared by value, list, wildcard, order, part and regular expression', () => {
  assert.deepEqual(nodeOf('http.status:500'), field('http.status', { op: 'equals', text: '500' }))
  assert.deepEqual(nodeOf('level:(ERROR or not WARN)'), {
    kind: 'any',
    of: [
      field('level', { op: 'equals', text: 'ERROR' }),
      { kind: 'not', of: field('level', { op: 'equals', text: 'WARN' }) },
    ],
  })
  assert.deepEqual(
    nodeOf('host:web-*-eu*'),
    field('host', { op: 'wildcard', parts: ['web-', '-eu', ''] }),
  )
  assert.deepEqual(nodeOf('host:a\\*'), field('host', { op: 'equals', text: 'a*' }))
  assert.deepEqual(nodeOf('user:*'), field('user', { op: 'exists' }))
  assert.deepEqual(nodeOf('status>=500'), field('status', { op: '>=', text: '500' }))
  assert.deepEqual(nodeOf('m ~ "a b"'), field('m', { op: 'contains', text: 'a b' }))
  assert.deepEqual(
    nodeOf('m ~ /a\\/b[/]/i'),
    field('m', { op: 'regex', source: 'a/b[/]', ignoreCase: true }),
  )
  assert.deepEqual(nodeOf('"@timestamp":*').kind, 'compare')
  assert.deepEqual(nodeOf('url:http://x/y'), field('url', { op: 'equals', text: 'http://x/y' }))
  // A value without parentheses ends before the next join.
  const either = nodeOf('a:b or c')
  assert.ok(either.kind === 'any')
  assert.deepEqual(either.of[1], bytes('c'))
})

test('a record is asked for its topic, key, partition, offset, time and headers', () => {
  const meta = (of: string, test_: object) => ({ kind: 'compare', target: { of }, test: test_ })
  assert.deepEqual(nodeOf('@topic:app-*'), meta('topic', { op: 'wildcard', parts: ['app-', ''] }))
  assert.deepEqual(nodeOf('@partition:007'), meta('partition', { op: 'equals', text: '7' }))
  const ms = String(Date.UTC(2026, 8, 1))
  for (const time of ['2026-09-01', '2026-09-01T00:00Z', '"2026-09-01T02:00+02:00"', ms]) {
    assert.deepEqual(nodeOf(`@time >= ${time}`), meta('time', { op: '>=', text: ms }))
  }
  assert.deepEqual(nodeOf('@header.trace\\ id ~ "x"'), {
    kind: 'compare',
    target: { of: 'header', name: 'trace id' },
    test: { op: 'contains', text: 'x' },
  })
})

/** Each fault with its column and a part of what is said. */
const FAULTS: readonly (readonly [text: string, column: number, said: RegExp])[] = [
  ['', 1, /expected a word, .*got the end/],
  ['a and', 6, /expected a word, .*got the end/],
  ['a or or b', 6, /got or/],
  ['(a or b', 8, /expected \)/],
  ['a or b)', 7, /got \) without its \(/],
  ['level:ERROR service:api', 13, /expected and, or, or the end, got service:api/],
  ['a && b', 3, /write and/],
  ['a || b', 3, /write or/],
  ['!a', 1, /write not/],
  ['level:(ERROR or )', 17, /expected a value, got \)/],
  ['level:', 7, /expected a value, got the end/],
  ['level:not x', 7, /expected a value, got not/],
  ['status=500', 7, /write status:VALUE for a field, "status=..." for bytes/],
  ['status != 500', 8, /write not status:VALUE/],
  ['status!=500', 8, /write not status:VALUE/],
  ['status:>=500', 8, /leave out the colon/],
  ['status >= 5*', 11, /takes no \*/],
  ['m:/a.b/i', 3, /for a regular expression write ~ \/a.b\/i/],
  ['m:"a"i', 6, /write ~ \/text\/i/],
  ['a*b', 1, /a word on its own takes no \*/],
  ['h*:x', 1, /the name of a field takes no \*/],
  ['a..b:x', 1, /a part of it is empty/],
  ['@topc:app', 1, /unknown @topc: did you mean @topic\?/],
  ['@timestamp >= 5', 1, /a field of that name is written "@timestamp"/],
  ['@hdr.x:1', 1, /did you mean @header.NAME\?/],
  ['@topic', 7, /expected : or another comparison behind @topic, as @topic:\*/],
  ['@header.:x', 1, /expected the name of a header/],
  ['@offset:x', 9, /compared with a whole number/],
  ['@offset:1*', 9, /@offset takes no \*/],
  ['@time ~ "x"', 9, /@time is compared by/],
  ['@time > yesterday', 9, /expected a time, as 2026-09-01/],
  ['"abc', 1, /expected " at the end/],
  ['"a\\q"', 3, /expected \\" /],
  ['"\\ud83d"', 2, /half of a surrogate pair/],
  ['a\\n', 2, /a backslash makes a sign/],
  ['/abc', 1, /expected \/ at the end/],
  ['/var/log', 6, /text that begins with \/ needs quotes/],
  ['//', 1, /every record is written \*/],
  ['f:"\\xff"', 3, /no UTF-8 stands for bytes/],
  ['level:(status:500 or x)', 8, /in parentheses that holds : needs quotes/],
  ['and:5', 1, /got and:5/],
]

test('an error points at the column, and says what was expected', () => {
  for (const [text, column, said] of FAULTS) {
    const fault = faultOf(text)
    assert.match(fault.message, said, text)
    assert.equal(fault.column, column, `${text}: ${fault.message}`)
    const [shown = '', caret = ''] = fault.below.split('\n')
    assert.equal(shown.trimStart(), text.trimStart(), text)
    assert.equal(caret.indexOf('^'), 2 + column - 1, text)
  }
})

test('a long expression is shown around the fault, and counts in characters', () => {
  const fault = faultOf(`${'"\u{1f600}" or '.repeat(50)}= and ${'x or '.repeat(50)}y`)
  const [shown = '', caret = ''] = fault.below.split('\n')
  assert.match(fault.message, /^column 351: /)
  assert.equal(Array.from(shown)[caret.indexOf('^')], '=')
  assert.ok(shown.length < 140)
})

test('what is larger than its bounds is refused', () => {
  const nested = (depth: number) => `${'('.repeat(depth)}a${')'.repeat(depth)}`
  assert.equal(nodeOf(nested(EXPRESSION_NESTING_MAX)).kind, 'bytes')
  assert.equal(faultOf(nested(EXPRESSION_NESTING_MAX + 1)).column, EXPRESSION_NESTING_MAX + 1)
  assert.match(faultOf('not '.repeat(31) + 'a').message, /within one another/)
  assert.match(faultOf('x'.repeat(EXPRESSION_CHARS_MAX + 1)).message, /at most/)
  assert.match(faultOf(`"${'x'.repeat(1025)}"`).message, /at most 1024 bytes/)
  const many = Array.from({ length: EXPRESSION_NODES_MAX + 1 }, () => 'a').join(' or ')
  assert.match(faultOf(many).message, /more than 10000 terms/)
})

test('the deepest text gives no deeper tree than the add-on takes', () => {
  const depthOf = (node: ExpressionNode): number =>
    node.kind === 'not'
      ? 1 + depthOf(node.of)
      : node.kind === 'all' || node.kind === 'any'
        ? 1 + Math.max(...node.of.map(depthOf))
        : 1
  const [open, close] = ['x or y and (', ')'].map((one) => one.repeat(EXPRESSION_NESTING_MAX))
  const deep = `${open}a or b and c${close}`
  assert.ok(depthOf(nodeOf(deep)) < EXPRESSION_DEPTH_MAX)
})

test('what is printed is read back as the same tree', () => {
  fc.assert(
    fc.property(expressions(), (node) => {
      const text = printExpression(node)
      assert.deepEqual(nodeOf(text), node, text)
    }),
    { numRuns: 1000 },
  )
})

test('no text makes the parser fail in another way than by its error', () => {
  const parts = fc.constantFrom(
    'a',
    ' ',
    '(',
    ')',
    '"',
    '/',
    ':',
    '~',
    '<',
    '>=',
    'and',
    ' or ',
    'not ',
    '*',
    '\\',
    '@topic',
    '@time',
    '[',
    '\\x41',
    '\u{1f600}',
    '2026-09-01',
  )
  fc.assert(
    fc.property(
      fc.oneof(
        fc.string(),
        fc.array(parts).map((all) => all.join('')),
      ),
      (text) => {
        try {
          parseExpression(text)
        } catch (error) {
          assert.ok(error instanceof ExpressionError, `${text}: ${String(error)}`)
        }
      },
    ),
    { numRuns: 2000 },
  )
})
