/**
 * With ES_DROP_WHEN_FULL, documents were dropped only when a batch came. The batch that filled the
 * memory came while the spill still had room; then the filter threads waited for memory, none came,
 * and reading stood still for as long as Elasticsearch was down.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { batchOf, recordsOf } from '../helpers/bulk-batch.ts'
import { FakeOverflow } from '../helpers/fake-overflow.ts'
import { SinkBench } from '../helpers/sink-bench.ts'

for (const spill of ['a full spill', 'no spill']) {
  test(`the newest above the bound are dropped although nothing comes, with ${spill}`, async () => {
    const overflow = new FakeOverflow()
    overflow.bytesMax = 0
    const settings = { queueCap: 100, dropWhenFull: true }
    const bench = new SinkBench(settings, spill === 'no spill' ? {} : { overflow })
    bench.fake.script = () => ({ kind: 'status', status: 503 })
    const batch = batchOf(recordsOf(150))
    bench.sink.write(batch)
    await bench.pass(1000)
    assert.equal(bench.sink.gauges().queuedDocuments, 100)
    const dropped = batch.outcomes.map((outcome) => outcome === 'dropped')
    assert.deepEqual(
      dropped.map((is, at) => (is ? at : -1)).filter((at) => at !== -1),
      Array.from({ length: 50 }, (_, at) => 100 + at),
    )
    bench.fake.script = () => ({ kind: 'items' })
    assert(await bench.until(() => batch.unsettledCount() === 0, 60_000))
    assert.equal(bench.fake.documents.size, 100)
  })
}
