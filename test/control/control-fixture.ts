/** A control plane without a socket: an application, its parts, and a clock that stands still. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import type { TestContext } from 'node:test'
import type { AccessRules } from '../../src/control/access.ts'
import { isLoopback } from '../../src/control/peer.ts'
import { createApp, type Assets } from '../../src/control/app.ts'
import type { ControlContext } from '../../src/control/control-context.ts'
import { openDatabase, type LockFile } from '../../src/control/database.ts'
import type { Fetch } from '../../src/control/es-collector.ts'
import { contextOf } from '../../src/control/wiring.ts'
import { ManualClock } from '../../src/core/clock.ts'
import { SAMPLE_OPTIONS } from './sample-options.ts'

export const SEED_PIPELINE = {
  name: 'topic-test-to-es',
  kafka_brokers: '127.0.0.1:29092',
  kafka_topic: 'test',
  kafka_group_id: 'rust-main-g1',
  es_url: 'http://localhost:9200',
  es_index: 'app-json-generic',
  es_pipeline: 'parse_message_json_generic',
  match_pattern: 'ERROR',
  enabled: true,
}

/** A lock within this process, which is enough for one test. */
export function memoryLock(): LockFile {
  const held = new Set<string>()
  return (file) => {
    if (held.has(file)) return undefined
    held.add(file)
    return () => held.delete(file)
  }
}

export function temporaryFolder(t: TestContext): string {
  const folder = mkdtempSync(path.join(tmpdir(), 'logpipe-control-'))
  t.after(() => rmSync(folder, { recursive: true, force: true }))
  return folder
}

// Whatever the API answers: a test that reads a wrong field fails by what it finds there.
// oxlint-disable-next-line typescript/no-explicit-any
export type Json = any

export interface Fixture {
  readonly clock: ManualClock
  readonly context: ControlContext
  readonly app: ReturnType<typeof createApp>
  readonly db: ReturnType<typeof openDatabase>['db']
  readonly file: string
  /** Sends a request with a JSON body; the answer's body is parsed. */
  readonly call: (
    method: string,
    path: string,
    body?: unknown,
    headers?: Record<string, string>,
  ) => Promise<{ status: number; body: Json; headers: Headers }>
  readonly beat: (id: string, more?: Record<string, unknown>) => Promise<Json>
  readonly close: () => void
}

export const CONTROL_TOKEN = 'control-token-of-the-test'
export const WORKER_TOKEN = 'worker-token-of-the-test'
const ASSETS: Assets = new Map([
  ['/', { type: 'text/html; charset=utf-8', body: '<!doctype html><title>logpipe</title>' }],
])

const noFetch: Fetch = async (url) => {
  throw new TypeError(`nothing is listening at ${url}`)
}

const throwIt = (error: unknown) => {
  throw error
}

interface FixtureOptions {
  /** Default: what should not have happened fails the test. */
  readonly report?: (error: unknown) => void
  /** A database that is there already. */
  readonly file?: string
  readonly rules?: Partial<AccessRules>
  readonly fetch?: Fetch
  readonly runtimeMetricsPath?: string
  readonly audit?: (line: string) => void
  readonly log?: (line: string) => void
}

export function controlFixture(t: TestContext, more: FixtureOptions = {}): Fixture {
  const at = more.file ?? path.join(temporaryFolder(t), 'control.db')
  const clock = new ManualClock(1_800_000_000_000)
  const database = openDatabase(at, memoryLock())
  t.after(() => database.close())
  const report = more.report ?? throwIt
  const context = contextOf(
    { runtimeMetricsPath: more.runtimeMetricsPath },
    {
      clock,
      options: SAMPLE_OPTIONS,
      fetch: more.fetch ?? noFetch,
      log: (_level, line) => more.log?.(line),
    },
    database,
    report,
  )
  const rules: AccessRules = {
    controlTokens: [CONTROL_TOKEN],
    controlTokenBinds: false,
    workerTokens: [WORKER_TOKEN],
    workerTokenBinds: false,
    allowedHosts: new Set(['control.example']),
    isAsset: (name) => ASSETS.has(name),
    peerOf: (c) => {
      const address = c.req.header('x-test-address') ?? '127.0.0.1'
      return { address, isOwnUser: () => Promise.resolve(isLoopback(address)), isGone: () => false }
    },
    ...more.rules,
  }
  const about = {
    version: '0.0.0',
    program: 'logpipe',
    workerTokenFile: 'data/worker-token',
    workerTokenBinds: rules.workerTokenBinds,
  }
  const audit = more.audit ?? (() => undefined)
  const app = createApp(context, { rules, assets: ASSETS, secure: false, about, audit })
  const call: Fixture['call'] = async (method, route, body, headers = {}) => {
    const answer = await app.request(route, {
      method,
      headers: {
        ...(body === undefined ? {} : { 'content-type': 'application/json' }),
        ...headers,
      },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    })
    const text = await answer.text()
    const isJson = answer.headers.get('content-type')?.includes('json') === true
    return {
      status: answer.status,
      body: isJson ? JSON.parse(text) : text,
      headers: answer.headers,
    }
  }
  const beat: Fixture['beat'] = async (id, more = {}) =>
    (await call('POST', `/api/workers/${id}/heartbeat`, { state: 'idle', ...more })).body
  return {
    clock,
    context,
    app,
    db: database.db,
    file: at,
    call,
    beat,
    close: () => database.close(),
  }
}
