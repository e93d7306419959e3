import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { DeadLetter } from '../../../src/sink/dead-letters/contract.ts'
import { batchOf, recordOf, recordsOf, type TestBatch } from '../../helpers/bulk-batch.ts'
import { FakeOverflow } from '../../helpers/fake-overflow.ts'
import { SinkBench } from '../../helpers/sink-bench.ts'

const DOWN = () => ({ kind: 'status' as const, status: 503 })
const FINE = () => ({ kind: 'items' as const })
const BLOCKED = {
  status: 403,
  type: 'cluster_block_exception',
  reason: 'index [a] blocked by: [FORBIDDEN/8/index write (api)];',
}

const allSettled = (batches: readonly TestBatch[]) => () =>
  batches.every((batch) => batch.unsettledCount() === 0)

test('while the cluster is down the spill takes over, and gives everything back', async () => {
  const overflow = new FakeOverflow()
  const bench = new SinkBench({ queueCap: 1000 }, { overflow })
  bench.fake.script = DOWN
  const batches: TestBatch[] = []
  for (let at = 0; at < 50; at++) {
    const batch = batchOf(recordsOf(100, at * 100))
    batches.push(batch)
    bench.sink.write(batch)
    await bench.pass(500)
    assert(bench.sink.gauges().queuedDocuments <= 1000)
  }
  assert(overflow.entryCount > 3500, `${overflow.entryCount} in the spill`)
  assert(
    batches.slice(10).some((batch) => batch.isReleased()),
    'memory is let go',
  )
  assert.equal(new Set(batches.flatMap(({ outcomes }) => outcomes)).size, 1, 'nothing is settled')
  bench.fake.script = FINE
  assert(await bench.until(allSettled(batches), 60_000))
  assert.equal(bench.fake.documents.size, 5000)
  assert.deepEqual(new Set(bench.fake.writes.values()), new Set([1]))
  assert.deepEqual(new Set(batches.flatMap(({ outcomes }) => outcomes)), new Set(['indexed']))
  assert.equal(overflow.entryCount, 0)
  assert.equal(bench.sink.gauges().queuedDocuments, 0)
  assert.equal(bench.sink.gauges().replaying, false)
  assert.equal(bench.clock.pendingCount, 0)
})

test("what came back from the spill is dead-lettered with its record's time", async () => {
  const overflow = new FakeOverflow()
  const letters: DeadLetter[] = []
  const put = (some: readonly DeadLetter[]) => Promise.resolve(void letters.push(...some))
  const bench = new SinkBench({ flushMs: 10 }, { overflow, deadLetters: { put } })
  bench.fake.script = DOWN
  bench.sink.write(batchOf(recordsOf(1)))
  await bench.pass(3000)
  const batch = batchOf([
    ...recordsOf(1, 1, { timestampMs: 1_700_000_000_001, timestampType: 'append' }),
    ...recordsOf(1, 2, { timestampMs: -1, timestampType: 'none' }),
  ])
  bench.sink.write(batch)
  await bench.settle()
  assert(overflow.appendedCount >= 2, 'both lay in the spill')
  const malformed = { status: 400, type: 'document_parsing_exception', reason: 'no' }
  bench.fake.script = () => ({ kind: 'items', fault: () => malformed })
  assert(await bench.until(allSettled([batch]), 60_000))
  const times = letters
    .filter(({ offset }) => offset > 0)
    .map(({ timestampMs, timestampType }) => ({ timestampMs, timestampType }))
  assert.deepEqual(times, [
    { timestampMs: 1_700_000_000_001, timestampType: 'append' },
    { timestampMs: -1, timestampType: 'none' },
  ])
})

test('what was refused before the cluster went down goes to the spill as well', async () => {
  const overflow = new FakeOverflow()
  const bench = new SinkBench({ commitOn: 'spill' }, { overflow })
  bench.fake.script = DOWN
  const batch = batchOf(recordsOf(100))
  bench.sink.write(batch)
  assert(await bench.until(allSettled([batch]), 10_000))
  assert.deepEqual(new Set(batch.outcomes), new Set(['spilled']))
})

