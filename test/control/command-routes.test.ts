/** Orders and the live tail over the API. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { CONTROL_TOKEN, controlFixture, SEED_PIPELINE } from './control-fixture.ts'

test('an order goes to the workers of the pipeline and comes back with a result', async (t) => {
  const { call, beat, clock } = controlFixture(t)
  await call('POST', '/api/pipelines', SEED_PIPELINE)
  assert.equal((await call('POST', '/api/pipelines/1/commands', { kind: 'check' })).status, 409)
  const first = await beat('w1')
  assert.equal(first.commands[0].kind, 'check', 'a start has the pipeline checked')
  const results = [{ id: first.commands[0].id, ok: false, result: { failures: ['no topic'] } }]
  await beat('w1', { results })
  const { status } = (await call('GET', '/api/pipelines/1')).body
  assert.deepEqual(status.check.result, { failures: ['no topic'] })
  assert.deepEqual([status.check.state, status.check.wrong], ['failed', ['it failed']])
  const ordered = await call('POST', '/api/pipelines/1/commands', { kind: 'dlq-list', limit: 5 })
  assert.equal(ordered.status, 202)
  const { id } = ordered.body.items[0]
  const { commands } = await beat('w1')
  assert.deepEqual(commands[0].args, { limit: 5 })
  await beat('w1', { results: [{ id, ok: true, result: 'x'.repeat(70_000) }] })
  const large = (await call('GET', `/api/commands/${id}`)).body
  assert.equal(large.state, 'failed')
  assert.match(large.result.message, /too large/)
  const late = await call('POST', '/api/pipelines/1/commands', {
    kind: 'check',
    expires_seconds: 1,
  })
  clock.advance(1000)
  assert.equal((await call('GET', `/api/commands/${late.body.items[0].id}`)).body.state, 'expired')
  assert.equal((await call('GET', '/api/commands/none')).status, 404)
  const evil = await call('POST', '/api/pipelines/1/commands', { kind: 'rm' })
  assert.equal(evil.status, 422)
})

test('a filter is tried by one worker, and changes nothing', async (t) => {
  const { call, beat, clock } = controlFixture(t)
  const audited = async () => {
    const { body } = await call('GET', '/api/pipelines/1/revisions')
    return body.items[0].audit.map(({ what }: { what: string }) => what)
  }
  await call('POST', '/api/pipelines', SEED_PIPELINE)
  const filter = { match_pattern: ['a', 'b'] }
  const alone = await call('POST', '/api/pipelines/1/try', filter)
  assert.equal(alone.status, 409)
  assert.match(alone.body.detail, /^No live worker/)
  const [check] = (await beat('w1')).commands
  await beat('w1', { results: [{ id: check.id, ok: true }] })
  const wrong = await call('POST', '/api/pipelines/1/try', { match_pattern: '', es_url: 'x' })
  assert.equal(wrong.status, 422)
  assert.deepEqual(
    wrong.body.errors.map(({ field }: { field: string }) => field),
    ['match_pattern', 'es_url'],
  )
  const ordered = await call('POST', '/api/pipelines/1/try', filter)
  assert.equal(ordered.status, 202)
  const { commands } = await beat('w1')
  assert.deepEqual(
    commands.map(({ kind, args }: { kind: string; args: object }) => [kind, args]),
    [['try', { variables: { MATCH_PATTERN: 'a\nb' } }]],
  )
  clock.advance(29_999)
  const { id } = ordered.body
  assert.equal((await call('GET', `/api/commands/${id}`)).body.state, 'sent')
  clock.advance(1)
  assert.equal((await call('GET', `/api/commands/${id}`)).body.state, 'expired')
  assert.equal((await call('GET', '/api/pipelines/1')).body.revision, 1)
  assert.deepEqual(await audited(), ['made'], 'it is tried with every few letters')
  assert.equal((await call('POST', '/api/pipelines/2/try', filter)).status, 404)
  await beat('w1')
  const elsewhere = await call('POST', '/api/pipelines/1/try', { kafka_topic: 'other', ...filter })
  assert.equal(elsewhere.status, 202)
  assert.deepEqual(await audited(), ['made', 'tried on other brokers or another topic'])
  const sent = (await beat('w1')).commands[0]?.args
  assert.deepEqual(sent, { variables: { KAFKA_TOPIC: 'other', MATCH_PATTERN: 'a\nb' } })
})

test('the live tail orders matches while somebody watches, and only then', async (t) => {
  const { call, beat, app, clock, context } = controlFixture(t)
  await call('POST', '/api/pipelines', SEED_PIPELINE)
  const running = { state: 'running', pipeline_id: 1, revision: 1 }
  const [check] = (await beat('w1', running)).commands
  await beat('w1', { ...running, results: [{ id: check.id, ok: true, result: {} }] })
  const answer = await app.request('/api/pipelines/1/tail')
  assert.equal(answer.headers.get('content-type'), 'text/event-stream')
  const reader = answer.body?.getReader()
  assert.ok(reader !== undefined)
  const decoder = new TextDecoder()
  const read = async () => decoder.decode((await reader.read()).value)
  assert.match(await read(), /event: open/)
  const { commands } = await beat('w1', running)
  assert.deepEqual(commands[0].args, { seconds: 10 })
  await beat('w1', { ...running, tail: ['{"message":"ERROR 1"}', 'ERROR 2'] })
  const match = await read()
  assert.match(match, /event: match/)
  assert.deepEqual(JSON.parse(match.split('data: ')[1] ?? ''), {
    worker_id: 'w1',
    entries: ['{"message":"ERROR 1"}', 'ERROR 2'],
    dropped: 0,
  })
  clock.advance(5000)
  assert.equal((await beat('w1', running)).commands.length, 2, 'ordered again')
  await reader.cancel()
  clock.advance(20_000)
  assert.equal(context.tail.watcherCount, 0)
  await beat('w1', running)
  assert.equal((await beat('w1', running)).commands.length, 0, 'nobody watches')
})

test('a live tail ends with the token or the sign-in that opened it', async (t) => {
  const elsewhere = { 'x-test-address': '10.0.0.9' }
  const tokens = [CONTROL_TOKEN]
  const { call, beat, app, context } = controlFixture(t, { rules: { controlTokens: tokens } })
  await call('POST', '/api/pipelines', SEED_PIPELINE)
  const running = { state: 'running', pipeline_id: 1, revision: 1 }
  await beat('w1', running)
  const watch = async (headers: Record<string, string>) => {
    const answer = await app.request('/api/pipelines/1/tail', {
      headers: { ...elsewhere, ...headers },
    })
    assert.equal(answer.status, 200)
    return answer.text()
  }
  const signIn = await call('POST', '/api/session', { token: CONTROL_TOKEN }, elsewhere)
  const cookie = { cookie: signIn.headers.get('set-cookie')?.split(';')[0] ?? '' }
  const signedIn = watch(cookie)
  const withToken = watch({ authorization: `Bearer ${CONTROL_TOKEN}` })
  await beat('w1', { ...running, tail: ['seen by both'] })
  await call('DELETE', '/api/session', undefined, { ...elsewhere, ...cookie })
  await beat('w1', { ...running, tail: ['seen by one'] })
  assert.deepEqual(seen(await signedIn), ['seen by both'])
  tokens[0] = 'another-control-token'
  await beat('w1', { ...running, tail: ['seen by nobody'] })
  assert.deepEqual(seen(await withToken), ['seen by both', 'seen by one'])
  assert.equal(context.tail.watcherCount, 0)
})

/** The entries in a stream of events. */
const seen = (text: string) => [...text.matchAll(/seen by \w+/g)].map(([entry]) => entry)

