/** The evaluator in the add-on, against the oracle: random expressions on random records. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { loadBridge } from '../../src/bridge/load.ts'
import type { Program } from '../../src/core/expression/ast.ts'
import { planProgram } from '../../src/core/expression/plan.ts'
import { evaluate, type NaiveRecord } from '../helpers/naive-expression.ts'
import { expressions, records } from '../helpers/random-expressions.ts'

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

function verdicts(program: Program, all: readonly NaiveRecord[]): boolean[] {
  const matcher = bridge.matcherOpen({ expression: JSON.stringify(program) })
  try {
    return all.map((one) =>
      bridge.matcherTest(
        matcher,
        one.value,
        one.key,
        slotHeaders(one.headers),
        one.topic,
        one.partition,
        one.offset,
        one.timestampMs,
      ),
    )
  } finally {
    bridge.matcherClose(matcher)
  }
}

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
