/**
 * Random expressions and random records that have something to do with one another, for the
 * property tests of the parser, the planner and the evaluator.
 */
import fc from 'fast-check'
import type { NaiveRecord } from './naive-expression.ts'
import type { ExpressionNode, Target, Test } from '../../src/core/expression/ast.ts'
import type { Alternative } from '../../src/core/expression/plan.ts'

/** Texts of which some hold others, with all that JSON must or may escape. */
export const TEXTS = [
  'a',
  'b',
  'ERROR',
  'error',
  'E',
  'ERR',
  '0 ERRORs',
  'x/y',
  '/',
  '"',
  '\\',
  '\n',
  'é',
  '\u{1f600}',
  '5',
  '500',
  '500.0',
  '5e2',
  '-1',
  'true',
  'false',
  'null',
  '',
  ' ',
  'a.b',
  '\u0000',
  '\\u0045',
] as const

const PATHS = [
  ['a'],
  ['b'],
  ['a', 'b'],
  ['a.b'],
  ['a/b'],
  ['é'],
  ['level'],
  ['a', 'b', 'c'],
] as const

const text = fc.constantFrom(...TEXTS)

/** Regular expressions as Vectorscan has them, with the same in JavaScript where that differs. */
export const REGEXES: Readonly<Record<string, string>> = Object.fromEntries(
  [
    ['ERROR'],
    ['E+'],
    ['ERR(OR)?'],
    ['5\\d\\d'],
    ['^a'],
    ['a$', 'a(?=\\n?$)'],
    ['x/?y'],
    ['a|b'],
    ['E[A-Z]*R'],
    ['(?:ab)+'],
    ['\\bE'],
    ['[]a]b', '[\\]a]b'],
    ['a{0,2}b'],
    ['é+'],
    ['.', '[^\\n]'],
    ['\\.'],
    ['a\\|b'],
    ['E{2,}'],
    ['ERROR|0'],
    ['u0045'],
    ['x\\/y'.replace('\\/', '/')],
  ].map(([source = '', same = source]) => [source, same]),
)

const regexes = fc.constantFrom(...Object.keys(REGEXES))

const tests: fc.Arbitrary<Test> = fc.oneof(
  fc.constant({ op: 'exists' } as const),
  text.map((one) => ({ op: 'equals', text: one }) as const),
  fc
    .array(fc.constantFrom('E', 'ERR', 'a', '0', 'x/', '"'), { minLength: 1, maxLength: 2 })
    .chain((middle) => fc.constantFrom(['', ...middle], [...middle, ''], ['', ...middle, '']))
    .map((parts) => ({ op: 'wildcard', parts }) as const),
  fc
    .tuple(fc.constantFrom('<', '<=', '>', '>='), text)
    .map(([op, one]) => ({ op, text: one }) as const),
  text.map((one) => ({ op: 'contains', text: one }) as const),
  fc
    .tuple(regexes, fc.boolean())
    .map(([source, ignoreCase]) => ({ op: 'regex', source, ignoreCase }) as const),
)

const fields: fc.Arbitrary<Target> = fc
  .constantFrom(...PATHS)
  .map((path) => ({ of: 'field', path: path.flatMap((part) => part.split('.')) }) as const)

const metaTests = fc.oneof(
  fc.tuple(
    fc.constantFrom<Target>(
      { of: 'topic' },
      { of: 'key' },
      { of: 'header', name: 'h' },
      { of: 'header', name: 'h 2' },
    ),
    tests,
  ),
  fc.tuple(
    fc.constantFrom<Target>({ of: 'partition' }, { of: 'offset' }, { of: 'time' }),
    fc
      .tuple(fc.constantFrom('equals', '<', '<=', '>', '>='), fc.nat(600))
      .map(([op, number]) => ({ op, text: String(number) }) as Test),
  ),
)

