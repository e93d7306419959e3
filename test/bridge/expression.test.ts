/** The evaluator in the add-on, by examples: what each test of a record means at its edges. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { loadBridge } from '../../src/bridge/load.ts'

const bridge = loadBridge(undefined)

interface Given {
  readonly value?: string | Uint8Array | null
  readonly key?: string | null
  readonly headers?: readonly (readonly [string, string | null])[]
  readonly topic?: string
  readonly partition?: number
  readonly offset?: number
  readonly timestampMs?: number
}

function slotHeaders(headers: readonly (readonly [string, string | null])[]): Uint8Array {
  const word = (number: number) => {
    const bytes = Buffer.alloc(4)
    bytes.writeInt32LE(number)
    return bytes
  }
  const sized = (text: string | null) =>
    text === null ? [word(-1)] : [word(Buffer.byteLength(text)), Buffer.from(text)]
  if (headers.length === 0) return new Uint8Array(0)
  return Buffer.concat([
    word(headers.length),
    ...headers.flatMap(([name, value]) => [...sized(name), ...sized(value)]),
  ])
}

const bytesOf = (text: string | Uint8Array | null | undefined) =>
  typeof text === 'string' ? Buffer.from(text) : (text ?? null)

function keeps(keep: object, given: Given, drop: object | null = null): boolean {
  const expression = JSON.stringify({ keep, drop, prefilter: null })
  const matcher = bridge.matcherOpen({ expression })
  try {
    return bridge.matcherTest(
      matcher,
      bytesOf(given.value),
      bytesOf(given.key),
      slotHeaders(given.headers ?? []),
      given.topic ?? 't',
      given.partition ?? 0,
      given.offset ?? 0,
      given.timestampMs ?? -1,
    )
  } finally {
    bridge.matcherClose(matcher)
  }
}

const bytes = (text: string, ignoreCase = false) => ({
  kind: 'bytes',
  hex: Buffer.from(text).toString('hex'),
  ignoreCase,
})
const regex = (source: string, ignoreCase = false) => ({ kind: 'regex', source, ignoreCase })
const compare = (target: object, op: string, rest: object) => ({
  kind: 'compare',
  target,
  test: { op, ...rest },
})
const field = (path: string, op: string, text?: string) =>
  compare({ of: 'field', path: path.split('.') }, op, text === undefined ? {} : { text })
const not = (of: object) => ({ kind: 'not', of })
const all = (...of: object[]) => ({ kind: 'all', of })
const any = (...of: object[]) => ({ kind: 'any', of })

function check(rows: readonly (readonly [object, string | null, boolean])[]): void {
  for (const [node, value, verdict] of rows) {
    assert.equal(keeps(node, { value }), verdict, `${JSON.stringify(node)} of ${value}`)
  }
}

test('bytes stand anywhere in the value, and of nothing all values have some', () => {
  check([
    [bytes('ERROR'), 'an ERROR', true],
    [bytes('ERROR'), 'an error', false],
    [bytes('error', true), 'an ERROR', true],
    [bytes(''), null, true],
    [bytes('a'), null, false],
    [bytes('a'), '', false],
    [not(bytes('a')), null, true],
    [any(), 'a', false],
    [all(), null, true],
    [any(bytes('a'), bytes('b'), bytes('c', true)), 'xC', true],
    [all(bytes('a'), bytes('b')), 'a', false],
  ])
})

test('regular expressions see the value alone', () => {
  check([
    [regex('^ERR'), 'ERROR', true],
    [regex('^ERR'), ' ERROR', false],
    [regex('\\bOK\\b'), 'NOTOK', false],
    [regex('5\\d\\d$'), 'status 503', true],
    [regex('error', true), 'ERROR', true],
    [regex('x*'), '', true],
    [regex('x*'), null, false],
    [all(regex('a'), not(regex('b')), regex('c')), 'ac', true],
    [all(regex('a'), not(regex('b')), regex('c')), 'abc', false],
  ])
})

test('fields are found by dotted paths, in arrays, and under dotted keys', () => {
  check([
    [field('a', 'equals', 'x'), '{"a":"x"}', true],
    [field('a.b', 'equals', 'x'), '{"a":{"b":"x"}}', true],
    [field('a.b', 'equals', 'x'), '{"a.b":"x"}', true],
    [field('a.b.c', 'equals', 'x'), '{"a":{"b.c":"x"}}', true],
    [field('a.b.c', 'equals', 'x'), '{"a.b":{"c":"x"}}', true],
    [field('a.b', 'equals', 'x'), '{"a":[{"b":"y"},{"b":"x"}]}', true],
    [field('a', 'equals', 'x'), '{"a":["y",["x"]]}', true],
    [field('a', 'equals', 'x'), '{"b":{"a":"x"}}', false],
    [field('a', 'equals', 'x'), '{"\\u0061":"\\u0078"}', true],
    [any(field('a', 'equals', 'x'), field('a', 'equals', 'y')), '{"a":"y"}', true],
  ])
})

test('of a key that stands twice the last one counts', () => {
  check([
    [field('a', 'equals', '1'), '{"a":1,"a":2}', false],
    [field('a', 'equals', '2'), '{"a":1,"a":2}', true],
    [field('a.b', 'exists'), '{"a":{"b":1},"a":{"c":1}}', false],
    [field('a.b', 'equals', '1'), '{"a":[{"b":1},{"b":2}]}', true],
    [field('a.b', 'equals', '1'), '{"a.b":1,"a":{"b":2}}', true],
    [field('a', 'exists'), '{"a":1,"\\u0061":null}', false],
  ])
})

test('numbers and texts compare as one would expect', () => {
  check([
    [field('s', 'equals', '500'), '{"s":500}', true],
    [field('s', 'equals', '500'), '{"s":"500"}', true],
    [field('s', 'equals', '500'), '{"s":5.0e2}', true],
    [field('s', 'equals', '500'), '{"s":"500.0"}', true],
    [field('s', 'equals', '9007199254740993'), '{"s":9007199254740992}', false],
    [field('s', 'equals', 'true'), '{"s":true}', true],
    [field('s', 'equals', 'True'), '{"s":true}', false],
    [field('s', 'equals', 'null'), '{"s":null}', false],
    [field('s', '>=', '500'), '{"s":499.5}', false],
    [field('s', '>=', '500'), '{"s":"500"}', true],
    [field('s', '<', '10'), '{"s":9}', true],
    [field('s', '<', 'b'), '{"s":"a"}', true],
    [field('s', '<', 'b'), '{"s":5}', false],
    [field('s', '<', '5'), '{"s":"abc"}', false],
    [field('s', '>', '5'), '{"s":true}', false],
    [field('s', '>', '1e400'), '{"s":1}', false],
  ])
})

test('an object exists, null and an empty array do not', () => {
  check([
    [field('a', 'exists'), '{"a":{}}', true],
    [field('a', 'exists'), '{"a":[]}', false],
    [field('a', 'exists'), '{"a":[null]}', false],
    [field('a', 'exists'), '{"a":[null,0]}', true],
    [field('a', 'exists'), '{"a":null}', false],
    [field('a', 'exists'), '{"a":""}', true],
    [field('a', 'equals', ''), '{"a":{}}', false],
  ])
})

test('wildcards, parts and regular expressions see the decoded text', () => {
  const wildcard = (...parts: string[]) =>
    compare({ of: 'field', path: ['a'] }, 'wildcard', { parts })
  const matches = (source: string) =>
    compare({ of: 'field', path: ['a'] }, 'regex', { source, ignoreCase: false })
  check([
    [wildcard('pre', ''), '{"a":"prefix"}', true],
    [wildcard('pre', ''), '{"a":"a pre"}', false],
    [wildcard('', 'x', ''), '{"a":"axb"}', true],
    [wildcard('ab', 'ba'), '{"a":"aba"}', false],
    [wildcard('5', ''), '{"a":503}', true],
    [field('a', 'contains', '/y'), '{"a":"x\\/y"}', true],
    [field('a', 'contains', '\u{1f600}'), '{"a":"\\ud83d\\ude00"}', true],
    [field('a', 'contains', '\ufffd'), '{"a":"\\ud83d"}', true],
    [matches('^x\\s'), '{"a":"x\\ny"}', true],
    [matches('^50'), '{"a":[200,503]}', true],
  ])
})

test('what is no JSON object has no fields', () => {
  const exists = field('a', 'exists')
  const broken = [
    null,
    '',
    '[{"a":1}]',
    '"a"',
    '{"a":1',
    '{"a":1}}',
    '{"a":1}{"a":1}',
    '{"a":01}',
    '{"a":1.}',
    '{"a":+1}',
    '{"a":tru}',
    '{"a":truex}',
    '{"a":1,}',
    '{"a":1 "b":2}',
    '{"a"}',
    '{a:1}',
    '{"a":"\\x"}',
    '{"a":"\\u12g4"}',
    '{"a":"\n"}',
    '{"a":1}\0',
    '\ufeff{"a":1}',
    `{"a":${'['.repeat(600)}${']'.repeat(600)}}`,
  ]
  check(broken.map((value) => [exists, value, false] as const))
  check(broken.map((value) => [not(exists), value, true] as const))
  assert.equal(keeps(exists, { value: Buffer.from('7b2261223a22ff227d', 'hex') }), false)
  check([
    [exists, ' {"a" : 1 } \n', true],
    [exists, `{"b":${'['.repeat(500)}${']'.repeat(500)},"a":"\\ud800"}`, true],
    [exists, `{"b":"${'x'.repeat(3_000_000)}","a":1}`, true],
  ])
})

test('key, topic, place, time and headers are asked like fields', () => {
  const meta = (of: string, op: string, text?: string) =>
    compare({ of }, op, text === undefined ? {} : { text })
  const header = (op: string, text?: string) =>
    compare({ of: 'header', name: 'h' }, op, text === undefined ? {} : { text })
  const record: Given = {
    value: 'x',
    key: '500',
    headers: [
      ['h', null],
      ['H', 'y'],
      ['h', 'z'],
    ],
    topic: 'logs',
    partition: 3,
    offset: 2 ** 40,
    timestampMs: 1000,
  }
  assert.ok(keeps(meta('key', 'equals', '5e2'), record))
  assert.ok(keeps(meta('topic', 'equals', 'logs'), record))
  assert.ok(keeps(meta('partition', '>', '2'), record))
  assert.ok(keeps(meta('offset', 'equals', '1099511627776'), record))
  assert.ok(keeps(meta('time', '<=', '1000'), record))
  assert.ok(!keeps(meta('time', 'exists'), { ...record, timestampMs: -1 }))
  assert.ok(keeps(header('exists'), { headers: [['h', null]] }))
  assert.ok(!keeps(header('equals', ''), { headers: [['h', null]] }))
  assert.ok(keeps(header('equals', ''), { headers: [['h', '']] }))
  assert.ok(keeps(header('equals', 'z'), record))
  assert.ok(!keeps(header('equals', 'y'), record))
  assert.ok(!keeps(meta('key', 'exists'), { ...record, key: null }))
})

test('what is to be dropped is dropped', () => {
  assert.ok(keeps(all(), { value: 'a' }, bytes('b')))
  assert.ok(!keeps(all(), { value: 'ab' }, bytes('b')))
  assert.ok(!keeps(bytes('a'), { value: '{"a":1}' }, field('a', 'exists')))
})

test('a regular expression that cannot be used is refused in words, with its place', () => {
  assert.equal(bridge.regexCheck('a+b', false), null)
  assert.equal(bridge.regexCheck('(a+)+$', false), null)
  assert.deepEqual(bridge.regexCheck('a(b', false)?.at, 1)
  assert.match(bridge.regexCheck('a(b', false)?.message ?? '', /parenthesis/)
  assert.match(bridge.regexCheck('(?<=a)b', false)?.message ?? '', /supported/)
  assert.match(bridge.regexCheck('(a)\\1', false)?.message ?? '', /supported/)
  assert.match(bridge.regexCheck('(*UTF8)a', false)?.message ?? '', /not supported/)
})

test('a regular expression that would take long to compile is refused', () => {
  const large = ['.{1,30000}x', '((a{100}){100}){100}', `${'(a|'.repeat(200)}b${')'.repeat(200)}`]
  for (const source of large) {
    assert.match(bridge.regexCheck(source, false)?.message ?? '', /positions/, source)
  }
})
