/**
 * What went wrong once, and must not again. The first line of each test says what it was.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { batchOf, recordOf, SOME_TIME_MS } from '../helpers/bulk-batch.ts'
import { SinkBench } from '../helpers/sink-bench.ts'

test('the newest record of a key stays, whichever partition or log it is in', async () => {
  // The version was the offset, so a key kept its old value when it moved to another partition or
  // its topic was created again; and the newer record was counted as a duplicate.
  const settings = { documentId: 'key' } as const
  const bench = new SinkBench(settings)
  const key = Buffer.from('user1')
  const send = async (value: string, rest: Parameters<typeof recordOf>[1]) => {
    const batch = batchOf([recordOf(`{"v":"${value}"}`, { key, ...rest })], settings)
    bench.sink.write(batch)
    await bench.pass(100)
    return batch.outcomes[0]
  }
  const found = () => bench.fake.documents.get('logs-filtered/user1')
  assert.equal(await send('old', { partition: 0, offset: 100 }), 'indexed')
  const later = { timestampMs: SOME_TIME_MS + 1000 }
  assert.equal(await send('moved', { partition: 1, offset: 0, ...later }), 'indexed')
  assert.equal(found(), '{"v":"moved"}')
  const latest = { timestampMs: SOME_TIME_MS + 2000, idPrefix: 'ffff0000' }
  assert.equal(await send('new log', { partition: 0, offset: 0, ...latest }), 'indexed')
  assert.equal(found(), '{"v":"new log"}')
  assert.equal(await send('late', { partition: 0, offset: 101 }), 'superseded')
  assert.equal(found(), '{"v":"new log"}')
  // A second try of the same record is neither: it is written again.
  assert.equal(await send('new log', { partition: 0, offset: 0, ...latest }), 'indexed')
})
