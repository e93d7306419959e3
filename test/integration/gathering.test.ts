/** What matched in several slots is handed on together, and none of it is kept or sent twice. */
import assert from 'node:assert/strict'
import { test, type TestContext } from 'node:test'
import { OFFSET_BEGINNING } from '../../src/bridge/bridge.ts'
import { type PackedBatch, unpackMatches } from '../../src/filter/matches.ts'
import { SlotFilter } from '../../src/filter/slot-filter.ts'
import { NO_PAST } from '../../src/kafka/commit-note.ts'
import { openBulkProducer } from '../../src/kafka/producer.ts'
import { resolve } from '../../src/options/resolve.ts'
import { SLOT_FILTERING } from '../../src/pool/layout.ts'
import { SlotReader } from '../../src/pool/slot-reader.ts'
import { Pipeline } from '../../src/run/pipeline.ts'
import { replaySettings } from '../../src/run/replay.ts'
import { pipelineSettings } from '../../src/run/settings-from-config.ts'
import { logInto } from '../helpers/log-into.ts'
import { flags } from '../helpers/logpipe.ts'
import { bridge, openConsumer, openMock, produce, Rig, until } from './bridge/rig.ts'

const SHAPE = { slotCount: 1, bufferBytes: 128 * 1024, recordsMax: 16 }
const RECORDS = 24
/** More than the filter gathers. */
const LARGE = 300 * 1024
/** Enough that the reading gets ahead of the filter, however slow the machine is. */
const SLOTS = 2000

/** Filters what the partition holds, slot by slot, and sees what is handed on. */
async function filtered(t: TestContext, values: readonly string[]) {
  const mock = openMock(t)
  for (const value of values) await produce(mock, [{ value }])
  const rig = new Rig(t, SHAPE)
  const matcher = bridge.matcherOpen({ patterns: [], ignoreCase: false, invertMatch: false })
  t.after(() => bridge.matcherClose(matcher))
  const batches: PackedBatch[] = []
  const filter = new SlotFilter({
    bridge,
    pool: rig.pool,
    reader: new SlotReader(rig.memory, SHAPE),
    recordsMax: SHAPE.recordsMax,
    encoder: { encode: ({ value }, body) => body.bytes(value ?? Buffer.alloc(0)) },
    span: null,
    nameOf: () => ({ topic: 't', partition: 0, idPrefix: '' }),
    report: () => assert.fail('every record matches'),
    deliver: (batch) => batches.push(batch),
  })
  const consumer = openConsumer(t, mock)
  bridge.consumerAssign(consumer, [
    { topic: 't', partition: 0, offset: 0, assignmentId: 1, past: NO_PAST },
  ])
  let slots = 0
  let matched = 0
  until(() => {
    // A batch a slot: each was sent by itself.
    if (rig.fill(consumer, [], { recordsMax: 1 }) > 0) {
      rig.setState(SLOT_FILTERING)
      matched += filter.process(0, { matcher }, () => undefined).matched
      slots++
    }
    return matched === values.length
  })
  return { filter, batches, slots }
}

const textsOf = (batch: PackedBatch) => {
  const { body, ends, runs } = unpackMatches(batch)
  const offsets = runs.flatMap((run) => [...run.offsets])
  return offsets.map((at, index) => {
    const text = Buffer.from(body).toString('latin1', ends[index - 1] ?? 0, ends[index])
    return `${at} ${text.slice(0, 8)}`
  })
}

test('what matched in several slots leaves in one batch, when it is flushed', async (t) => {
  const values = Array.from({ length: RECORDS }, (_, index) => `value ${index}`)
  const { filter, batches, slots } = await filtered(t, values)
  assert(slots > 1)
  assert.deepEqual(batches, [])
  assert(filter.hasGathered)
  filter.flush()
  filter.flush()
  assert.equal(batches.length, 1)
  assert.deepEqual(
    textsOf(batches[0]!),
    values.map((value, index) => `${index} ${value}`),
  )
  assert(!filter.hasGathered)
})

test('what is large does not wait for a flush', async (t) => {
  const { filter, batches } = await filtered(t, ['a', 'b'.repeat(LARGE), 'c'])
  assert.deepEqual(batches.flatMap(textsOf), ['0 a', '1 bbbbbbbb'])
  filter.flush()
  assert.deepEqual(batches.flatMap(textsOf), ['0 a', '1 bbbbbbbb', '2 c'])
})

for (const mode of ['worker', 'direct']) {
  test(`a pipeline hands on what matched in several slots at once (${mode})`, async (t) => {
    const { bootstrapServers: brokers } = openMock(t)
    const producer = await openBulkProducer({
      brokers,
      // A batch for each record, and so a slot.
      config: [['batch.num.messages', '1']],
      timeoutMs: 20_000,
    })
    for (let index = 0; index < SLOTS; index++) {
      assert(producer.send('t', 0, null, Buffer.from(`ERROR ${index}`)))
    }
    await producer.flush(20_000)
    await producer.close()
    const options = { brokers, topic: 't', mode, output: 'none', 'batch-msgs': 1 }
    const threads = { 'ingress-threads': 1, 'filter-threads': 1 }
    const args = flags({ ...options, ...threads })
    const { config } = resolve({ command: 'run', args, env: {} })
    const span = { fromMs: OFFSET_BEGINNING, toMs: null, partitions: null }
    const settings = replaySettings(pipelineSettings(config), span, bridge, assert.fail)
    assert(settings !== null)
    const counts: number[] = []
    const pipeline = await Pipeline.start(settings, {
      log: logInto(() => undefined),
      onMatched: ({ ends }) => counts.push(ends.length),
    })
    const { error } = await pipeline.done
    assert.equal(error, null)
    assert.equal(
      counts.reduce((sum, count) => sum + count, 0),
      SLOTS,
    )
    // How many share one depends on how far the reading is ahead; a slot has one record.
    assert(Math.max(...counts) > 1, `${counts.length} messages for ${SLOTS} slots`)
  })
}
