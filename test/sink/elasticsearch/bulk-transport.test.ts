/** The transport, over real HTTP on loopback. */
import assert from 'node:assert/strict'
import { test, type TestContext } from 'node:test'
import { systemClock } from '../../../src/core/clock.ts'
import { ElasticTransport } from '../../../src/sink/elasticsearch/bulk-transport.ts'
import type { ElasticsearchSettings } from '../../../src/sink/elasticsearch/settings.ts'
import { ELASTICSEARCH_DEFAULTS } from '../../helpers/elasticsearch-defaults.ts'
import { batchOf, recordsOf } from '../../helpers/bulk-batch.ts'
import { FakeBulk } from '../../helpers/fake-bulk.ts'

async function startFake(context: TestContext): Promise<{ fake: FakeBulk; url: string }> {
  const fake = new FakeBulk()
  const url = await fake.listen()
  context.after(async () => await fake.close())
  return { fake, url }
}

function connect(
  context: TestContext,
  settings: Partial<ElasticsearchSettings> & Pick<ElasticsearchSettings, 'urls'>,
): ElasticTransport {
  const transport = new ElasticTransport({ ...ELASTICSEARCH_DEFAULTS, ...settings }, systemClock)
  context.after(async () => await transport.close())
  return transport
}

const SOME_MS = 3000

const bodyOf = (count: number) => Buffer.from(batchOf(recordsOf(count)).body)

test('a request carries the media type, the filter, the time-out and the pipeline', async (t) => {
  const { fake, url } = await startFake(t)
  const transport = connect(t, { urls: [`${url}/prefix`], pipeline: 'geo ip' })
  const reply = await transport.send(bodyOf(2), 2000, 1)
  assert.equal(reply.kind === 'answer' && reply.status, 200)
  const [request] = fake.requests
  assert.equal(request?.headers['content-type'], 'application/x-ndjson')
  assert.equal(request.headers['accept'], 'application/json')
  assert.equal(request.headers['authorization'], undefined)
  assert.deepEqual(Object.fromEntries(request.query), {
    filter_path:
      'took,errors,items.*.status,items.*.result,items.*._index,items.*.error.type,' +
      'items.*.error.reason,items.*.error.caused_by,items.*.failure_store',
    timeout: '1600ms',
    pipeline: 'geo ip',
  })
  assert.equal(fake.documents.size, 2)
})

test('a new key is used from the next request on', async (t) => {
  const { fake, url } = await startFake(t)
  const transport = connect(t, { urls: [url], auth: { kind: 'apiKey', apiKey: 'old' } })
  await transport.send(bodyOf(1), SOME_MS, 1)
  transport.setAuth({ kind: 'apiKey', apiKey: 'new' })
  await transport.send(bodyOf(1), SOME_MS, 1)
  const keys = fake.requests.map((request) => request.headers['authorization'])
  assert.deepEqual(keys, ['ApiKey old', 'ApiKey new'])
})

test('bodies are compressed and requests signed when asked', async (t) => {
  const { fake, url } = await startFake(t)
  const basic = { kind: 'basic', username: 'u', password: 'p:w' } as const
  await connect(t, { urls: [url], compression: 'gzip', auth: basic }).send(
    bodyOf(100),
    SOME_MS,
    100,
  )
  await connect(t, { urls: [url], auth: { kind: 'apiKey', apiKey: 'abc' } }).send(
    bodyOf(1),
    SOME_MS,
    1,
  )
  const [first, second] = fake.requests
  assert.equal(first?.headers['content-encoding'], 'gzip')
  assert(Number(first.headers['content-length']) < first.byteCount / 3)
  assert.equal(first.headers['authorization'], `Basic ${Buffer.from('u:p:w').toString('base64')}`)
  assert.equal(second?.headers['authorization'], 'ApiKey abc')
  assert.equal(fake.documents.size, 100)
})