test('whoever asks for the headers of a live tail alone does not watch it', async (t) => {
  const { call, app, context } = controlFixture(t)
  await call('POST', '/api/pipelines', SEED_PIPELINE)
  const answer = await app.request('/api/pipelines/1/tail', { method: 'HEAD' })
  assert.equal(answer.status, 200)
  assert.equal(context.tail.watcherCount, 0)
})

test('a slow watcher loses entries and is told how many', async (t) => {
  const { context } = controlFixture(t)
  const watcher = context.tail.watch(1)
  t.after(() => watcher.close())
  const many = Array.from({ length: 700 }, (_, index) => String(index))
  context.tail.publish(1, 'w1', many)
  const [batch] = await watcher.take(1000)
  assert.equal(batch?.entries.length, 500)
  assert.equal(batch?.droppedCount, 200)
  assert.equal(batch?.entries.at(-1), '699')
  context.tail.publish(
    1,
    'w1',
    Array.from({ length: 200 }, () => 'x'.repeat(16_384)),
  )
  const [large] = await watcher.take(1000)
  assert.deepEqual([large?.entries.length, large?.droppedCount], [64, 136], '1 MiB at most')
})

test('a watcher that reads nothing gives up its place, one that waits keeps it', async (t) => {
  const { context, clock } = controlFixture(t)
  const closed: string[] = []
  const stuck = context.tail.watch(1, () => closed.push('stuck'))
  const waiting = context.tail.watch(1, () => closed.push('waiting'))
  t.after(() => waiting.close())
  const taken = waiting.take(60_000)
  clock.advance(30_000)
  assert.deepEqual(closed, [])
  clock.advance(5000)
  assert.deepEqual(closed, ['stuck'])
  assert.equal(stuck.closed, true)
  assert.equal(context.tail.watcherCount, 1)
  context.tail.publish(1, 'w1', ['x'])
  assert.equal((await taken).length, 1)
})

test('there are at most fifty watchers, and closing ends them', (t) => {
  const { context } = controlFixture(t)
  for (let index = 0; index < 50; index++) context.tail.watch((index % 3) + 1)
  assert.throws(() => context.tail.watch(1), /live tails/)
  context.tail.close()
  assert.equal(context.tail.watcherCount, 0)
})
