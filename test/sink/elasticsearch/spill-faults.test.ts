/**
 * Goal: with a slow disk and any answers, a partition that is given away at any moment keeps
 * nothing waiting, and what is committed on the spill is accounted for until it is written.
 *
 * Method: as faults.test.ts, with appends that take their time, and a partition dropped some time.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as fc from 'fast-check'
import { batchOf, recordsOf } from '../../helpers/bulk-batch.ts'
import type { FakeAnswer } from '../../helpers/fake-bulk.ts'
import { FakeOverflow } from '../../helpers/fake-overflow.ts'
import { SinkBench } from '../../helpers/sink-bench.ts'

const SETTINGS = { bulkActions: 16, bulkBytes: 2000, queueCap: 100, timeoutMs: 300 }
const BATCHES = 12
const BUSY = { status: 429, type: 'es_rejected_execution_exception', reason: 'full' }
const BLOCKED = { status: 403, type: 'cluster_block_exception', reason: 'FORBIDDEN/8' }

function answerOf(fate: number): FakeAnswer {
  const faults: readonly FakeAnswer[] = [
    { kind: 'status', status: 503 },
    { kind: 'status', status: 401 },
    { kind: 'hang', isApplied: true },
    { kind: 'reset', isApplied: false },
    { kind: 'items', fault: (_, position) => ((position + fate) % 3 === 0 ? BUSY : null) },
    { kind: 'items', fault: (_, position) => ((position + fate) % 5 === 0 ? BLOCKED : null) },
    { kind: 'items', delayMs: 100 },
  ]
  return faults[fate % faults.length]!
}

const fates = fc.array(fc.nat(10_000), { maxLength: 60, size: 'max' })

function benchWith(
  fate: readonly number[],
  appendMs: readonly number[],
  more: ConstructorParameters<typeof SinkBench>[0],
  leftSpill: () => void = () => undefined,
): { bench: SinkBench; overflow: FakeOverflow } {
  const overflow = new FakeOverflow()
  const bench = new SinkBench({ ...SETTINGS, ...more }, { overflow, leftSpill })
  overflow.gate = (index) =>
    new Promise((resolve) => bench.clock.after(appendMs[index % appendMs.length] ?? 0, resolve))
  bench.fake.script = ({ number }) => {
    const next = fate[number - 1]
    return next === undefined ? { kind: 'items' } : answerOf(next)
  }
  return { bench, overflow }
}

const appendTimes = fc.array(fc.nat(400), { minLength: 1, maxLength: 5 })

test('a partition given away at any moment keeps nothing waiting', async () => {
  await fc.assert(
    fc.asyncProperty(fates, appendTimes, fc.nat(BATCHES - 1), async (fate, times, dropAt) => {
      const { bench, overflow } = benchWith(fate, times, {})
      const batches = []
      for (let at = 0; at < BATCHES; at++) {
        // After the drop no more of partition 1 comes: its new owner reads it.
        const given = at <= dropAt ? recordsOf(10, at * 10, { partition: 1 }) : []
        const batch = batchOf([...recordsOf(10, at * 10), ...given])
        batches.push(batch)
        bench.sink.write(batch)
        await bench.pass(90, 30)
        if (at === dropAt) bench.sink.dropPartition('orders', 1)
      }
      let isFlushed = false
      void bench.sink.flush(900_000).then(() => (isFlushed = true))
      const isDone = () => isFlushed
      assert(await bench.until(isDone, 600_000, 250), bench.sink.gauges().trouble ?? 'unsettled')
      assert.deepEqual(bench.failures, [])
      for (const batch of batches) {
        assert(batch.outcomes.slice(0, 10).every((outcome) => outcome !== undefined))
      }
      assert.equal(bench.sink.gauges().queuedDocuments, 0)
      assert.equal(overflow.entryCount, 0)
      assert(Math.max(...bench.fake.writes.values()) === 1, 'written twice')
      await bench.sink.close(0)
      assert.equal(bench.clock.pendingCount, 0)
    }),
    // The example: what an append stored was given away while it was under way, and nothing else
    // was left, so that nobody told a flush of its end.
    { numRuns: 100, examples: [[[7050, 1859, 4362, 1161], [361, 331, 0], 8]] },
  )
})

const COUNTEREXAMPLE = [
  7309, 1741, 9, 0, 0, 389, 0, 0, 5464, 34, 0, 3866, 2398, 6302, 0, 8847, 0, 5578, 0, 4, 8282,
]

test('what is committed on the spill is accounted for once, when it is written', async () => {
  await fc.assert(
    fc.asyncProperty(fates, appendTimes, async (fate, times) => {
      let leftCount = 0
      const { bench, overflow } = benchWith(fate, times, { commitOn: 'spill' }, () => leftCount++)
      const batches = Array.from({ length: BATCHES }, (_, at) => batchOf(recordsOf(20, at * 20)))
      for (const batch of batches) {
        bench.sink.write(batch)
        await bench.pass(60, 30)
      }
      const isDone = () =>
        overflow.entryCount === 0 && batches.every((batch) => batch.unsettledCount() === 0)
      assert(await bench.until(isDone, 600_000, 250), bench.sink.gauges().trouble ?? 'unsettled')
      const outcomes = batches.flatMap((batch) => batch.outcomes)
      assert.equal(bench.fake.documents.size, BATCHES * 20)
      assert.equal(leftCount, outcomes.filter((outcome) => outcome === 'spilled').length)
      await bench.sink.close(0)
      assert.equal(bench.clock.pendingCount, 0)
    }),
    // Some resets, then a single 401, made a document guilty that met them by chance.
    {
      numRuns: 100,
      examples: [[COUNTEREXAMPLE, [31]]],
    },
  )
})
