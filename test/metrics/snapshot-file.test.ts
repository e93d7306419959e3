/** The snapshot file: whole at every moment, and no reason to stop when it cannot be written. */
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import {
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { test, type TestContext } from 'node:test'
import { ManualClock } from '../../src/core/clock.ts'
import { readMetricsSnapshot } from '../../src/core/metrics-snapshot.ts'
import {
  RUNTIME_METRICS,
  type PartitionLag,
  type RuntimeMetrics,
} from '../../src/metrics/runtime-metrics.ts'
import { openSnapshotFile } from '../../src/metrics/snapshot-file.ts'

function setUp(t: TestContext) {
  const folder = mkdtempSync(path.join(tmpdir(), 'snapshot-'))
  t.after(() => rmSync(folder, { recursive: true, force: true }))
  const clock = new ManualClock(Date.UTC(2026, 0, 1))
  const troubles: (string | null)[] = []
  const state: { polled: number; lags: PartitionLag[] } = { polled: 1, lags: [] }
  const file = path.join(folder, 'data', 'runtime.json')
  const nothing = Object.fromEntries(Object.keys(RUNTIME_METRICS).map((name) => [name, null]))
  const read = () =>
    ({ ...nothing, polled_total: state.polled }) as Record<string, number | null> as RuntimeMetrics
  const partitionLags = () => state.lags
  const onTrouble = (it: string | null) => troubles.push(it)
  const options = { path: file, clock, read, partitionLags, onTrouble }
  return { options, clock, file, folder, state, troubles }
}

const parsed = (file: string): unknown => JSON.parse(readFileSync(file, 'utf8'))

test('the file is there at once, each second and at the end, with what is known', async (t) => {
  const { options, clock, file, state } = setUp(t)
  const snapshot = await openSnapshotFile(options)
  assert.deepEqual(parsed(file), { at: '2026-01-01T00:00:00.000Z', polled_total: 1 })
  assert.equal(statSync(file).mode & 0o777, 0o644)
  state.polled = 2
  clock.advance(1000)
  await snapshot.close()
  assert.deepEqual(parsed(file), { at: '2026-01-01T00:00:01.000Z', polled_total: 2 })
  await snapshot.close()
  assert.equal(clock.pendingCount, 0)
  assert.deepEqual(readdirSync(path.dirname(file)), ['runtime.json'])
})

test('a link that waits at the name of its half leads nowhere', async (t) => {
  const { options, file, folder } = setUp(t)
  const other = path.join(folder, 'other')
  writeFileSync(other, 'as it was')
  mkdirSync(path.dirname(file))
  symlinkSync(other, `${file}.${process.pid}.tmp`)
  const snapshot = await openSnapshotFile(options)
  await snapshot.close()
  assert.equal(readFileSync(other, 'utf8'), 'as it was')
  assert.ok(lstatSync(file).isFile())
})

test('what is no file where a snapshot should be is not waited for', async (t) => {
  const { folder } = setUp(t)
  const pipe = path.join(folder, 'pipe')
  assert.equal(spawnSync('mkfifo', [pipe]).status, 0)
  // Whoever opens a pipe to read waits for a writer, and here none comes.
  assert.equal(await readMetricsSnapshot(pipe, Date.now()), undefined)
})

test('how far each partition is behind is there by topic, the worst of very many', async (t) => {
  const { options, file, state } = setUp(t)
  const topic = 't'.repeat(249)
  state.lags = Array.from({ length: 4096 }, (_, partition) => ({
    topic: `${topic.slice(0, -4)}${partition}`,
    partition,
    lagRecords: 4096 - partition,
    lagBytes: 1e15 / 3,
    lagSeconds: partition % 2 === 0 ? 1e9 / 3 : null,
    drainSeconds: 1e9 / 3,
  }))
  await (await openSnapshotFile(options)).close()
  const written = parsed(file) as { kafka_partition_lag: Record<string, Record<string, number>> }
  assert.deepEqual(written.kafka_partition_lag[`${topic.slice(0, -4)}0`], { 0: 4096 })
  assert.equal(Object.keys(written.kafka_partition_lag).length, 200)
  assert.ok(statSync(file).size < 262_144)
})

test('what is wrong is there, and others read it as it was meant', async (t) => {
  const { options, file, clock } = setUp(t)
  const trouble = {
    kind: 'index_waits',
    place: 'a',
    text: 'the index a waits: closed',
    since: new Date(clock.wallMs()).toISOString(),
  }
  const snapshot = await openSnapshotFile({ ...options, troubles: () => [trouble] })
  await snapshot.close()
  const read = await readMetricsSnapshot(file, Date.now())
  assert.deepEqual(read?.troubles, [trouble])
  assert.deepEqual(read?.metrics, { polled_total: 1 })
  const foreign = [trouble, { ...trouble, kind: 'X' }, null, { ...trouble, text: 'a\u0007b' }]
  writeFileSync(file, JSON.stringify({ troubles: foreign }))
  const cleaned = (await readMetricsSnapshot(file, Date.now()))?.troubles.map(({ text }) => text)
  assert.deepEqual(cleaned, [trouble.text, 'a\\u0007b'])
})

test("a topic with the name of an object's prototype is a topic", async (t) => {
  const { options, file, state } = setUp(t)
  const topic = '__proto__'
  const unknown = { lagBytes: null, lagSeconds: null, drainSeconds: null }
  state.lags = [{ topic, partition: 0, lagRecords: 7, ...unknown }]
  const snapshot = await openSnapshotFile(options)
  await snapshot.close()
  const written = parsed(file) as { kafka_partition_lag: object }
  assert.deepEqual(Object.entries(written.kafka_partition_lag), [[topic, { 0: 7 }]])
  assert.equal(Object.keys(Object.prototype).length, 0)
  assert.equal(({} as Record<string, unknown>)[0], undefined)
})

test('a reader that has the old file open keeps it whole: the new one is another', async (t) => {
  const { options, file } = setUp(t)
  const snapshot = await openSnapshotFile(options)
  const before = statSync(file).ino
  await snapshot.close()
  assert.notEqual(statSync(file).ino, before)
})

test('a path that cannot be written is refused at the start', async (t) => {
  const { options, folder } = setUp(t)
  const expected = { code: 'OUTPUT_OPEN', message: /RUNTIME_METRICS_PATH/ }
  await assert.rejects(openSnapshotFile({ ...options, path: folder }), expected)
  assert.deepEqual(
    readdirSync(path.dirname(folder)).filter((name) => name.endsWith('.tmp')),
    [],
  )
})

/** Removes the folder, lets a second pass, and waits for the failure of its write. */
async function breakIt(t: TestContext) {
  const given = setUp(t)
  const snapshot = await openSnapshotFile(given.options)
  rmSync(path.dirname(given.file), { recursive: true })
  given.clock.advance(1000)
  while (given.troubles.length === 0) await new Promise((resolve) => setImmediate(resolve))
  assert.match(given.troubles[0] ?? '', /cannot write .*runtime\.json/)
  return { ...given, snapshot }
}

test('trouble that goes on is told once', async (t) => {
  const { snapshot, troubles } = await breakIt(t)
  await snapshot.close()
  assert.equal(troubles.length, 1)
})

test('the end of a trouble is told, and the file is there again', async (t) => {
  const { snapshot, troubles, file } = await breakIt(t)
  mkdirSync(path.dirname(file))
  await snapshot.close()
  assert.deepEqual(troubles.slice(1), [null])
  assert.deepEqual(parsed(file), { at: '2026-01-01T00:00:01.000Z', polled_total: 1 })
})
