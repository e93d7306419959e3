/**
 * The output as a whole, on a fake endpoint and a clock that the tests move. For each answer of the
 * contract: what is sent again, what waits, what is settled, and that nothing is lost.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { DeadLetter, DeadLetters } from '../../../src/sink/dead-letters/contract.ts'
import { batchOf, recordOf, recordsOf, SOME_TIME_MS } from '../../helpers/bulk-batch.ts'
import type { FakeFault, FakeItem } from '../../helpers/fake-bulk.ts'
import { SinkBench } from '../../helpers/sink-bench.ts'

const REJECTED = { status: 429, type: 'es_rejected_execution_exception', reason: 'queue is full' }
const MALFORMED = { status: 400, type: 'document_parsing_exception', reason: 'no such date' }
const BLOCKED = {
  status: 403,
  type: 'cluster_block_exception',
  reason: 'index [a] blocked by: [FORBIDDEN/8/index write (api)];',
}

const BY_TOPIC = { index: '{topic}' }

class DeadLetterStore implements DeadLetters {
  readonly letters: DeadLetter[] = []
  put(letters: readonly DeadLetter[]): Promise<void> {
    // The payload is a view of the queue's memory: it must be taken before this resolves.
    this.letters.push(
      ...letters.map((letter) => ({ ...letter, payload: Buffer.from(letter.payload) })),
    )
    return Promise.resolve()
  }
}

/** A script in which `fault` has its way with each item. */
function faulty(fault: (item: FakeItem) => FakeFault | null) {
  return () => ({ kind: 'items' as const, fault })
}

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

test('a request goes out when it has its documents, its bytes, or its age', async () => {
  const byCount = new SinkBench({ bulkActions: 4 })
  for (let at = 0; at < 10; at += 2) byCount.sink.write(batchOf(recordsOf(2, at)))
  await byCount.settle()
  assert.deepEqual(
    byCount.fake.requests.map((request) => request.items.length),
    [4, 4],
  )
  await byCount.pass(100)
  assert.deepEqual(byCount.fake.ids.length, 10)

  const one = batchOf(recordsOf(1)).body.length
  const byBytes = new SinkBench({ bulkBytes: one * 2 })
  byBytes.sink.write(batchOf(recordsOf(5)))
  await byBytes.settle()
  assert.deepEqual(
    byBytes.fake.requests.map((request) => request.items.length),
    [2, 2],
  )
})

test('a document larger than a request goes alone', async () => {
  const bench = new SinkBench({ bulkBytes: 100 })
  bench.sink.write(batchOf([recordOf('x'.repeat(500)), ...recordsOf(1, 1)]))
  await bench.pass(200)
  assert.deepEqual(
    bench.fake.requests.map((request) => request.items.length),
    [1, 1],
  )
})

test('a document found there already is a duplicate', async () => {
  const bench = new SinkBench()
  bench.fake.documents.set('logs-filtered/orders-0-1', 'before')
  const batch = batchOf(recordsOf(3))
  bench.sink.write(batch)
  await bench.pass(100)
  assert.deepEqual(batch.outcomes, ['indexed', 'duplicate', 'indexed'])
})

test('what went to the failure store has an outcome of its own', async () => {
  const bench = new SinkBench()
  bench.fake.script = () => ({ kind: 'items', failureStore: true })
  const batch = batchOf(recordsOf(2))
  bench.sink.write(batch)
  await bench.pass(100)
  assert.deepEqual(batch.outcomes, ['failure_store', 'failure_store'])
})

test('a document that an ingest pipeline drops is not counted as written', async () => {
  const bench = new SinkBench()
  bench.fake.script = () => ({ kind: 'items', dropped: ({ id }) => id !== 'orders-0-1' })
  const batch = batchOf(recordsOf(3))
  bench.sink.write(batch)
  await bench.pass(100)
  assert.deepEqual(batch.outcomes, ['pipeline_dropped', 'indexed', 'pipeline_dropped'])
  assert.equal(bench.sink.gauges().writtenDocuments, 1)
  bench.fake.script = () => ({ kind: 'items', dropped: () => true })
  const all = batchOf(recordsOf(2, 10))
  bench.sink.write(all)
  await bench.pass(100)
  assert.deepEqual(all.outcomes, ['pipeline_dropped', 'pipeline_dropped'])
  assert.equal(bench.sink.gauges().writtenDocuments, 1)
})

