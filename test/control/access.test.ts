/** Who may do what, from where. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { isLoopback } from '../../src/control/peer.ts'
import { CONTROL_TOKEN, controlFixture, SEED_PIPELINE, WORKER_TOKEN } from './control-fixture.ts'

const elsewhere = { 'x-test-address': '10.0.0.9' }
const bearer = (token: string) => ({ authorization: `Bearer ${token}` })
const beat = ['POST', '/api/workers/w1/heartbeat', { state: 'idle' }] as const

test('from elsewhere only what says nothing is open', async (t) => {
  const { call, app } = controlFixture(t)
  for (const open of ['/health', '/ready', '/']) {
    assert.equal((await call('GET', open, undefined, elsewhere)).status, 200, open)
  }
  assert.deepEqual((await call('GET', '/health', undefined, elsewhere)).body, { status: 'ok' })
  // Every route that there is, so that a new one cannot be forgotten.
  const open = new Set(['/health', '/ready', '/api/session'])
  const routes = app.routes.filter(({ method, path }) => method !== 'ALL' && !open.has(path))
  assert.ok(routes.length >= 20)
  for (const [index, { method, path }] of routes.entries()) {
    const url = path.replace(':id', '1')
    const body = method === 'POST' || method === 'PUT' ? {} : undefined
    // Each from an address of its own: many refusals of one are answered with 429.
    const from = { 'x-test-address': `10.0.1.${index}` }
    assert.equal((await call(method, url, body, from)).status, 401, `${method} ${url}`)
  }
})

test('each token opens its own routes and not the other ones', async (t) => {
  const { call } = controlFixture(t)
  const control = { ...elsewhere, ...bearer(CONTROL_TOKEN) }
  const worker = { ...elsewhere, ...bearer(WORKER_TOKEN) }
  assert.equal((await call('GET', '/api/pipelines', undefined, control)).status, 200)
  assert.equal((await call('GET', '/api/pipelines', undefined, worker)).status, 401)
  assert.equal((await call(...beat, worker)).status, 200)
  assert.equal((await call(...beat, control)).status, 401)
  assert.equal((await call('GET', '/api/pipelines', undefined, bearer('wrong'))).status, 401)
})

test('a request is known to be of a person or of a worker, or it is refused', async (t) => {
  const known: string[] = []
  const onKnown = (_context: unknown, kind: string) => void known.push(kind)
  const { call } = controlFixture(t, { rules: { onKnown, controlTokenBinds: true } })
  const bearer = (token: string) => ({ authorization: `Bearer ${token}` })
  const beat = { state: 'idle' }
  await call('GET', '/api/workers', undefined, bearer('wrong'))
  await call('GET', '/health')
  assert.deepEqual(known, [])
  await call('POST', '/api/workers/w1/heartbeat', beat, bearer(WORKER_TOKEN))
  await call('GET', '/api/workers', undefined, bearer(CONTROL_TOKEN))
  assert.deepEqual(known, ['worker', 'control'])
})

test('a token that the operator set binds loopback too', async (t) => {
  const both = controlFixture(t, { rules: { controlTokenBinds: true } })
  assert.equal((await both.call('GET', '/api/pipelines')).status, 401)
  assert.equal((await both.call(...beat)).status, 401)
  assert.equal((await both.call(...beat, bearer(WORKER_TOKEN))).status, 200)
  const worker = controlFixture(t, { rules: { workerTokenBinds: true } })
  assert.equal((await worker.call('GET', '/api/pipelines')).status, 200)
  assert.equal((await worker.call(...beat)).status, 401)
})

test('a request that a proxy passed on is not from loopback', async (t) => {
  const { call } = controlFixture(t)
  const names = ['x-forwarded-for', 'forwarded', 'x-real-ip', 'via', 'cf-ray', 'x-made-up', 'b3']
  for (const name of names) {
    const answer = await call('GET', '/api/pipelines', undefined, { [name]: '127.0.0.1' })
    assert.equal(answer.status, 401, name)
  }
})

test('a process of another user on the same machine needs the token', async (t) => {
  const stranger = {
    address: '127.0.0.1',
    isOwnUser: () => Promise.resolve(false),
    isGone: () => false,
  }
  const { call } = controlFixture(t, { rules: { peerOf: () => stranger } })
  assert.equal((await call('GET', '/api/pipelines')).status, 401)
  assert.equal((await call(...beat)).status, 401)
  assert.deepEqual((await call('GET', '/api/session')).body, {
    signed_in: false,
    token_needed: true,
  })
  const right = bearer(CONTROL_TOKEN)
  assert.equal((await call('GET', '/api/pipelines', undefined, right)).status, 200)
})

test('while a token is exchanged the new one and the old one are right', async (t) => {
  const rules = { controlTokens: ['the-new-control-token', CONTROL_TOKEN] }
  const { call } = controlFixture(t, { rules })
  for (const token of rules.controlTokens) {
    const headers = { ...elsewhere, ...bearer(token) }
    assert.equal((await call('GET', '/api/pipelines', undefined, headers)).status, 200)
  }
})

test('loopback is loopback in every spelling', () => {
  for (const yes of ['127.0.0.1', '127.8.9.1', '::1', '::ffff:127.0.0.1']) {
    assert.ok(isLoopback(yes), yes)
  }
  for (const no of [
    '10.0.0.1',
    '127.0.0.1.evil',
    '::2',
    '0.0.0.0',
    '',
    'unknown',
    '::ffff:10.0.0.1',
  ]) {
    assert.ok(!isLoopback(no), no)
  }
})

test('a name that points at us is refused unless the operator named it', async (t) => {
  const { call } = controlFixture(t)
  const status = async (host: string) => (await call('GET', `http://${host}/api/pipelines`)).status
  assert.equal(await status('evil.example'), 403)
  assert.equal(await status('127.0.0.1.evil.example:8088'), 403)
  for (const host of ['localhost:8088', '127.0.0.1:8088', '[::1]:8088']) {
    assert.equal(await status(host), 200, host)
  }
  for (const named of ['control.example', '10.0.0.1:8088']) {
    assert.equal(await status(named), 401, `${named}: known, but no loopback name`)
  }
})

test('a page of another origin changes nothing and reads nothing', async (t) => {
  const { call, context } = controlFixture(t)
  const url = 'http://127.0.0.1:8088/api/pipelines'
  const foreign: Record<string, string>[] = [
    { origin: 'http://evil.example' },
    { origin: 'http://127.0.0.1:9999' },
    { origin: 'null' },
    { 'sec-fetch-site': 'cross-site' },
    { 'sec-fetch-site': 'same-site' },
  ]
  for (const headers of foreign) {
    assert.equal((await call('POST', url, { name: 'x' }, headers)).status, 403)
    assert.equal((await call('GET', url, undefined, headers)).status, 403)
  }
  assert.equal(context.pipelines.count(), 0)
  const own = { origin: 'http://127.0.0.1:8088', 'sec-fetch-site': 'same-origin' }
  assert.equal((await call('POST', url, { name: 'x' }, own)).status, 201)
  const form = { 'content-type': 'application/x-www-form-urlencoded' }
  assert.equal((await call('POST', `${url}/1/start`, undefined, form)).status, 415)
  assert.equal((await call('POST', `${url}/1/start`)).status, 200)
})

test('a browser signs in for a cookie, and out again', async (t) => {
  const { call, clock } = controlFixture(t)
  const before = await call('GET', '/api/session', undefined, elsewhere)
  assert.deepEqual(before.body, { signed_in: false, token_needed: true })
  assert.equal((await call('POST', '/api/session', { token: 'no' }, elsewhere)).status, 401)
  const signIn = await call('POST', '/api/session', { token: CONTROL_TOKEN }, elsewhere)
  assert.equal(signIn.status, 204)
  const set = signIn.headers.get('set-cookie') ?? ''
  assert.match(set, /HttpOnly/)
  assert.match(set, /SameSite=Strict/)
  assert.doesNotMatch(set, new RegExp(CONTROL_TOKEN))
  const cookie = { ...elsewhere, cookie: set.split(';')[0] ?? '' }
  assert.equal((await call('GET', '/api/pipelines', undefined, cookie)).status, 200)
  assert.equal((await call(...beat, cookie)).status, 401, 'a cookie is no worker')
  const foreign = { ...cookie, origin: 'http://evil.example' }
  assert.equal((await call('POST', '/api/pipelines', { name: 'x' }, foreign)).status, 403)
  assert.equal((await call('DELETE', '/api/session', undefined, cookie)).status, 204)
  assert.equal((await call('GET', '/api/pipelines', undefined, cookie)).status, 401)
  const again = await call('POST', '/api/session', { token: CONTROL_TOKEN }, elsewhere)
  const second = { ...elsewhere, cookie: again.headers.get('set-cookie')?.split(';')[0] ?? '' }
  clock.advance(12 * 3_600_000)
  assert.equal((await call('GET', '/api/pipelines', undefined, second)).status, 401, 'it ends')
})

test('every refusal counts against its address, the same wrong token again, too', async (t) => {
  const lines: string[] = []
  const { call, clock } = controlFixture(t, { audit: (line) => lines.push(line) })
  const guess = (token: string) =>
    call('GET', '/api/pipelines', undefined, { ...elsewhere, ...bearer(token) })
  for (let index = 0; index < 20; index++) {
    assert.equal((await guess(`guess-${index % 2}`)).status, 401)
  }
  const blocked = await guess('guess-1')
  assert.equal(blocked.status, 429)
  assert.equal(blocked.headers.get('retry-after'), '60')
  assert.equal((await call('POST', '/api/session', { token: 'x' }, elsewhere)).status, 429)
  clock.advance(60_000)
  assert.equal((await guess('guess-1')).status, 401)
  assert.equal(lines.length, 2, 'a line a minute')
  assert.match(lines[0] ?? '', /10\.0\.0\.9/)
  assert.doesNotMatch(lines.join(), /guess/)
})

test('a right token is let in from an address that is locked', async (t) => {
  const { call } = controlFixture(t)
  const status = async (token: string) => {
    const headers = { ...elsewhere, ...bearer(token) }
    return (await call('POST', '/api/workers/w1/heartbeat', { state: 'idle' }, headers)).status
  }
  for (let index = 0; index < 50; index++) await status('an old token')
  assert.equal(await status('an old token'), 429)
  assert.equal(await status(WORKER_TOKEN), 200)
  const signIn = await call('POST', '/api/session', { token: CONTROL_TOKEN }, elsewhere)
  assert.equal(signIn.status, 204)
})

test('a sign-in of more than 4 KiB is not read', async (t) => {
  const { call } = controlFixture(t)
  const answer = await call('POST', '/api/session', { token: 'x'.repeat(5000) }, elsewhere)
  assert.equal(answer.status, 413)
})

test('a body that breaks off is the fault of who sent it, and tells the log nothing', async (t) => {
  const { app } = controlFixture(t)
  const body = new ReadableStream({
    start: (stream) => stream.error(Object.assign(new Error('aborted'), { code: 'ECONNRESET' })),
  })
  const headers = { ...elsewhere, 'content-type': 'application/json' }
  const request = { method: 'POST', headers, body, duplex: 'half' } as const
  assert.equal((await app.request('/api/session', request)).status, 400)
})

test('every answer says what a browser may do with it', async (t) => {
  const { call } = controlFixture(t)
  for (const [path, headers] of [
    ['/', {}],
    ['/api/pipelines', {}],
    ['/api/nothing', {}],
    ['/api/pipelines', elsewhere],
  ] as const) {
    const answer = await call('GET', path, undefined, headers)
    const policy = answer.headers.get('content-security-policy') ?? ''
    assert.match(policy, /default-src 'none'/)
    assert.doesNotMatch(policy, /unsafe/)
    assert.equal(answer.headers.get('x-content-type-options'), 'nosniff')
    assert.equal(answer.headers.get('access-control-allow-origin'), null)
  }
})

test('every change says who made it, in the log and beside the revision', async (t) => {
  const lines: string[] = []
  const { call } = controlFixture(t, { log: (line) => lines.push(line) })
  const control = { ...elsewhere, ...bearer(CONTROL_TOKEN) }
  await call('POST', '/api/pipelines', { ...SEED_PIPELINE, enabled: false })
  await call('PUT', '/api/pipelines/1', { ...SEED_PIPELINE, es_index: 'other' }, control)
  await call('PUT', '/api/pipelines/1', { nonsense: true }, control)
  await call('GET', '/api/pipelines/1', undefined, control)
  await call('POST', '/api/pipelines/1/stop', undefined, control)
  const token = /^token [0-9a-f]{8} from 10\.0\.0\.9$/
  const { items } = (await call('GET', '/api/pipelines/1/revisions')).body
  const [second, first] = items
  assert.deepEqual(
    first.audit.map(({ who, what }: { who: string; what: string }) => [who, what]),
    [["the server's own user from 127.0.0.1", 'made']],
  )
  assert.deepEqual(
    second.audit.map(({ what }: { what: string }) => what),
    ['changed', 'stopped'],
  )
  assert.match(second.audit[0].who, token)
  assert.doesNotMatch(JSON.stringify(items), new RegExp(CONTROL_TOKEN))
  await call('POST', '/api/session', { token: CONTROL_TOKEN }, elsewhere)
  await call('DELETE', '/api/pipelines/1', undefined, control)
  const audit = lines.filter((line) => line.startsWith('audit: '))
  assert.deepEqual(
    audit.map((line) => line.replace(/^audit: .*?: /, '')),
    [
      'made pipeline 1 (topic-test-to-es), revision 1',
      'changed pipeline 1 (topic-test-to-es), revision 2',
      'stopped pipeline 1 (topic-test-to-es), revision 2',
      'signed in',
      'deleted pipeline 1 (topic-test-to-es), revision 2',
    ],
  )
})

test('signing out again and again, without being signed in, fills no log', async (t) => {
  const lines: string[] = []
  const { call } = controlFixture(t, { log: (line) => lines.push(line) })
  assert.equal((await call('DELETE', '/api/session', undefined, elsewhere)).status, 204)
  assert.equal(lines.length, 0)
  const signIn = await call('POST', '/api/session', { token: CONTROL_TOKEN }, elsewhere)
  const cookie = { ...elsewhere, cookie: signIn.headers.get('set-cookie')?.split(';')[0] ?? '' }
  await call('DELETE', '/api/session', undefined, cookie)
  await call('DELETE', '/api/session', undefined, cookie)
  assert.deepEqual(
    lines.map((line) => line.replace(/^audit: .*?: /, '')),
    ['signed in', 'signed out'],
  )
})
