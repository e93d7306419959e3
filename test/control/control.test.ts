/** The control plane on a socket: the curl examples as they are written, start and end. */
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { readFileSync, statSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { test, type TestContext } from 'node:test'
import { promisify } from 'node:util'
import {
  startControl,
  type ControlDependencies,
  type ControlSettings,
} from '../../src/control/control.ts'
import { systemClock } from '../../src/core/clock.ts'
import { LogpipeError } from '../../src/core/errors.ts'
import { memoryLock, temporaryFolder } from './control-fixture.ts'
import { OPTION_FIELDS } from '../../src/control/option-fields.ts'

const run = promisify(execFile)

async function startTestControl(
  t: TestContext,
  more: Partial<ControlSettings> = {},
  lockFile = memoryLock(),
) {
  const lines: string[] = []
  const dependencies: ControlDependencies = {
    clock: systemClock,
    lockFile,
    options: OPTION_FIELDS,
    assets: new Map(),
    version: '0.0.0',
    program: 'logpipe',
    fetch,
    log: (_level, message) => lines.push(message),
  }
  const settings: ControlSettings = {
    host: '127.0.0.1',
    port: 0,
    databasePath: path.join(temporaryFolder(t), 'control.db'),
    controlToken: undefined,
    workerToken: undefined,
    allowedHosts: [],
    tls: undefined,
    runtimeMetricsPath: undefined,
    ...more,
  }
  const control = await startControl(settings, dependencies)
  t.after(() => control.close())
  return { control, settings, lines, url: `http://127.0.0.1:${control.address.port}` }
}

/** The examples of the README; only the port differs. */
const EXAMPLES = String.raw`
curl http://127.0.0.1:8088/health
curl -X POST http://127.0.0.1:8088/api/pipelines \
-H 'Content-Type: application/json' \
-d '{
  "name": "topic-test-to-es",
  "kafka_brokers": "127.0.0.1:29092",
  "kafka_topic": "test",
  "kafka_group_id": "rust-main-g1",
  "es_url": "http://localhost:9200",
  "es_index": "app-json-generic",
  "es_pipeline": "parse_message_json_generic",
  "match_pattern": "ERROR",
  "enabled": true
}'
curl http://127.0.0.1:8088/api/pipelines
curl -X POST http://127.0.0.1:8088/api/pipelines/1/start
curl -X POST http://127.0.0.1:8088/api/pipelines/1/stop
curl http://127.0.0.1:8088/api/metrics/runtime
curl "http://127.0.0.1:8088/api/metrics/runtime/history?seconds=300"
curl "http://127.0.0.1:8088/api/metrics/es?pipeline_id=1"
curl http://127.0.0.1:8088/api/workers
curl -X PUT http://127.0.0.1:8088/api/workers/worker-1/assignment \
-H 'Content-Type: application/json' \
-d '{"pipeline_id": 1, "desired_state": "running"}'
`

test('the curl examples work as they are written', async (t) => {
  const { control } = await startTestControl(t)
  const commands = EXAMPLES.replaceAll(':8088', `:${control.address.port}`)
    .split(/\n(?=curl )/)
    .map((command) => command.trim())
    .filter((command) => command !== '')
  assert.equal(commands.length, 10)
  const answers: Record<string, unknown>[] = []
  for (const command of commands) {
    const { stdout } = await run('bash', [
      '-c',
      command.replace('curl', 'curl -sS --fail-with-body'),
    ])
    answers.push(JSON.parse(stdout) as Record<string, unknown>)
  }
  const [health, made, list, started, stopped, , history, es, workers, assigned] = answers
  assert.equal(health?.['status'], 'ok')
  assert.equal(made?.['id'], 1)
  assert.equal(list?.['total'], 1)
  assert.equal(started?.['desired_state'], 'running')
  assert.equal(stopped?.['enabled'], false)
  assert.equal(history?.['seconds'], 300)
  assert.equal(es?.['es_mem_queue_len'], 0)
  assert.deepEqual(workers?.['items'], [])
  const assignment = { pipeline_id: 1, desired_state: 'running', pinned: true }
  assert.deepEqual(assigned?.['assignment'], assignment)
})

test('tokens are made once, kept private, and told by their place only', async (t) => {
  const { settings, lines, url, control } = await startTestControl(t, { host: '0.0.0.0' })
  const folder = path.dirname(settings.databasePath)
  const files = ['control-token', 'worker-token'].map((name) => path.join(folder, name))
  const tokens = files.map((file) => readFileSync(file, 'utf8').trim())
  for (const file of files) assert.equal(statSync(file).mode & 0o777, 0o600)
  assert.notEqual(tokens[0], tokens[1])
  assert.match(lines.join('\n'), /control-token/)
  assert.ok(!tokens.some((token) => lines.join('\n').includes(token)))
  const answer = await fetch(`${url}/api/pipelines`, {
    headers: { authorization: `Bearer ${tokens[0]}` },
  })
  assert.equal(answer.status, 200)
  await control.close()
  await startTestControl(t, { databasePath: settings.databasePath })
  assert.equal(readFileSync(files[0] ?? '', 'utf8').trim(), tokens[0])
})

test('a second control plane on a database or a port is refused without a trace', async (t) => {
  const lock = memoryLock()
  const first = await startTestControl(t, {}, lock)
  const hasCode = (code: string) => (error: unknown) =>
    error instanceof LogpipeError && error.code === code
  const { databasePath } = first.settings
  await assert.rejects(startTestControl(t, { databasePath }, lock), hasCode('LOCKED'))
  const { port } = first.control.address
  const other = path.join(temporaryFolder(t), 'other.db')
  await assert.rejects(startTestControl(t, { port, databasePath: other }, lock), hasCode('LISTEN'))
  assert.notEqual(lock(`${other}.lock`), undefined, 'the lock was given back')
  const files = { certificate: '/nonexistent', key: '/nonexistent' }
  await assert.rejects(startTestControl(t, { tls: files }), hasCode('LISTEN'))
})

test('closing ends a live tail and keeps the port no longer', async (t) => {
  const { control, url } = await startTestControl(t)
  await fetch(`${url}/api/pipelines`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ name: 'x' }),
  })
  const tail = await fetch(`${url}/api/pipelines/1/tail`)
  assert.equal(tail.status, 200)
  await Promise.all([control.close(), control.close()])
  await assert.rejects(fetch(`${url}/health`))
})

