/** Fields that an index would refuse, by its mapping. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type FieldMapping, MappingConflicts } from '../../src/run/mapping-conflicts.ts'

/** `FIELD TYPE VALUE` of each conflict. */
function conflicts(mapping: FieldMapping, ...documents: object[]): string[] {
  const found = new MappingConflicts(mapping)
  for (const document of documents) found.add(JSON.stringify(document))
  return found.list().map(({ field, mapped, example }) => `${field} ${mapped} ${example}`)
}

const of = (properties: Readonly<Record<string, FieldMapping>>): FieldMapping => ({ properties })

test('a number takes numbers, and text that is one', () => {
  const mapping = of({ n: { type: 'long' }, b: { type: 'byte' }, d: { type: 'double' } })
  assert.deepEqual(conflicts(mapping, { n: 1.5, b: '127', d: '1e3' }, { n: null, d: [] }), [])
  assert.deepEqual(conflicts(mapping, { n: 'x', b: 128, d: true }), [
    'n long "x"',
    'b byte 128',
    'd double true',
  ])
  assert.deepEqual(conflicts(mapping, { n: [1, { x: 1 }] }), ['n long {"x":1}'])
})

test('dates, booleans and addresses are told by their text', () => {
  const mapping = of({
    at: { type: 'date' },
    own: { type: 'date', format: 'HH:mm' },
    ok: { type: 'boolean' },
    ip: { type: 'ip' },
  })
  const fine = { at: '2026-09-01T00:00:00.123+02:00', own: '12:30', ok: 'false', ip: '::1' }
  assert.deepEqual(conflicts(mapping, fine, { at: 1_756_684_800_000, ok: true }), [])
  assert.deepEqual(conflicts(mapping, { at: 'today', own: 'x', ok: 'yes', ip: '1.2.3' }), [
    'at date "today"',
    'ok boolean "yes"',
    'ip ip "1.2.3"',
  ])
})

test('an object is none of a value, nor a value one of an object', () => {
  const mapping = of({ user: of({ name: { type: 'keyword' } }), text: { type: 'text' } })
  assert.deepEqual(conflicts(mapping, { user: { name: 1 }, text: 'x' }), [])
  assert.deepEqual(conflicts(mapping, { user: 'ada', text: { a: 1 } }), [
    'user object "ada"',
    'text text {"a":1}',
  ])
  assert.deepEqual(conflicts(mapping, { 'user.name': {} }), ['user.name keyword {}'])
})

test('a strict mapping has no further fields, a dynamic object within it has', () => {
  const mapping: FieldMapping = {
    dynamic: 'strict',
    properties: { a: { type: 'long' }, labels: { dynamic: 'true', properties: {} }, b: of({}) },
  }
  assert.deepEqual(conflicts(mapping, { a: 1, labels: { x: 1 } }), [])
  assert.deepEqual(conflicts(mapping, { z: 1, b: { y: 1 } }), [
    'z nothing (dynamic: strict) 1',
    'b.y nothing (dynamic: strict) 1',
  ])
})

test('what a mapping forgives, or does not look into, is no conflict', () => {
  const mapping = of({
    n: { type: 'long', ignore_malformed: 'true' },
    raw: { type: 'object', enabled: false },
    new: { type: 'a_type_of_tomorrow' },
  })
  assert.deepEqual(conflicts(mapping, { n: 'x', raw: { deep: 1 }, new: { a: 1 } }), [])
})

test('a field counts once in each document, the most frequent field first', () => {
  const mapping = of({ n: { type: 'long' }, m: { type: 'long' } })
  const found = new MappingConflicts(mapping)
  for (const n of ['x', ['y', 'z'], 1]) found.add(JSON.stringify({ n }))
  found.add('{"m":"x"}')
  assert.deepEqual(
    found.list().map(({ field, records }) => [field, records]),
    [
      ['n', 2],
      ['m', 1],
    ],
  )
})