test('only the rejected documents are sent again, later each time', async () => {
  const bench = new SinkBench()
  const sentMs: number[] = []
  bench.fake.script = (request) => {
    if (request.items.some((item) => item.id === 'orders-0-1')) sentMs.push(bench.clock.wallMs())
    return { kind: 'items', fault: (item) => (item.id === 'orders-0-1' ? REJECTED : null) }
  }
  const batch = batchOf(recordsOf(3))
  bench.sink.write(batch)
  await bench.pass(2000, 5)
  assert.deepEqual(batch.outcomes, ['indexed', undefined, 'indexed'])
  assert.deepEqual(
    sentMs.map((_, at) => bench.fake.requests[at]?.items.length),
    [3, 1, 1, 1, 1],
  )
  const gaps = sentMs.slice(1).map((at, index) => at - (sentMs[index] ?? 0))
  assert.deepEqual(gaps, [75, 150, 300, 600])
  bench.fake.script = () => ({ kind: 'items' })
  assert(await bench.until(() => batch.unsettledCount() === 0, 30_000))
  assert.deepEqual([...bench.fake.writes.values()], [1, 1, 1])
  assert.equal(bench.sink.gauges().rejected429, 5)
})

test('a refusal for good without dead letters ends the run and settles nothing of it', async () => {
  const bench = new SinkBench()
  bench.fake.script = faulty((item) => (item.id === 'orders-0-1' ? MALFORMED : null))
  const batch = batchOf(recordsOf(3))
  bench.sink.write(batch)
  await bench.pass(100)
  assert.deepEqual(batch.outcomes, ['indexed', undefined, 'indexed'])
  assert.equal(bench.failures.length, 1)
  assert.match(bench.failures[0]?.message ?? '', /orders-0 offset 1 .*no such date.*--dlq/)
  await bench.sink.close(0)
  assert.equal(bench.clock.pendingCount, 0)
})

test('a refusal for good goes to the dead letters with all that is known of it', async () => {
  const box = new DeadLetterStore()
  const bench = new SinkBench({}, { deadLetters: box })
  bench.fake.script = faulty((item) => (item.id === 'orders-4-11' ? MALFORMED : null))
  const batch = batchOf([...recordsOf(3), ...recordsOf(2, 10, { partition: 4 })])
  bench.sink.write(batch)
  await bench.pass(100)
  assert.deepEqual(batch.outcomes, ['indexed', 'indexed', 'indexed', 'indexed', 'dead_lettered'])
  const [letter] = box.letters
  assert.deepEqual(
    { ...letter, payload: Buffer.from(letter?.payload ?? []).toString() },
    {
      reason: 'no such date',
      errorType: 'document_parsing_exception',
      status: 400,
      index: 'logs-filtered',
      topic: 'orders',
      partition: 4,
      offset: 11,
      timestampMs: SOME_TIME_MS,
      timestampType: 'create',
      payload:
        '{"create":{"_index":"logs-filtered","_id":"orders-4-11"}}\n{"level":"ERROR","seq":11}\n',
    },
  )
})

test('a document is settled only when its dead letter is safe', async () => {
  let store = () => undefined as void
  const put = async () => await new Promise<void>((resolve) => (store = resolve))
  const bench = new SinkBench({}, { deadLetters: { put } })
  bench.fake.script = faulty(() => MALFORMED)
  const batch = batchOf(recordsOf(1))
  bench.sink.write(batch)
  await bench.pass(1000)
  assert.deepEqual(batch.outcomes, [undefined])
  store()
  await bench.settle()
  assert.deepEqual(batch.outcomes, ['dead_lettered'])
})

