/** kill -9 of the control plane, of a worker and of its child: nothing accepted is lost. */
import assert from 'node:assert/strict'
import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { createInterface } from 'node:readline'
import { test, type TestContext } from 'node:test'

/** The long form kills fifty times: LOGPIPE_TEST_KILLS=50. */
const KILLS = Number(process.env['LOGPIPE_TEST_KILLS'] ?? 6)
const module = (file: string) => JSON.stringify(path.resolve(file))

function temporaryFolder(t: TestContext): string {
  const folder = mkdtempSync(path.join(tmpdir(), 'logpipe-chaos-'))
  t.after(() => rmSync(folder, { recursive: true, force: true }))
  return folder
}

function startScript(t: TestContext, script: string): ChildProcess {
  const child = spawn(process.execPath, ['--input-type=module', '-e', script], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  t.after(() => child.kill('SIGKILL'))
  return child
}

async function killed(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return
  const exited = once(child, 'exit')
  child.kill('SIGKILL')
  await exited
}

/** A control plane in a process of its own. */
async function startControlProcess(t: TestContext, folder: string, port = 0) {
  const child = startScript(
    t,
    `const { startControl } = await import(${module('src/control/control.ts')})
    const { OPTION_FIELDS } = await import(${module('src/control/option-fields.ts')})
    const { systemClock } = await import(${module('src/core/clock.ts')})
    const control = await startControl(
      { host: '127.0.0.1', port: ${port}, databasePath: ${JSON.stringify(`${folder}/control.db`)},
        allowedHosts: [] },
      { clock: systemClock, lockFile: () => () => undefined, options: OPTION_FIELDS,
        assets: new Map(), version: '0.0.0', fetch, log: (_, line) => console.error(line) })
    console.log(control.address.port)`,
  )
  assert.ok(child.stdout !== null)
  const [line] = (await once(createInterface({ input: child.stdout }), 'line')) as [string]
  return { child, port: Number(line), url: `http://127.0.0.1:${line}` }
}

function startSyncProcess(t: TestContext, folder: string, url: string, workerId: string) {
  const settings = {
    controlPlaneUrl: url,
    workerId,
    pollMs: 200,
    dataFolder: folder,
    drainMs: 5000,
    version: '0.0.0',
    command: [process.execPath, path.resolve('test/sync/fake-child.mjs')],
    environment: {},
  }
  return startScript(
    t,
    `const { startSync } = await import(${module('src/sync/sync.ts')})
    const { spawnChild } = await import(${module('src/sync/child.ts')})
    const { systemProcesses } = await import(${module('src/sync/processes.ts')})
    const { systemClock } = await import(${module('src/core/clock.ts')})
    await startSync(${JSON.stringify(settings)}, {
      clock: systemClock, lockFile: () => () => undefined, fetch, spawn: spawnChild,
      processes: systemProcesses, log: () => undefined })`,
  )
}

async function call(url: string, method: string, body?: unknown) {
  const answer = await fetch(url, {
    method,
    ...(body === undefined
      ? {}
      : { body: JSON.stringify(body), headers: { 'content-type': 'application/json' } }),
  })
  assert.ok(answer.ok, `${method} ${url}: ${answer.status}`)
  return JSON.parse(await answer.text())
}

test('kill -9 of the control plane loses no change that it accepted', async (t) => {
  const folder = temporaryFolder(t)
  const accepted = new Map<number, string>()
  let killCount = 0
  for (; killCount < KILLS; killCount++) {
    const { child, url } = await startControlProcess(t, folder)
    const page = await call(`${url}/api/pipelines?limit=500`, 'GET')
    const found = new Map<number, string>(
      page.items.map((item: { id: number; match_pattern: string }) => [
        item.id,
        item.match_pattern,
      ]),
    )
    for (const [id, pattern] of accepted) assert.equal(found.get(id), pattern, `pipeline ${id}`)
    const timer = setTimeout(() => child.kill('SIGKILL'), 20 + Math.random() * 200)
    try {
      for (let index = 0; index < 100; index++) {
        const name = `k${killCount}-${index}`
        const made = await call(`${url}/api/pipelines`, 'POST', { name, match_pattern: 'A' })
        accepted.set(made.id, 'A')
        const changed = { name, match_pattern: `B${index}` }
        // While a change is under way, either is right.
        accepted.delete(made.id)
        await call(`${url}/api/pipelines/${made.id}`, 'PUT', changed)
        accepted.set(made.id, changed.match_pattern)
      }
    } catch {
      // It was killed, as it should be.
    }
    clearTimeout(timer)
    await killed(child)
  }
  assert.ok(accepted.size > 0)
})

test('kill -9 of a worker and its child gives the pipeline to another within 20 s', async (t) => {
  const folder = temporaryFolder(t)
  const { url } = await startControlProcess(t, folder)
  const workers = new Map(
    ['w1', 'w2'].map((id) => [id, startSyncProcess(t, folder, url, id)] as const),
  )
  await call(`${url}/api/pipelines`, 'POST', { name: 'x', enabled: true })
  const runner = async (not?: string) => {
    for (;;) {
      const { items } = await call(`${url}/api/workers`, 'GET')
      const found = items.find(
        (worker: { id: string; state: string }) => worker.state === 'running' && worker.id !== not,
      )
      if (found !== undefined) return found as { id: string; pid: number }
      await new Promise((resolve) => setTimeout(resolve, 50))
    }
  }
  const first = await runner()
  const atMs = performance.now()
  workers.get(first.id)?.kill('SIGKILL')
  process.kill(first.pid, 'SIGKILL')
  const second = await runner(first.id)
  assert.ok(performance.now() - atMs < 20_000)
  const notes = readFileSync(path.join(folder, second.id, '1', 'notes'), 'utf8')
  assert.match(notes, /^start/)
  process.kill(second.pid, 'SIGTERM')
})
