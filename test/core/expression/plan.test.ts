/** The planner: which bytes are searched for, and that no kept record lacks all of them. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import type { ExpressionNode } from '../../../src/core/expression/ast.ts'
import { parseExpression } from '../../../src/core/expression/parse.ts'
import { anyOf, describePlan, planProgram } from '../../../src/core/expression/plan.ts'
import { printExpression } from '../../../src/core/expression/print.ts'
import { evaluate, holds, type NaiveRecord } from '../../helpers/naive-expression.ts'
import { expressions, fieldComparisons, records } from '../../helpers/random-expressions.ts'

function plan(keep: string, drop?: string) {
  return planProgram(
    parseExpression(keep).node,
    drop === undefined ? null : parseExpression(drop).node,
  )
}

/** The literals as text; `i` behind those without case. */
function soughtBy(keep: string, drop?: string): string[] | null {
  const { prefilter } = plan(keep, drop).program
  if (prefilter === null) return null
  return prefilter.literals.map(
    ({ hex, ignoreCase }) => Buffer.from(hex, 'hex').toString('utf8') + (ignoreCase ? ' i' : ''),
  )
}

const ESCAPE = String.raw`\u`

test('each kind of term gives the bytes that a kept record must hold', () => {
  const cases: readonly (readonly [expression: string, sought: string[] | null])[] = [
    ['"ERROR"', ['ERROR']],
    ['"error"i', ['error i']],
    ['level:ERROR', ['ERROR', ESCAPE]],
    ['a:(x1 or y1)', ['x1', ESCAPE, 'y1']],
    ['path:/var/log/app.log', ['app.log', ESCAPE]],
    ['host:web-*-eu', ['web-', ESCAPE]],
    ['m ~ "time out"', ['time out', ESCAPE]],
    ['m ~ /time(out)? [a-z]+ now/', ['time', ESCAPE]],
    ['status:500', ['"status"', ESCAPE]],
    ['http.status >= 500', ['status"', ESCAPE]],
    ['user:*', ['"user"', ESCAPE]],
    ['"a\\"b":1', ['a', ESCAPE]],
    ['/timeout=99\\d\\d/', ['timeout=99']],
    ['/err(or)?s?|fatal|[ab]x{2}yz/i', ['err i', 'fatal i', 'yz i']],
    ['/x?y*z{0,3}/', null],
    ['/(?i)error/', null],
    ['/a\\x41bc/', null],
    ['@topic:app', null],
    ['not "health"', null],
    ['*', null],
    ['"ERROR" or @topic:app', null],
    ['level:ERROR and not "health"', ['ERROR', ESCAPE]],
    ['status:500 and @topic:app and "timeout"', ['timeout']],
    ['not (not "a" or not level:WARN)', ['WARN', ESCAPE]],
  ]
  for (const [expression, sought] of cases)
    assert.deepEqual(soughtBy(expression), sought, expression)
  assert.deepEqual(soughtBy('*', 'not "a"'), ['a'])
  assert.deepEqual(soughtBy('"abc" or level:x', '@topic:y'), ['abc', 'x', ESCAPE])
})

test('explain names the terms that cannot be searched for, and why', () => {
  const { unsearchable } = plan('"ERROR" or @topic:app or not "x"')
  assert.deepEqual(unsearchable, [
    { term: '@topic:app', reason: '@topic is not in the value' },
    { term: 'not "x"', reason: 'what must not be there cannot be searched for' },
  ])
  assert.match(
    describePlan(plan('"A"')),
    /searched for {3}"A"\nthen {11}a record that holds one is kept/,
  )
  assert.match(describePlan(plan('status >= 500')), /reject only records without the field/)
  assert.match(describePlan(plan('*')), /nothing: there is no text .*\n +\*: every record is kept/)
})

test('several keeps are one or, and a program has a bound', () => {
  assert.equal(anyOf([parseExpression('a or b').node, parseExpression('c').node]).kind, 'any')
  const large = parseExpression(Array.from({ length: 6000 }, () => 'a').join(' or ')).node
  assert.throws(() => planProgram(large, large), /more than 10000 terms in all/)
})

/** @returns how many of the records are kept. */
function checkSound(
  keep: ExpressionNode,
  drop: ExpressionNode | null,
  all: readonly NaiveRecord[],
): number {
  const { prefilter } = planProgram(keep, drop).program
  if (prefilter === null) return 0
  const kept = all.filter(
    (record) => evaluate(keep, record) && (drop === null || !evaluate(drop, record)),
  )
  for (const { value } of kept) {
    const bytes = value ?? Buffer.alloc(0)
    const text = `${printExpression(keep)}: ${Buffer.from(bytes).toString('utf8')}`
    assert.ok(
      prefilter.literals.some((literal) => holds(bytes, literal)),
      text,
    )
  }
  return kept.length
}

const SOME_RECORDS = fc.array(records(), { minLength: 5, maxLength: 20 })

test('no record that a comparison keeps lacks all of the literals, however JSON spells it', () => {
  let kept = 0
  const property = fc.property(fieldComparisons(), SOME_RECORDS, (keep, all) => {
    kept += checkSound(keep, null, all)
  })
  fc.assert(property, { numRuns: 600 })
  assert.ok(kept > 100, `${kept} kept records are no test`)
})

test('no record that an expression keeps lacks all of the literals', () => {
  let kept = 0
  const property = fc.property(
    expressions(),
    fc.option(expressions()),
    SOME_RECORDS,
    (keep, drop, all) => {
      kept += checkSound(keep, drop, all)
    },
  )
  fc.assert(property, { numRuns: 300 })
  assert.ok(kept > 30, `${kept} kept records are no test`)
})
