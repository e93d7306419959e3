/** The books of a pipeline over workers, revisions and restarts of the control plane. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { controlFixture, SEED_PIPELINE } from './control-fixture.ts'

const RUNS = { state: 'running', pipeline_id: 1, revision: 1, pid: 42 }

const books = (id: string, entries: object, pipelineId = 1) => ({
  books: [{ pipeline_id: pipelineId, id, entries }],
})

test('each home counts once, however often it reports, and sums survive a restart', async (t) => {
  const first = controlFixture(t)
  await first.call('POST', '/api/pipelines', { ...SEED_PIPELINE, replicas: 2 })
  await first.beat('w1')
  await first.beat('w2')
  await first.beat('w1', { ...RUNS, ...books('a', { fetched: 10, filtered: 6, pending: 4 }) })
  await first.beat('w2', { ...RUNS, ...books('b', { fetched: 5, indexed: 3, duplicate: 2 }) })
  await first.beat('w1', { ...RUNS, ...books('a', { fetched: 12, filtered: 7, indexed: 5 }) })
  const { body } = await first.call('GET', '/api/pipelines/1/books')
  const { fetched, filtered, indexed, duplicate, pending } = body.entries
  assert.deepEqual([fetched, filtered, indexed, duplicate, pending], [17, 7, 8, 2, 0])
  assert.deepEqual([body.sources, body.ends, body.lost, body.processes], [17, 17, 0, 2])
  const scrape = await (await first.app.request('/metrics')).text()
  assert.match(scrape, /^pipeline_books_total\{pipeline="1",entry="fetched"\} 17$/m)
  assert.match(scrape, /^pipeline_books_open\{pipeline="1",entry="pending"\} 0$/m)
  // The last word of a child that ended: it is written before it is answered.
  const last = { fetched: 20, filtered: 20, lost_retention: 3 }
  await first.beat('w2', { state: 'idle', ...books('b', last) })
  first.close()
  const second = controlFixture(t, { file: first.file })
  const after = (await second.call('GET', '/api/pipelines/1/books')).body
  assert.deepEqual([after.entries.fetched, after.lost], [32, 3])
  await second.beat('w1', { ...RUNS, ...books('a', { fetched: 13, indexed: 13 }) })
  assert.equal((await second.call('GET', '/api/pipelines/1/books')).body.entries.fetched, 33)
})

test('a worker reports no books of a pipeline that it was not given', async (t) => {
  const { call, beat } = controlFixture(t)
  await call('POST', '/api/pipelines', SEED_PIPELINE)
  await call('POST', '/api/pipelines', { ...SEED_PIPELINE, name: 'two' })
  await beat('w1')
  await beat('w1', { ...RUNS, ...books('a', { fetched: 5, indexed: 5 }, 2) })
  const { body } = await call('GET', '/api/pipelines/2/books')
  assert.deepEqual([body.entries.fetched, body.processes], [0, 0])
  assert.equal((await call('GET', '/api/pipelines/9/books')).status, 404)
})

test('the books go with their pipeline, and a late report brings none back', async (t) => {
  const { call, beat, context, db } = controlFixture(t)
  await call('POST', '/api/pipelines', SEED_PIPELINE)
  await beat('w1')
  await beat('w1', { ...RUNS, ...books('a', { fetched: 5, indexed: 5 }) })
  context.books.flush()
  await call('POST', '/api/pipelines/1/stop')
  await beat('w1', { state: 'idle' })
  assert.equal((await call('DELETE', '/api/pipelines/1')).status, 204)
  await beat('w1', { state: 'idle', ...books('a', { fetched: 6, indexed: 6 }) })
  context.books.flush()
  const rows = db.prepare<{ readonly count: number }>('SELECT count(*) AS count FROM books').get()
  assert.equal(rows?.count, 0)
})
