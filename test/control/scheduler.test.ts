/** The scheduler: what must hold for any pipelines and workers. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as fc from 'fast-check'
import { schedule, type SchedulerWorker } from '../../src/control/scheduler.ts'

const pipelineIds = fc.uniqueArray(fc.integer({ min: 1, max: 8 }), { maxLength: 8 })
const pipelines = pipelineIds.chain((ids) =>
  fc.tuple(
    ...ids.map((id) =>
      fc.record({
        id: fc.constant(id),
        enabled: fc.boolean(),
        replicas: fc.integer({ min: 1, max: 3 }),
      }),
    ),
  ),
)
const pipelineId = fc.integer({ min: 1, max: 8 })
const workers = fc
  .array(
    fc.record({
      live: fc.boolean(),
      pin: fc.option(fc.record({ pipelineId, run: fc.boolean() })),
      pipelineId: fc.option(pipelineId),
    }),
    { maxLength: 10 },
  )
  .map((list): SchedulerWorker[] => list.map((worker, index) => ({ ...worker, id: `w${index}` })))

test('pins win, nobody works for what is stopped, and no more work than asked', () => {
  fc.assert(
    fc.property(pipelines, workers, (wishes, fleet) => {
      const { assignments } = schedule(wishes, fleet)
      const enabled = new Map(wishes.filter((wish) => wish.enabled).map((w) => [w.id, w.replicas]))
      assert.equal(assignments.size, fleet.length)
      for (const worker of fleet) {
        const given = assignments.get(worker.id) ?? null
        if (given !== null) assert.ok(enabled.has(given))
        if (worker.pin !== null) {
          const runs = worker.pin.run && enabled.has(worker.pin.pipelineId)
          assert.equal(given, runs ? worker.pin.pipelineId : null)
        }
      }
      for (const [id, replicas] of enabled) {
        const has = fleet.filter((worker) => worker.live && assignments.get(worker.id) === id)
        const unpinned = has.filter((worker) => worker.pin === null).length
        const pinned = has.length - unpinned
        assert.ok(unpinned <= Math.max(0, replicas - pinned))
      }
    }),
  )
})

test('nobody stands idle while a pipeline lacks a worker, and every lack is told', () => {
  fc.assert(
    fc.property(pipelines, workers, (wishes, fleet) => {
      const { assignments, shortages } = schedule(wishes, fleet)
      const idle = fleet.filter(
        (worker) => worker.live && worker.pin === null && assignments.get(worker.id) === null,
      )
      for (const { id, enabled, replicas } of wishes) {
        const count = fleet.filter((w) => w.live && assignments.get(w.id) === id).length
        const short = enabled && count < replicas
        assert.equal(shortages.has(id), short)
        if (short) {
          assert.equal(idle.length, 0)
          assert.equal(shortages.get(id)?.runningCount, count)
        }
      }
    }),
  )
})

test('who runs something goes on running it, and a second look changes nothing', () => {
  fc.assert(
    fc.property(pipelines, workers, (wishes, fleet) => {
      const { assignments } = schedule(wishes, fleet)
      const after = fleet.map((worker) => ({
        ...worker,
        pipelineId: worker.pin === null ? (assignments.get(worker.id) ?? null) : worker.pipelineId,
      }))
      assert.deepEqual(schedule(wishes, after).assignments, assignments)
    }),
  )
})

// Goal: no pipeline moves without need. Method: a pipeline and workers come that sort before all.
test('who runs something is not moved by what comes later', () => {
  fc.assert(
    fc.property(pipelines, workers, fc.integer({ min: 0, max: 3 }), (wishes, fleet, newCount) => {
      const { assignments } = schedule(wishes, fleet)
      const after = fleet.map((worker) => ({
        ...worker,
        pipelineId: worker.pin === null ? (assignments.get(worker.id) ?? null) : worker.pipelineId,
      }))
      const newcomers = Array.from({ length: newCount }, (_, index) => ({
        id: `a${index}`,
        live: true,
        pin: null,
        pipelineId: null,
      }))
      const more = [{ id: 0, enabled: true, replicas: 2 }, ...wishes]
      const later = schedule(more, [...newcomers, ...after]).assignments
      for (const worker of fleet.filter(({ live }) => live)) {
        const given = assignments.get(worker.id) ?? null
        if (given !== null) assert.equal(later.get(worker.id), given)
      }
    }),
  )
})

test('every pipeline has its first worker before any has its second', () => {
  fc.assert(
    fc.property(pipelines, fc.integer({ min: 0, max: 10 }), (wishes, liveCount) => {
      const fleet = Array.from({ length: liveCount }, (_, index) => ({
        id: `w${index}`,
        live: true,
        pin: null,
        pipelineId: null,
      }))
      const { assignments } = schedule(wishes, fleet)
      const counts = wishes
        .filter((wish) => wish.enabled)
        .map(({ id, replicas }) => ({
          count: [...assignments.values()].filter((given) => given === id).length,
          replicas,
        }))
      const most = Math.max(0, ...counts.map(({ count }) => count))
      for (const { count, replicas } of counts) assert.ok(count >= Math.min(replicas, most - 1))
    }),
  )
})

test('a lost worker keeps its pipeline only until another can take it', () => {
  const wishes = [{ id: 1, enabled: true, replicas: 1 }]
  const lost = { id: 'a', live: false, pin: null, pipelineId: 1 }
  const alone = schedule(wishes, [lost])
  assert.equal(alone.assignments.get('a'), 1)
  assert.match(alone.shortages.get(1)?.reason ?? '', /lost contact with a/)
  const other = { id: 'b', live: true, pin: null, pipelineId: null }
  const moved = schedule(wishes, [lost, other])
  assert.equal(moved.assignments.get('a'), null)
  assert.equal(moved.assignments.get('b'), 1)
})