test('while the cluster is down no more is read back than it takes to look', async () => {
  const overflow = new FakeOverflow()
  const bench = new SinkBench({}, { overflow })
  bench.fake.script = DOWN
  for (let at = 0; at < 20; at++) bench.sink.write(batchOf(recordsOf(250, at * 250)))
  await bench.pass(30_000)
  assert.equal(overflow.entryCount, 5000)
  const { queuedDocuments } = bench.sink.gauges()
  assert(queuedDocuments < 500, `${queuedDocuments} in memory`)
})

test('with commits on the spill a document is settled once it lies there', async () => {
  const overflow = new FakeOverflow()
  const bench = new SinkBench({ commitOn: 'spill', flushMs: 10 }, { overflow })
  bench.fake.script = DOWN
  bench.sink.write(batchOf(recordsOf(1, 1000)))
  await bench.pass(3000)
  const batch = batchOf(recordsOf(100))
  bench.sink.write(batch)
  await bench.settle()
  assert.deepEqual(new Set(batch.outcomes), new Set(['spilled']))
  bench.fake.script = FINE
  assert(await bench.until(() => bench.fake.documents.size === 101, 60_000))
  assert.equal(overflow.entryCount, 0)
})

test('with commits on the spill nothing waits for a cluster that is away', async () => {
  const overflow = new FakeOverflow()
  const bench = new SinkBench({ commitOn: 'spill', flushMs: 10 }, { overflow })
  bench.fake.script = DOWN
  // What comes while the disk is slow is there when the next look is due.
  overflow.gate = () => new Promise((resolve) => void bench.clock.after(1500, resolve))
  const batches: TestBatch[] = []
  for (let at = 0; at < 20; at++) {
    const batch = batchOf(recordsOf(1, at))
    batches.push(batch)
    bench.sink.write(batch)
    await bench.pass(500)
  }
  await bench.pass(10_000)
  const outcomes = batches.flatMap((batch) => batch.outcomes)
  assert.deepEqual(outcomes, Array(20).fill('spilled'))
  assert(bench.sink.gauges().queuedDocuments > 0, 'something is read back, to look with')
  bench.fake.script = FINE
  assert(await bench.until(() => bench.fake.documents.size === 20, 60_000))
  assert.deepEqual(new Set(bench.fake.writes.values()), new Set([1]))
  assert.equal(overflow.entryCount, 0)
})

test('a stop does not wait for what the spill keeps while the cluster is away', async () => {
  const overflow = new FakeOverflow()
  const bench = new SinkBench({ commitOn: 'spill', flushMs: 10 }, { overflow })
  bench.fake.script = DOWN
  const batch = batchOf(recordsOf(20))
  bench.sink.write(batch)
  await bench.pass(10_000)
  assert.deepEqual(new Set(batch.outcomes), new Set(['spilled']))
  assert(bench.sink.gauges().queuedDocuments > 0, 'something is read back, to look with')
  let isClosed = false
  const closed = bench.sink.close(60_000).then(() => (isClosed = true))
  await bench.settle()
  assert(isClosed)
  await closed
  assert.equal(overflow.entryCount, 20)
})

test('a full spill means back-pressure, and nothing is lost', async () => {
  const overflow = new FakeOverflow()
  overflow.bytesMax = 10_000
  const bench = new SinkBench({ queueCap: 300 }, { overflow })
  bench.fake.script = DOWN
  const batches = Array.from({ length: 10 }, (_, at) => batchOf(recordsOf(100, at * 100)))
  for (const batch of batches) {
    bench.sink.write(batch)
    await bench.pass(2000)
  }
  assert(overflow.bytes <= 10_000)
  assert(bench.sink.gauges().queuedDocuments > 300, 'the pipeline sees that it is full')
  bench.fake.script = FINE
  assert(await bench.until(allSettled(batches), 60_000))
  assert.equal(bench.fake.documents.size, 1000)
  assert.equal(overflow.entryCount, 0)
})

test('documents are dropped only when the spill is full too', async () => {
  const overflow = new FakeOverflow()
  const bench = new SinkBench({ queueCap: 100, dropWhenFull: true }, { overflow })
  bench.fake.script = DOWN
  const kept = Array.from({ length: 5 }, (_, at) => batchOf(recordsOf(150, at * 150)))
  for (const batch of kept) bench.sink.write(batch)
  await bench.pass(200)
  assert(kept.every(({ outcomes }) => !outcomes.includes('dropped')))
  overflow.bytesMax = 0
  bench.sink.write(batchOf(recordsOf(150, 2000)))
  await bench.pass(100)
  const dropped = batchOf(recordsOf(1, 3000))
  bench.sink.write(dropped)
  assert.deepEqual(dropped.outcomes, ['dropped'])
})

