/** The schedule of faults: what holds for every seed. */
import fc from 'fast-check'
import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  KINDS,
  kindsFor,
  laneName,
  leastOf,
  makeSchedule,
  occupiedMs,
  type Fault,
  type ScheduleOptions,
} from './schedule.ts'

const anyOptions: fc.Arbitrary<ScheduleOptions> = fc.record({
  seed: fc.nat(),
  faults: fc.integer({ min: 40, max: 300 }),
  minutes: fc.constant(30),
  members: fc.integer({ min: 3, max: 5 }),
  joiners: fc.integer({ min: 1, max: 2 }),
  indices: fc.integer({ min: 2, max: 4 }),
  brokers: fc.constantFrom(1, 3),
})

test('a schedule has as many faults as asked for, of each kind its least', () => {
  fc.assert(
    fc.property(anyOptions, (options) => {
      const schedule = makeSchedule(options)
      assert.equal(schedule.length, options.faults)
      for (const kind of kindsFor(options.brokers)) {
        const count = schedule.filter((fault) => fault.kind === kind).length
        assert.ok(count >= leastOf(kind, options.faults), `${kind}: ${count}`)
      }
    }),
    { numRuns: 50 },
  )
})

test('two hundred faults hold what a long run promises', () => {
  const schedule = makeSchedule({
    seed: 1,
    faults: 200,
    minutes: 25,
    members: 4,
    joiners: 1,
    indices: 4,
    brokers: 3,
  })
  const count = (kind: Fault['kind']) => schedule.filter((fault) => fault.kind === kind).length
  assert.ok(count('SIGSTOP of logpipe') >= 5)
  assert.ok(count('Elasticsearch killed') >= 10)
  assert.ok(count('broker killed') >= 8)
  assert.ok(count('partition without a leader') >= 2)
  assert.ok(count('unclean election') >= 2)
  assert.ok(count('SIGKILL of logpipe') >= 30)
})

test('faults come in order, end in time, and never meet on one lane', () => {
  fc.assert(
    fc.property(anyOptions, (options) => {
      const schedule = makeSchedule(options)
      const freeAtMs = new Map<string, number>()
      let beforeMs = 0
      for (const fault of schedule) {
        assert.ok(fault.atMs >= beforeMs)
        beforeMs = fault.atMs
        const endMs = fault.atMs + occupiedMs(fault)
        assert.ok(endMs <= options.minutes * 60_000)
        if (KINDS[fault.kind].resource === 'answers') continue
        const lane = laneName(fault)
        assert.ok(fault.atMs >= (freeAtMs.get(lane) ?? 0), `${fault.kind} on ${lane}`)
        freeAtMs.set(lane, endMs)
      }
    }),
    { numRuns: 50 },
  )
})

test('a seed gives its schedule again, and another seed another', () => {
  fc.assert(
    fc.property(anyOptions, (options) => {
      const schedule = makeSchedule(options)
      assert.deepEqual(makeSchedule(options), schedule)
      assert.notDeepEqual(makeSchedule({ ...options, seed: options.seed + 1 }), schedule)
    }),
    { numRuns: 20 },
  )
})
