/**
 * Question: how long does each route of the control plane take under a full fleet?
 * Load: 1,000 pipelines, 200 workers that call once a second (WORKER_POLL_MS=1000), and each route
 * RATE times a second, all in an open loop: a time counts from when the request was due.
 * Method: `logpipe control` alone on core 0 (taskset), the load on the others; a warm-up is left
 * out. Elasticsearch is a stub that answers at once. What the load itself came late by counts
 * against the server, and is printed. Exits with 1 when a p99 is not below the goal.
 * It takes a minute more than it is told to; lines on stderr say how far it is.
 *
 *   build/node bench/control.ts [seconds]      BENCH_NODE_ARGS="--cpu-prof" profiles the server
 */
import assert from 'node:assert/strict'
import { execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import os from 'node:os'
import path from 'node:path'
import { monitorEventLoopDelay } from 'node:perf_hooks'
import { createInterface } from 'node:readline'
import { messageOf } from '../src/core/errors.ts'
import { RUNTIME_METRICS } from '../src/metrics/runtime-metrics.ts'
import {
  HEARTBEAT,
  pipelineBody,
  routeCalls,
  uncalled,
  type Ask,
  type Call,
} from './control-calls.ts'

const PIPELINES = 1000
const WORKERS = 200
const POLL_MS = 1000
/** Ten dashboards that ask for each thing every two and a half seconds. */
const RATE = 4
const WARM_UP_MS = 10_000
const GOAL_P99_MS = 50
/** What `logpipe check` prints is as long. */
const CHECK_OUTPUT = Array.from({ length: 98 }, (_, index) => `  OPTION_${index}`.padEnd(51, ' x'))
const FAILURE_CHARS = 200
/** An answer that takes longer is none: the others go on, and it is told at the end. */
const ANSWER_MS_MAX = 30_000
const PROGRESS_MS = 10_000

const seconds = Number(process.argv[2] ?? 60)
const times = new Map<string, number[]>()
/** Why requests failed, and how many did. */
const failures = new Map<string, number>()

function say(text: string): void {
  process.stderr.write(`${(performance.now() / 1000).toFixed(0)} s: ${text}\n`)
}

const askAt =
  (url: string): Ask =>
  async (method, route, body) => {
    const answer = await fetch(url + route, {
      method,
      headers: body === undefined ? {} : { 'content-type': 'application/json' },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      signal: AbortSignal.timeout(ANSWER_MS_MAX),
    })
    const text = await answer.text()
    assert.ok(answer.ok, `${method} ${route}: ${answer.status} ${text}`)
    return text.startsWith('{') ? JSON.parse(text) : text
  }

/** The tail never ends: its first event is what is waited for. */
async function askTail(url: string): Promise<void> {
  const controller = new AbortController()
  const signal = AbortSignal.any([controller.signal, AbortSignal.timeout(ANSWER_MS_MAX)])
  const answer = await fetch(url, { signal })
  assert.ok(answer.ok && answer.body !== null)
  await answer.body.getReader().read()
  controller.abort()
}

/** Calls again and again, each at its due time, whatever became of the ones before. */
async function openLoop(
  everyMs: number,
  startMs: number,
  endMs: number,
  call: (turn: number, dueMs: number) => Promise<void>,
): Promise<void> {
  const underWay: Promise<void>[] = []
  for (let turn = 0; startMs + turn * everyMs < endMs; turn++) {
    const dueMs = startMs + turn * everyMs
    // A timer cuts off the part of a millisecond, and would fire before the call is due.
    const waitMs = Math.ceil(dueMs - performance.now())
    // Behind its time, too, it lets the answers come in: else it would only ask, to its end.
    await new Promise((resolve) => {
      if (waitMs > 0) setTimeout(resolve, waitMs)
      else setImmediate(resolve)
    })
    underWay.push(
      call(turn, dueMs).catch((error: unknown) => {
        const why = messageOf(error).slice(0, FAILURE_CHARS)
        failures.set(why, (failures.get(why) ?? 0) + 1)
      }),
    )
  }
  await Promise.all(underWay)
}

interface Span {
  readonly startMs: number
  readonly warmMs: number
  readonly endMs: number
}

/** A timer of the load that comes late counts against the server; it is a millisecond or two. */
function note(name: string, dueMs: number, { warmMs }: Span): void {
  if (dueMs < warmMs) return
  const all = times.get(name) ?? []
  all.push(performance.now() - dueMs)
  times.set(name, all)
}

interface Orders {
  readonly assignment: { readonly pipeline_id: number } | null
  readonly commands: readonly { readonly id: string }[]
}

/** A worker: it runs what it is given, and has a result for every order. */
function startWorker(ask: Ask, index: number, span: Span): Promise<void> {
  const numbers = Object.fromEntries(Object.keys(RUNTIME_METRICS).map((name) => [name, 1000]))
  let pipelineId: number | null = null
  let results: { id: string; ok: true; result: object }[] = []
  const startMs = span.startMs + (index * POLL_MS) / WORKERS
  return openLoop(POLL_MS, startMs, span.endMs, async (turn, dueMs) => {
    const answer = await ask('POST', HEARTBEAT.replace('{id}', `worker-${index}`), {
      state: pipelineId === null ? 'idle' : 'running',
      pid: 1000 + index,
      pipeline_id: pipelineId,
      revision: 1,
      instance: `i${index}`,
      poll_ms: POLL_MS,
      metrics: { ...numbers, polled_total: 1000 * turn },
      results,
    })
    note(`POST ${HEARTBEAT}`, dueMs, span)
    const { assignment, commands } = answer as Orders
    pipelineId = assignment?.pipeline_id ?? null
    results = commands.map(({ id }) => ({ id, ok: true, result: { output: CHECK_OUTPUT } }))
  })
}

/** In milliseconds. */
interface Lateness {
  readonly p99: number
  readonly max: number
}

/** @returns how late the load itself was. */
async function load(url: string, calls: readonly Call[]): Promise<Lateness> {
  const ask = askAt(url)
  const startMs = performance.now()
  const warmMs = startMs + WARM_UP_MS
  const span = { startMs, warmMs, endMs: warmMs + seconds * 1000 }
  const saying = setInterval(() => {
    const count = [...times.values()].reduce((sum, { length }) => sum + length, 0)
    const leftMs = Math.max(0, span.endMs - performance.now())
    say(`${count} answers measured, ${(leftMs / 1000).toFixed(0)} s to go`)
  }, PROGRESS_MS)
  const workers = Array.from({ length: WORKERS }, (_, index) => startWorker(ask, index, span))
  // The workers have their pipelines before anybody asks for them.
  const askMs = startMs + 2 * POLL_MS
  const everyMs = 1000 / RATE
  const people = calls.map(({ method, route, make, before }, index) => {
    const firstMs = askMs + (index * everyMs) / calls.length
    return openLoop(everyMs, firstMs, span.endMs, async (turn, dueMs) => {
      const preparedMs = performance.now()
      await before?.(turn)
      const tookMs = before === undefined ? 0 : performance.now() - preparedMs
      const { path: target, body } = make(turn)
      await (route.endsWith('/tail') ? askTail(url + target) : ask(method, target, body))
      note(`${method} ${route}`, dueMs + tookMs, span)
    })
  })
  const delay = monitorEventLoopDelay({ resolution: 1 })
  setTimeout(() => delay.enable(), WARM_UP_MS)
  await Promise.all([...workers, ...people])
  clearInterval(saying)
  return { p99: delay.percentile(99) / 1e6, max: delay.max / 1e6 }
}

function report(late: Lateness): boolean {
  const at = (sorted: readonly number[], share: number) =>
    sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? 0
  const rows = [...times]
    .map(([name, all]) => ({ name, sorted: all.toSorted((a, b) => a - b) }))
    .toSorted((a, b) => at(b.sorted, 0.99) - at(a.sorted, 0.99))
  process.stdout.write('| route | requests | p50 | p99 | max |\n|---|---|---|---|---|\n')
  for (const { name, sorted } of rows) {
    const cells = [0.5, 0.99, 1].map((share) => `${at(sorted, share).toFixed(1)} ms`)
    process.stdout.write(`| ${name} | ${sorted.length} | ${cells.join(' | ')} |\n`)
  }
  const ownMs = `p99 ${late.p99.toFixed(1)} ms, at most ${late.max.toFixed(1)} ms`
  process.stdout.write(`the load's own event loop came late: ${ownMs}\n`)
  for (const [why, count] of failures) process.stdout.write(`${count} failed: ${why}\n`)
  return failures.size === 0 && rows.every(({ sorted }) => at(sorted, 0.99) < GOAL_P99_MS)
}

async function startServer(folder: string) {
  const node = [path.resolve('build/node'), '--disable-warning=ExperimentalWarning']
  const more = (process.env['BENCH_NODE_ARGS'] ?? '').split(' ').filter((word) => word !== '')
  const args = [path.resolve('src/cli/main.ts'), 'control', '--listen', '127.0.0.1:0']
  const server = spawn('taskset', ['-c', '0', ...node, ...more, ...args], {
    cwd: folder,
    stdio: ['ignore', 'inherit', 'pipe'],
  })
  process.once('exit', () => server.kill('SIGKILL'))
  const listening = Promise.withResolvers<string>()
  // Heard to the end: several lines may come at once, and a full pipe would hold up the server.
  createInterface({ input: server.stderr }).on('line', (line) => {
    const url = /control plane at (http:\S+\d)/.exec(line)?.[1]
    if (url !== undefined) listening.resolve(url)
  })
  server.once('exit', () => listening.reject(new Error('the control plane ended')))
  return { server, url: await listening.promise }
}

const folder = mkdtempSync(path.join(os.tmpdir(), 'logpipe-bench-control-'))
process.once('exit', () => rmSync(folder, { recursive: true, force: true }))
const stub = createServer((_request, response) => void response.end('{}'))
stub.listen(0, '127.0.0.1')
await once(stub, 'listening')
const { server, url } = await startServer(folder)
const fleet = {
  ask: askAt(url),
  pipelines: PIPELINES,
  esUrl: `http://127.0.0.1:${(stub.address() as AddressInfo).port}`,
  token: readFileSync(path.join(folder, 'data/control-token'), 'utf8').trim(),
}
const calls = routeCalls(fleet)
assert.deepEqual(uncalled(await fleet.ask('GET', '/openapi.json'), calls), [])
say(`the control plane answers at ${url}; making ${PIPELINES} pipelines`)
for (let index = 1; index <= PIPELINES; index++) {
  const body = pipelineBody(fleet, `p${index}`, { enabled: index <= WORKERS })
  await fleet.ask('POST', '/api/pipelines', body)
  if (index % 100 === 0) say(`${index} pipelines`)
}
// All of its threads: the server's core is the server's.
const otherCores = `1-${os.availableParallelism() - 1}`
execFileSync('taskset', ['--all-tasks', '-pc', otherCores, String(process.pid)])
process.exitCode = report(await load(url, calls)) ? 0 : 1
server.kill('SIGTERM')
await once(server, 'exit')
stub.close()
