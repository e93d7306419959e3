/** A control plane without a socket: an application, its parts, and a clock that stands still. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import type { TestContext } from 'node:test'
import { createApp } from '../../src/control/app.ts'
import { CommandQueue } from '../../src/control/commands.ts'
import type { ControlContext } from '../../src/control/control-context.ts'
import { openDatabase, type LockFile } from '../../src/control/database.ts'
import { Fleet } from '../../src/control/fleet.ts'
import { PipelineFields } from '../../src/control/pipeline-fields.ts'
import { PipelineStore } from '../../src/control/pipeline-store.ts'
import { WorkerStore } from '../../src/control/worker-store.ts'
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

export function controlFixture(t: TestContext, file?: string): Fixture {
  const at = file ?? path.join(temporaryFolder(t), 'control.db')
  const clock = new ManualClock(1_800_000_000_000)
  const database = openDatabase(at, memoryLock())
  t.after(() => database.close())
  const pipelines = new PipelineStore(database.db)
  const context: ControlContext = {
    clock,
    fields: new PipelineFields(SAMPLE_OPTIONS),
    pipelines,
    fleet: new Fleet(pipelines, new WorkerStore(database.db), clock),
    commands: new CommandQueue(clock),
    onHeartbeat: () => undefined,
  }
  const app = createApp(context, [], (error) => {
    throw error
  })
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
    return {
      status: answer.status,
      body: text === '' ? null : JSON.parse(text),
      headers: answer.headers,
    }
  }
  const beat: Fixture['beat'] = async (id, more = {}) =>
    (await call('POST', `/api/workers/${id}/heartbeat`, { state: 'idle', ...more })).body
  return { clock, context, file: at, call, beat, close: () => database.close() }
}