const FAULT = { status: 500, type: 'null_pointer_exception', reason: '' }

test('a server fault on one document is tried for a while, then dead-lettered', async () => {
  const box = new DeadLetterStore()
  const bench = new SinkBench({}, { deadLetters: box })
  bench.fake.script = faulty((item) => (item.id === 'orders-0-1' ? FAULT : null))
  const batch = batchOf(recordsOf(3))
  bench.sink.write(batch)
  await bench.pass(10_000)
  assert.deepEqual(batch.outcomes, ['indexed', undefined, 'indexed'])
  assert(await bench.until(() => batch.unsettledCount() === 0, 120_000, 500))
  assert.deepEqual(batch.outcomes, ['indexed', 'dead_lettered', 'indexed'])
})

test('a server fault on every document makes no dead letters', async () => {
  const box = new DeadLetterStore()
  const bench = new SinkBench({}, { deadLetters: box })
  bench.fake.script = faulty(() => FAULT)
  const batch = batchOf(recordsOf(3))
  bench.sink.write(batch)
  await bench.pass(600_000, 500)
  assert.deepEqual(box.letters, [])
  bench.fake.script = () => ({ kind: 'items' })
  assert(await bench.until(() => batch.unsettledCount() === 0, 60_000))
})

test('a full queue brings no document nearer to its dead letter', async () => {
  const box = new DeadLetterStore()
  const bench = new SinkBench({}, { deadLetters: box })
  bench.fake.script = faulty(() => REJECTED)
  const batch = batchOf(recordsOf(1))
  bench.sink.write(batch)
  assert(await bench.until(() => bench.fake.requests.length > 25, 3_600_000, 1000))
  let faultsLeft = 19
  bench.fake.script = faulty(() =>
    faultsLeft-- > 0 ? { status: 500, type: 'null_pointer_exception', reason: '' } : null,
  )
  assert(await bench.until(() => batch.unsettledCount() === 0, 3_600_000, 1000))
  assert.deepEqual(batch.outcomes, ['indexed'])
})

test('an override of the table is obeyed', async () => {
  const row = {
    name: 'x',
    scope: 'item',
    errorType: /parsing/,
    verdict: 'drop',
    meaning: '',
  } as const
  const bench = new SinkBench({ answerOverrides: [row] })
  bench.fake.script = faulty(() => MALFORMED)
  const batch = batchOf(recordsOf(1))
  bench.sink.write(batch)
  await bench.pass(100)
  assert.deepEqual(batch.outcomes, ['dropped'])
})

test('the second of three refused with 401, then a restart: all documents arrive', async () => {
  const first = new SinkBench()
  const unauthorized = { status: 401, type: 'security_exception', reason: 'token expired' }
  first.fake.script = faulty((item) => (item.id === 'orders-0-1' ? unauthorized : null))
  const before = batchOf(recordsOf(3))
  first.sink.write(before)
  await first.pass(5000)
  await first.sink.close(0)
  assert.deepEqual(before.outcomes, ['indexed', undefined, 'indexed'])
  assert.match(
    first.sink.gauges().trouble ?? '',
    /wait for the index logs-filtered: 401 .*token expired/,
  )

  first.fake.script = () => ({ kind: 'items' })
  const second = new SinkBench({}, {}, first.fake)
  // The low watermark is the second document: the next start reads from there.
  const again = batchOf(recordsOf(2, 1))
  second.sink.write(again)
  await second.pass(100)
  assert.deepEqual(again.outcomes, ['indexed', 'duplicate'])
  assert.deepEqual(first.fake.ids, ['orders-0-0', 'orders-0-1', 'orders-0-2'])
  assert.deepEqual([...first.fake.writes.values()], [1, 1, 1])
})

