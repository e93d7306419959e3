/**
 * Goal: documents that spoil their requests, in whatever way, cost no other document; each of them
 * ends as a dead letter, and only they do. A server that is down or refuses everything makes none.
 *
 * Method: a server that fails every request that holds a poison. The clock is the test's.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as fc from 'fast-check'
import type { DeadLetter } from '../../../src/sink/dead-letters/contract.ts'
import { batchOf, recordOf, recordsOf, type TestBatch } from '../../helpers/bulk-batch.ts'
import type { FakeAnswer, FakeFault, FakeItem, FakeRequest } from '../../helpers/fake-bulk.ts'
import { FakeOverflow } from '../../helpers/fake-overflow.ts'
import { SinkBench } from '../../helpers/sink-bench.ts'

/** What happens to a request with a poison in it. */
const POISONS: Readonly<Record<string, FakeAnswer>> = {
  'a web firewall that says 403': { kind: 'status', status: 403, body: '<html>blocked</html>' },
  'a 401': { kind: 'status', status: 401 },
  'a 400': { kind: 'status', status: 400 },
  'a 500': { kind: 'status', status: 500 },
  'a 502 of a proxy': { kind: 'status', status: 502, body: '<html>bad gateway</html>' },
  'a 429, for it is larger than the indexing pressure': { kind: 'status', status: 429 },
  'a 413': { kind: 'status', status: 413 },
  'a redirect': { kind: 'status', status: 302 },
  'an html page with status 200': { kind: 'status', status: 200, body: '<html>hello</html>' },
  'a reset': { kind: 'reset', isApplied: false },
  'a reset, though it is done': { kind: 'reset', isApplied: true },
  'a hang': { kind: 'hang', isApplied: false },
  'half an answer': { kind: 'half', isApplied: false },
  'an item too few': { kind: 'items', missing: 1 },
}
const WAYS = Object.keys(POISONS)
/** As OpenSearch with a pipeline: one document, and every item is refused alike. */
const SPOILED = { status: 400, type: 'parse_exception', reason: 'Failed to parse content to map' }
const FULL = { status: 429, type: 'es_rejected_execution_exception', reason: 'too large' }
const ITEM_FAULTS: Readonly<Record<string, FakeFault>> = {
  spoiled: SPOILED,
  full: FULL,
  own: { status: 400, type: 'illegal_argument_exception', reason: 'field [x] not present' },
  malformed: { status: 400, type: 'document_parsing_exception', reason: '[1:2] failed to parse' },
  fault: { status: 500, type: 'null_pointer_exception', reason: '' },
}

const wayOf = ({ source }: FakeItem) => /poison (.*?)"/.exec(source)?.[1]

function poisoned(request: FakeRequest): FakeAnswer {
  const ways = request.items.map(wayOf).filter((way) => way !== undefined)
  const whole = ways.find((way) => POISONS[way] !== undefined)
  if (whole !== undefined) return POISONS[whole]!
  const spoiled = ways.includes('spoiled') ? SPOILED : null
  return {
    kind: 'items',
    fault: (item) => spoiled ?? ITEM_FAULTS[wayOf(item) ?? ''] ?? null,
  }
}

const poisonOf = (way: string, offset: number) =>
  recordOf(JSON.stringify({ level: 'ERROR', m: `poison ${way}` }), { offset })

interface Rig {
  readonly bench: SinkBench
  readonly letters: DeadLetter[]
}

function rigOf(hasSpill = false): Rig {
  const letters: DeadLetter[] = []
  const put = (more: readonly DeadLetter[]) => {
    letters.push(...more)
    return Promise.resolve()
  }
  const overflow = hasSpill ? new FakeOverflow() : null
  const bench = new SinkBench({}, { deadLetters: { put }, overflow })
  bench.fake.script = poisoned
  return { bench, letters }
}

const healthyOf = ({ outcomes }: TestBatch, poisons: readonly number[]) =>
  outcomes.filter((_, at) => !poisons.includes(at))

for (const way of WAYS) {
  for (const hasSpill of [false, true]) {
    const beside = hasSpill ? ', with a spill' : ''
    test(`within a minute the neighbours are written of what meets ${way}${beside}`, async () => {
      const { bench, letters } = rigOf(hasSpill)
      const batch = batchOf([...recordsOf(10), poisonOf(way, 10), ...recordsOf(89, 11)])
      bench.sink.write(batch)
      const isOut = () => healthyOf(batch, [10]).every((outcome) => outcome !== undefined)
      assert(await bench.until(isOut, 60_000), bench.sink.gauges().trouble ?? 'slow')
      assert.deepEqual(letters, [])
      assert(await bench.until(() => batch.unsettledCount() === 0, 180_000))
      assert.equal(batch.outcomes[10], 'dead_lettered')
      assert.deepEqual(
        letters.map(({ offset }) => offset),
        [10],
      )
      assert.deepEqual(new Set(bench.fake.writes.values()), new Set([1]))
    })
  }
}