/** One comparison of a field. */
export function fieldComparisons(): fc.Arbitrary<ExpressionNode> {
  return fc.tuple(fields, tests).map(([target, test]) => ({ kind: 'compare', target, test }))
}

const leaves = fc.oneof<fc.Arbitrary<ExpressionNode>[]>(
  fc.tuple(text, fc.boolean()).map(([one, ignoreCase]) => ({
    kind: 'bytes',
    hex: Buffer.from(one, 'utf8').toString('hex'),
    ignoreCase,
  })),
  fc.tuple(fc.uint8Array({ maxLength: 4 }), fc.boolean()).map(([bytes, ignoreCase]) => ({
    kind: 'bytes',
    hex: Buffer.from(bytes).toString('hex'),
    ignoreCase,
  })),
  fc
    .tuple(regexes, fc.boolean())
    .map(([source, ignoreCase]) => ({ kind: 'regex', source, ignoreCase })),
  fieldComparisons(),
  metaTests.map(([target, test]) => ({ kind: 'compare', target, test })),
  fc.constant({ kind: 'all', of: [] }),
)

/** Trees as the parser makes them: no join within one of its kind, none of a single part. */
export function expressions(): fc.Arbitrary<ExpressionNode> {
  const { tree } = fc.letrec<{ tree: ExpressionNode }>((tie) => ({
    tree: fc.oneof(
      { maxDepth: 4, withCrossShrink: true },
      leaves,
      tie('tree').map((of): ExpressionNode => (of.kind === 'not' ? of.of : { kind: 'not', of })),
      fc
        .tuple(fc.constantFrom('all', 'any'), fc.array(tie('tree'), { minLength: 2, maxLength: 4 }))
        .map(([kind, of]): ExpressionNode => joined(kind, of)),
    ),
  }))
  return tree
}

/** Groups of alternatives, one or two. */
export function expressionGroups(): fc.Arbitrary<{ all: boolean; of: Alternative[] }[]> {
  const trees = expressions()
  const alternative = fc.record({ keep: trees, drop: fc.option(trees, { freq: 2 }) })
  const group = fc.record({
    all: fc.boolean(),
    of: fc.oneof(
      fc.array(alternative, { minLength: 1, maxLength: 4 }),
      fc.array(alternative, { minLength: 8, maxLength: 20 }),
    ),
  })
  return fc.array(group, { minLength: 1, maxLength: 2 })
}

function joined(kind: 'all' | 'any', of: readonly ExpressionNode[]): ExpressionNode {
  const parts = of.flatMap((one) => (one.kind === kind && one.of.length > 0 ? one.of : [one]))
  return { kind, of: parts }
}

/** A character as JSON may spell it: as it is, by its short escape, by \\uXXXX. */
function spelled(character: string, choice: number): string {
  const units = Array.from(character).flatMap((one) =>
    Array.from({ length: one.length }, (_, index) => one.charCodeAt(index)),
  )
  const escaped = units
    .map((unit) => {
      const digits = unit.toString(16).padStart(4, '0')
      return `\\u${choice % 2 === 0 ? digits : digits.toUpperCase()}`
    })
    .join('')
  if (choice < 3) return escaped
  if (character === '/' && choice < 6) return '\\/'
  return JSON.stringify(character).slice(1, -1)
}

const strings = fc
  .tuple(text, fc.array(fc.nat(12), { minLength: 1, maxLength: 4 }))
  .map(([one, choices]) => {
    const spelt = Array.from(one, (each, at) => spelled(each, choices[at % choices.length] ?? 12))
    return `"${spelt.join('')}"`
  })

/** Half a character: JSON may spell it, and UTF-8 has no bytes for it. */
const halves = fc.constantFrom(
  String.raw`"\ud83d"`,
  String.raw`"\ude00"`,
  String.raw`"a\uD83Db"`,
  String.raw`"\ud83d\ud83d\ude00"`,
)

