/**
 * Several nodes over real HTTP on loopback: one that is dead, or dies half way, costs no document
 * and next to no request.
 */
import assert from 'node:assert/strict'
import { test, type TestContext } from 'node:test'
import { ElasticsearchSink } from '../../../src/sink/elasticsearch/elasticsearch-sink.ts'
import { ELASTICSEARCH_DEFAULTS } from '../../helpers/elasticsearch-defaults.ts'
import { batchOf, recordsOf, type TestBatch } from '../../helpers/bulk-batch.ts'
import { FakeBulk } from '../../helpers/fake-bulk.ts'

const BATCHES = 60
const BATCH_RECORDS = 50

interface Rig {
  readonly fakes: readonly FakeBulk[]
  readonly sink: ElasticsearchSink
}

async function open(t: TestContext): Promise<Rig> {
  const fakes = [new FakeBulk(), new FakeBulk(), new FakeBulk()]
  const urls = await Promise.all(fakes.map((fake) => fake.listen()))
  for (const fake of fakes) t.after(() => fake.close())
  const settings = { ...ELASTICSEARCH_DEFAULTS, urls, bulkActions: BATCH_RECORDS, flushMs: 5 }
  const sink = new ElasticsearchSink(settings, {
    events: {
      fail: (error) => assert.fail(error),
      endOfOutput: () => undefined,
    },
    deadLetters: null,
    overflow: null,
  })
  t.after(() => sink.close(0))
  await sink.open()
  return { fakes, sink }
}

/** @param each is called before each batch. */
async function writeAll({ sink }: Rig, each: (at: number) => Promise<void>): Promise<TestBatch[]> {
  const batches: TestBatch[] = []
  for (let at = 0; at < BATCHES; at++) {
    await each(at)
    const batch = batchOf(recordsOf(BATCH_RECORDS, at * BATCH_RECORDS))
    batches.push(batch)
    sink.write(batch)
    await sink.flush(20_000)
  }
  return batches
}

function assertAllThere({ fakes, sink }: Rig, batches: readonly TestBatch[]): void {
  const outcomes = new Set(batches.flatMap(({ outcomes: each }) => each))
  assert.deepEqual(outcomes, new Set(['indexed']))
  assert.equal(new Set(fakes.flatMap(({ ids }) => ids)).size, BATCHES * BATCH_RECORDS)
  const { retries } = sink.gauges()
  // The request that met it, and a look at it now and then.
  assert(retries <= 6 * BATCH_RECORDS, `${retries} documents were sent again`)
}

test('one of three nodes dead from the start costs no document and few requests', async (t) => {
  const rig = await open(t)
  await rig.fakes[1]?.close()
  assertAllThere(rig, await writeAll(rig, () => Promise.resolve()))
  assert.equal(rig.sink.gauges().trouble, null)
})

test('a node that dies half way costs no document and few requests', async (t) => {
  const rig = await open(t)
  const batches = await writeAll(rig, async (at) => {
    if (at === BATCHES / 2) await rig.fakes[2]?.close()
  })
  assertAllThere(rig, batches)
})