test('every way that a request can end is told apart', async (t) => {
  const { fake, url } = await startFake(t)
  const transport = connect(t, { urls: [url] })
  const body = bodyOf(2)
  for (const status of [400, 401, 413, 429, 502, 503, 504]) {
    fake.script = () => ({ kind: 'status', status, body: { error: { type: 'x' } } })
    const reply = await transport.send(body, SOME_MS, 1)
    assert.deepEqual([reply.kind, reply.kind === 'answer' && reply.status], ['answer', status])
    assert.equal(reply.kind === 'answer' && reply.text, '{"error":{"type":"x"}}')
  }
  fake.script = () => ({ kind: 'hang', isApplied: false })
  assert.equal((await transport.send(body, 150, 1)).kind, 'timeout')
  fake.script = () => ({ kind: 'reset', isApplied: false })
  assert.equal((await transport.send(body, SOME_MS, 1)).kind, 'unreachable')
  fake.script = () => ({ kind: 'half', isApplied: false })
  assert.equal((await transport.send(body, SOME_MS, 1)).kind, 'unreachable')
  await fake.close()
  assert.equal((await transport.send(body, SOME_MS, 1)).kind, 'unreachable')
})

test('an error costs no time that grows with the body', async (t) => {
  const { fake, url } = await startFake(t)
  fake.script = () => ({ kind: 'status', status: 429 })
  const transport = connect(t, { urls: [url] })
  const body = Buffer.alloc(8 * 1024 * 1024, 'x')
  const startedMs = performance.now()
  await transport.send(body, SOME_MS, 1)
  assert(performance.now() - startedMs < 1500, 'the client copies the body byte by byte')
})

test('with one of three nodes dead nearly all requests go to the others at once', async (t) => {
  const fakes = [await startFake(t), await startFake(t), await startFake(t)]
  await fakes[1]?.fake.close()
  const transport = connect(t, { urls: fakes.map(({ url }) => url) })
  const kinds: string[] = []
  for (let at = 0; at < 30; at++) kinds.push((await transport.send(bodyOf(1), SOME_MS, 1)).kind)
  assert(kinds.filter((kind) => kind !== 'answer').length <= 2, kinds.join(' '))
  assert((fakes[0]?.fake.requests.length ?? 0) > 10)
  assert((fakes[2]?.fake.requests.length ?? 0) > 10)
})

test('close ends what is under way', async (t) => {
  const { fake, url } = await startFake(t)
  fake.script = () => ({ kind: 'hang', isApplied: false })
  const transport = connect(t, { urls: [url] })
  const sent = transport.send(bodyOf(1), 60_000, 1)
  await transport.close()
  assert.equal((await sent).kind, 'unreachable')
})

/**
 * 1. A load balancer forgets a connection: what is sent on it gets no answer.
 * 2. The request runs into its time-out.
 * 3. None of the connections from before is used again, and for a while none twice.
 */
test('after a time-out no connection from before is used again', async (t) => {
  const { fake, url } = await startFake(t)
  const ports: number[] = []
  const forgotten = new Set<number>()
  fake.script = ({ port }) => {
    ports.push(port)
    return forgotten.has(port) ? { kind: 'hang', isApplied: false } : { kind: 'items' }
  }
  const transport = connect(t, { urls: [url] })
  await Promise.all([1, 2, 3].map(() => transport.send(bodyOf(1), SOME_MS, 1)))
  for (const port of ports.splice(0)) forgotten.add(port)
  assert.equal((await transport.send(bodyOf(1), 150, 1)).kind, 'timeout')
  for (let count = 0; count < 5; count++) {
    assert.equal((await transport.send(bodyOf(1), SOME_MS, 1)).kind, 'answer')
  }
  assert.equal(new Set(ports).size, 6)
})

test('how long the server asks to be left alone is read, up to five minutes', async (t) => {
  const { fake, url } = await startFake(t)
  const transport = connect(t, { urls: [url] })
  for (const [waitMs, expected] of [
    [0, 0],
    [20_000, 20_000],
    [86_400_000, 300_000],
  ] as const) {
    fake.script = () => ({ kind: 'status', status: 429, waitMs })
    const reply = await transport.send(bodyOf(1), SOME_MS, 1)
    assert.equal(reply.kind === 'answer' && reply.waitMs, expected)
  }
})
