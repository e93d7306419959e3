/** Batches scanned for a set of alternatives: which hold of each record, and which dropped it. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import type { ConsumerEvent } from '../../../src/bridge/bridge.ts'
import { planSet } from '../../../src/core/expression/plan.ts'
import { SlotReader } from '../../../src/pool/slot-reader.ts'
import { judge, type NaiveRecord } from '../../helpers/naive-expression.ts'
import { expressionGroups, records } from '../../helpers/random-expressions.ts'
import { bridge, openConsumer, openMock, produce, Rig, until } from './rig.ts'

const RECORDS = 300
/** Small, so that a slot takes several scans; one record is larger than its payload. */
const SHAPE = { slotCount: 1, bufferBytes: 512, recordsMax: 16 }

test('a scan tells the alternatives that the oracle names, and who dropped the rest', async (t) => {
  const mock = openMock(t)
  const sample = fc.sample(records(), { numRuns: RECORDS, seed: 7 })
  const given = sample.map((one, offset): NaiveRecord => {
    const isLarge = offset % 50 === 49
    const value = isLarge ? Buffer.from(`{"a":"ERROR${'x'.repeat(600)}"}`) : one.value
    return { ...one, topic: 't', partition: 0, offset, headers: [], timestampMs: 1000, value }
  })
  await produce(
    mock,
    given.map(({ key, value }) => ({
      key: key === null ? null : Buffer.from(key),
      value: value === null ? null : Buffer.from(value),
      timestamp: '1000',
    })),
  )
  const rig = new Rig(t, SHAPE)
  const reader = new SlotReader(rig.memory, SHAPE)
  const consumer = openConsumer(t, mock)

  fc.assert(
    fc.property(expressionGroups(), (groups) => {
      const wanted = given.map((one) => judge(groups, one))
      const matcher = bridge.matcherOpen({ expression: JSON.stringify(planSet(groups)) })
      const found = new Map<number, readonly number[]>()
      const dropped = new Map<number, number>()
      const events: ConsumerEvent[] = []
      let end = 0
      bridge.consumerAssign(consumer, [{ topic: 't', partition: 0, offset: 0, assignmentId: 1 }])
      reader.open(0)
      until(() => {
        if (rig.fill(consumer, events) === 0) return false
        rig.scan(matcher, () => {
          for (let index = 0; index < reader.runCount; index++) {
            const { firstHit, hitCount, coverTo } = reader.run(index)
            for (let hit = firstHit; hit < firstHit + hitCount; hit++) {
              const held = reader.isOversize
                ? bridge.slotOversize(rig.pool, 0).alternatives
                : reader.alternatives(hit)
              found.set(reader.offset(hit), held)
            }
            end = coverTo
          }
          if (!reader.hasDropped) return
          for (const { run, alternative, records: count } of bridge.slotDropped(rig.pool, 0)) {
            assert.ok(run < reader.runCount && count <= reader.run(run).recordCount)
            dropped.set(alternative, (dropped.get(alternative) ?? 0) + count)
          }
        })
        return end === RECORDS
      })
      bridge.consumerUnassign(consumer, [])
      bridge.matcherClose(matcher)
      const hits = wanted.flatMap((one, offset) =>
        one.hits.length > 0 ? [[offset, one.hits] as const] : [],
      )
      assert.deepEqual([...found], hits)
      const counts = new Map<number, number>()
      for (const { droppedBy } of wanted) {
        if (droppedBy !== -1) counts.set(droppedBy, (counts.get(droppedBy) ?? 0) + 1)
      }
      assert.deepEqual(dropped, counts)
    }),
    { numRuns: Number(process.env['RUNS'] ?? 30) },
  )
  bridge.consumerClose(consumer, 10_000)
})
