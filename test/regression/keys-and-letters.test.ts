/**
 * What went wrong once, and must not again. The first line of each test says what it was.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { DeadLetter } from '../../src/sink/dead-letters/contract.ts'
import { batchOf, recordOf, recordsOf, SOME_TIME_MS } from '../helpers/bulk-batch.ts'
import { FakeOverflow } from '../helpers/fake-overflow.ts'
import { SinkBench } from '../helpers/sink-bench.ts'
import { entryOf, openTestSpill } from '../helpers/spills.ts'

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

test('documents of two logs of a partition are told apart in the spill', async () => {
  // They were found by their offsets alone, so one that was read from the new log settled the one
  // of the old log, and its own stayed unsettled for ever.
  const bench = new SinkBench({}, { overflow: new FakeOverflow() })
  bench.fake.script = () => ({ kind: 'status', status: 503 })
  const [former, present] = ['a', 'b'].map((log) => {
    const batch = batchOf(recordsOf(3))
    bench.sink.write({ ...batch, runs: batch.runs.map((run) => ({ ...run, log })) })
    return batch
  })
  await bench.pass(5000)
  const range = { topic: 'orders', partition: 0, from: 0, to: 3 }
  for (const settle of bench.sink.movedOutIn({ ...range, log: 'b' }).values()) settle('indexed')
  assert.deepEqual(present?.outcomes, ['indexed', 'indexed', 'indexed'])
  assert.deepEqual(former?.outcomes, [undefined, undefined, undefined])
  assert.deepEqual(bench.sink.movedOutRanges(), [{ ...range, log: 'a', count: 3 }])
  await bench.sink.close(0)
})

test('damage in the spill names the log that its offsets belong to', async () => {
  // A topic that was deleted and created again has other records at the same offsets: these were
  // read and sent in place of the damaged ones, which were lost and counted as found.
  const { spill, disk } = await openTestSpill()
  const [old, young] = ['a', 'b'].map((log) => ({ ...entryOf(0, 5), log }))
  await spill.append([old!, { ...entryOf(0, 6), log: 'a' }, young!, entryOf(0, 5)])
  await spill.close()
  const file = disk.files.find((name) => name.endsWith('.spill')) ?? ''
  const bytes = disk.bytesOf(file)
  bytes[bytes.indexOf('app-0-5')]! ^= 1
  disk.put(file, bytes)
  const again = await openTestSpill({ disk })
  assert.deepEqual(
    again.spill.damageAtOpen.map(({ ranges }) => ranges),
    [[{ topic: 'app', log: 'a', partition: 0, from: 5, to: 7, count: 1 }]],
  )
  const read = await again.spill.read(10_000)
  assert.deepEqual(
    read.map(({ topic, log, offset }) => [topic, log, offset]),
    [
      ['app', 'a', 6],
      ['app', 'b', 5],
      ['app', undefined, 5],
    ],
  )
})

test('a record too large for Elasticsearch is a dead letter, and the others go on', async () => {
  // It was encoded whatever its size, which could end its filter thread at every start.
  const settings = { maxRecordBytes: 2000 }
  const letters: DeadLetter[] = []
  const put = async (some: readonly DeadLetter[]) => void letters.push(...some)
  const bench = new SinkBench(settings, { deadLetters: { put } })
  const records = [1, 2, 3].map((offset) =>
    recordOf(offset === 2 ? 'x'.repeat(3000) : '{}', { offset }),
  )
  const batch = batchOf(records, settings)
  bench.sink.write(batch)
  await bench.pass(100)
  assert.deepEqual(batch.outcomes, ['indexed', 'dead_lettered', 'indexed'])
  assert.equal(bench.fake.documents.size, 2)
  const [letter] = letters
  assert.deepEqual([letter?.offset, letter?.payloadBytes, letter?.payload.length], [2, 3000, 1024])
  assert.equal(letter?.index, 'logs-filtered')
  assert(batch.isReleased())

  const bare = new SinkBench(settings)
  bare.sink.write(batchOf(records, settings))
  await bare.pass(100)
  assert.match(
    bare.failures[0]?.message ?? '',
    /orders-0 offset 2 cannot be sent: .* Set --dlq to keep such records$/,
  )
})