test('a blocked index waits in its lane while the other flows', async () => {
  const bench = new SinkBench(BY_TOPIC)
  let isBlocked = true
  bench.fake.script = faulty((item) => (isBlocked && item.index === 'a' ? BLOCKED : null))
  const batches = Array.from({ length: 20 }, (_, at) =>
    batchOf(
      [
        ...recordsOf(5, at * 5, { topic: 'a' }),
        ...recordsOf(5, at * 5, { topic: 'b' }),
        ...recordsOf(1, 1000 + at, { topic: 'a' }),
      ],
      BY_TOPIC,
    ),
  )
  for (const batch of batches) {
    bench.sink.write(batch)
    await bench.pass(100)
  }
  for (const { outcomes } of batches) {
    assert.deepEqual(
      outcomes.slice(5, 10),
      Array.from({ length: 5 }, () => 'indexed'),
    )
    assert.deepEqual(new Set([...outcomes.slice(0, 5), outcomes[10]]), new Set([undefined]))
  }
  // After the first refusal only looks of a few documents ask for the index.
  const asked = bench.fake.requests.filter((request) =>
    request.items.some(({ index }) => index === 'a'),
  )
  assert(asked.length <= 4, `${asked.length} requests`)
  for (const request of asked.slice(1)) assert(request.items.every(({ index }) => index === 'a'))
  assert.match(bench.sink.gauges().trouble ?? '', /documents wait for the index a:/)
  isBlocked = false
  assert(await bench.until(() => batches.every((batch) => batch.unsettledCount() === 0), 30_000))
  assert.equal(bench.sink.gauges().trouble, null)
  assert.equal(bench.fake.documents.size, 20 * 11)
  assert.equal(bench.sink.gauges().queuedDocuments, 0)
})

test('a cluster that goes down while only a held index waits is still looked at', async () => {
  const bench = new SinkBench(BY_TOPIC)
  bench.fake.script = faulty(() => BLOCKED)
  const batch = batchOf(recordsOf(5, 0, { topic: 'a' }), BY_TOPIC)
  bench.sink.write(batch)
  await bench.pass(100)
  bench.fake.script = () => ({ kind: 'status', status: 503 })
  await bench.pass(120_000, 500)
  assert.match(bench.sink.gauges().trouble ?? '', /is down/)
  bench.fake.script = () => ({ kind: 'items' })
  assert(await bench.until(() => batch.unsettledCount() === 0, 60_000))
})

test('a server that comes back busy is asked at growing intervals', async () => {
  for (const status of [429, 408]) {
    const bench = new SinkBench()
    bench.fake.script = () => ({ kind: 'status', status: 503 })
    const batch = batchOf(recordsOf(5, 0))
    bench.sink.write(batch)
    await bench.pass(60_000, 500)
    assert.match(bench.sink.gauges().trouble ?? '', /is down/)
    let asked = 0
    bench.fake.script = () => {
      asked++
      return { kind: 'status', status }
    }
    await bench.pass(60_000, 10)
    assert(asked > 0 && asked < 60, `${status}: ${asked} times in a minute`)
    bench.fake.script = () => ({ kind: 'items' })
    assert(await bench.until(() => batch.unsettledCount() === 0, 60_000))
  }
})

test('more blocked indices than lanes are retried, and all arrive in the end', async () => {
  const bench = new SinkBench(BY_TOPIC)
  let isBlocked = true
  bench.fake.script = faulty(() => (isBlocked ? BLOCKED : null))
  const batches = Array.from({ length: 70 }, (_, at) =>
    batchOf(recordsOf(2, 0, { topic: `t${at}` }), BY_TOPIC),
  )
  for (const batch of batches) bench.sink.write(batch)
  await bench.pass(2000)
  assert.match(bench.sink.gauges().trouble ?? '', /and 63 more/)
  isBlocked = false
  assert(await bench.until(() => batches.every((batch) => batch.unsettledCount() === 0), 60_000))
})

