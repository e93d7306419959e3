/**
 * Goal: from another machine, only what the design leaves open answers without a token. Method: the
 * other machine is a network namespace, joined by a pair of virtual interfaces; curl in there asks
 * for every route of the API's own description, and for what is open.
 */
import assert from 'node:assert/strict'
import { execFileSync, spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import path from 'node:path'
import { test, type TestContext } from 'node:test'
import { startProgram, temporaryFolder } from '../helpers/program.ts'

/** From 198.18.0.0/15, kept for tests of networks (RFC 2544); a subnet for each process. */
const SUBNET = `198.18.${process.pid % 256}`
const [HERE, THERE] = [`${SUBNET}.1`, `${SUBNET}.2`]

const ip = (...args: string[]) => execFileSync('ip', args, { stdio: ['ignore', 'pipe', 'pipe'] })

/** The namespace's name, or why there can be none. It goes with the test. */
function makeNeighbour(t: TestContext): { readonly name: string } | { readonly why: string } {
  if (spawnSync('ip', ['-V']).status !== 0) return { why: 'no ip: apt-get install -y iproute2' }
  if (process.getuid?.() !== 0) return { why: 'only root makes network namespaces' }
  const name = `logpipe-${process.pid}`
  const [near, far] = [`lpa${process.pid}`, `lpb${process.pid}`]
  try {
    ip('netns', 'add', name)
    t.after(() => ip('netns', 'delete', name))
    ip('link', 'add', near, 'type', 'veth', 'peer', 'name', far, 'netns', name)
    ip('address', 'add', `${HERE}/24`, 'dev', near)
    ip('link', 'set', near, 'up')
    ip('-n', name, 'address', 'add', `${THERE}/24`, 'dev', far)
    ip('-n', name, 'link', 'set', far, 'up')
    return { name }
  } catch (error) {
    const { stderr = '' } = error as { stderr?: Buffer }
    return { why: `no network namespace here: ${stderr.toString().trim()}` }
  }
}

interface Answer {
  readonly status: number
  readonly body: string
}

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
    const url = `http://${HERE}:${port}${route}`
    const said = execFileSync('ip', ['netns', 'exec', neighbour.name, 'curl', ...args, url], {
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
    if (status === 401) assert.match(body, /Authorization: Bearer|not the token/)
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
    assert.equal(ask('GET', '/api/pipelines', lie).status, 401, lie)
  }
  const bearer = (name: string) => `authorization: Bearer ${token(name)}`
  assert.equal(ask('GET', '/api/pipelines', bearer('control-token')).status, 200)
  assert.equal(ask('GET', '/api/pipelines', bearer('worker-token')).status, 401)
  const beat = ['POST', '/api/workers/w1/heartbeat'] as const
  assert.equal(ask(...beat, bearer('control-token')).status, 401)
  assert.equal(ask(...beat, bearer('worker-token')).status, 422, 'heard, and found incomplete')
})
