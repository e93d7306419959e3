/** Members by their paths: places in the bytes, against what JSON.parse says is there. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { membersAt } from '../../src/core/json-members.ts'

function found(json: string, ...paths: string[]): string[] {
  const bytes = Buffer.from(json)
  return membersAt(
    bytes,
    paths.map((path) => path.split('.')),
  ).map(({ path, keyFrom, keyTo, valueFrom, valueTo }) => {
    const text = (from: number, to: number) => bytes.toString('utf8', from, to)
    return `${path} ${text(keyFrom, keyTo)} ${text(valueFrom, valueTo)}`
  })
}

test('a path leads through objects, arrays and dotted keys, and to each of a key twice', () => {
  assert.deepEqual(found('{"a":{"b":1},"c":2}', 'a.b', 'c', 'd'), ['0 "b" 1', '1 "c" 2'])
  assert.deepEqual(found('{"a.b":{"c":"x"}}', 'a.b.c'), ['0 "c" "x"'])
  assert.deepEqual(found('{"a":[{"b":1},[{"b":[2]}],3]}', 'a.b'), ['0 "b" 1', '0 "b" [2]'])
  assert.deepEqual(found('{"a":1,"a":{"x":"}"}}', 'a'), ['0 "a" 1', '0 "a" {"x":"}"}'])
  assert.deepEqual(found(String.raw`{"\u0061":"\"\\"}`, 'a'), [String.raw`0 "\u0061" "\"\\"`])
  assert.deepEqual(found('{ "a" : 1.10 , "b":-2e5}', 'a', 'b'), ['0 "a" 1.10', '1 "b" -2e5'])
  assert.deepEqual(found('{}', 'a'), [])
})

test('a member knows the commas beside it', () => {
  const [, second, third] = membersAt(Buffer.from('{"a":1, "b":2 ,"c":3}'), [['a'], ['b'], ['c']])
  const places = [second, third].map((one) => [one?.index, one?.commaBefore, one?.commaAfter])
  assert.deepEqual(places, [
    [1, 6, 14],
    [2, 14, -1],
  ])
})

test('the value at each key is the one that was written there', () => {
  const values = fc.dictionary(fc.string({ maxLength: 5 }), fc.jsonValue({ maxDepth: 3 }), {
    maxKeys: 6,
    noNullPrototype: true,
  })
  fc.assert(
    fc.property(values, fc.nat(3), (value, indent) => {
      const bytes = Buffer.from(JSON.stringify(value, null, indent))
      const keys = Object.keys(value)
      // Elsewhere than at the top a path may be met too, where a key holds a dot.
      const members = membersAt(
        bytes,
        keys.map((key) => [key]),
      )
      const texts = members.map(({ path, valueFrom, valueTo }) => [
        keys[path],
        bytes.toString('utf8', valueFrom, valueTo),
      ])
      // Not what JSON.parse makes of it: V8 takes one escaped key for another that it met before
      // (nodejs/node issue 63785).
      const written = (key: string) =>
        JSON.stringify(value[key], null, indent).replaceAll('\n', `\n${' '.repeat(indent)}`)
      assert.deepEqual(
        texts,
        keys.map((key) => [key, written(key)]),
      )
    }),
  )
})
