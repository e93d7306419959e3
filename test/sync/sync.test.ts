/** Sync with real processes: a fake child script, and a real control plane on loopback. */
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { test, type TestContext } from 'node:test'
import { startControl } from '../../src/control/control.ts'
import { OPTION_FIELDS } from '../../src/control/pipeline-fields.ts'
import { systemClock } from '../../src/core/clock.ts'
import { LogpipeError } from '../../src/core/errors.ts'
import { spawnChild } from '../../src/sync/child.ts'
import { systemProcesses } from '../../src/sync/processes.ts'
import { startSync, type SyncDependencies, type SyncSettings } from '../../src/sync/sync.ts'

const FAKE_CHILD = path.resolve('test/sync/fake-child.mjs')
/** Far more than a busy machine needs; a test that waits so long has failed. */
const PATIENCE_MS = 20_000

async function until<T>(what: string, look: () => T | Promise<T>): Promise<NonNullable<T>> {
  const endMs = Date.now() + PATIENCE_MS
  for (;;) {
    const seen = await look()
    if (seen !== undefined && seen !== null && seen !== false && seen !== '') return seen
    assert.ok(Date.now() < endMs, `waited for ${what}`)
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
}

function textOf(file: string): string {
  try {
    return readFileSync(file, 'utf8')
  } catch {
    return ''
  }
}

async function syncFixture(t: TestContext) {
  const folder = mkdtempSync(path.join(tmpdir(), 'logpipe-sync-'))
  t.after(() => rmSync(folder, { recursive: true, force: true }))
  const dependencies = {
    clock: systemClock,
    lockFile: () => () => undefined,
    fetch,
    log: () => undefined,
  }
  const startTestControl = (port = 0) =>
    startControl(
      {
        host: '127.0.0.1',
        port,
        databasePath: path.join(folder, 'control.db'),
        controlToken: undefined,
        workerToken: undefined,
        allowedHosts: [],
        trustedProxies: [],
        tls: undefined,
        runtimeMetricsPath: undefined,
      },
      {
        ...dependencies,
        options: OPTION_FIELDS,
        assets: new Map(),
        version: '0.0.0',
        program: 'logpipe',
      },
    )
  const control = await startTestControl()
  t.after(() => control.close())
  const url = `http://127.0.0.1:${control.address.port}`
  const settings: SyncSettings = {
    controlPlaneUrl: url,
    workerId: 'w1',
    workerToken: undefined,
    pollMs: 100,
    dataFolder: folder,
    drainMs: 5000,
    version: '0.0.0',
    command: [process.execPath, FAKE_CHILD],
    secretHosts: [],
    lettersOf: (home) => path.join(home, 'dead_letters.ndjson'),
    environment: { PATH: process.env['PATH'], WORKER_TOKEN: 'hunter3', KAFKA_TOPIC: 'overridden' },
  }
  const startTestSync = async (
    more: Partial<SyncSettings> = {},
    others: Partial<SyncDependencies> = {},
  ) => {
    const sync = await startSync(
      { ...settings, ...more },
      { ...dependencies, spawn: spawnChild, processes: systemProcesses, ...others },
    )
    t.after(() => sync.close())
    return sync
  }
  const call = async (method: string, route: string, body?: unknown) => {
    const answer = await fetch(url + route, {
      method,
      ...(body === undefined
        ? {}
        : { body: JSON.stringify(body), headers: { 'content-type': 'application/json' } }),
    })
    return JSON.parse(await answer.text())
  }
  const home = path.join(folder, 'w1', '1')
  const notes = () => textOf(path.join(home, 'notes')).trim().split('\n')
  return { folder, home, notes, control, startTestControl, startTestSync, settings, call }
}

const pipeline = { name: 'x', kafka_topic: 'logs', match_pattern: 'ERROR', enabled: true }

test('a pipeline runs on a worker with its options and secrets, then drains', async (t) => {
  const { call, home, notes, startTestSync, folder } = await syncFixture(t)
  await startTestSync()
  await call('POST', '/api/pipelines', { ...pipeline, es_username: 'u', es_password: 'hunter2' })
  const given = JSON.parse(await until('the child', () => textOf(path.join(home, 'given'))))
  assert.deepEqual(given.secrets, { ES_PASSWORD: 'hunter2' })
  assert.deepEqual(given.argv.slice(2), ['run'])
  assert.equal(given.env.KAFKA_TOPIC, 'logs')
  assert.equal(given.env.ES_ENABLED, '1')
  assert.equal(given.env.RUN_SECONDS, '0')
  assert.equal(path.dirname(given.env.ES_SPILL_PATH), home)
  assert.doesNotMatch(JSON.stringify([given.env, given.argv]), /hunter/)
  assert.doesNotMatch(textOf(path.join(folder, 'w1', 'state.json')), /hunter/)
  assert.equal(statSync(path.join(folder, 'w1', 'state.json')).mode & 0o777, 0o600)
  assert.equal(statSync(path.join(folder, 'w1', 'secret')).mode & 0o777, 0o600)
  assert.equal(statSync(home).mode & 0o777, 0o700)
  const running = await until('the state running', async () => {
    const { status } = await call('GET', '/api/pipelines/1')
    return status.state === 'running' && status.check?.state === 'done' ? status : undefined
  })
  assert.equal(running.check.result.output.topic, 'logs')
  const workers = await call('GET', '/api/workers')
  assert.equal(workers.items[0].metrics.polled_total, 5)
  assert.equal(workers.items[0].dead_letters, 2)
  await call('POST', '/api/pipelines/1/stop')
  await until('the drain', () => notes().some((line) => line.startsWith('drained')))
  const stopped = async () => (await call('GET', '/api/pipelines/1')).status.state === 'stopped'
  await until('the state stopped', stopped)
})

test('a worker says what its child counts, and what is down', async (t) => {
  const { call, control, startTestSync } = await syncFixture(t)
  const sync = await startTestSync()
  const nothing = { metrics: {}, troubles: [], logMetrics: [] }
  const idle = { workerId: 'w1', pipelineId: null, ...nothing, books: null }
  assert.deepEqual(await sync.view(), idle)
  await call('POST', '/api/pipelines', pipeline)
  const view = await until('the metrics', async () => {
    const seen = await sync.view()
    return 'polled_total' in seen.metrics ? seen : undefined
  })
  const { books, ...rest } = view
  assert.deepEqual(rest, {
    workerId: 'w1',
    pipelineId: 1,
    metrics: { polled_total: 5, dead_letters: 2 },
    troubles: [],
    logMetrics: [],
  })
  assert.deepEqual([books?.fetched, books?.indexed, books?.pending], [5, 3, 2])
  await until('an answer', () => sync.faults().length === 0)
  await control.close()
  await until('the fault', () => sync.faults()[0] === 'control')
})

test('a worker calls with the token that it was told last', async (t) => {
  const { control, startTestSync } = await syncFixture(t)
  const sync = await startTestSync()
  control.reload({ controlToken: undefined, workerToken: 'the-new-token-of-the-workers' })
  await until('it is refused', () => sync.faults().length > 0)
  sync.useToken('the-new-token-of-the-workers')
  await until('it is heard', () => sync.faults().length === 0)
})

test('what a worker serves itself is not given to its child', async (t) => {
  const { call, home, settings, startTestSync } = await syncFixture(t)
  const environment = { ...settings.environment, METRICS_LISTEN: '127.0.0.1:1' }
  await startTestSync({ environment })
  await call('POST', '/api/pipelines', pipeline)
  const given = JSON.parse(await until('the child', () => textOf(path.join(home, 'given'))))
  assert.equal(given.env.METRICS_LISTEN, undefined)
})

test('the live tail reaches the child and comes back', async (t) => {
  const { call, startTestSync, settings } = await syncFixture(t)
  await startTestSync()
  await call('POST', '/api/pipelines', pipeline)
  const running = async () => (await call('GET', '/api/pipelines/1')).status.state === 'running'
  await until('the state running', running)
  const answer = await fetch(`${settings.controlPlaneUrl}/api/pipelines/1/tail`)
  const reader = answer.body?.getReader()
  assert.ok(reader !== undefined)
  let text = ''
  const decoder = new TextDecoder()
  while (!text.includes('asked tail')) text += decoder.decode((await reader.read()).value)
  await reader.cancel()
})

test('the child runs on while the control plane is away', async (t) => {
  const { call, notes, control, startTestControl, startTestSync } = await syncFixture(t)
  const sync = await startTestSync()
  await call('POST', '/api/pipelines', pipeline)
  await until('the child', () => notes()[0] !== '')
  await control.close()
  await new Promise((resolve) => setTimeout(resolve, 500))
  assert.equal(notes().length, 1)
  const again = await startTestControl(control.address.port)
  t.after(() => again.close())
  await until('the worker', async () => (await call('GET', '/api/workers')).items[0].pid !== null)
  assert.equal(notes().length, 1, 'neither stopped nor started again')
  await sync.close()
  assert.match(notes()[1] ?? '', /^drained/)
})

// Goal: no orphan, and no second child. Method: sync in a process of its own, killed; its child
// hears the end of its stdin; a new sync takes the assignment up with the control plane away.
test('kill -9 of sync leaves no orphan, and a restart takes over', async (t) => {
  const { call, notes, control, settings, startTestSync } = await syncFixture(t)
  const module = (file: string) => JSON.stringify(path.resolve(file))
  const script = `
    const { startSync } = await import(${module('src/sync/sync.ts')})
    const { spawnChild } = await import(${module('src/sync/child.ts')})
    const { systemProcesses } = await import(${module('src/sync/processes.ts')})
    const { systemClock } = await import(${module('src/core/clock.ts')})
    await startSync(${JSON.stringify(settings)}, {
      clock: systemClock, lockFile: () => () => undefined, fetch, spawn: spawnChild,
      processes: systemProcesses, log: () => undefined,
    })`
  const first = spawn(process.execPath, ['--input-type=module', '-e', script], { stdio: 'inherit' })
  t.after(() => first.kill('SIGKILL'))
  await call('POST', '/api/pipelines', pipeline)
  await until('the child', () => notes()[0] !== '')
  const saved = () =>
    textOf(path.join(settings.dataFolder, 'w1', 'state.json')).includes('startTime')
  await until('the saved state', saved)
  await control.close()
  first.kill('SIGKILL')
  await startTestSync()
  await until('a second child', () => notes().length >= 3)
  const [started, ended, again] = notes()
  const pid = started?.split(' ')[1]
  assert.match(ended ?? '', new RegExp(`^(orphaned|drained) ${pid}`))
  assert.match(again ?? '', /^start/)
})

test('a revision that will not run is told with its last lines', async (t) => {
  const { call, startTestSync } = await syncFixture(t)
  await startTestSync()
  await call('POST', '/api/pipelines', { ...pipeline, match_pattern: 'USAGE' })
  const status = await until('the failure', async () => {
    const found = (await call('GET', '/api/pipelines/1')).status
    return found.state === 'failed' ? found : undefined
  })
  assert.match(status.reason, /exited with status 2/)
  assert.deepEqual(status.workers[0].error.lines, ['expected a pattern that works'])
})

test('a program that is not there is an error to be told, not a crash of sync', async (t) => {
  const { call, startTestSync } = await syncFixture(t)
  await startTestSync({ command: ['/nonexistent/logpipe'] })
  await call('POST', '/api/pipelines', pipeline)
  const status = await until('the error', async () => {
    const found = (await call('GET', '/api/pipelines/1')).status
    return found.reason !== null ? found : undefined
  })
  assert.match(status.reason, /cannot start the program/)
})

test('a folder that cannot be made is an error to be told, not a crash of sync', async (t) => {
  const { call, folder, startTestSync } = await syncFixture(t)
  await startTestSync()
  writeFileSync(path.join(folder, 'w1', '1'), 'no folder')
  await call('POST', '/api/pipelines', pipeline)
  const status = await until('the error', async () => {
    const found = (await call('GET', '/api/pipelines/1')).status
    return found.reason !== null ? found : undefined
  })
  assert.match(status.reason, /cannot start the program: cannot use the directory .*w1\/1/)
})

/** A worker's folder as a sync left it that was killed while a pipeline committed on spill. */
function leave(folder: string, pipelineId: number) {
  const leftovers = { desired_state: 'running', pipeline_id: pipelineId, name: 'x', revision: 1 }
  mkdirSync(path.join(folder, 'w1'))
  writeFileSync(
    path.join(folder, 'w1', 'state.json'),
    JSON.stringify({
      assignment: null,
      had_secrets: false,
      child: null,
      leftovers: { ...leftovers, variables: { COMMIT_ON: 'spill' }, secrets: {} },
      leftovers_had_secrets: true,
    }),
  )
}

test('what a pipeline left is sent with its passwords, though another is given', async (t) => {
  const { call, folder, notes, startTestSync } = await syncFixture(t)
  await call('POST', '/api/pipelines', { ...pipeline, enabled: false })
  const other = { ...pipeline, name: 'y', es_username: 'u', es_password: 'hunter2' }
  await call('POST', '/api/pipelines', other)
  await call('POST', '/api/workers/w1/heartbeat', { state: 'idle' })
  await call('POST', '/api/pipelines/2/stop')
  await call('POST', '/api/pipelines/1/start')
  leave(folder, 2)
  await startTestSync()
  await until('the child', () => notes()[0] !== '')
  assert.equal(textOf(path.join(folder, 'w1', '2', 'notes')), 'spill drain hunter2\n')
})

test('what a pipeline left that is forgotten holds nobody up', async (t) => {
  const { call, folder, notes, startTestSync } = await syncFixture(t)
  await call('POST', '/api/pipelines', pipeline)
  leave(folder, 99)
  const log: string[] = []
  await startTestSync({}, { log: (_level, message) => log.push(message) })
  await until('the child', () => notes()[0] !== '')
  assert.match(log.join('\n'), /cannot drain the spill of pipeline 99 in .*w1\/99/)
  assert.equal(textOf(path.join(folder, 'w1', '99', 'notes')), '')
})

test('what is not wanted any more stops, though its successor cannot be taken', async (t) => {
  const { notes, startTestSync } = await syncFixture(t)
  const assignment = {
    pipeline_id: 1,
    revision: 1,
    desired_state: 'running',
    variables: { KAFKA_TOPIC: 'logs' },
    secrets: {},
  }
  let given: unknown = assignment
  const answers = async () => Response.json({ assignment: given, commands: [] })
  await startTestSync({}, { fetch: answers })
  await until('the child', () => notes()[0] !== '')
  given = { ...assignment, revision: 2, variables: { OF_THE_NEXT_VERSION: '1' } }
  await new Promise((resolve) => setTimeout(resolve, 300))
  assert.equal(notes().length, 1, 'its own next revision is no reason to stop')
  given = { ...assignment, pipeline_id: 2, variables: { OF_THE_NEXT_VERSION: '1' } }
  await until('the drain', () => notes()[1]?.startsWith('drained'))
})

test('a second sync of one name on one machine is refused', async (t) => {
  const { startTestSync } = await syncFixture(t)
  await assert.rejects(
    startTestSync({ workerId: '../w1' }),
    (error) => error instanceof LogpipeError && error.code === 'USAGE',
  )
})