test('over TLS the cookie is for TLS only', async (t) => {
  const folder = temporaryFolder(t)
  const [certificate, key] = [path.join(folder, 'cert.pem'), path.join(folder, 'key.pem')]
  const subject = ['-subj', '/CN=localhost', '-addext', 'subjectAltName=IP:127.0.0.1']
  try {
    await run('openssl', [
      'req',
      '-x509',
      '-newkey',
      'ec',
      '-pkeyopt',
      'ec_paramgen_curve:P-256',
      '-nodes',
      '-days',
      '1',
      '-keyout',
      key,
      '-out',
      certificate,
      ...subject,
    ])
  } catch {
    t.skip('openssl is not installed')
    return
  }
  const token = 'a-token-of-the-operator'
  const { control } = await startTestControl(t, { tls: { certificate, key }, controlToken: token })
  const url = `https://127.0.0.1:${control.address.port}`
  const body = path.join(folder, 'body.json')
  writeFileSync(body, JSON.stringify({ token }))
  const { stdout } = await run('curl', [
    '-sSi',
    '--cacert',
    certificate,
    `${url}/api/session`,
    '-H',
    'content-type: application/json',
    '-d',
    `@${body}`,
  ])
  assert.match(stdout, /204/)
  assert.match(stdout, /set-cookie: .*; Secure/i)
  assert.match(stdout, /strict-transport-security/i)
})
