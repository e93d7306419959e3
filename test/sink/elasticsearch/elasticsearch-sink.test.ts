import assert from 'node:assert/strict'
import { test } from 'node:test'
import { batchOf, recordsOf } from '../../helpers/bulk-batch.ts'
import { SinkBench } from '../../helpers/sink-bench.ts'

test('documents are written once and settled as indexed', async () => {
  const bench = new SinkBench()
  const batch = batchOf(recordsOf(3))
  bench.sink.write(batch)
  assert.equal(bench.fake.requests.length, 0)
  await bench.pass(100)
  assert.deepEqual(batch.outcomes, ['indexed', 'indexed', 'indexed'])
  assert.deepEqual(bench.fake.ids, ['orders-0-0', 'orders-0-1', 'orders-0-2'])
  assert.equal(batch.isReleased(), true)
  assert.equal(bench.sink.gauges().queuedDocuments, 0)
  assert.equal(bench.sink.gauges().writtenDocuments, 3)
  assert.equal(bench.clock.pendingCount, 0)
})

test('a refusal for good without dead letters ends the run and settles nothing of it', async () => {
  const bench = new SinkBench()
  const refusal = { status: 400, type: 'document_parsing_exception', reason: 'no such date' }
  bench.fake.script = () => ({
    kind: 'items',
    fault: (item) => (item.id === 'orders-0-1' ? refusal : null),
  })
  const batch = batchOf(recordsOf(3))
  bench.sink.write(batch)
  await bench.pass(100)
  assert.deepEqual(batch.outcomes, ['indexed', undefined, 'indexed'])
  assert.equal(bench.failures.length, 1)
  assert.match(bench.failures[0]?.message ?? '', /orders-0 offset 1 .*no such date.*--dlq/)
  await bench.sink.close(0)
  assert.equal(bench.clock.pendingCount, 0)
})
