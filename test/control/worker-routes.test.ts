/** Workers over the API: heartbeats, assignments, loss. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { controlFixture, SEED_PIPELINE } from './control-fixture.ts'

test('an idle worker is given a started pipeline, with its variables and secrets', async (t) => {
  const { call, beat } = controlFixture(t)
  assert.equal((await beat('w1')).assignment, null)
  await call('POST', '/api/pipelines', {
    ...SEED_PIPELINE,
    es_username: 'elastic',
    es_password: 'hunter2',
    es_drop_when_full: true,
    kafka_config: { 'client.id': 'me', 'sasl.password': 'hunter3' },
  })
  const { assignment } = await beat('w1')
  assert.equal(assignment.pipeline_id, 1)
  assert.equal(assignment.revision, 1)
  assert.equal(assignment.variables.MATCH_PATTERN, 'ERROR')
  assert.equal(assignment.variables.ES_DROP_WHEN_FULL, '1')
  assert.equal(assignment.variables.KAFKA_CONFIG_CLIENT_ID, 'me')
  assert.deepEqual(assignment.secrets, {
    ES_PASSWORD: 'hunter2',
    KAFKA_CONFIG_SASL_PASSWORD: 'hunter3',
  })
  await beat('w1', { state: 'running', pipeline_id: 1, revision: 1, pid: 42 })
  const workers = (await call('GET', '/api/workers')).body
  assert.equal(workers.items[0].pid, 42)
  assert.doesNotMatch(JSON.stringify(workers), /hunter/)
  assert.equal((await call('GET', '/api/pipelines/1')).body.status.state, 'running')
  await call('POST', '/api/pipelines/1/stop')
  assert.equal((await beat('w1')).assignment, null)
})

test('a worker silent for five polls is lost, and its pipeline goes to another', async (t) => {
  const { call, beat, clock, context } = controlFixture(t)
  await call('POST', '/api/pipelines', SEED_PIPELINE)
  await beat('w1', { poll_ms: 1000 })
  clock.advance(2000)
  assert.equal((await beat('w2', { poll_ms: 1000 })).assignment, null)
  clock.advance(3000)
  context.fleet.tick()
  assert.equal((await beat('w2')).assignment, null, 'w1 was heard five polls ago, not more')
  clock.advance(1)
  context.fleet.tick()
  assert.equal((await beat('w2')).assignment.pipeline_id, 1)
  const [first] = (await call('GET', '/api/workers')).body.items
  assert.equal(first.state, 'lost')
  assert.equal((await beat('w1')).assignment, null, 'it comes back idle')
})

test('an explicit assignment wins, starts the pipeline, and may precede the worker', async (t) => {
  const { call, beat } = controlFixture(t)
  await call('POST', '/api/pipelines', { ...SEED_PIPELINE, enabled: false })
  const body = { pipeline_id: 1, desired_state: 'running' }
  const pinned = await call('PUT', '/api/workers/worker-1/assignment', body)
  assert.equal(pinned.status, 200)
  assert.deepEqual(pinned.body.assignment, { ...body, pinned: true })
  assert.equal((await call('GET', '/api/pipelines/1')).body.enabled, true)
  assert.equal((await call('GET', '/api/pipelines/1')).body.status.state, 'pending')
  assert.equal((await beat('worker-1')).assignment.pipeline_id, 1)
  assert.equal((await beat('worker-2')).assignment, null)
  const stopped = { pipeline_id: 1, desired_state: 'stopped' }
  await call('PUT', '/api/workers/worker-1/assignment', stopped)
  assert.equal((await beat('worker-1')).assignment, null)
  assert.equal((await beat('worker-2')).assignment.pipeline_id, 1, 'the pipeline goes on elsewhere')
  assert.equal((await call('PUT', '/api/workers/w/assignment', { pipeline_id: 9 })).status, 404)
})

test('a restart of the control plane moves nothing', async (t) => {
  const first = controlFixture(t)
  await first.call('POST', '/api/pipelines', SEED_PIPELINE)
  await first.call('POST', '/api/pipelines', { ...SEED_PIPELINE, name: 'two' })
  await first.beat('w2')
  await first.beat('w1')
  const before = await first.beat('w2')
  first.close()
  const second = controlFixture(t, { file: first.file })
  assert.equal((await second.beat('w3')).assignment, null, 'the others may still call')
  assert.equal((await second.beat('w2')).assignment.pipeline_id, before.assignment.pipeline_id)
})

test('a worker that says goodbye is replaced at once', async (t) => {
  const { call, beat } = controlFixture(t)
  await call('POST', '/api/pipelines', SEED_PIPELINE)
  await beat('w1')
  await beat('w2')
  await beat('w1', { state: 'exiting' })
  assert.equal((await beat('w2')).assignment.pipeline_id, 1)
})

test('nobody says goodbye for another of the same name', async (t) => {
  const { call, beat, clock } = controlFixture(t)
  await beat('w1', { instance: 'a' })
  clock.advance(600)
  const foreign = { state: 'exiting', instance: 'b' }
  assert.equal((await call('POST', '/api/workers/w1/heartbeat', foreign)).status, 409)
  await beat('w1', { instance: 'a' })
  await beat('w1', { state: 'exiting', instance: 'a' })
})

test('a worker of the version before or after is understood', async (t) => {
  const { call, beat } = controlFixture(t)
  await call('POST', '/api/pipelines', SEED_PIPELINE)
  // The fields of the first version.
  const before = { state: 'idle', pid: 7, revision: null, metrics: {}, tail: [], dead_letters: 0 }
  const { assignment, commands } = await beat('w1', before)
  assert.equal(assignment.pipeline_id, 1)
  assert.ok(Array.isArray(commands))
  const after = {
    state: 'warming_up',
    pipeline_id: 1,
    revision: 1,
    mood: 'fine',
    metrics: { x: 1 },
  }
  const results = [{ id: 'unknown', ok: true, result: { of: 'another shape' }, took_ms: 5 }]
  assert.equal((await beat('w1', { ...after, results })).assignment.pipeline_id, 1)
  const { status } = (await call('GET', '/api/pipelines/1')).body
  assert.equal(status.workers[0].state, 'warming_up')
})

test('two processes of one name are told apart', async (t) => {
  const { call, clock, beat } = controlFixture(t)
  await beat('w1', { instance: 'a' })
  clock.advance(100)
  const other = await call('POST', '/api/workers/w1/heartbeat', { state: 'idle', instance: 'b' })
  assert.equal(other.status, 409)
  clock.advance(900)
  await beat('w1', { instance: 'a' })
})

test('a heartbeat beyond its bounds is refused', async (t) => {
  const { call } = controlFixture(t)
  const send = async (more: object) =>
    (await call('POST', '/api/workers/w1/heartbeat', { state: 'idle', ...more })).status
  assert.equal(await send({ tail: ['x'.repeat(20_000)] }), 422)
  assert.equal(await send({ tail: Array.from({ length: 201 }, () => 'x') }), 422)
  assert.equal(await send({ metrics: { 'Bad Name': 1 } }), 422)
  assert.equal(await send({ metrics: { a: 'x' } }), 422)
  assert.equal(await send({ poll_ms: 0 }), 422)
  assert.equal((await call('POST', '/api/workers/..%2Fx/heartbeat', { state: 'idle' })).status, 422)
  assert.equal(await send({ tail: 'x'.repeat(5_000_000) }), 413)
})

test('a crash is told with its last lines', async (t) => {
  const { call, beat } = controlFixture(t)
  await call('POST', '/api/pipelines', SEED_PIPELINE)
  await beat('w1')
  const error = { message: 'exit status 1', lines: ['no such topic'] }
  await beat('w1', { state: 'crash_loop', error })
  const { status } = (await call('GET', '/api/pipelines/1')).body
  assert.equal(status.state, 'failed')
  assert.match(status.reason, /w1: exit status 1/)
  assert.deepEqual(status.workers[0].error, error)
  await beat('w1', { state: 'running', pipeline_id: 1, revision: 1, failed_revision: 2, error })
  assert.equal((await call('GET', '/api/pipelines/1')).body.status.state, 'degraded')
})

test('what keeps a pipeline from its work degrades it, everywhere, until it is gone', async (t) => {
  const { call, beat, app } = controlFixture(t)
  await call('POST', '/api/pipelines', SEED_PIPELINE)
  await beat('w1')
  const runs = { state: 'running', pipeline_id: 1, revision: 1, pid: 42 }
  const since = '2026-12-01T00:00:00.000Z'
  const down = {
    kind: 'elasticsearch_down',
    place: null,
    text: 'Elasticsearch is down: <b>\u001B[31mECONNREFUSED',
    since,
  }
  const waits = { kind: 'index_waits', place: 'a', text: 'the index a waits: read-only', since }
  await beat('w1', { ...runs, troubles: [down, waits] })
  const { status } = (await call('GET', '/api/pipelines/1')).body
  const text = 'Elasticsearch is down: <b>\\u001b[31mECONNREFUSED'
  assert.equal(status.state, 'degraded')
  assert.equal(status.reason, `w1: ${text} (and 1 more)`)
  assert.deepEqual(status.reasons, [
    { worker_id: 'w1', ...down, text },
    { worker_id: 'w1', ...waits },
  ])
  const [worker] = (await call('GET', '/api/workers')).body.items
  assert.deepEqual(worker.troubles, [{ ...down, text }, waits])
  const gauge = async () => {
    const scrape = await (await app.request('/metrics')).text()
    return /^pipeline_trouble\{worker="w1",pipeline="1",kind="elasticsearch_down"\} (\d)$/m.exec(
      scrape,
    )?.[1]
  }
  assert.equal(await gauge(), '1')
  await beat('w1', runs)
  const mended = (await call('GET', '/api/pipelines/1')).body.status
  assert.deepEqual([mended.state, mended.reason, mended.reasons], ['running', null, []])
  assert.equal(await gauge(), '0')
})

test('a crash loop keeps its reason while nothing runs', async (t) => {
  const { call, beat } = controlFixture(t)
  await call('POST', '/api/pipelines', SEED_PIPELINE)
  await beat('w1')
  const crash = {
    kind: 'child_crashed',
    place: null,
    text: 'the child ended with status 1',
    since: '2026-12-01T00:00:00.000Z',
  }
  const error = { message: crash.text, lines: [] }
  for (const pipelineId of [null, 1, null]) {
    await beat('w1', { state: 'crash_loop', pipeline_id: pipelineId, error, troubles: [crash] })
    const { status } = (await call('GET', '/api/pipelines/1')).body
    assert.equal(status.state, 'failed')
    assert.deepEqual(status.reasons, [{ worker_id: 'w1', ...crash }])
  }
})

test('of the last words of a worker so much is kept as a fleet has room for', async (t) => {
  const { call, beat } = controlFixture(t)
  const lines = Array.from({ length: 50 }, (_, index) => String(index).padEnd(4096))
  await beat('w1', { state: 'crash_loop', error: { message: 'x', lines } })
  const [worker] = (await call('GET', '/api/workers')).body.items
  assert.deepEqual(worker.error.lines, lines.slice(-4))
})

test('in a full fleet a new worker takes the place of one that has nothing to do', async (t) => {
  const { call, beat, clock } = controlFixture(t)
  await beat('w1')
  await call('POST', '/api/pipelines', { ...SEED_PIPELINE, es_username: 'u', es_password: 'p' })
  assert.equal((await beat('w1')).assignment.pipeline_id, 1)
  await call('POST', '/api/pipelines/1/stop')
  clock.advance(60_000)
  const comes = async (id: string) => {
    const body = { state: 'idle', poll_ms: 60_000 }
    return (await call('POST', `/api/workers/${id}/heartbeat`, body)).status
  }
  for (let index = 1; index < 1000; index++) {
    assert.equal(await comes(`a-${index}`), 200)
    clock.advance(1)
  }
  assert.equal(await comes('b'), 503, 'w1 keeps its place, and all others called just now')
  clock.advance(5000)
  assert.equal(await comes('b'), 200, 'in place of a-1, which is alive and has nothing to do')
  assert.equal((await call('DELETE', '/api/workers/a-1')).status, 404)
  assert.equal((await call('DELETE', '/api/workers/a-2')).status, 409)
  const { leftovers } = await beat('w1', { leftovers: 1 })
  assert.equal(leftovers.secrets.ES_PASSWORD, 'p', 'what it may come back for')
  clock.advance(3_600_001)
  for (let index = 2; index < 1000; index++) assert.equal(await comes(`a-${index}`), 200)
  assert.equal(await comes('b'), 200)
  assert.equal(await comes('c'), 200, 'an hour later it is as good as gone')
  assert.equal((await call('DELETE', '/api/workers/w1')).status, 404)
})

test('a start has the worker check, and what is wrong there is told in words', async (t) => {
  const { call, beat } = controlFixture(t)
  await beat('w1')
  await call('POST', '/api/pipelines', SEED_PIPELINE)
  const checks = async () =>
    (await beat('w1')).commands.filter((command: { kind: string }) => command.kind === 'check')
  const [{ id }] = await checks()
  const output = ['Kafka', '  KAFKA_TOPIC  test', 'WRONG  kafka k:1: no answer', '1 thing is wrong']
  await beat('w1', { results: [{ id, ok: false, result: { status: 1, output } }] })
  const { status } = (await call('GET', '/api/pipelines/1')).body
  assert.equal(status.state, 'starting')
  assert.equal(status.reason, 'check on w1 failed: kafka k:1: no answer')
  assert.deepEqual([status.check.worker_id, status.check.wrong], ['w1', ['kafka k:1: no answer']])
  assert.deepEqual(status.check.result.output, output.slice(2), 'without the configuration')
  const whole = (await call('GET', `/api/commands/${status.check.id}`)).body
  assert.deepEqual(whole.result.output, output)
  assert.deepEqual(await checks(), [])

  await call('PUT', '/api/pipelines/1', { ...SEED_PIPELINE, kafka_brokers: 'k:2' })
  const [again] = await checks()
  await beat('w1', { results: [{ id: again.id, ok: true, result: { status: 0, output: [] } }] })
  assert.equal((await call('GET', '/api/pipelines/1')).body.status.reason, null, 'a new revision')
})

test('a revision that ran well for half a minute is what others go back to', async (t) => {
  const { call, beat, clock } = controlFixture(t)
  const secret = { ...SEED_PIPELINE, es_username: 'u', es_password: 'hunter2' }
  await beat('w1')
  await call('POST', '/api/pipelines', secret)
  const runs = async (revision: number, more: object = {}) =>
    (await beat('w1', { state: 'running', pipeline_id: 1, revision, ...more })).assignment
  const good = async () => (await call('GET', '/api/pipelines/1')).body.good_revision
  for (let second = 0; second < 30; second++) {
    assert.equal((await runs(1)).fallback, null)
    clock.advance(1000)
  }
  assert.equal(await good(), null, 'not yet')
  await runs(1)
  assert.equal(await good(), 1)

  const { body } = await call('GET', '/api/pipelines/1')
  assert.equal((await call('PUT', '/api/pipelines/1', { ...body, match_pattern: 'B' })).status, 200)
  const { revision, variables, fallback } = await runs(1)
  assert.deepEqual([revision, variables.MATCH_PATTERN], [2, 'B'])
  assert.deepEqual([fallback.revision, fallback.variables.MATCH_PATTERN], [1, 'ERROR'])
  assert.deepEqual(fallback.secrets, { ES_PASSWORD: 'hunter2' })
  for (let second = 0; second < 40; second++) {
    await runs(2, { error: { message: 'exit status 1', lines: [] } })
    clock.advance(1000)
  }
  assert.equal(await good(), 1, 'with an error it does not run well')
})

test('a worker vouches for the revision that it was sent just now, and for no other', async (t) => {
  const { call, beat, clock } = controlFixture(t)
  await beat('w1')
  const change = async (match_pattern: string) =>
    await call('PUT', '/api/pipelines/1', { ...SEED_PIPELINE, match_pattern })
  await call('POST', '/api/pipelines', SEED_PIPELINE)
  await change('B')
  await change('C')
  const claims = async (id: string, revision: number) => {
    for (let second = 0; second < 40; second++) {
      await beat(id, { state: 'running', pipeline_id: 1, revision })
      clock.advance(1000)
    }
    return (await call('GET', '/api/pipelines/1')).body.good_revision
  }
  assert.equal(await claims('w1', 2), null, 'an older revision')
  assert.equal(await claims('w1', 9), null, 'one that is not there')
  assert.equal(await claims('w1', 3), 3)
  await change('D')
  await call('PUT', '/api/workers/w1/assignment', { pipeline_id: 1, desired_state: 'stopped' })
  assert.equal(await claims('w1', 4), 3, 'it ran the pipeline once, and shall not now')
})

test('a database that takes nothing keeps no known worker from being heard', async (t) => {
  const reported: unknown[] = []
  const { call, beat, clock, db } = controlFixture(t, { report: (error) => reported.push(error) })
  await beat('w1')
  await call('POST', '/api/pipelines', SEED_PIPELINE)
  db.pragma('query_only = 1')
  for (let second = 0; second < 40; second++) {
    const { assignment } = await beat('w1', { state: 'running', pipeline_id: 1, revision: 1 })
    assert.equal(assignment.pipeline_id, 1)
    clock.advance(1000)
  }
  assert.ok(reported.length > 0, 'what could not be written was told')
  db.pragma('query_only = 0')
})

test('secrets of a spill go only to a worker that was given the pipeline', async (t) => {
  const { call, beat, file, close } = controlFixture(t)
  await beat('w1')
  const secret = { ...SEED_PIPELINE, es_username: 'u', es_password: 'hunter2' }
  await call('POST', '/api/pipelines', secret)
  assert.equal((await beat('w1')).assignment.pipeline_id, 1)
  const stranger = await beat('w2', { leftovers: 1 })
  assert.equal(stranger.leftovers, null)
  assert.doesNotMatch(JSON.stringify(stranger), /hunter/)
  await call('POST', '/api/pipelines/1/stop')
  const leftovers = { pipeline_id: 1, secrets: { ES_PASSWORD: 'hunter2' } }
  assert.deepEqual((await beat('w1', { leftovers: 1 })).leftovers, leftovers)
  close()
  const again = controlFixture(t, { file })
  assert.deepEqual((await again.beat('w1', { leftovers: 1 })).leftovers, leftovers)
  assert.equal((await again.beat('w2', { leftovers: 1 })).leftovers, null)
  await again.call('DELETE', '/api/workers/w1?force=true')
  assert.equal((await again.beat('w1', { leftovers: 1 })).leftovers, null, 'a new one by that id')
})

test('a spill for an address that was left hears the secrets of its own revision', async (t) => {
  const { call, beat } = controlFixture(t)
  await beat('w1')
  const at = (es_url: string, es_password: string) => ({
    ...SEED_PIPELINE,
    es_url,
    es_username: 'u',
    es_password,
  })
  await call('POST', '/api/pipelines', at('http://a:9200', 'first'))
  await call('PUT', '/api/pipelines/1', at('http://a:9200', 'second'))
  const secretOf = async (leftovers_revision: number | null) =>
    (await beat('w1', { leftovers: 1, leftovers_revision })).leftovers.secrets.ES_PASSWORD
  assert.equal(await secretOf(1), 'second', 'a password that was changed at the same address')
  await call('PUT', '/api/pipelines/1', at('http://b:9200', 'third'))
  assert.equal(await secretOf(1), 'first')
  assert.equal(await secretOf(2), 'second')
  assert.equal(await secretOf(3), 'third')
  assert.equal(await secretOf(null), 'third', 'a worker of the version before does not say')
})

test('a worker hears no secrets from before it was given the pipeline', async (t) => {
  const { call, beat, file, close } = controlFixture(t)
  const at = (es_url: string, es_password: string) => ({
    ...SEED_PIPELINE,
    enabled: false,
    es_url,
    es_username: 'u',
    es_password,
  })
  await call('POST', '/api/pipelines', at('http://a:9200', 'first'))
  await call('PUT', '/api/pipelines/1', at('http://b:9200', 'second'))
  await beat('w1')
  await call('POST', '/api/pipelines/1/start')
  assert.equal((await beat('w1')).assignment.secrets.ES_PASSWORD, 'second')
  await call('PUT', '/api/pipelines/1', at('http://c:9200', 'third'))
  const asked = async (through: typeof beat, leftovers_revision: number) =>
    (await through('w1', { leftovers: 1, leftovers_revision })).leftovers?.secrets.ES_PASSWORD
  const all = async (through: typeof beat) => [
    await asked(through, 1),
    await asked(through, 2),
    await asked(through, 3),
  ]
  assert.deepEqual(await all(beat), [undefined, 'second', 'third'])
  close()
  const again = controlFixture(t, { file })
  assert.deepEqual(await all(again.beat), [undefined, 'second', 'third'])
})

test('a worker was given a bounded number of pipelines, the last ones', async (t) => {
  const { call, beat, context, db } = controlFixture(t)
  await beat('w1')
  for (let id = 1; id <= 40; id++) {
    await call('POST', '/api/pipelines', { name: `p${id}`, enabled: false })
    await call('PUT', '/api/workers/w1/assignment', { pipeline_id: id })
  }
  assert.equal(context.fleet.wasGiven('w1', 8), false)
  assert.equal(context.fleet.wasGiven('w1', 9), true)
  assert.deepEqual(db.prepare('SELECT count(*) AS count FROM worker_pipelines').get(), {
    count: 32,
  })
})

const SECRET = 'a-secret-of-a-worker-and-long-enough'
const OTHER_SECRET = 'b-secret-of-a-worker-and-long-enough'

test('an id belongs to the worker that first proved itself by a secret', async (t) => {
  const { call, context, file, close, db } = controlFixture(t)
  const send = async (secret: string | undefined, state = 'idle', through = call) =>
    await through('POST', '/api/workers/w1/heartbeat', { state, pid: 7 }, secretHeader(secret))
  assert.equal((await send(undefined)).status, 200, 'of the version before')
  assert.equal((await send(SECRET)).status, 200, 'it binds')
  for (const secret of [undefined, OTHER_SECRET]) {
    const refused = await send(secret, 'exiting')
    assert.equal(refused.status, 403)
    assert.match(refused.body.detail, /Worker w1 used another secret before.*force=true/)
  }
  assert.equal((await send('short')).status, 422)
  assert.equal(context.fleet.get('w1')?.live, true, 'nobody else signs it off')
  assert.doesNotMatch(JSON.stringify(db.prepare('SELECT * FROM workers').all()), /a-secret/)
  assert.doesNotMatch(JSON.stringify((await call('GET', '/api/workers')).body), /secret/)
  close()
  const again = controlFixture(t, { file })
  assert.equal((await send(OTHER_SECRET, 'idle', again.call)).status, 403)
  assert.equal((await again.call('DELETE', '/api/workers/w1')).status, 409)
  assert.equal((await again.call('DELETE', '/api/workers/w1?force=true')).status, 204)
  assert.equal((await send(OTHER_SECRET, 'idle', again.call)).status, 200)
})

test('two of one id: the second binds nothing while the first is alive', async (t) => {
  const { call } = controlFixture(t)
  const send = async (instance: string, secret?: string) =>
    await call(
      'POST',
      '/api/workers/w1/heartbeat',
      { state: 'idle', instance },
      secretHeader(secret),
    )
  await send('a')
  assert.equal((await send('b', SECRET)).status, 409)
  assert.equal((await send('a')).status, 200)
})

function secretHeader(secret: string | undefined): Record<string, string> {
  return secret === undefined ? {} : { 'logpipe-worker-secret': secret }
}

test('a report about a pipeline of others is ignored, and said once', async (t) => {
  const log: string[] = []
  const { call, beat, context, clock } = controlFixture(t, { log: (line) => log.push(line) })
  await beat('w1')
  await call('POST', '/api/pipelines', SEED_PIPELINE)
  const tail = context.tail.watch(1)
  const lie = { state: 'running', pipeline_id: 1, revision: 1, dead_letters: 9, tail: ['forged'] }
  for (let second = 0; second < 40; second++) {
    await beat('w2', { ...lie, metrics: { polled_total: 1e9 } })
    clock.advance(1000)
    await beat('w1')
  }
  const { body } = await call('GET', '/api/metrics/runtime')
  assert.deepEqual([body.fleet.metrics, body.pipelines], [{}, []])
  assert.equal((await call('GET', '/api/pipelines/1')).body.good_revision, null)
  const taken = tail.take(1)
  clock.advance(1)
  assert.deepEqual(await taken, [])
  assert.deepEqual(context.fleet.running(1), [], 'and holds up no deletion')
  const said = 'worker w2 reports pipeline 1, which it does not run; ignoring its reports'
  assert.deepEqual(log.slice(1), [said], 'behind the audit of the first change')
  for (const id of ['w3', 'w4', 'w5']) await beat(id, lie)
  for (let second = 0; second < 60; second++) {
    clock.advance(1000)
    await beat('w1')
  }
  await beat('w6', lie)
  assert.deepEqual(log.slice(2), [`${said.replace('w2', 'w6')}; 3 more workers since the last`])
})

test('workers come in pages', async (t) => {
  const { call, beat } = controlFixture(t)
  for (const id of ['w10', 'W', 'w2', 'a.b', 'w1']) await beat(id)
  const seen: string[] = []
  for (let from = ''; ;) {
    const { body } = await call('GET', `/api/workers?limit=2${from}`)
    assert.equal(body.total, 5)
    seen.push(...body.items.map(({ id }: { id: string }) => id))
    if (body.next_cursor === null) break
    from = `&cursor=${body.next_cursor}`
  }
  assert.deepEqual(seen, ['W', 'a.b', 'w1', 'w10', 'w2'])
  assert.equal((await call('GET', '/api/workers?limit=501')).status, 422)
})

test('a poll is as long as the option takes, no longer', async (t) => {
  const { call } = controlFixture(t)
  const send = async (poll_ms: number) =>
    (await call('POST', '/api/workers/w1/heartbeat', { state: 'idle', poll_ms })).status
  for (const wrong of [99, 60_001, 600_000]) assert.equal(await send(wrong), 422)
  for (const right of [100, 60_000]) assert.equal(await send(right), 200)
})

test('only a lost worker can be forgotten', async (t) => {
  const { call, beat, clock, context } = controlFixture(t)
  await beat('w1')
  assert.equal((await call('DELETE', '/api/workers/w1')).status, 409)
  clock.advance(60_000)
  assert.equal((await call('DELETE', '/api/workers/w1')).status, 204)
  await beat('w2')
  clock.advance(86_400_001)
  context.fleet.tick()
  assert.equal((await call('GET', '/api/workers')).body.total, 0, 'after a day it goes by itself')
})
