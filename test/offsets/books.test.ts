/** The books: that they balance, that they say so when they do not, and how they look. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as fc from 'fast-check'
import { FILTER_REASONS } from '../../src/core/live-books.ts'
import { booksJson, renderBooks } from '../../src/offsets/books-text.ts'
import {
  Books,
  DESTINATIONS,
  DROP_REASONS,
  LOST_RANGES_MAX,
  PLAIN_ENTRIES,
  SOURCES,
} from '../../src/offsets/books.ts'

const none = () => 0

function exampleBooks(): Books {
  const books = new Books()
  const ten = books.of('logs', 10)
  ten.add('fetched', 1_000_000)
  ten.filtered('pattern', 999_000)
  ten.add('written', 990)
  ten.add('fenced', 3)
  const two = books.of('logs', 2)
  two.add('fetched', 50)
  two.filtered('pattern', 48)
  two.add('written', 2)
  return books
}

const pendingOfTen = (topic: string, partition: number) =>
  topic === 'logs' && partition === 10 ? 7 : 0

test('books balance when every record has one entry, and pending asks for status 1', () => {
  const statement = exampleBooks().state(pendingOfTen)
  assert.deepEqual(statement.imbalances, [])
  assert.equal(statement.pending, 7)
  assert.equal(statement.exitStatus, 1)
  assert.equal(statement.total.count('fetched'), 1_000_050)
  assert.deepEqual(
    statement.partitions.map(({ partition }) => partition),
    [2, 10],
  )
})

test('an imbalance names the partition, both sides and the difference', () => {
  const statement = exampleBooks().state(none)
  assert.deepEqual(statement.imbalances, [
    'logs/10: fetched 1000000 = 1000000, but filtered(pattern) 999000 + fenced 3 + written 990' +
      ' + pending 0 = 999993: 7 have no entry',
  ])
  assert.equal(statement.exitStatus, 3)
  const twice = new Books()
  twice.of('logs', 0).add('written')
  assert.deepEqual(twice.state(none).imbalances, [
    'logs/0: nothing = 0, but written 1 + pending 0 = 1: 1 were never fetched',
  ])
})

test('two partitions whose faults cancel out do not balance', () => {
  const books = new Books()
  books.of('logs', 0).add('fetched', 1)
  books.of('logs', 1).add('written', 1)
  const statement = books.state(none)
  assert.equal(statement.total.sources, statement.total.destinations)
  assert.equal(statement.imbalances.length, 2)
  assert.equal(statement.exitStatus, 3)
})

test('the summary is aligned and leaves out what never occurred', () => {
  assert.deepEqual(renderBooks(exampleBooks().state(pendingOfTen)), [
    'books      fetched  filtered(pattern)  fenced  written  pending',
    'logs/2          50                 48       0        2        0',
    'logs/10  1,000,000            999,000       3      990        7',
    'total    1,000,050            999,048       3      992        7',
    'books balance; 7 pending will be read again at the next start',
  ])
  const dropped = new Books()
  dropped.of('a', 0).add('fetched', 2)
  dropped.of('a', 0).settle('pipeline_dropped', 2)
  // The index has none of it, and that is said.
  assert.match(renderBooks(dropped.state(none))[0] ?? '', /fetched +indexed +pipeline_dropped/)
  assert.deepEqual(renderBooks(new Books().state(none)), [
    'books  fetched  pending',
    'total        0        0',
    'books balance',
  ])
})

test('what is lost is listed by range, joined where ranges touch, and asks for status 3', () => {
  const books = exampleBooks()
  const book = books.of('logs', 10)
  book.lose('retention', 100, 200)
  book.lose('retention', 200, 250)
  book.lose('retention', 300, 301)
  book.lose('spill', 7, 9)
  assert.deepEqual(book.lost('retention'), {
    count: 151,
    ranges: [
      { from: 100, to: 250 },
      { from: 300, to: 301 },
    ],
  })
  const statement = books.state(pendingOfTen)
  assert.equal(statement.exitStatus, 3)
  assert.deepEqual(renderBooks(statement).slice(4), [
    'lost(retention) logs/10 151: offsets 100 to 249 and 1 more ranges',
    'lost(spill) logs/10 2: offsets 7 to 8',
    'books balance; 7 pending will be read again at the next start',
  ])
})

test('ranges beyond the limit are counted and not listed', () => {
  const book = new Books().of('logs', 0)
  for (let from = 0; from < 3 * LOST_RANGES_MAX; from += 2) book.lose('retention', from, from + 1)
  assert.equal(book.lost('retention').count, 1.5 * LOST_RANGES_MAX)
  assert.equal(book.lost('retention').ranges.length, LOST_RANGES_MAX)
})

test('many partitions are summed up in the text and all there in the JSON', () => {
  const books = new Books()
  for (let partition = 0; partition < 100; partition++) books.of('logs', partition).add('fetched')
  const statement = books.state(() => 1)
  const lines = renderBooks(statement)
  assert.equal(lines.length, 1 + 40 + 1 + 1 + 1)
  assert.equal(lines[41], '(60 more partitions)')
  assert.equal(booksJson(statement).partitions.length, 100)
})

test('the JSON has every entry, with reasons as objects', () => {
  const json = booksJson(exampleBooks().state(pendingOfTen))
  assert.equal(json.balanced, true)
  assert.deepEqual(json.partitions[0], {
    topic: 'logs',
    partition: 2,
    counted: 0,
    carried_in: 0,
    fetched: 50,
    copied: 0,
    indexed: 0,
    duplicate: 0,
    superseded: 0,
    failure_store: 0,
    pipeline_dropped: 0,
    dead_lettered: 0,
    fenced: 0,
    written: 2,
    spilled: 0,
    filtered: { pattern: 48, time: 0, sample: 0 },
    dropped: { es_full: 0, overflow_newest: 0 },
    pending: 0,
    lost: {
      retention: { count: 0, ranges: [] },
      unreadable: { count: 0, ranges: [] },
      spill: { count: 0, ranges: [] },
    },
  })
  assert.equal(JSON.stringify(json).includes('null'), false)
})

test('every entry stands on exactly one side', () => {
  const named = [...SOURCES, ...DESTINATIONS]
  assert.equal(new Set(named).size, named.length)
  const expected = [
    ...PLAIN_ENTRIES,
    ...FILTER_REASONS.map((reason) => `filtered(${reason})`),
    ...DROP_REASONS.map((reason) => `dropped(${reason})`),
  ]
  assert.deepEqual([...named].sort(), expected.sort())
})

test('books balance for any counts exactly when the sides are equal', () => {
  const counts = fc.dictionary(fc.constantFrom(...PLAIN_ENTRIES), fc.nat(1_000_000))
  fc.assert(
    fc.property(counts, fc.nat(1000), (entries, pending) => {
      const books = new Books()
      const book = books.of('logs', 0)
      let left = 0
      let right = pending
      for (const entry of PLAIN_ENTRIES) {
        const count = entries[entry] ?? 0
        book.add(entry, count)
        if (SOURCES.some((source) => source === entry)) left += count
        else right += count
      }
      const isBalanced = () => books.state(() => pending).imbalances.length === 0
      assert.equal(isBalanced(), left === right)
      if (left < right) book.add('fetched', right - left)
      else book.filtered('time', left - right)
      assert.equal(isBalanced(), true)
    }),
  )
})

test('counts that are negative or no numbers are assertions', () => {
  const book = new Books().of('logs', 0)
  assert.throws(() => book.add('fetched', -1), assert.AssertionError)
  assert.throws(() => book.filtered('pattern', Number.NaN), assert.AssertionError)
  assert.throws(() => book.lose('spill', 5, 5), assert.AssertionError)
})
