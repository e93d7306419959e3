/**
 * Bugs that there were. After an unclean election new records have the offsets of records that were
 * cut off: with the same `_id` they were taken for duplicates of those, and lost.
 */
import assert from 'node:assert/strict'
import { test, type TestContext } from 'node:test'
import type { LogPast } from '../../src/bridge/bridge.ts'
import { type MatchedRun, unpackMatches } from '../../src/filter/matches.ts'
import { SlotFilter } from '../../src/filter/slot-filter.ts'
import { NO_PAST } from '../../src/kafka/commit-note.ts'
import { SLOT_FILTERING } from '../../src/pool/layout.ts'
import { SlotReader } from '../../src/pool/slot-reader.ts'
import { BulkEncoder } from '../../src/sink/elasticsearch/bulk-encoder.ts'
import { ELASTICSEARCH_DEFAULTS } from '../helpers/elasticsearch-defaults.ts'
import { bridge, openConsumer, produce, Rig, until, type Mock } from '../integration/bridge/rig.ts'

const SHAPE = { slotCount: 1, bufferBytes: 4096, recordsMax: 16 }
const END = 6

/** Offsets 0 to 2 of leader epoch 0, and 3 to 5 of the next leader. */
async function electedLog(t: TestContext): Promise<Mock> {
  const mock = bridge.mockOpen({ brokerCount: 2, topics: [{ topic: 't', partitions: 1 }] })
  t.after(() => bridge.mockClose(mock.id))
  await produce(mock, [{ value: 'a' }, { value: 'b' }, { value: 'c' }])
  bridge.mockElect(mock.id, 't', 0, 2)
  await produce(mock, [{ value: 'd' }, { value: 'e' }, { value: 'f' }])
  return mock
}

/** The `_id` of each document of offset `from` and later, and what is known of the log then. */
function readFrom(t: TestContext, mock: Mock, from: number, past: LogPast) {
  const rig = new Rig(t, SHAPE)
  const matcher = bridge.matcherOpen({ patterns: [], ignoreCase: false, invertMatch: false })
  t.after(() => bridge.matcherClose(matcher))
  const lines: string[] = []
  const runs: MatchedRun[] = []
  const filter = new SlotFilter({
    bridge,
    pool: rig.pool,
    reader: new SlotReader(rig.memory, SHAPE),
    recordsMax: SHAPE.recordsMax,
    encoder: new BulkEncoder(ELASTICSEARCH_DEFAULTS),
    span: null,
    nameOf: () => ({ topic: 't', partition: 0, idPrefix: '0a1b2c3d' }),
    report: () => assert.fail('every record matches'),
    deliver: (packed) => {
      const batch = unpackMatches(packed)
      lines.push(...Buffer.from(batch.body).toString().split('\n'))
      runs.push(...batch.runs)
    },
  })
  const consumer = openConsumer(t, mock)
  const row = { topic: 't', partition: 0, offset: from, assignmentId: 7, past }
  bridge.consumerAssign(consumer, [row])
  until(() => {
    if (rig.fill(consumer, []) === 0) return false
    rig.setState(SLOT_FILTERING)
    filter.process(0, { matcher }, () => undefined)
    filter.flush()
    return runs.at(-1)?.coverTo === END
  })
  const ids = lines.flatMap((line) => /"_id":"([^"]+)"/.exec(line)?.[1] ?? [])
  return { ids, runs, past: bridge.consumerPast(consumer, 7) }
}

test('records of a new log met the documents of those that were cut off', async (t) => {
  const mock = await electedLog(t)
  // Offsets 3 and 4 were read of the old leader, and indexed as 0a1b2c3d-t-0-3 and -4.
  const epoch = 0
  const first = readFrom(t, mock, 0, { epoch, readTo: 5, markFrom: -1 })
  assert.deepEqual(first.ids.slice(0, 3), ['0a1b2c3d-t-0-0', '0a1b2c3d-t-0-1', '0a1b2c3d-t-0-2'])
  const marked = [3, 4, 5].map((offset) => `0a1b2c3d-@1-t-0-${offset}`)
  assert.deepEqual(first.ids.slice(3), marked)
  assert.deepEqual(first.past, { epoch: epoch + 1, readTo: END, markFrom: 1 })
  // Whoever reads them again, after a restart or in another process, gives the same ids.
  assert.deepEqual(readFrom(t, mock, 4, first.past).ids, marked.slice(1))
  assert.deepEqual(readFrom(t, mock, 1, first.past).ids, first.ids.slice(1))
})

test('a clean election leaves ids as they are', async (t) => {
  const mock = await electedLog(t)
  const plain = [0, 1, 2, 3, 4, 5].map((offset) => `0a1b2c3d-t-0-${offset}`)
  for (const past of [NO_PAST, { epoch: 0, readTo: 3, markFrom: -1 }]) {
    const read = readFrom(t, mock, 0, past)
    assert.deepEqual(read.ids, plain)
    assert.deepEqual(
      read.runs.map(({ markEpoch }) => markEpoch).filter((one) => one >= 0),
      [],
    )
    assert.equal(read.past.markFrom, -1)
  }
})
