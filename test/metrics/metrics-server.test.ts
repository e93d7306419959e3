/** /metrics, /health and /ready over HTTP on loopback. */
import assert from 'node:assert/strict'
import { test, type TestContext } from 'node:test'
import { openMetricsServer } from '../../src/metrics/metrics-server.ts'

async function served(t: TestContext) {
  const state: { faults: string[] } = { faults: [] }
  const server = await openMetricsServer({
    address: { host: '127.0.0.1', port: 0 },
    metrics: () => Promise.resolve('polled_total 5\n'),
    faults: () => state.faults,
  })
  t.after(() => server.close())
  const call = async (path: string, method = 'GET') => {
    const answer = await fetch(`http://127.0.0.1:${server.port}${path}`, { method })
    return {
      status: answer.status,
      type: answer.headers.get('content-type'),
      text: await answer.text(),
    }
  }
  return { state, server, call }
}

test('metrics come in the form of Prometheus', async (t) => {
  const { call } = await served(t)
  const { status, type, text } = await call('/metrics?name=x')
  assert.deepEqual([status, text], [200, 'polled_total 5\n'])
  assert.match(type ?? '', /^text\/plain; version=0\.0\.4/)
  assert.equal((await call('/metrics', 'HEAD')).text, '')
})

test('ready names what is down, and health stays well', async (t) => {
  const { call, state } = await served(t)
  assert.deepEqual([(await call('/ready')).status, (await call('/health')).status], [200, 200])
  state.faults = ['kafka: away', 'output: red']
  const { status, text } = await call('/ready')
  assert.deepEqual([status, text], [503, 'kafka: away\noutput: red\n'])
  assert.equal((await call('/health')).status, 200)
})

test('words of servers in ready are short, and printable text in one line', async (t) => {
  const { call, state } = await served(t)
  state.faults = ['output: \u001B[2J<b>\n\u202Eready', 'x'.repeat(10_000)]
  const [first, second] = (await call('/ready')).text.split('\n')
  assert.equal(first, 'output: \\u001b[2J<b>\\n\\u202eready')
  assert.equal(second, 'x'.repeat(500))
})

test('anything else is refused', async (t) => {
  const { call } = await served(t)
  assert.equal((await call('/')).status, 404)
  assert.equal((await call('/metrics', 'POST')).status, 405)
})

test('a port in use is LISTEN, in one line', async (t) => {
  const { server } = await served(t)
  const { port } = server
  const again = openMetricsServer({
    address: { host: '127.0.0.1', port },
    metrics: () => Promise.resolve(''),
    faults: () => [],
  })
  const why = 'another process listens there; stop it, or set another address with METRICS_LISTEN'
  const message = `cannot listen on 127.0.0.1:${port}: ${why}`
  await assert.rejects(again, { code: 'LISTEN', message })
})

test('close ends connections that are kept alive, and may be called twice', async (t) => {
  const { server, call } = await served(t)
  await call('/health')
  await server.close()
  await server.close()
  await assert.rejects(call('/health'))
})