const scalars = fc.oneof(
  { weight: 4, arbitrary: strings },
  { weight: 1, arbitrary: halves },
  fc.constantFrom('500', '5e2', '500.0', '5', '-1', '0', '1.5E-3', 'true', 'false', 'null'),
)

const blanks = fc.constantFrom('', '', '', ' ', '\n', '\t')

const keys = fc
  .tuple(fc.constantFrom('a', 'b', 'a.b', 'a/b', 'é', 'level', 'c', 'b.c'), fc.nat(12))
  .map(([key, choice]) => `"${Array.from(key, (one) => spelled(one, choice)).join('')}"`)

/** JSON text with whatever JSON allows: blanks, escapes, a key twice, arrays in arrays. */
const { object } = fc.letrec<{ value: string; object: string }>((tie) => ({
  value: fc.oneof(
    { maxDepth: 3, withCrossShrink: true },
    scalars,
    tie('object'),
    fc.array(tie('value'), { maxLength: 3 }).map((all) => `[${all.join(',')}]`),
  ),
  object: fc
    .array(fc.tuple(blanks, keys, blanks, tie('value')), { minLength: 1, maxLength: 6 })
    .map(
      (all) => `{${all.map(([one, key, two, value]) => `${one}${key}:${two}${value}`).join(',')}}`,
    ),
}))

const values: fc.Arbitrary<Uint8Array | null> = fc.oneof(
  { weight: 6, arbitrary: fc.tuple(blanks, object).map(([one, json]) => Buffer.from(one + json)) },
  // Broken: cut off, or with something behind.
  {
    weight: 1,
    arbitrary: fc
      .tuple(object, fc.nat(40))
      .map(([json, length]) => Buffer.from(json).subarray(0, length)),
  },
  { weight: 1, arbitrary: object.map((json) => Buffer.from(`${json} ${json}`)) },
  { weight: 1, arbitrary: scalars.map((json) => Buffer.from(json)) },
  { weight: 1, arbitrary: fc.array(text).map((all) => Buffer.from(all.join(''))) },
  { weight: 1, arbitrary: fc.uint8Array({ maxLength: 12 }) },
  {
    weight: 1,
    arbitrary: object.map((json) => Buffer.concat([Buffer.from(json), Buffer.from([0xff])])),
  },
  { weight: 1, arbitrary: fc.constantFrom(null, Buffer.alloc(0)) },
)

/** Of a long line, in which a member or a text stands far behind, or far in front. */
const LINE_BYTES = 1_000_000

const longValues: fc.Arbitrary<Uint8Array> = fc
  .tuple(object, text, fc.nat(3))
  .map(([json, word, shape]) => {
    const padding = 'x'.repeat(LINE_BYTES)
    const long = [
      `${json.slice(0, -1)},"pad":"${padding}"}`,
      `{"pad":"${padding}",${json.slice(1)}`,
      `${word}${padding}${json}`,
      `${json.slice(0, -1)},"pad":[${`"${'x'.repeat(997)}",`.repeat(LINE_BYTES / 1000)}${json}]}`,
    ]
    return Buffer.from(long[shape] ?? '')
  })

/** Lines of a megabyte: few, for the oracle is slow. */
export function longRecords(): fc.Arbitrary<NaiveRecord> {
  return fc.tuple(records(), longValues).map(([record, value]) => ({ ...record, value }))
}

export function records(): fc.Arbitrary<NaiveRecord> {
  const bytes = fc.oneof(
    fc.constant(null),
    text.map((one) => Buffer.from(one)),
    fc.uint8Array({ maxLength: 4 }),
  )
  return fc.record({
    value: values,
    key: bytes,
    headers: fc.array(fc.tuple(fc.constantFrom('h', 'h 2', 'x'), bytes), { maxLength: 3 }),
    topic: fc.constantFrom('a', 'ERROR', 'a.b', '500'),
    partition: fc.nat(600),
    offset: fc.nat(600),
    timestampMs: fc.oneof(fc.constant(-1), fc.nat(600)),
  })
}