/**
 * The spill holds 400 kB, of which a held index may have half before its partitions are paused.
 * What was fetched by then, four batches here, still comes.
 */
test('a held index goes to the spill, and at half of it asks for no more', async () => {
  const overflow = new FakeOverflow()
  const settings = { index: '{topic}', spillBytesMax: 400_000 }
  const bench = new SinkBench(settings, { overflow })
  const isOverQuota = () => bench.sink.partitionsOverQuota().length > 0
  let isBlocked = true
  bench.fake.script = () => ({
    kind: 'items',
    fault: (item) => (isBlocked && item.index === 'a' ? BLOCKED : null),
  })
  const held: TestBatch[] = []
  let fetched = 4
  for (let at = 0; at < 60; at++) {
    if (!isOverQuota() || fetched-- > 0) {
      held.push(batchOf(recordsOf(100, at * 100, { topic: 'a' }), settings))
      bench.sink.write(held.at(-1)!)
    }
    const other = batchOf(recordsOf(10, at * 10, { topic: 'b' }), settings)
    bench.sink.write(other)
    await bench.pass(200)
    assert.equal(other.unsettledCount(), 0, `b waits for a at ${at}`)
  }
  assert.deepEqual(bench.sink.partitionsOverQuota()[0], { topic: 'a', partition: 0 })
  assert(held.length < 60)
  assert(overflow.bytes > 200_000 && overflow.bytes < 250_000, `${overflow.bytes} B`)
  isBlocked = false
  assert(await bench.until(allSettled(held), 60_000))
  assert.deepEqual(bench.sink.partitionsOverQuota(), [])
  assert.equal(overflow.entryCount, 0)
  assert.deepEqual(new Set(bench.fake.writes.values()), new Set([1]))
})

test('what probes a held index counts among what waits for it', async () => {
  const settings = { index: '{topic}' }
  const bench = new SinkBench(settings)
  bench.fake.script = () => ({ kind: 'items', fault: () => BLOCKED })
  bench.sink.write(batchOf(recordsOf(5, 0, { topic: 'a' }), settings))
  const waiting = () => bench.sink.heldIndices().map(({ documentCount }) => documentCount)
  assert(await bench.until(() => waiting().length === 1, 10_000))
  const before = bench.fake.requests.length
  bench.fake.script = () => ({ kind: 'hang', isApplied: false })
  assert(await bench.until(() => bench.fake.requests.length > before, 10_000))
  assert.deepEqual(waiting(), [5])
})

test('without a spill a held index asks for no more at half of the memory', async () => {
  // As the pipeline opens it: ES_SPILL_MAX_BYTES=0 is a spill that takes nothing.
  const settings = { index: '{topic}', queueCap: 1000, spillBytesMax: 0 }
  const overflow = new FakeOverflow()
  overflow.bytesMax = 0
  const bench = new SinkBench(settings, { overflow })
  let isBlocked = true
  bench.fake.script = () => ({
    kind: 'items',
    fault: (item) => (isBlocked && item.index === 'a' ? BLOCKED : null),
  })
  const held: TestBatch[] = []
  while (bench.sink.partitionsOverQuota().length === 0) {
    assert(held.length < 6, 'half of 1000 documents')
    held.push(batchOf(recordsOf(100, held.length * 100, { topic: 'a' }), settings))
    bench.sink.write(held.at(-1)!)
    await bench.pass(200)
  }
  assert.equal(held.length, 5)
  isBlocked = false
  assert(await bench.until(allSettled(held), 60_000))
  assert.deepEqual(bench.sink.partitionsOverQuota(), [])
})