test('a request that is too large is halved, and the limit is remembered', async () => {
  const bench = new SinkBench({ concurrencyMax: 1 })
  bench.fake.script = (request) =>
    request.byteCount > 2000 ? { kind: 'status', status: 413 } : { kind: 'items' }
  const first = batchOf(recordsOf(100))
  bench.sink.write(first)
  await bench.pass(100)
  assert.equal(first.unsettledCount(), 0)
  const before = bench.fake.requests.length
  bench.sink.write(batchOf(recordsOf(100, 100)))
  await bench.pass(200)
  for (const { byteCount } of bench.fake.requests.slice(before)) assert(byteCount <= 2000)
  assert.equal(bench.fake.documents.size, 200)
})

test('a single document that is too large is dead-lettered', async () => {
  const box = new DeadLetterStore()
  const bench = new SinkBench({}, { deadLetters: box })
  bench.fake.script = (request) =>
    request.byteCount > 2000 ? { kind: 'status', status: 413 } : { kind: 'items' }
  const batch = batchOf([...recordsOf(10), recordOf('x'.repeat(3000), { offset: 10 })])
  bench.sink.write(batch)
  await bench.pass(1000)
  assert.deepEqual(new Set(batch.outcomes.slice(0, 10)), new Set(['indexed']))
  assert.equal(batch.outcomes[10], 'dead_lettered')
  assert.equal(box.letters[0]?.status, 413)
})

test('the one document that spoils a request is found', async () => {
  const box = new DeadLetterStore()
  const bench = new SinkBench({}, { deadLetters: box })
  for (const [type, reason] of [
    ['action_request_validation_exception', '1: id [x] is too long, must be no longer than 512'],
    ['some_exception', 'odd'],
  ] as const) {
    const before = bench.fake.requests.length
    const first = before * 1000
    const id = `orders-0-${first + 37}`
    bench.fake.script = (request) =>
      request.items.some((item) => item.id === id)
        ? { kind: 'status', status: 400, body: { error: { type, reason }, status: 400 } }
        : { kind: 'items' }
    const batch = batchOf(recordsOf(100, first))
    bench.sink.write(batch)
    assert(await bench.until(() => batch.unsettledCount() === 0, 5000))
    assert.equal(batch.outcomes[37], 'dead_lettered')
    assert.equal(batch.outcomes.filter((outcome) => outcome === 'indexed').length, 99)
    assert.equal(box.letters.at(-1)?.errorType, type)
    assert(bench.fake.requests.length - before < 30)
  }
})

test('a server that refuses every request makes no dead letters', async () => {
  const box = new DeadLetterStore()
  const bench = new SinkBench({}, { deadLetters: box })
  bench.fake.script = () => ({ kind: 'status', status: 400, body: { error: { type: 'odd' } } })
  const batches = [batchOf(recordsOf(9)), batchOf(recordsOf(9, 9))]
  for (const batch of batches) {
    bench.sink.write(batch)
    await bench.pass(60_000, 500)
  }
  assert.deepEqual(box.letters, [])
  assert.match(bench.sink.gauges().trouble ?? '', /rejects requests: 400 odd/)
  assert(bench.fake.requests.length < 120, `${bench.fake.requests.length} requests in two minutes`)
  bench.fake.script = () => ({ kind: 'items' })
  assert(await bench.until(() => batches.every((batch) => batch.unsettledCount() === 0), 60_000))
})

test('wrong credentials stop the sending, with a look now and then', async () => {
  const bench = new SinkBench()
  bench.fake.script = () => ({ kind: 'status', status: 401 })
  const batches = Array.from({ length: 10 }, (_, at) => batchOf(recordsOf(500, at * 500)))
  for (const batch of batches) {
    bench.sink.write(batch)
    await bench.pass(6000)
  }
  assert.match(bench.sink.gauges().trouble ?? '', /rejects requests: 401/)
  assert(bench.fake.requests.length < 20, `${bench.fake.requests.length} requests in a minute`)
  for (const request of bench.fake.requests.slice(1)) assert(request.items.length <= 100)
  bench.fake.script = () => ({ kind: 'items' })
  assert(await bench.until(() => batches.every((batch) => batch.unsettledCount() === 0), 60_000))
  assert.equal(bench.sink.gauges().trouble, null)
})

