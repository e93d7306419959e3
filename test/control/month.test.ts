import assert from 'node:assert/strict'
import { statSync } from 'node:fs'
import { test } from 'node:test'
import { controlFixture } from './control-fixture.ts'

const STEP_MS = 5 * 60_000
const DAY_STEPS = 86_400_000 / STEP_MS
const PIPELINES = 3
/** Everything that ages has its full length by then: seven days of minutes, a day of the lost. */
const SETTLED_DAY = 10

// Goal: the database does not grow for ever. Method: thirty days on an injected clock in steps of
// five minutes, with heartbeats and a tick in each; a change of a pipeline each hour, and four
// times a day workers with new names, as on Kubernetes. What is measured is the file and its log.
test('over thirty days the database stays as large as it was after ten', async (t) => {
  const { clock, context, call, db, file } = controlFixture(t)
  // Thousands of transactions whose durability is not the question here.
  db.pragma('synchronous = OFF')
  const sizeOf = (name: string) => statSync(name, { throwIfNoEntry: false })?.size ?? 0
  const bytes = () => sizeOf(file) + sizeOf(`${file}-wal`)
  for (let index = 1; index <= PIPELINES; index++) {
    await call('POST', '/api/pipelines', { name: `p${index}`, enabled: true })
  }
  const beat = (step: number, pipelineId: number) => {
    const generation = Math.floor(step / (DAY_STEPS / 4))
    const metrics = { polled_total: step * 1000, kafka_lag: step % 997 }
    const rest = { pid: 1, revision: 1, failedRevision: null, error: null, deadLetters: 0 }
    const more = { pollMs: STEP_MS, instance: null, version: null, troubles: [], logMetrics: [] }
    const heartbeat = { state: 'running', pipelineId, metrics, ...rest, ...more }
    context.fleet.heartbeat(`worker-${generation}-${pipelineId}`, heartbeat)
    context.onHeartbeat(`worker-${generation}-${pipelineId}`, heartbeat, [])
  }
  let settledBytes = 0
  for (let step = 0; step < 30 * DAY_STEPS; step++) {
    if (step === SETTLED_DAY * DAY_STEPS) settledBytes = bytes()
    for (let index = 1; index <= PIPELINES; index++) beat(step, index)
    if (step % (DAY_STEPS / 24) === 0) {
      const changed = { name: 'p1', match_pattern: `ERROR ${step}`.padEnd(1000, '.') }
      assert.equal((await call('PUT', '/api/pipelines/1', changed)).status, 200)
    }
    clock.advance(STEP_MS)
    context.fleet.tick()
    context.history.tick()
  }
  assert.ok(settledBytes > 0)
  assert.ok(bytes() < 1.1 * settledBytes, `${bytes()} bytes after ${settledBytes}`)
  const { body } = await call('GET', '/api/metrics/runtime/history?seconds=604800&pipeline_id=1')
  const ageMs = clock.wallMs() - Date.parse(body.points[0].at)
  assert.ok(ageMs > 6.9 * 86_400_000, 'seven days are still there')
  const workers = await call('GET', '/api/workers')
  assert.ok(workers.body.total <= 6 * PIPELINES, `${workers.body.total} workers are known`)
  assert.equal((await call('GET', '/api/pipelines/1/revisions')).body.items.length, 50)
})