test('a poison waits while nothing else goes well, and then it is a dead letter', async () => {
  for (const way of WAYS) {
    const { bench, letters } = rigOf()
    const batch = batchOf([poisonOf(way, 0)])
    bench.sink.write(batch)
    await bench.pass(300_000, 1000)
    assert.deepEqual(letters, [], way)
    const others = Array.from({ length: 300 }, (_, at) => batchOf(recordsOf(1, at + 1)))
    for (const other of others) {
      bench.sink.write(other)
      await bench.pass(500, 250)
    }
    assert(await bench.until(() => batch.unsettledCount() === 0, 600_000, 500), way)
    assert.deepEqual(batch.outcomes, ['dead_lettered'])
    assert(await bench.until(() => others.every((each) => each.unsettledCount() === 0), 60_000))
  }
})

test('a server that fails every request makes no dead letters, however long', async () => {
  for (const way of WAYS) {
    for (const hasSpill of [way.length % 2 === 0]) {
      const { bench, letters } = rigOf(hasSpill)
      const first = batchOf(recordsOf(20))
      bench.sink.write(first)
      await bench.pass(500)
      assert.equal(first.unsettledCount(), 0)
      bench.fake.script = () => POISONS[way]!
      const batches = Array.from({ length: 10 }, (_, at) => batchOf(recordsOf(20, 20 + at * 20)))
      for (const batch of batches) {
        bench.sink.write(batch)
        await bench.pass(30_000, 1000)
      }
      assert.deepEqual(letters, [], way)
      const requests = bench.fake.requests.length
      assert(requests < 400, `${way}: ${requests} requests in five minutes`)
      bench.fake.script = poisoned
      const isDone = () => batches.every((batch) => batch.unsettledCount() === 0)
      assert(await bench.until(isDone, 120_000, 250), way)
      assert.equal(bench.fake.documents.size, 220)
    }
  }
})

test('one document makes a pipeline refuse all alike: only it is a dead letter', async () => {
  const { bench, letters } = rigOf()
  const poisons = [0, 200, 602]
  const records = [...recordsOf(603)]
  for (const at of poisons) records[at] = poisonOf('spoiled', at)
  const batch = batchOf(records)
  bench.sink.write(batch)
  assert(await bench.until(() => batch.unsettledCount() === 0, 120_000))
  assert.deepEqual(
    letters.map(({ offset }) => offset).sort((left, right) => left - right),
    poisons,
  )
  assert.equal(bench.fake.documents.size, 600)
})

test('an index with a wrong setting waits, and all of it arrives after the mending', async () => {
  for (const fault of [
    {
      status: 400,
      type: 'illegal_argument_exception',
      reason: 'exceeds the limit of [2147483519]',
    },
    { status: 400, type: 'invalid_alias_name_exception', reason: 'an alias has this name' },
    { status: 500, type: 'illegal_state_exception', reason: 'alias [x] has two write indices' },
    { status: 400, type: 'mapper_parsing_exception', reason: 'Failed to parse mapping: unknown' },
  ]) {
    const { bench, letters } = rigOf()
    bench.fake.script = () => ({ kind: 'items', fault: () => fault })
    const batches = Array.from({ length: 50 }, (_, at) => batchOf(recordsOf(1, at)))
    for (const batch of batches) {
      bench.sink.write(batch)
      await bench.pass(2000, 250)
    }
    assert.deepEqual(letters, [])
    bench.fake.script = poisoned
    const isDone = () => batches.every((batch) => batch.unsettledCount() === 0)
    assert(await bench.until(isDone, 60_000), fault.reason)
    assert.deepEqual([letters, bench.fake.documents.size], [[], 50])
  }
})

test('the text of a record neither holds its index nor stalls it', async () => {
  const crafted = 'pipeline with id [x] does not exist'
  const { bench, letters } = rigOf()
  bench.fake.script = () => ({
    kind: 'items',
    fault: ({ source }) =>
      source.includes(crafted)
        ? { status: 400, type: 'illegal_argument_exception', reason: crafted }
        : null,
  })
  const evil = Array.from({ length: 12_000 }, (_, offset) => recordOf(crafted, { offset }))
  const before = batchOf(evil)
  bench.sink.write(before)
  await bench.pass(3000)
  const good = batchOf(recordsOf(20_000, 12_000))
  bench.sink.write(good)
  assert(await bench.until(() => good.unsettledCount() === 0, 60_000), 'the good ones wait')
  assert(await bench.until(() => before.unsettledCount() === 0, 60_000), 'the crafted ones stay')
  assert.equal(letters.length, 12_000)
})

