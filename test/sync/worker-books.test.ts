/** The books of a pipeline over the children of a worker. */
import assert from 'node:assert/strict'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { test, type TestContext } from 'node:test'
import fc from 'fast-check'
import { balanceOf, booksOf, type LiveBooks } from '../../src/core/live-books.ts'
import { WorkerBooks } from '../../src/sync/worker-books.ts'

function fixture(t: TestContext) {
  const home = mkdtempSync(path.join(tmpdir(), 'worker-books-'))
  t.after(() => rmSync(home, { recursive: true, force: true }))
  mkdirSync(path.join(home, '1'))
  const pathOf = (pipelineId: number) => path.join(home, String(pipelineId))
  const leave = (run: string, entries: Partial<LiveBooks>) => {
    const books = { run, entries: booksOf((entry) => entries[entry] ?? 0) }
    writeFileSync(path.join(home, '1', 'runtime_metrics.json'), JSON.stringify({ books }))
    return books
  }
  return { newBooks: () => new WorkerBooks(pathOf), leave, home }
}

test('children add up, and what one left is handed on to the next', (t) => {
  const { newBooks, leave } = fixture(t)
  const books = newBooks()
  books.begin(1)
  books.observe(1, leave('a', { fetched: 10, filtered: 6, pending: 4 }))
  assert.equal(books.reports(1)[0]?.entries.pending, 4)
  leave('a', { fetched: 12, filtered: 7, indexed: 3, pending: 2 })
  books.begin(1)
  books.observe(1, leave('b', { fetched: 3, indexed: 3 }))
  const [report] = books.reports(1)
  assert.ok(report)
  const { fetched, filtered, indexed, pending, handed_on: handedOn } = report.entries
  assert.deepEqual([fetched, filtered, indexed, pending, handedOn], [15, 7, 6, 0, 2])
  const { sources, ends } = balanceOf(report.entries)
  assert.equal(sources, ends)
})

test('a snapshot that was read before a child began does not undo its last word', (t) => {
  const { newBooks, leave } = fixture(t)
  const books = newBooks()
  books.begin(1)
  const stale = leave('a', { fetched: 5, pending: 5 })
  const take = books.reading(1)
  leave('a', { fetched: 30, indexed: 30 })
  books.begin(1)
  take(stale)
  books.observe(1, leave('b', { fetched: 1, indexed: 1 }))
  take(stale)
  assert.equal(books.reports(1)[0]?.entries.fetched, 31)
})

test('a restart of sync counts nothing twice and leaves nothing out', (t) => {
  const { newBooks, leave } = fixture(t)
  const first = newBooks()
  first.begin(1)
  first.observe(1, leave('a', { fetched: 5, indexed: 5 }))
  first.begin(1)
  first.observe(1, leave('b', { fetched: 7, indexed: 1, pending: 6 }))
  const { id } = first.reports(1)[0] ?? {}
  // Sync is killed; its child drains, writes its last snapshot, and ends.
  leave('b', { fetched: 9, indexed: 9 })
  const second = newBooks()
  second.begin(1)
  const [left] = second.reports(null)
  assert.deepEqual([left?.id, left?.entries.fetched, left?.entries.pending], [id, 14, 0])
  second.begin(1)
  second.observe(1, leave('c', { fetched: 1, indexed: 1 }))
  assert.equal(second.reports(1)[0]?.entries.fetched, 15)
})

test('the last books of an ended child are told until they were heard', (t) => {
  const { newBooks, leave } = fixture(t)
  const books = newBooks()
  books.begin(1)
  books.observe(1, leave('a', { fetched: 5, pending: 5 }))
  const running = books.reports(1)
  books.hearing()(running, 1)
  assert.equal(books.reports(1).length, 1, 'it runs still')
  leave('a', { fetched: 5, indexed: 5 })
  const last = books.reports(null)
  assert.equal(last[0]?.entries.indexed, 5)
  assert.equal(books.reports(null).length, 1, 'nobody has heard it')
  books.hearing()(last, null)
  assert.deepEqual(books.reports(null), [])
})

test('a child that began while its pipeline was told of is told of itself', (t) => {
  const { newBooks, leave } = fixture(t)
  leave('a', { fetched: 5, indexed: 5 })
  const books = newBooks()
  books.begin(1)
  const heard = books.hearing()
  const before = books.reports(null)
  books.begin(1)
  heard(before, null)
  books.observe(1, leave('b', { fetched: 2, indexed: 2 }))
  assert.equal(books.reports(1)[0]?.entries.fetched, 7)
})

test('whatever children come and go, with sync restarted at any time, the sums balance', (t) => {
  const { newBooks, leave, home } = fixture(t)
  const steps = fc.array(fc.constantFrom('read', 'index', 'restart', 'kill sync'), {
    maxLength: 40,
  })
  fc.assert(
    fc.property(steps, (given) => {
      rmSync(path.join(home, '1'), { recursive: true, force: true })
      mkdirSync(path.join(home, '1'))
      let books = newBooks()
      books.begin(1)
      let [run, fetched, indexed, allFetched, allIndexed] = [0, 0, 0, 0, 0]
      const look = () => {
        const entries = { fetched, indexed, pending: fetched - indexed }
        books.observe(1, leave(`run-${run}`, entries))
      }
      look()
      for (const step of given) {
        if (step === 'read') [fetched, allFetched] = [fetched + 3, allFetched + 3]
        if (step === 'index' && indexed < fetched)
          [indexed, allIndexed] = [indexed + 1, allIndexed + 1]
        if (step === 'kill sync') books = newBooks()
        if (step === 'restart' || step === 'kill sync') {
          books.begin(1)
          ;[run, fetched, indexed] = [run + 1, 0, 0]
        }
        look()
      }
      const entries = books.reports(1)[0]?.entries
      assert.ok(entries)
      assert.deepEqual([entries.fetched, entries.indexed], [allFetched, allIndexed])
      const { sources, ends } = balanceOf(entries)
      assert.equal(sources, ends)
    }),
    { numRuns: 50 },
  )
})
