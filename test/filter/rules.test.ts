/** Rules in a filtering thread: who takes a record, the same whenever it is asked. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { loadBridge } from '../../src/bridge/load.ts'
import { Rules } from '../../src/filter/rules.ts'
import { RULE_NUMBERS_MAX, renumbered } from '../../src/core/rules.ts'
import { parseRules } from '../../src/options/rule-list.ts'
import { recordOf } from '../helpers/bulk-batch.ts'

const bridge = loadBridge(undefined)
const rulesOf = (list: unknown) => new Rules(bridge, parseRules(JSON.stringify(list)))

test('hits become routes, and what is left out is counted by its rule', () => {
  const rules = rulesOf({
    all: true,
    list: [{ name: 'a' }, { name: 'b', index: 'other', pipeline: 'p' }, { name: 'c' }],
  })
  // 3 is no rule: it is a metric's.
  assert.deepEqual(rules.take(recordOf('x'), [0, 1, 3]), [0, 1])
  assert.deepEqual(rules.take(recordOf('x'), [3]), [])
  rules.noteDropped([{ run: 0, alternative: 2, records: 5 }])
  assert.deepEqual(rules.takeTallies(), {
    copies: 1,
    tallies: [
      { rule: 0, documents: 1, dropped: 0, sampled: 0 },
      { rule: 1, documents: 1, dropped: 0, sampled: 0 },
      { rule: 2, documents: 0, dropped: 5, sampled: 0 },
    ],
  })
  assert.deepEqual(rules.takeTallies(), { copies: 0, tallies: [] })
  assert.deepEqual(rules.route(1), {
    name: 'b',
    index: 'other',
    pipeline: 'p',
    idSuffix: '-b',
  })
  assert.equal(rulesOf([{ name: 'a' }]).route(0).idSuffix, '')
})

test('a name keeps its number in another list, and what is counted goes by it', () => {
  const listOf = (...names: string[]) => parseRules(JSON.stringify(names.map((name) => ({ name }))))
  const names = ['a', 'b']
  const later = renumbered(listOf('c', 'b'), names)
  assert.deepEqual(names, ['a', 'b', 'c'])
  const rules = new Rules(bridge, later)
  rules.take(recordOf('x'), [0])
  rules.noteDropped([{ run: 0, alternative: 1, records: 3 }])
  assert.deepEqual([rules.numberOf(0), rules.numberOf(1)], [2, 1])
  assert.deepEqual(rules.takeTallies().tallies, [
    { rule: 2, documents: 1, dropped: 0, sampled: 0 },
    { rule: 1, documents: 0, dropped: 3, sampled: 0 },
  ])
  const full = Array.from({ length: RULE_NUMBERS_MAX }, (_, index) => `n${index}`)
  assert.equal(renumbered(listOf('n7'), full).rules[0]?.number, 7)
  assert.throws(() => renumbered(listOf('more'), full), /more than 65536 names/)
})

const RECORDS = 4000
const records = Array.from({ length: RECORDS }, (_, offset) =>
  recordOf(`{"n":${offset},"trace":{"id":"t${offset % 500}"}}`, { offset }),
)

test('a sample takes its share, and the same records from anyone who asks', () => {
  const sampleOf = (sample: unknown) => {
    const rules = rulesOf([{ name: 'a', sample }])
    return records.map((record) => rules.take(record, [0]).length)
  }
  const tenth = sampleOf(0.1)
  assert.deepEqual(sampleOf('10%'), tenth)
  const count = tenth.filter((taken) => taken === 1).length
  assert.ok(count > RECORDS * 0.08 && count < RECORDS * 0.12, `${count} of ${RECORDS}`)
  assert.deepEqual(
    sampleOf(1),
    Array.from({ length: RECORDS }, () => 1),
  )
})

test('records with one value of the field stay together, those without go by their place', () => {
  const rules = rulesOf([{ name: 'a', sample: { share: 0.5, by: 'trace.id' } }])
  const taken = new Map<number, number>()
  for (const [offset, record] of records.entries()) {
    const isTaken = rules.take(record, [0]).length
    assert.equal(taken.get(offset % 500) ?? isTaken, isTaken)
    taken.set(offset % 500, isTaken)
  }
  const byPlace = rulesOf([{ name: 'a', sample: 0.5 }])
  for (const value of ['no JSON', '{"trace":{"id":null}}', '{"trace":{"id":[{}]}}', null]) {
    for (let offset = 0; offset < 50; offset++) {
      const record = recordOf(value, { offset })
      assert.deepEqual(rules.take(record, [0]), byPlace.take(record, [0]))
    }
  }
  const spelled = recordOf(String.raw`{"trace":{"id":"\u00747"}}`, { offset: 9999 })
  assert.equal(rules.take(spelled, [0]).length, taken.get(7))
})
