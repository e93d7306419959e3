/** What a worker believes of the control plane's answers, and of its own file. */
import assert from 'node:assert/strict'
import { chownSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { test } from 'node:test'
import { parseOrders } from '../../src/sync/assignment.ts'
import { ControlClient } from '../../src/sync/control-client.ts'
import { Home } from '../../src/sync/home.ts'
import { TailBuffer } from '../../src/sync/sync.ts'
import { LogpipeError } from '../../src/core/errors.ts'

const good = {
  pipeline_id: 1,
  name: 'x',
  revision: 2,
  desired_state: 'running',
  variables: { MATCH_PATTERN: 'ERROR' },
  secrets: { ES_PASSWORD: 'hunter2' },
}
const isControl = (error: unknown) => error instanceof LogpipeError && error.code === 'CONTROL'

test('a control plane that was taken over names no program and no file here', () => {
  assert.equal(parseOrders({ assignment: good, commands: [] }).assignment?.revision, 2)
  const evil: Record<string, unknown>[] = [
    { variables: { LD_PRELOAD: '/tmp/evil.so' } },
    { variables: { BRIDGE_LIB: '/tmp/evil.so' } },
    { secrets: { NODE_OPTIONS: '--import=/tmp/evil.mjs' } },
    { variables: { KAFKA_CONFIG_PLUGIN_LIBRARY_PATHS: '/tmp/evil' } },
    { pipeline_id: '../../etc' },
    { pipeline_id: -1 },
    { variables: { MATCH_PATTERN: 5 } },
    { variables: [] },
  ]
  for (const more of evil) {
    const { assignment, refusal } = parseOrders({ assignment: { ...good, ...more } })
    assert.equal(assignment, null)
    assert.match(refusal ?? '', /refusing the control plane's answer/)
  }
})

test('what another version of the control plane adds does no harm', () => {
  const command = { id: 'a', kind: 'check', pipeline_id: 1, args: {}, expires_at: '2026-01-01' }
  const orders = parseOrders({
    assignment: { ...good, priority: 'high' },
    commands: [{ ...command, urgent: true }, { kind: 'of another shape' }, 5],
    weather: 'fine',
  })
  assert.equal(orders.assignment?.revision, 2)
  assert.equal(orders.refusal, null)
  assert.deepEqual(
    orders.commands.map(({ id }) => id),
    ['a'],
  )
  const unknown = { ...good, variables: { ES_OPTION_OF_THE_NEXT_VERSION: '1' } }
  const refused = parseOrders({ assignment: unknown, commands: [command] })
  assert.match(refused.refusal ?? '', /ES_OPTION_OF_THE_NEXT_VERSION/)
  assert.equal(refused.commands.length, 1, 'orders are heard all the same')
  assert.throws(() => parseOrders('no object'), isControl)
})

test('a fallback is taken under the same rules, and a wrong one is none', () => {
  const fallback = { revision: 1, variables: { MATCH_PATTERN: 'A' }, secrets: {} }
  const taken = parseOrders({ assignment: { ...good, fallback } }).assignment?.fallback
  assert.deepEqual([taken?.pipelineId, taken?.revision], [1, 1])
  const evil = { ...fallback, variables: { LD_PRELOAD: '/tmp/evil.so' } }
  const orders = parseOrders({ assignment: { ...good, fallback: evil } })
  assert.equal(orders.assignment?.revision, 2)
  assert.equal(orders.assignment?.fallback, null)
})

test('a desired state of stopped is nothing to run', () => {
  const assignment = { ...good, desired_state: 'stopped' }
  assert.equal(parseOrders({ assignment, commands: [] }).assignment, null)
  assert.equal(parseOrders({ assignment: null }).assignment, null)
})

test('the saved state has no secret, and a damaged one is nothing', (t) => {
  const folder = mkdtempSync(path.join(tmpdir(), 'logpipe-home-'))
  t.after(() => rmSync(folder, { recursive: true, force: true }))
  const home = new Home(folder, 'w1', () => () => undefined)
  const { assignment } = parseOrders({ assignment: good })
  const child = { pid: 7, startTime: '8' }
  assert.ok(assignment !== null)
  home.save({ assignment, child, leftovers: { assignment, lacksSecrets: false } })
  const file = path.join(folder, 'w1', 'state.json')
  const text = readFileSync(file, 'utf8')
  assert.doesNotMatch(text, /hunter2/)
  assert.deepEqual(home.read(), {
    assignment: { ...assignment, secrets: {} },
    hadSecrets: true,
    child,
    leftovers: { assignment: { ...assignment, secrets: {} }, lacksSecrets: true },
  })
  for (let length = 0; length < text.length; length++) {
    writeFileSync(file, text.slice(0, length))
    const nothing = { assignment: null, hadSecrets: false, child: null }
    assert.deepEqual(home.read(), { ...nothing, leftovers: null })
  }
  writeFileSync(file, JSON.stringify({ ...JSON.parse(text), leftovers: undefined }))
  assert.equal(home.read().assignment?.revision, 2, 'as an older version saved it')
})

test('a saved state, or a folder, that somebody else could have made is refused', (t) => {
  const folder = mkdtempSync(path.join(tmpdir(), 'logpipe-home-'))
  t.after(() => rmSync(folder, { recursive: true, force: true }))
  const home = new Home(folder, 'w1', () => () => undefined)
  const refused = { code: 'SYNC' }
  writeFileSync(path.join(folder, 'elsewhere'), '{}')
  symlinkSync(path.join(folder, 'elsewhere'), path.join(folder, 'w1', 'state.json'))
  assert.throws(() => home.read(), { ...refused, message: /refusing to use .*state\.json: .*link/ })
  if (process.getuid?.() !== 0) return
  chownSync(path.join(folder, 'w1'), 12_345, 12_345)
  const message = /w1 belongs to another user/
  assert.throws(() => new Home(folder, 'w1', assert.fail), { ...refused, message })
})

test('a call that fails says where and why', async () => {
  const client = (answer: Response) =>
    new ControlClient(
      { url: 'http://control:1/', workerId: 'w1', token: () => 't', secret: 's', timeoutMs: 1000 },
      async (url, init) => {
        assert.equal(url, 'http://control:1/api/workers/w1/heartbeat')
        assert.deepEqual(new Headers(init.headers).get('authorization'), 'Bearer t')
        assert.equal(new Headers(init.headers).get('logpipe-worker-secret'), 's')
        assert.equal(init.redirect, 'error')
        return answer
      },
    )
  const { signal } = new AbortController()
  const refused = Response.json({ detail: 'Send the token.' }, { status: 401 })
  await assert.rejects(client(refused).heartbeat({}, signal), /http:\/\/control:1.*401.*the token/)
  const long = Response.json({ detail: 'x'.repeat(100_000) }, { status: 503 })
  const isShort = ({ message }: Error) => message.length < 2000
  await assert.rejects(client(long).heartbeat({}, signal), isShort, 'it goes into the log')
  const large = new Response('x'.repeat(5_000_000))
  await assert.rejects(client(large).heartbeat({}, signal), /at most/)
  const odd = new Response('<html>')
  await assert.rejects(client(odd).heartbeat({}, signal), isControl)
  const deep = `{"commands":[{"args":{"x":${'['.repeat(200_000)}${']'.repeat(200_000)}}}]}`
  for (const answer of [deep, `{"commands":[${'{},'.repeat(1_000_000)}{}]}`]) {
    await assert.rejects(client(new Response(answer)).heartbeat({}, signal), /not JSON in bounds/)
  }
})

test('the tail keeps the newest samples within its bounds, and gives each once', () => {
  const tail = new TailBuffer()
  const entries = Array.from({ length: 300 }, (_, index) => `${index}`)
  tail.accept({ kind: 'tail', entries: [...entries, 5, 'x'.repeat(20_000)] })
  tail.accept({ kind: 'other', entries: ['y'] })
  tail.accept('nonsense')
  const drained = tail.drain()
  assert.equal(drained.length, 200)
  assert.equal(drained.at(-1)?.length, 16_000)
  assert.equal(drained[0], '101')
  assert.deepEqual(tail.drain(), [])
})
