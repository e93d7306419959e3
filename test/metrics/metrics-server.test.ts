/** /metrics, /health and /ready over HTTP on loopback. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { connect } from 'node:net'
import { test, type TestContext } from 'node:test'
import { heldScrapes, openMetricsServer, type Fault } from '../../src/metrics/metrics-server.ts'

async function served(t: TestContext) {
  const state: { faults: Fault[]; scrape: () => Promise<string>; warned: string[] } = {
    faults: [],
    scrape: () => Promise.resolve('polled_total 5\n'),
    warned: [],
  }
  const server = await openMetricsServer({
    address: { host: '127.0.0.1', port: 0 },
    metrics: () => state.scrape(),
    faults: () => state.faults,
    warn: (message) => state.warned.push(message),
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
  state.faults = ['brokers', 'output']
  const { status, text } = await call('/ready')
  assert.deepEqual([status, text], [503, 'kafka: no broker can be reached\noutput: in trouble\n'])
  assert.equal((await call('/health')).status, 200)
})

test('a probe is answered while others hold every connection, asked on or not', async (t) => {
  const { server, call } = await served(t)
  const hold = async (localAddress: string, request: string) => {
    const socket = connect({ port: server.port, host: '127.0.0.1', localAddress })
    t.after(() => socket.destroy())
    socket.on('error', () => undefined)
    await once(socket, 'connect')
    socket.write(request)
  }
  for (let index = 0; index < 200; index++) {
    const request = ['', 'GET /health HTTP/1.1\r\nHost: x\r\n\r\n', 'GET /met'][index % 3] ?? ''
    await hold(`127.0.0.${2 + (index % 4)}`, request)
    if (index % 20 === 19) assert.equal((await call('/health')).status, 200, `${index + 1} held`)
  }
})

test('whoever asks without end has a tenth of the thread', async () => {
  let nowMs = 0
  let count = 0
  const made: (() => void)[] = []
  const scrape = heldScrapes(
    async () => {
      const text = `scrape ${++count}`
      await new Promise<void>((resolve) => made.push(resolve))
      return text
    },
    () => nowMs,
  )
  const both = [scrape(), scrape()]
  nowMs = 100
  made[0]?.()
  const [first, second] = await Promise.all(both)
  assert.deepEqual([String(first), String(second)], ['scrape 1', 'scrape 1'], 'one for both')
  assert.equal(first, second, 'the same bytes: who does not read his answer has none of his own')
  nowMs = 999
  assert.equal(await scrape(), first)
  nowMs = 1000
  const next = scrape()
  made[1]?.()
  assert.equal(String(await next), 'scrape 2')
})

test('why a scrape fails is for the log alone', async (t) => {
  const { call, state } = await served(t)
  state.scrape = () => Promise.reject(new RangeError('words of a server'))
  const { status, text } = await call('/metrics')
  assert.deepEqual([status, text], [500, 'cannot render the metrics; see the log\n'])
  assert.deepEqual(state.warned, ['cannot render the metrics: words of a server'])
  assert.equal((await call('/health')).status, 200)
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
    warn: assert.fail,
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
