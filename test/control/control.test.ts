/** The control plane on a socket: tokens, start and end, TLS. */
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync, statSync, writeFileSync } from 'node:fs'
import { connect } from 'node:net'
import path from 'node:path'
import { test } from 'node:test'
import { promisify } from 'node:util'
import { LogpipeError } from '../../src/core/errors.ts'
import { memoryLock, temporaryFolder } from './control-fixture.ts'
import { startTestControl } from './running-control.ts'

const run = promisify(execFile)

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

const OLD = 'an-old-token-of-the-operator'
const NEW = 'the-new-token-of-the-operator'

test('an exchanged token, and who signed in with it, opens nothing any more', async (t) => {
  const { control, url } = await startTestControl(t, { controlToken: `${NEW},${OLD}` })
  const statusOf = async (headers: Readonly<Record<string, string>>) =>
    (await fetch(`${url}/api/pipelines`, { headers })).status
  const bearer = (token: string) => ({ authorization: `Bearer ${token}` })
  const signIn = async (token: string) => {
    const answer = await fetch(`${url}/api/session`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ token }),
    })
    return { cookie: answer.headers.getSetCookie()[0]?.split(';')[0] ?? '' }
  }
  const [oldCookie, newCookie] = [await signIn(OLD), await signIn(NEW)]
  const all = () =>
    Promise.all([bearer(OLD), oldCookie, bearer(NEW), newCookie].map((each) => statusOf(each)))
  assert.deepEqual(await all(), [200, 200, 200, 200])
  const workerToken = undefined
  assert.throws(() => control.reload({ controlToken: 'short', workerToken }), { code: 'USAGE' })
  assert.deepEqual(await all(), [200, 200, 200, 200], 'nothing changed')
  control.reload({ controlToken: NEW, workerToken })
  assert.deepEqual(await all(), [401, 401, 200, 200])
})

test('one address with many connections keeps neither a probe nor a worker out', async (t) => {
  const { control, url } = await startTestControl(t, { workerToken: OLD })
  const heartbeat = async () =>
    await fetch(`${url}/api/workers/w1/heartbeat`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', authorization: `Bearer ${OLD}` },
      body: '{"state":"idle"}',
    })
  for (let index = 1; index <= 600; index++) {
    const socket = connect({ port: control.address.port, host: '127.0.0.1' })
    t.after(() => socket.destroy())
    socket.on('error', () => undefined)
    await once(socket, 'connect')
    // With the workers' token a request is under way, and no more than anybody's.
    const head = 'POST /api/workers/w2/heartbeat HTTP/1.1\r\nHost: x\r\ncontent-length: 9\r\n'
    if (index % 2 === 0) socket.write(`${head}authorization: Bearer ${OLD}\r\n\r\n`)
    if (index % 100 !== 0) continue
    assert.equal((await fetch(`${url}/health`)).status, 200, `${index} held`)
    assert.equal((await heartbeat()).status, 200, `${index} held`)
  }
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
    // A user's .curlrc says nothing here.
    '-q',
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
