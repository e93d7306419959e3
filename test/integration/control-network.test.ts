/**
 * Goal: from another machine, only what is meant to be open answers without a token. Method: the
 * other machine is a network namespace, joined by a pair of virtual interfaces; curl in there asks
 * for every route of the API's own description, and for what is open.
 */
import assert from 'node:assert/strict'
import { execFileSync, spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import path from 'node:path'
import { test, type TestContext } from 'node:test'
import { startProgram, temporaryFolder, until } from '../helpers/program.ts'

interface Neighbour {
  /** Of its namespace. */
  readonly name: string
  /** Our address, as the neighbour sees it. */
  readonly here: string
}

let neighbourCount = 0

const ip = (...args: string[]) => execFileSync('ip', args, { stdio: ['ignore', 'pipe', 'pipe'] })

/** The namespace's name, or why there can be none. It goes with the test. */
function makeNeighbour(t: TestContext): Neighbour | { readonly why: string } {
  if (spawnSync('ip', ['-V']).status !== 0) return { why: 'no ip: apt-get install -y iproute2' }
  if (process.getuid?.() !== 0) return { why: 'only root makes network namespaces' }
  const id = `${process.pid}-${++neighbourCount}`
  const [name, near, far] = [`logpipe-${id}`, `lpa${id}`, `lpb${id}`]
  // From 198.18.0.0/15, kept for tests of networks (RFC 2544).
  const subnet = `198.18.${(process.pid + neighbourCount) % 256}`
  const here = `${subnet}.1`
  try {
    ip('netns', 'add', name)
    t.after(() => ip('netns', 'delete', name))
    ip('link', 'add', near, 'type', 'veth', 'peer', 'name', far, 'netns', name)
    ip('address', 'add', `${here}/24`, 'dev', near)
    ip('link', 'set', near, 'up')
    ip('-n', name, 'address', 'add', `${subnet}.2/24`, 'dev', far)
    ip('-n', name, 'link', 'set', far, 'up')
    return { name, here }
  } catch (error) {
    const { stderr = '' } = error as { stderr?: Buffer }
    return { why: `no network namespace here: ${stderr.toString().trim()}` }
  }
}

interface Answer {
  readonly status: number
  readonly body: string
}

function selfSigned(
  folder: string,
  host: string,
): { readonly certificate: string; readonly key: string } {
  const [certificate, key] = [path.join(folder, 'cert.pem'), path.join(folder, 'key.pem')]
  const kind = ['-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes']
  const names = ['-subj', '/CN=logpipe', '-addext', `subjectAltName=IP:${host}`]
  const files = ['-keyout', key, '-out', certificate]
  execFileSync('openssl', ['req', ...kind, '-days', '1', ...names, ...files], { stdio: 'ignore' })
  return { certificate, key }
}

test('a worker on another machine is heard with TLS trust and the token', async (t) => {
  const neighbour = makeNeighbour(t)
  if ('why' in neighbour) {
    t.skip(neighbour.why)
    return
  }
  const folder = temporaryFolder(t)
  const { certificate, key } = selfSigned(folder, neighbour.here)
  const control = startProgram(t, folder, ['control', '--listen', '0.0.0.0:0'], {
    CONTROL_TLS_CERT: certificate,
    CONTROL_TLS_KEY: key,
  })
  const [, port = ''] = await control.heard(/control plane at https:\/\/0\.0\.0\.0:(\d+)/)
  const tokenFile = path.join(folder, 'data', 'worker-token')
  const startWorker = (id: string, env: Record<string, string>) =>
    startProgram(
      t,
      temporaryFolder(t),
      ['sync', '--worker-id', id, '--control-plane-url', `https://${neighbour.here}:${port}`],
      env,
      ['ip', 'netns', 'exec', neighbour.name],
    )
  const trust = { NODE_EXTRA_CA_CERTS: certificate }
  const distrustful = startWorker('w1', { WORKER_TOKEN_FILE: tokenFile })
  await distrustful.heard(/self-signed certificate/)
  const tokenless = startWorker('w2', trust)
  await tokenless.heard(/status 401: .*WORKER_TOKEN/)
  const trusted = startWorker('w3', { ...trust, WORKER_TOKEN_FILE: tokenFile })
  const token = readFileSync(path.join(folder, 'data', 'control-token'), 'utf8').trim()
  const curl = ['-q', '-sS', '--cacert', certificate, '-H', `authorization: Bearer ${token}`]
  await until('the worker', () => {
    const said = execFileSync('curl', [...curl, `https://${neighbour.here}:${port}/api/workers`])
    const { items } = JSON.parse(said.toString()) as { items: { id: string }[] }
    return items.map(({ id }) => id).join() === 'w3'
  })
  trusted.signal('SIGTERM')
  assert.equal(await trusted.ended, 0, trusted.said())
})

test('from another machine only what is open answers without a token', async (t) => {
  const neighbour = makeNeighbour(t)
  if ('why' in neighbour) {
    t.skip(neighbour.why)
    return
  }
  const folder = temporaryFolder(t)
  const control = startProgram(t, folder, ['control', '--listen', '0.0.0.0:0'])
  const [, port = ''] = await control.heard(/control plane at http:\/\/0\.0\.0\.0:(\d+)/)
  const token = (name: string) => readFileSync(path.join(folder, 'data', name), 'utf8').trim()
  const ask = (method: string, route: string, ...headers: string[]): Answer => {
    const body = method === 'POST' || method === 'PUT' ? ['-d', '{}'] : []
    const json = body.length > 0 ? ['-H', 'content-type: application/json'] : []
    const more = headers.flatMap((header) => ['-H', header])
    const args = [
      '-sS',
      '-m',
      '20',
      '-w',
      '\n%{http_code}',
      '-X',
      method,
      ...body,
      ...json,
      ...more,
    ]
    const url = `http://${neighbour.here}:${port}${route}`
    const said = execFileSync('ip', ['netns', 'exec', neighbour.name, 'curl', '-q', ...args, url], {
      encoding: 'utf8',
    })
    const cut = said.lastIndexOf('\n')
    return { status: Number(said.slice(cut + 1)), body: said.slice(0, cut) }
  }

  const described = await fetch(`http://127.0.0.1:${port}/openapi.json`)
  assert.equal(described.status, 200, 'loopback needs no token')
  const { paths } = JSON.parse(await described.text()) as { paths: Record<string, object> }
  const routes = Object.entries(paths).flatMap(([route, methods]) =>
    Object.keys(methods).map(
      (method) => [method.toUpperCase(), route.replace('{id}', '1')] as const,
    ),
  )
  assert.ok(routes.length > 15)
  const open: string[] = []
  for (const [method, route] of [
    ...routes,
    ['GET', '/metrics'],
    ['GET', '/openapi.json'],
  ] as const) {
    const { status, body } = ask(method, route)
    // After many refusals the address hears 429.
    if (status === 401 || status === 429) assert.match(body, /Bearer|token is wrong|missing token/)
    else open.push(`${method} ${route}: ${status} ${body}`)
  }
  assert.deepEqual(open.sort(), [
    'DELETE /api/session: 204 ',
    'GET /api/session: 200 {"signed_in":false,"token_needed":true}',
    'GET /health: 200 {"status":"ok"}',
    'GET /ready: 200 {"status":"ready"}',
    // Signing in is open to whoever has the token; this body holds none.
    `POST /api/session: 422 ${ask('POST', '/api/session').body}`,
  ])
  assert.equal(ask('GET', '/').status, 200, 'the static files')

  // Whoever says that it is near, or was passed on from near, is not.
  for (const lie of ['host: localhost', 'x-forwarded-for: 127.0.0.1', 'forwarded: for=127.0.0.1']) {
    assert.ok([401, 429].includes(ask('GET', '/api/pipelines', lie).status), lie)
  }
  const bearer = (name: string) => `authorization: Bearer ${token(name)}`
  assert.equal(ask('GET', '/api/pipelines', bearer('control-token')).status, 200)
  // By now the address was refused so often that it hears 429; a right token is let in.
  assert.equal(ask('GET', '/api/pipelines', bearer('worker-token')).status, 429)
  const beat = ['POST', '/api/workers/w1/heartbeat'] as const
  assert.equal(ask(...beat, bearer('control-token')).status, 429)
  assert.equal(ask(...beat, bearer('worker-token')).status, 422, 'heard, and found incomplete')
})