/**
 * 1. More documents than a lane keeps in memory are refused: the others go to the spill.
 * 2. Good ones come while one of the first is on its way to look at the index.
 * 3. It is refused, and must not be taken for the newest again: the good ones would never be asked.
 */
test('good documents are found behind crafted ones that fill the spill', async () => {
  const { bench, letters } = rigOf(true)
  let isGood = false
  bench.fake.script = ({ items }) => ({
    kind: 'items',
    delayMs: 1000,
    fault: ({ source }) =>
      isGood && !source.includes('poison') && items.length > 0
        ? null
        : { status: 400, type: 'illegal_argument_exception', reason: 'as it says' },
  })
  const crafted = Array.from({ length: 4000 }, (_, offset) => poisonOf('here', offset))
  for (let first = 0; first < 4000; first += 1000) {
    bench.sink.write(batchOf(crafted.slice(first, first + 1000)))
    await bench.pass(2000, 250)
  }
  isGood = true
  const good = batchOf(recordsOf(3000, 4000))
  const isProbing = () => bench.fake.requests.at(-1)?.items.length === 1
  assert(await bench.until(isProbing, 60_000, 100))
  bench.sink.write(good)
  assert(await bench.until(() => good.unsettledCount() === 0, 90_000, 250))
  assert(letters.length > 0)
})

test('a pipeline that sends one in a hundred to a blocked index holds no others', async () => {
  const blocked = { status: 403, type: 'cluster_block_exception', reason: 'x', index: 'blocked' }
  const { bench } = rigOf()
  let isBlocked = true
  bench.fake.script = () => ({
    kind: 'items',
    fault: ({ id }) => (isBlocked && id?.endsWith('50') === true ? blocked : null),
  })
  const batches = Array.from({ length: 100 }, (_, at) => batchOf(recordsOf(100, at * 100)))
  for (const batch of batches) {
    bench.sink.write(batch)
    await bench.pass(200, 100)
    assert.equal(batch.unsettledCount(), 1)
  }
  assert.match(bench.sink.gauges().trouble ?? '', /documents wait for the index blocked:/)
  isBlocked = false
  assert(await bench.until(() => batches.every((batch) => batch.unsettledCount() === 0), 60_000))
})

test('a blocked write index behind an alias is asked now and then', async () => {
  const blocked = { status: 403, type: 'cluster_block_exception', reason: 'x', index: 'logs-00001' }
  const { bench } = rigOf()
  bench.fake.script = () => ({ kind: 'items', fault: () => blocked })
  const batches = Array.from({ length: 100 }, (_, at) => batchOf(recordsOf(100, at * 100)))
  for (const batch of batches) {
    bench.sink.write(batch)
    await bench.pass(1000, 100)
  }
  assert(bench.fake.requests.length < 30, `${bench.fake.requests.length} requests`)
  bench.fake.script = poisoned
  assert(await bench.until(() => batches.every((batch) => batch.unsettledCount() === 0), 60_000))
})

test('any poisons among any others: the others are written once, and only they', async () => {
  const ways = fc.constantFrom(...WAYS, ...Object.keys(ITEM_FAULTS))
  const places = fc.uniqueArray(fc.nat(299), { maxLength: 12 })
  await fc.assert(
    fc.asyncProperty(
      fc.array(ways, { minLength: 12, maxLength: 12 }),
      places,
      async (kinds, at) => {
        const { bench, letters } = rigOf()
        const records = recordsOf(300)
        for (const [index, offset] of at.entries())
          records[offset] = poisonOf(kinds[index]!, offset)
        const batches = [0, 100, 200].map((first) => batchOf(records.slice(first, first + 100)))
        for (const batch of batches) {
          bench.sink.write(batch)
          await bench.pass(1000, 100)
        }
        // Traffic goes on, as it does: what fails alone is seen beside it.
        const more: TestBatch[] = []
        const isDone = () => batches.every((batch) => batch.unsettledCount() === 0)
        for (let turn = 0; turn < 900 && !isDone(); turn++) {
          more.push(batchOf(recordsOf(2, 1000 + turn * 2)))
          bench.sink.write(more.at(-1)!)
          await bench.pass(500, 250)
        }
        assert(isDone(), bench.sink.gauges().trouble ?? 'unsettled')
        assert(await bench.until(() => more.every((each) => each.unsettledCount() === 0), 60_000))
        assert.deepEqual(
          letters.map(({ offset }) => offset).sort((left, right) => left - right),
          at.toSorted((left, right) => left - right),
        )
        assert.deepEqual(bench.failures, [])
        const healthy = 300 - at.length + more.length * 2
        assert(bench.fake.documents.size >= healthy)
        assert(Math.max(...bench.fake.writes.values()) === 1, 'written twice')
      },
    ),
    { numRuns: 40 },
  )
})