test('the few documents of a held index do not hold the memory of those beside them', async () => {
  const settings = { index: '{topic}' }
  const bench = new SinkBench(settings)
  bench.fake.script = () => ({
    kind: 'items',
    fault: (item) => (item.index === 'a' ? BLOCKED : null),
  })
  const batches: TestBatch[] = []
  for (let at = 0; at < 30; at++) {
    const others = recordsOf(50, at * 50, { topic: 'b' })
    const batch = batchOf([...recordsOf(1, at, { topic: 'a' }), ...others], settings)
    bench.sink.write(batch)
    await bench.pass(200)
    assert.equal(batch.unsettledCount(), 1)
    assert(batch.isReleased(), `batch ${at} is held for one document`)
    assert.equal(batch.heldDocuments(), 1, 'filter threads wait for what is in memory')
    batches.push(batch)
  }
  assert.equal(bench.sink.gauges().queuedDocuments, 30)
  bench.fake.script = FINE
  assert(await bench.until(allSettled(batches), 60_000))
  for (const batch of batches) assert.equal(batch.heldDocuments(), 0)
})

test('fresh documents and those of the spill take turns', async () => {
  const overflow = new FakeOverflow()
  const bench = new SinkBench({ bulkActions: 10, bulkBytes: 600, concurrencyMax: 1 }, { overflow })
  bench.fake.script = DOWN
  bench.sink.write(batchOf(recordsOf(1, 5000)))
  await bench.pass(3000)
  const old = batchOf(recordsOf(200))
  bench.sink.write(old)
  await bench.settle()
  bench.fake.script = () => ({ kind: 'items', delayMs: 10 })
  await bench.until(() => bench.sink.gauges().trouble === null, 60_000, 10)
  const fresh = batchOf(recordsOf(200, 1000))
  bench.sink.write(fresh)
  const done = await bench.until(() => fresh.unsettledCount() < 100, 60_000, 10)
  assert(done)
  const settled = 200 - old.unsettledCount()
  assert(settled > 60 && settled < 160, `${settled} of the spill beside 100 fresh ones`)
})

test('a partition that was given away leaves the spill, and keeps nothing waiting', async () => {
  const overflow = new FakeOverflow()
  const bench = new SinkBench({}, { overflow })
  bench.fake.script = DOWN
  bench.sink.write(batchOf(recordsOf(1, 1000)))
  await bench.pass(3000)
  const batch = batchOf([...recordsOf(10), ...recordsOf(10, 0, { partition: 1 })])
  bench.sink.write(batch)
  await bench.settle()
  bench.sink.dropPartition('orders', 1)
  assert.deepEqual(new Set(batch.outcomes.slice(10)), new Set(['fenced']))
  bench.fake.script = FINE
  let isFlushed = false
  const flushed = bench.sink.flush(60_000).then(() => (isFlushed = true))
  assert(await bench.until(() => isFlushed, 50_000))
  await flushed
  assert.deepEqual(new Set(batch.outcomes.slice(0, 10)), new Set(['indexed']))
  assert.equal(overflow.entryCount, 0)
})

/**
 * 1. Documents of partitions 0 and 1 are on their way to the disk.
 * 2. Partition 1 is given away: the spill forgets its entries, and those of the append under way.
 * 3. The append ends, and says that it has stored everything.
 * 4. The documents of partition 1 lie nowhere any more, so nothing must wait for them.
 */
test('a partition given away while its documents move out keeps nothing waiting', async () => {
  const overflow = new FakeOverflow()
  const bench = new SinkBench({}, { overflow })
  bench.fake.script = DOWN
  bench.sink.write(batchOf(recordsOf(1, 1000)))
  await bench.pass(3000)
  let open = () => undefined as void
  const opened = new Promise<void>((resolve) => (open = resolve))
  overflow.gate = () => opened
  const batch = batchOf([...recordsOf(10), ...recordsOf(10, 0, { partition: 1 })])
  bench.sink.write(batch)
  await bench.settle()
  bench.sink.dropPartition('orders', 1)
  open()
  await bench.settle()
  assert.equal(overflow.entryCount, 1 + 10)
  bench.fake.script = FINE
  let isFlushed = false
  void bench.sink.flush(60_000).then(() => (isFlushed = true))
  assert(await bench.until(() => isFlushed, 50_000))
  assert.deepEqual(new Set(batch.outcomes.slice(0, 10)), new Set(['indexed']))
  assert.deepEqual(new Set(batch.outcomes.slice(10)), new Set(['fenced']))
  assert.equal(overflow.entryCount, 0)
})

