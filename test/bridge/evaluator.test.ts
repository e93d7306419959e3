/** The evaluator in the add-on, against the oracle: random expressions on random records. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { loadBridge } from '../../src/bridge/load.ts'
import type { Judgement } from '../../src/bridge/bridge.ts'
import type { Program } from '../../src/core/expression/ast.ts'
import { planProgram, planSet } from '../../src/core/expression/plan.ts'
import { evaluate, judge, type NaiveRecord } from '../helpers/naive-expression.ts'
import {
  expressionGroups,
  expressions,
  longRecords,
  records,
} from '../helpers/random-expressions.ts'

const bridge = loadBridge(undefined)

/** As a slot has them (pool/layout.ts). */
function slotHeaders(headers: NaiveRecord['headers']): Uint8Array {
  if (headers.length === 0) return new Uint8Array(0)
  const sized = (bytes: Uint8Array | null) => {
    const size = Buffer.alloc(4)
    size.writeInt32LE(bytes?.length ?? -1)
    return [size, bytes ?? new Uint8Array(0)]
  }
  const count = Buffer.alloc(4)
  count.writeInt32LE(headers.length)
  const each = headers.flatMap(([name, value]) => [...sized(Buffer.from(name)), ...sized(value)])
  return Buffer.concat([count, ...each])
}

type Ask = 'matcherTest' | 'matcherJudge'

function answers<A extends Ask>(
  ask: A,
  program: object,
  all: readonly NaiveRecord[],
): ReturnType<(typeof bridge)[A]>[] {
  const matcher = bridge.matcherOpen({ expression: JSON.stringify(program) })
  try {
    return all.map((one) => {
      const place = [one.topic, one.partition, one.offset, one.timestampMs] as const
      const answer: boolean | Judgement = bridge[ask](
        matcher,
        one.value,
        one.key,
        slotHeaders(one.headers),
        ...place,
      )
      return answer as ReturnType<(typeof bridge)[A]>
    })
  } finally {
    bridge.matcherClose(matcher)
  }
}

const verdicts = (program: Program, all: readonly NaiveRecord[]) =>
  answers('matcherTest', program, all)

test('a verdict is the one that the oracle gives', () => {
  fc.assert(
    fc.property(
      expressions(),
      fc.option(expressions()),
      fc.array(records(), { minLength: 1, maxLength: 20 }),
      (keep, drop, all) => {
        const wanted = all.map((one) => evaluate(keep, one) && !(drop && evaluate(drop, one)))
        assert.deepEqual(verdicts({ keep, drop, prefilter: null }, all), wanted)
        assert.deepEqual(verdicts(planProgram(keep, drop).program, all), wanted)
      },
    ),
    { numRuns: Number(process.env['RUNS'] ?? 300) },
  )
})

test('a verdict is the one that the oracle gives of lines of a megabyte', () => {
  fc.assert(
    fc.property(expressions(), longRecords(), (keep, one) => {
      const wanted = [evaluate(keep, one)]
      assert.deepEqual(verdicts({ keep, drop: null, prefilter: null }, [one]), wanted)
      assert.deepEqual(verdicts(planProgram(keep, null).program, [one]), wanted)
    }),
    { numRuns: Number(process.env['RUNS'] ?? 300) / 30 },
  )
})

test('of a set, those alternatives hold that the oracle names', () => {
  fc.assert(
    fc.property(
      expressionGroups(),
      fc.array(records(), { minLength: 1, maxLength: 20 }),
      (groups, all) => {
        const set = planSet(groups)
        const wanted = all.map((one) => judge(groups, one))
        assert.deepEqual(answers('matcherJudge', set, all), wanted)
        const kept = wanted.map(({ hits }) => hits.length > 0)
        assert.deepEqual(answers('matcherTest', set, all), kept)
      },
    ),
    { numRuns: Number(process.env['RUNS'] ?? 100) },
  )
})

test('a thousand alternatives are one set, and one more than the bound is refused', () => {
  const one = (index: number) =>
    ({
      keep: {
        kind: 'bytes',
        hex: Buffer.from(`word-${index};`).toString('hex'),
        ignoreCase: false,
      },
      drop: null,
    }) as const
  const of = Array.from({ length: 1000 }, (_, index) => one(index))
  const record = { key: null, headers: [], topic: 't', partition: 0, offset: 0, timestampMs: -1 }
  const value = Buffer.from('of word-7; and word-999;')
  const set = planSet([
    { all: false, of },
    { all: true, of },
  ])
  const [verdict] = answers('matcherJudge', set, [{ ...record, value }])
  assert.deepEqual(verdict, { hits: [7, 1007, 1999], droppedBy: -1 })
  assert.throws(() => planSet([{ all: false, of: [...of, ...of, one(0)] }]), /2000 expressions/)
})
