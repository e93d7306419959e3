/** What a trial sums up, and which of the last records it looks at. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { loadBridge } from '../../src/bridge/load.ts'
import { filterPlan } from '../../src/options/filter.ts'
import { resolve } from '../../src/options/resolve.ts'
import { documentsBy } from '../../src/run/rule-judge.ts'
import { FilterJudge, lastOf, Trial, type TriedRecord } from '../../src/run/try.ts'

const bridge = loadBridge(undefined)

function recordOf(value: string | null, more: Partial<TriedRecord> = {}): TriedRecord {
  return {
    value: value === null ? null : Buffer.from(value),
    key: null,
    headers: Buffer.alloc(0),
    topic: 't',
    partition: 0,
    offset: 0,
    timestampMs: -1,
    ...more,
  }
}

function trialOf(args: readonly string[], examples = 2) {
  const plan = filterPlan(resolve({ command: 'try', args, env: {} }).config)
  const judge = new FilterJudge(bridge, plan)
  const kept: string[] = []
  const trial = new Trial(judge, documentsBy(null), examples, (_, value) =>
    kept.push(value.toString()),
  )
  return { trial, kept }
}

test('each dropped record has the term that said no', () => {
  const { trial, kept } = trialOf(['--keep', 'a:1 and "x"', '--drop', '"y"', '--drop', 'b:*'])
  for (const value of [
    '{"a":1,"c":"x"}',
    '{"a":2,"c":"x"}',
    '{"a":1}',
    '{"a":1,"c":"xy"}',
    '{"a":1,"b":"x"}',
    'x',
    null,
  ]) {
    trial.add(recordOf(value))
  }
  const result = trial.result()
  assert.deepEqual(result.reasons, [
    { reason: 'a:1 is not met', records: 3 },
    { reason: '"x" is not met', records: 1 },
    { reason: 'dropped by "y"', records: 1 },
    { reason: 'dropped by b:*', records: 1 },
  ])
  assert.deepEqual([result.kept.records, result.dropped.records], [1, 6])
  assert.deepEqual(result.noJson, { seen: 2, kept: 0 })
  assert.deepEqual(kept, ['{"a":1,"c":"x"}'])
  assert.equal(result.perSecond, null)
  assert.equal(result.droppedExamples.length, 2, 'the latest')
  assert.equal(result.droppedExamples[1]?.value, null)
})

test('rates add up over partitions, each by its own timestamps', () => {
  const { trial } = trialOf(['--keep', '"x"'])
  for (let second = 0; second <= 100; second++) {
    trial.add(recordOf(second % 2 === 0 ? 'x' : 'y', { timestampMs: second * 1000 }))
    trial.add(recordOf('xxxx', { partition: 1, timestampMs: 1e9 + second * 100 }))
  }
  const { perSecond, partitions, fromMs, toMs, rejectedUnread } = trial.result()
  assert.equal(partitions, 2)
  assert.deepEqual([fromMs, toMs], [0, 1e9 + 10_000])
  assert.equal(rejectedUnread, 50)
  assert.equal(perSecond?.records, 51 / 100 + 101 / 10)
  assert.equal(perSecond?.bytes, 51 / 100 + 404 / 10)
})

test('a filter that keeps by an or names it whole, and one without a search says so', () => {
  const { trial } = trialOf(['--keep', 'a:1 or @topic:x'])
  trial.add(recordOf('{}'))
  const { reasons, rejectedUnread } = trial.result()
  assert.deepEqual(reasons, [{ reason: 'a:1 or @topic:x is not met', records: 1 }])
  assert.equal(rejectedUnread, null)
})

test('the last so many are divided among the partitions, and add up to so many', () => {
  fc.assert(
    fc.property(
      fc.array(fc.tuple(fc.nat(1000), fc.nat(1000)), { minLength: 1, maxLength: 20 }),
      fc.integer({ min: 1, max: 5000 }),
      (sizes, count) => {
        const ranges = sizes.map(([from, size], partition) => {
          return { topic: 't', partition, from, to: from + size }
        })
        const last = lastOf(ranges, count)
        const total = sizes.reduce((sum, [, size]) => sum + size, 0)
        assert.equal(
          last.reduce((sum, { from, to }) => sum + to - from, 0),
          Math.min(count, total),
        )
        for (const [index, { from, to }] of last.entries()) {
          const whole = ranges[index]!
          assert.ok(to === whole.to && from >= whole.from && from <= to)
        }
      },
    ),
  )
})
