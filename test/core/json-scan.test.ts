import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as fc from 'fast-check'
import {
  JSON_DEPTH_MAX,
  JSON_OBJECT,
  JSON_OBJECT_LINES,
  JSON_OTHER,
  hasField,
  scanJson,
  type JsonKind,
} from '../../src/core/json-scan.ts'

/** Scans the text at every alignment, with bytes around it that must not be looked at. */
function kindOf(text: string): JsonKind {
  const kinds = [0, 1, 2, 3].map((shift) => {
    const around = `${'{'.repeat(shift + 4)}${text}}}"}`
    const bytes = Buffer.from(around)
    return scanJson(bytes, shift + 4, shift + 4 + Buffer.byteLength(text))
  })
  assert.equal(new Set(kinds).size, 1, 'the alignment makes a difference')
  return kinds[0] ?? JSON_OTHER
}

/** What JSON.parse says. */
function parsedKind(text: string): JsonKind {
  try {
    const parsed: unknown = JSON.parse(text)
    if (typeof parsed !== 'object' || parsed === null || Array.isArray(parsed)) return JSON_OTHER
    return /[\r\n]/.test(text) ? JSON_OBJECT_LINES : JSON_OBJECT
  } catch {
    return JSON_OTHER
  }
}

test('one JSON object is told from everything else', () => {
  const cases: readonly (readonly [string, JsonKind])[] = [
    ['{}', JSON_OBJECT],
    [' { } ', JSON_OBJECT],
    ['{"a":{},"b":[]}', JSON_OBJECT],
    ['{"a":[1,[2,{"b":null}],-0.5e+7]}', JSON_OBJECT],
    ['{"a":12345678901234567890123,"a":1}', JSON_OBJECT],
    ['{"a":"\\u00e4\\n\\"\\\\ü"}', JSON_OBJECT],
    ['{\n"a":1\r\n}\n', JSON_OBJECT_LINES],
    ['', JSON_OTHER],
    ['{', JSON_OTHER],
    ['[]', JSON_OTHER],
    ['1', JSON_OTHER],
    ['null', JSON_OTHER],
    ['"a"', JSON_OTHER],
    ['{}{}', JSON_OTHER],
    ['{"m":1}\n{"delete":{"_id":"1"}}', JSON_OTHER],
    ['{,}', JSON_OTHER],
    ['{"a":1,}', JSON_OTHER],
    ['{"a" 1}', JSON_OTHER],
    ['{"a":}', JSON_OTHER],
    ['{a:1}', JSON_OTHER],
    ['{"a":[,]}', JSON_OTHER],
    ['{"a":[1,]}', JSON_OTHER],
    ['{"a":[1}]', JSON_OTHER],
    ['{"a":"\n"}', JSON_OTHER],
    ['{"a":"\u0000"}', JSON_OTHER],
    ['{"a":"\\x"}', JSON_OTHER],
    ['{"a":"\\u12g4"}', JSON_OTHER],
    ['{"a":01}', JSON_OTHER],
    ['{"a":-}', JSON_OTHER],
    ['{"a":1.}', JSON_OTHER],
    ['{"a":1e}', JSON_OTHER],
    ['{"a":+1}', JSON_OTHER],
    ['{"a":.5}', JSON_OTHER],
    ['{"a":tru}', JSON_OTHER],
    ['{"a":NaN}', JSON_OTHER],
    ['\ufeff{"a":1}', JSON_OTHER],
    ['{"a":1}\u0000', JSON_OTHER],
  ]
  for (const [text, kind] of cases) {
    assert.equal(kindOf(text), kind, JSON.stringify(text))
    assert.equal(parsedKind(text), kind, `JSON.parse differs on ${JSON.stringify(text)}`)
  }
})

test('nesting is bounded', () => {
  const nested = (depth: number) => `${'{"a":'.repeat(depth - 1)}{}${'}'.repeat(depth - 1)}`
  assert.equal(kindOf(nested(JSON_DEPTH_MAX)), JSON_OBJECT)
  assert.equal(kindOf(nested(JSON_DEPTH_MAX + 1)), JSON_OTHER)
})

test('it agrees with JSON.parse on whatever is generated, whole and damaged', () => {
  const spaced = fc.tuple(fc.json(), fc.constantFrom(undefined, 1, '\t'))
  fc.assert(
    fc.property(spaced, fc.nat(), fc.string({ maxLength: 2 }), ([json, space], at, damage) => {
      const value: unknown = JSON.parse(json)
      const text = JSON.stringify({ value }, null, space)
      assert.equal(kindOf(text), parsedKind(text))
      const cut = at % (text.length + 1)
      for (const other of [
        text.slice(0, cut) + damage + text.slice(cut),
        text.slice(0, cut) + damage + text.slice(cut + 1),
        text.slice(0, cut),
      ]) {
        // A lone surrogate becomes U+FFFD in bytes; JSON.parse sees what the bytes say.
        const asBytes = Buffer.from(other).toString('utf8')
        assert.equal(kindOf(asBytes), parsedKind(asBytes), JSON.stringify(asBytes))
      }
    }),
    { numRuns: 2000 },
  )
})

test('a field of the object itself is found, however it is written, and no other', () => {
  const names = fc.constantFrom('a', 'at', '@timestamp', '"', '\\', '{', 'ä')
  const objects = fc.dictionary(names, fc.oneof(names, fc.json().map(parse), fc.object()))
  const escaped = (text: string) =>
    text.replace(/@|ä/g, (sign) => `\\u${sign.charCodeAt(0).toString(16).padStart(4, '0')}`)
  fc.assert(
    fc.property(objects, names, fc.boolean(), (object, name, isEscaped) => {
      const text = isEscaped ? escaped(JSON.stringify(object)) : JSON.stringify(object)
      const bytes = Buffer.from(`xx${text}yy`)
      assert.equal(hasField(bytes, 2, bytes.length - 2, name), Object.hasOwn(object, name), text)
    }),
    { numRuns: 1000 },
  )
})

function parse(text: string): unknown {
  return JSON.parse(text)
}