test('a cluster that is down is asked now and then, and gets everything when back', async () => {
  for (const answer of [
    { kind: 'status', status: 503 },
    { kind: 'reset', isApplied: true },
    { kind: 'half', isApplied: true },
    { kind: 'items', missing: 1 },
  ] as const) {
    const bench = new SinkBench()
    bench.fake.script = () => answer
    const batches = Array.from({ length: 5 }, (_, at) => batchOf(recordsOf(10, at * 10)))
    for (const batch of batches) {
      bench.sink.write(batch)
      await bench.pass(12_000)
    }
    assert.match(bench.sink.gauges().trouble ?? '', /is down/)
    assert(bench.fake.requests.length < 20, `${bench.fake.requests.length} requests in a minute`)
    bench.fake.script = () => ({ kind: 'items' })
    assert(await bench.until(() => batches.every((batch) => batch.unsettledCount() === 0), 60_000))
    assert.equal(bench.fake.documents.size, 50)
    assert(new Set(bench.fake.writes.values()).size === 1, 'written twice')
  }
})

test('a request without an answer is sent again, and fewer at a time', async () => {
  const bench = new SinkBench({ bulkActions: 10 })
  bench.fake.script = (request) =>
    request.number <= 4 ? { kind: 'hang', isApplied: true } : { kind: 'items' }
  const batch = batchOf(recordsOf(40))
  bench.sink.write(batch)
  assert(await bench.until(() => batch.unsettledCount() === 0, 60_000))
  assert(batch.outcomes.filter((outcome) => outcome === 'duplicate').length >= 20)
  assert.deepEqual(new Set(bench.fake.writes.values()), new Set([1]))
})

test('what is above the bound of the queue is in its gauges until it has gone', async () => {
  const bench = new SinkBench({ queueCap: 100 })
  bench.fake.script = () => ({ kind: 'status', status: 503 })
  for (let at = 0; at < 3; at++) bench.sink.write(batchOf(recordsOf(50, at * 50)))
  assert.equal(bench.sink.gauges().queuedDocuments, 150)
  bench.sink.write(batchOf(recordsOf(50, 150)))
  await bench.pass(1000)
  bench.fake.script = () => ({ kind: 'items' })
  assert(await bench.until(() => bench.sink.gauges().queuedDocuments === 0, 60_000))
})

test('documents are dropped only when told to, and only above the bound', async () => {
  const bench = new SinkBench({ queueCap: 100, dropWhenFull: true })
  bench.fake.script = () => ({ kind: 'status', status: 503 })
  const batches = Array.from({ length: 4 }, (_, at) => batchOf(recordsOf(51, at * 51)))
  for (const batch of batches) bench.sink.write(batch)
  assert.deepEqual(
    batches.map((batch) => batch.outcomes[0]),
    [undefined, undefined, 'dropped', 'dropped'],
  )
  assert.equal(batches[3]?.isReleased(), true)
  await bench.sink.close(0)
})

test('flush does not wait for a request to fill, and gives up after its time', async () => {
  const bench = new SinkBench({ flushMs: 60_000 })
  bench.sink.write(batchOf(recordsOf(3)))
  await bench.sink.flush(1000)
  assert.equal(bench.fake.documents.size, 3)
  bench.fake.script = () => ({ kind: 'status', status: 503 })
  const batch = batchOf(recordsOf(3, 3))
  bench.sink.write(batch)
  let isFlushed = false
  const flushed = bench.sink.flush(1000).then(() => (isFlushed = true))
  await bench.pass(900)
  assert.equal(isFlushed, false)
  await bench.pass(200)
  await flushed
  assert.equal(batch.unsettledCount(), 3)
  const closed = bench.sink.close(500)
  await bench.pass(500)
  await closed
})