test('what is read back and refused stays within a bound in memory', async () => {
  const overflow = new FakeOverflow()
  const settings = { bulkActions: 100, bulkBytes: 2000, queueCap: 1000, concurrencyMax: 2 }
  const bench = new SinkBench(settings, { overflow })
  bench.fake.script = DOWN
  const batches = Array.from({ length: 100 }, (_, at) => batchOf(recordsOf(100, at * 100)))
  for (const batch of batches) {
    bench.sink.write(batch)
    await bench.pass(100)
  }
  const spilled = overflow.entryCount
  assert(spilled > 8000, `${spilled} in the spill`)
  // Up again, but each document is refused for the moment: they wait for their next try.
  const BUSY = { status: 429, type: 'es_rejected_execution_exception', reason: 'full' }
  let isBusy = true
  bench.fake.script = () => ({ kind: 'items', fault: () => (isBusy ? BUSY : null) })
  let most = 0
  for (let turn = 0; turn < 100; turn++) {
    await bench.pass(100)
    most = Math.max(most, bench.sink.gauges().queuedDocuments)
  }
  assert(most < 3000, `${most} documents in memory, of ${spilled} in the spill`)
  isBusy = false
  assert(await bench.until(allSettled(batches), 120_000))
  assert.deepEqual(new Set(bench.fake.writes.values()), new Set([1]))
})

test('what comes back for an index that is held meanwhile waits in the spill again', async () => {
  const overflow = new FakeOverflow()
  const settings = { index: '{topic}' }
  const bench = new SinkBench(settings, { overflow })
  bench.fake.script = DOWN
  bench.sink.write(batchOf(recordsOf(1, 9000, { topic: 'b' }), settings))
  await bench.pass(3000)
  const batch = batchOf(recordsOf(3000, 0, { topic: 'a' }), settings)
  bench.sink.write(batch)
  await bench.settle()
  assert.equal(overflow.entryCount, 1 + 3000)
  let isBlocked = true
  bench.fake.script = () => ({
    kind: 'items',
    fault: (item) => (isBlocked && item.index === 'a' ? BLOCKED : null),
  })
  await bench.pass(30_000)
  assert.equal(overflow.entryCount, 3000)
  assert(overflow.waitingCount >= 1900, `${overflow.waitingCount} wait in the spill`)
  assert(bench.sink.gauges().queuedDocuments <= 3000)
  isBlocked = false
  assert(await bench.until(allSettled([batch]), 60_000))
  assert.equal(overflow.entryCount, 0)
  assert.deepEqual(new Set(bench.fake.writes.values()), new Set([1]))
})

test('a batch that moves out in parts is settled whole, one part back early', async () => {
  const overflow = new FakeOverflow()
  const bench = new SinkBench({}, { overflow })
  bench.fake.script = DOWN
  bench.sink.write(batchOf(recordsOf(1, 90_000)))
  await bench.pass(3000)
  // An append takes 4 MiB: there is one for each document, and the second takes its time.
  let open = () => undefined as void
  const opened = new Promise<void>((resolve) => (open = resolve))
  const first = overflow.appendCount
  overflow.gate = (index) => (index === first + 1 ? opened : Promise.resolve())
  const records = recordsOf(3).map((record) =>
    recordOf(`{"pad":"${'x'.repeat(2_500_000)}"}`, { offset: record.offset }),
  )
  const batch = batchOf(records)
  bench.sink.write(batch)
  await bench.settle()
  bench.fake.script = FINE
  await bench.pass(20_000)
  // The first part came back and was written while the second append was under way.
  assert.deepEqual(batch.outcomes, ['indexed', undefined, 'indexed'])
  open()
  assert(await bench.until(allSettled([batch]), 60_000))
  assert.equal(overflow.entryCount, 0)
})

test('a spill that fails ends the run', async () => {
  const overflow = new FakeOverflow()
  overflow.fault = new TypeError('disk')
  const bench = new SinkBench({ queueCap: 10 }, { overflow })
  const batch = batchOf(recordsOf(20))
  bench.sink.write(batch)
  await bench.settle()
  assert.deepEqual(bench.failures, [overflow.fault])
  assert.equal(batch.unsettledCount(), 20)
})
