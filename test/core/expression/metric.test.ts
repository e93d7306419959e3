/** The text of a metric: what is read, and what is refused and where. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { BOUNDS_MAX, LABELS_MAX, parseMetric } from '../../../src/core/expression/metric.ts'
import { ExpressionError, parseExpression } from '../../../src/core/expression/parse.ts'
import { printExpression } from '../../../src/core/expression/print.ts'
import { expressions } from '../../helpers/random-expressions.ts'

const specOf = (text: string) => parseMetric(text).spec
const field = (...path: string[]) => ({ of: 'field', path }) as const
const ALL = { kind: 'all', of: [] } as const

function faultOf(text: string): string {
  try {
    parseMetric(text)
  } catch (error) {
    if (error instanceof ExpressionError) return error.message
    throw error
  }
  throw new Error(`${text} was taken`)
}

test('a counter has a name, an expression and labels', () => {
  assert.deepEqual(specOf('errors = level:ERROR by service, code=http.status,@topic'), {
    name: 'errors',
    type: 'counter',
    number: null,
    bounds: [],
    node: parseExpression('level:ERROR').node,
    labels: [
      { name: 'service', target: field('service') },
      { name: 'code', target: field('http', 'status') },
      { name: 'topic', target: { of: 'topic' } },
    ],
  })
  assert.deepEqual(specOf('all=*').node, ALL)
})

test('a sum and a histogram have a number, of a field or captured', () => {
  const sum = specOf('sent=sum(http.bytes) host:web-* by h="a b"')
  assert.deepEqual([sum.type, sum.number, sum.bounds], ['sum', field('http', 'bytes'), []])
  assert.deepEqual(sum.labels, [{ name: 'h', target: field('a b') }])
  const histogram = specOf('took=histogram(/took=(\\d+)ms/; 1, 2.5 1e3)')
  assert.deepEqual(histogram.number, { of: 'regex', source: 'took=(\\d+)ms' })
  assert.deepEqual(histogram.bounds, [1, 2.5, 1000])
  assert.deepEqual(histogram.node, ALL)
  assert.equal(specOf('t=histogram(a) by b').bounds.length, 11)
})

test('by is a word of the expression where none can end', () => {
  assert.deepEqual(specOf('x="by" or by:by by by').labels, [{ name: 'by', target: field('by') }])
  assert.deepEqual(specOf('x=not (a) by b').labels.length, 1)
})

test('any expression may be counted, with labels behind it', () => {
  fc.assert(
    fc.property(expressions(), (node) => {
      const text = printExpression(node)
      const { spec } = parseMetric(`n=${text} by a`)
      assert.equal(printExpression(spec.node), printExpression(parseExpression(text).node))
      assert.deepEqual(spec.labels, [{ name: 'a', target: field('a') }])
    }),
  )
})

test('a fault names its column, and says what was expected', () => {
  const cases: readonly (readonly [text: string, says: RegExp])[] = [
    ['10', /^column 1: .* a number: did you mean -n 10\?$/],
    ['errors', /^column 1: expected a name and =/],
    ['X=*', /^column 1: the name of a metric has a to z/],
    ['late=*', /^column 1: the name late has a meaning of its own/],
    ['a_sum=*', /^column 1: the name a_sum has a meaning of its own/],
    ['a=', /^column 3: expected an expression/],
    ['a=level=ERROR', /^column 8: expected :, got =/],
    ['a=x y', /^column 5: expected and, or, or the end, got y/],
    ['a=x by', /^column 7: expected a field/],
    ['a=x by b c', /^column 10: expected , or the end/],
    ['a=x by b, c.b', /^column 11: the label b is there already: write OTHER=c.b$/],
    ['a=x by le', /^column 8: the label le has a meaning of its own/],
    ['a=x by "b c"', /^column 8: "b c" cannot be the name of a label/],
    ['a=x by @tpic', /^column 8: unknown @tpic: did you mean @topic\?/],
    ['a=x by @offset', /^column 8: expected a field, @topic/],
    ['a=avg(b)', /^column 3: expected sum\(/],
    ['a=sum(@key)', /^column 7: a number comes from a field/],
    ['a=sum(b', /^column 8: expected \) at the end of sum\(/],
    ['a=sum(/b/)', /^column 7: expected one group .* got 0/],
    ['a=sum(/(b)(c)/)', /^column 7: expected one group .* got 2/],
    ['a=sum(/(?=b)(c)/)', /^column 7: .* linear time/],
    ['a=sum(/(b)/i)', /^column 7: .* takes no i/],
    ['a=sum(/(b/)', /^column 7: .* cannot be used for a number/],
    ['a=histogram(b; 2 1)', /^column 18: the bounds must rise$/],
    ['a=histogram(b; x)', /^column 16: expected an upper bound, got x$/],
    ['a=histogram(b;)', /^column 15: expected upper bounds/],
  ]
  for (const [text, says] of cases) assert.match(faultOf(text), says, text)
  const bounds = Array.from({ length: BOUNDS_MAX + 1 }, (_, index) => index).join(' ')
  assert.match(faultOf(`a=histogram(b; ${bounds})`), /at most 50 bounds/)
  const labels = Array.from({ length: LABELS_MAX + 1 }, (_, index) => `l${index}`).join(', ')
  assert.match(faultOf(`a=* by ${labels}`), /at most 8 labels/)
})

test('no text does anything but parse or be refused with a column', () => {
  const parts = ['a', '=', 'sum(', 'histogram(', ')', ';', '1', ' by ', ',', '"', '/', '(b)', '@']
  const text = fc.array(fc.constantFrom(...parts, 'level:E', '*', '\\', ' '), { maxLength: 14 })
  fc.assert(
    fc.property(text, (drawn) => {
      try {
        parseMetric(drawn.join(''))
      } catch (error) {
        assert(error instanceof ExpressionError, String(error))
      }
    }),
    { numRuns: 2000 },
  )
})