test('after close nothing is sent or settled, even when an answer still comes', async () => {
  const bench = new SinkBench()
  bench.fake.script = () => ({ kind: 'items', delayMs: 5000 })
  const batch = batchOf(recordsOf(3))
  bench.sink.write(batch)
  await bench.pass(200)
  const closed = bench.sink.close(1000)
  await bench.pass(1000)
  await closed
  await bench.sink.close(1000)
  await bench.pass(10_000)
  assert.equal(batch.unsettledCount(), 3)
  assert.equal(bench.fake.requests.length, 1)
  assert.equal(bench.clock.pendingCount, 0)
})

test('a server that always answers late gets every document, and people hear why', async () => {
  const bench = new SinkBench({ bulkActions: 500 })
  bench.fake.script = () => ({ kind: 'items', delayMs: 5000 })
  const batches = Array.from({ length: 10 }, (_, at) => batchOf(recordsOf(500, at * 500)))
  for (const batch of batches) bench.sink.write(batch)
  assert(await bench.until(() => batches.every((batch) => batch.unsettledCount() === 0), 90_000))
  assert.equal(bench.fake.documents.size, 5000)
  assert.match(bench.notices[0] ?? '', /responds only after 5\.0 s: raising the timeout to 10\.0 s/)
})

test('a server that answers again is noticed long before the patience with it ends', async () => {
  const bench = new SinkBench({ bulkActions: 100, timeoutMs: 3000, timeoutMaxMs: 60_000 })
  let isHanging = true
  bench.fake.script = () => (isHanging ? { kind: 'hang', isApplied: false } : { kind: 'items' })
  const batches = Array.from({ length: 20 }, (_, at) => batchOf(recordsOf(100, at * 100)))
  for (const batch of batches) bench.sink.write(batch)
  await bench.pass(200_000)
  assert.match(bench.sink.gauges().trouble ?? '', /Elasticsearch is slow/)
  // A look every four seconds, and a pair of requests a minute: no crowd.
  const { length: count } = bench.fake.requests
  assert(count > 40 && count < 100, `${count} requests in 200 s`)
  isHanging = false
  assert(await bench.until(() => bench.sink.gauges().trouble === null, 5000), 'told in 5 s')
  assert(await bench.until(() => bench.fake.documents.size > 1500, 2000), 'and it flows')
  // What waits for the lost requests is sent again when their time is over.
  assert(await bench.until(() => batches.every((each) => each.unsettledCount() === 0), 90_000))
  assert.deepEqual(bench.failures, [])
})

test('documents that are there at their second try make the time-out grow', async () => {
  const bench = new SinkBench({ bulkActions: 1000 })
  // Only large requests are slow, so that others go well all the time.
  bench.fake.script = ({ items }) => ({ kind: 'items', delayMs: items.length > 400 ? 4000 : 10 })
  let late = 0
  for (let turn = 0; turn < 20; turn++) {
    const before = bench.fake.requests.length
    const batch = batchOf(recordsOf(1000, turn * 1000))
    bench.sink.write(batch)
    bench.sink.write(batchOf(recordsOf(1, 100_000 + turn)))
    assert(await bench.until(() => batch.unsettledCount() === 0, 60_000))
    late = bench.fake.requests.slice(before).filter(({ items }) => items.length > 400).length
  }
  assert.equal(late, 1, 'one request, answered in time')
  assert.equal(bench.notices.length > 0, true)
})

test('a server that asks to be left alone is, and gets everything afterwards', async () => {
  const bench = new SinkBench({ bulkActions: 10 })
  let untilMs = 0
  bench.fake.script = () => {
    if (untilMs === 0) untilMs = bench.clock.monotonicMs() + 20_000
    return bench.clock.monotonicMs() < untilMs
      ? { kind: 'status', status: 429, waitMs: untilMs - bench.clock.monotonicMs() }
      : { kind: 'items' }
  }
  const batch = batchOf(recordsOf(200))
  bench.sink.write(batch)
  await bench.pass(19_900)
  assert(bench.fake.requests.length <= 4, `${bench.fake.requests.length} requests`)
  assert(await bench.until(() => batch.unsettledCount() === 0, 20_000))
})
