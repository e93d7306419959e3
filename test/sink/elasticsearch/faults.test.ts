/**
 * Goal: whatever the server answers, in whatever order, each document is settled exactly once, with
 * the outcome that is true of it, and none is lost.
 *
 * Method: random faults for the first requests, then a server that works; some documents it never
 * takes. With and without a spill. The clock is the test's, so minutes of backoff take no time.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as fc from 'fast-check'
import type { DeadLetter } from '../../../src/sink/dead-letters/contract.ts'
import { batchOf, recordsOf } from '../../helpers/bulk-batch.ts'
import type { FakeAnswer, FakeFault, FakeItem, FakeRequest } from '../../helpers/fake-bulk.ts'
import { FakeOverflow } from '../../helpers/fake-overflow.ts'
import { SinkBench } from '../../helpers/sink-bench.ts'

const SETTINGS = {
  index: '{topic}',
  bulkActions: 16,
  bulkBytes: 2000,
  queueCap: 150,
  timeoutMs: 300,
  spillBytesMax: 20_000,
}
const TOPICS = ['a', 'b', 'c'] as const
const BATCHES = 12
const MALFORMED = { status: 400, type: 'document_parsing_exception', reason: 'never' }
const ITEM_FAULTS: readonly FakeFault[] = [
  { status: 429, type: 'es_rejected_execution_exception', reason: 'full' },
  { status: 403, type: 'cluster_block_exception', reason: 'FORBIDDEN/8/index write (api)' },
  { status: 401, type: 'security_exception', reason: 'expired' },
  { status: 503, type: 'unavailable_shards_exception', reason: 'primary' },
  { status: 500, type: 'odd_exception', reason: '' },
]
const REQUEST_FAULTS: readonly FakeAnswer[] = [
  { kind: 'status', status: 429 },
  { kind: 'status', status: 503 },
  { kind: 'status', status: 401 },
  { kind: 'status', status: 400 },
  { kind: 'status', status: 413 },
  { kind: 'status', status: 504 },
  { kind: 'status', status: 200, body: '<html>' },
  { kind: 'hang', isApplied: true },
  { kind: 'hang', isApplied: false },
  { kind: 'reset', isApplied: true },
  { kind: 'reset', isApplied: false },
  { kind: 'half', isApplied: true },
  { kind: 'items', missing: 1 },
  { kind: 'items', delayMs: 200 },
]

const isPoison = ({ id }: FakeItem) => id?.endsWith('7') === true

/** One number decides what a request meets. */
function answerOf(fate: number, request: FakeRequest): FakeAnswer {
  const fault = REQUEST_FAULTS[fate % (REQUEST_FAULTS.length * 2)]
  // A 413 for one document would be the truth about it, which the checker could not know.
  const isTooSmall = fault?.kind === 'status' && fault.status === 413 && request.items.length === 1
  if (fault !== undefined && fault.kind !== 'items' && !isTooSmall) return fault
  const delay = fault?.kind === 'items' ? fault : { kind: 'items' as const }
  return {
    ...delay,
    fault: (item, position) => {
      if (isPoison(item)) return MALFORMED
      return ITEM_FAULTS[(fate * 31 + position * 7 + item.index.charCodeAt(0)) % 11] ?? null
    },
  }
}

test('under any faults each document is settled once, truly, and none is lost', async () => {
  const fates = fc.array(fc.nat(10_000), { maxLength: 80, size: 'max' })
  await fc.assert(
    fc.asyncProperty(fates, fc.boolean(), fc.boolean(), async (fate, hasSpill, isSlowSpill) => {
      const letters: DeadLetter[] = []
      const overflow = new FakeOverflow()
      if (isSlowSpill) overflow.bytesMax = 3000
      const bench = new SinkBench(SETTINGS, {
        overflow: hasSpill ? overflow : null,
        deadLetters: {
          put: (more) => {
            letters.push(...more)
            return Promise.resolve()
          },
        },
      })
      bench.fake.script = (request) => {
        const next = fate[request.number - 1]
        if (next !== undefined) return answerOf(next, request)
        return { kind: 'items', fault: (item) => (isPoison(item) ? MALFORMED : null) }
      }
      const batches = Array.from({ length: BATCHES }, (_, at) =>
        batchOf(
          TOPICS.flatMap((topic) => recordsOf(7, at * 7, { topic })),
          SETTINGS,
        ),
      )
      for (const batch of batches) {
        bench.sink.write(batch)
        await bench.pass(60, 30)
      }
      const isDone = () => batches.every((batch) => batch.unsettledCount() === 0)
      assert(await bench.until(isDone, 900_000, 250), bench.sink.gauges().trouble ?? 'unsettled')
      assert.deepEqual(bench.failures, [])

      const inBox = new Set(letters.map(({ topic, offset }) => `${topic}-0-${offset}`))
      const expected = batches.flatMap((batch) =>
        batch.runs.flatMap((run) => [...run.offsets].map((offset) => `${run.topic}-0-${offset}`)),
      )
      const outcomes = batches.flatMap((batch) => batch.outcomes)
      for (const [at, id] of expected.entries()) {
        const isThere = bench.fake.documents.has(`${id.slice(0, 1)}/${id}`)
        const outcome = outcomes[at]
        if (outcome === 'dead_lettered') assert(inBox.has(id), id)
        else
          assert(isThere && (outcome === 'indexed' || outcome === 'duplicate'), `${id} ${outcome}`)
      }
      assert(Math.max(...bench.fake.writes.values()) === 1, 'written twice')
      assert.equal(overflow.entryCount, 0)
      assert.equal(bench.sink.gauges().queuedDocuments, 0)
      await bench.sink.close(0)
      assert.equal(bench.clock.pendingCount, 0)
    }),
    { numRuns: 300 },
  )
})
