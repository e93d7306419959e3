/** `logpipe tap` beside a control plane on a socket, with a worker that is played here. */
import assert from 'node:assert/strict'
import { test, type TestContext } from 'node:test'
import { tap } from '../../src/cli/tap.ts'
import { ManualClock } from '../../src/core/clock.ts'
import { startTestControl } from '../control/running-control.ts'
import { until } from '../helpers/program.ts'
import { recordedHost } from './recorded-host.ts'

async function tapFixture(t: TestContext, token?: string) {
  const { url } = await startTestControl(t, token === undefined ? {} : { controlToken: token })
  const post = async (route: string, body: object) => {
    const authorization = route.endsWith('/heartbeat') ? undefined : token
    const answer = await fetch(url + route, {
      method: 'POST',
      headers: {
        'content-type': 'application/json',
        ...(authorization === undefined ? {} : { authorization: `Bearer ${authorization}` }),
      },
      body: JSON.stringify(body),
    })
    assert.ok(answer.ok, await answer.clone().text())
    return JSON.parse(await answer.text())
  }
  const beat = async (tail: readonly string[] = []) =>
    await post('/api/workers/w1/heartbeat', { state: 'running', pipeline_id: 1, revision: 1, tail })
  const host = recordedHost({ CONTROL_PLANE_URL: url })
  return { host, post, beat, url }
}

test('matches are printed as they come, and the count ends it', async (t) => {
  const { host, post, beat } = await tapFixture(t)
  await beat()
  await post('/api/pipelines', { name: 'one', enabled: true })
  await post('/api/pipelines', { name: 'two', enabled: true })
  await beat()
  const ended = tap(host.context(['--max-records', '3']))
  await until('the order to show matches', async () => {
    const { commands } = await beat()
    return commands.some(({ kind }: { kind: string }) => kind === 'tail')
  })
  await beat(['first', 'sec\x07ond'])
  await beat(['third', 'fourth'])
  assert.equal(await ended, 0)
  assert.equal(host.printed(), 'first\nsec\x07ond\nthird\n', 'as it is where nobody looks')
  assert.match(host.told(), /^sample of the matches of pipeline 1, one/)
})

test('expressions choose among the matches, and the count is of those', async (t) => {
  const { host, post, beat } = await tapFixture(t)
  await beat()
  await post('/api/pipelines', { name: 'one', enabled: true })
  await beat()
  const filter = ['--keep', 'status >= 500', '--drop', '"health"']
  const ended = tap(host.context([...filter, '--max-records', '2']))
  await until('the order to show matches', async () => {
    const { commands } = await beat()
    return commands.some(({ kind }: { kind: string }) => kind === 'tail')
  })
  await beat(['{"status":500}', '{"status":499}', 'ERROR', '{"status":503,"path":"/health"}'])
  await beat(['{"status":"504"}', '{"status":505}'])
  assert.equal(await ended, 0)
  assert.equal(host.printed(), '{"status":500}\n{"status":"504"}\n')
  const wrong = tap(host.context(['--keep', 'status=500']))
  await assert.rejects(wrong, { code: 'USAGE', message: /column 7: expected :/ })
})

test('what keeps the pipeline from its work is told, and its end', async (t) => {
  const { host, post, beat, url } = await tapFixture(t)
  await beat()
  await post('/api/pipelines', { name: 'one', enabled: true })
  await beat()
  const say = async (troubles: readonly object[]) =>
    await fetch(`${url}/api/workers/w1/heartbeat`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ state: 'running', pipeline_id: 1, revision: 1, troubles }),
    })
  const clock = new ManualClock()
  const stop = new AbortController()
  const context = { ...host.context(['one']), stopSignal: () => stop.signal }
  const ended = tap(context, clock)
  let seen = ''
  const told = async (line: string, troubles: readonly object[]) =>
    await until(line, async () => {
      await say(troubles)
      clock.advance(2000)
      seen += host.told()
      return seen.endsWith(`${line}\n`)
    })
  const since = '2026-12-01T00:00:00.000Z'
  const down = { kind: 'elasticsearch_down', place: null, text: 'Elasticsearch is down', since }
  await told('pipeline 1 is degraded: w1: Elasticsearch is down', [down])
  await told('pipeline 1 is running', [])
  stop.abort()
  assert.equal(await ended, 0)
})

test('without a name it must be clear which pipeline is meant', async (t) => {
  const { host, post } = await tapFixture(t)
  const refused = async (args: readonly string[], says: RegExp) =>
    await assert.rejects(tap(host.context(args)), { code: 'USAGE', message: says })
  await refused([], /no pipeline runs$/)
  await post('/api/pipelines', { name: 'one' })
  await refused([], /no pipeline runs; there are 1 \(one\)$/)
  await refused(['three'], /there is no pipeline three; there are 1 \(one\)$/)
})

test('what keeps it from the control plane is told with what to do', async (t) => {
  const { url } = await tapFixture(t, 'a-token-of-the-operator')
  const gone = await startTestControl(t)
  await gone.control.close()
  const away = recordedHost({ CONTROL_PLANE_URL: gone.url })
  await assert.rejects(tap(away.context([])), {
    code: 'CONTROL',
    message: /connection refused: nothing listens there; .*--control-plane-url/,
  })
  const stranger = recordedHost({ CONTROL_PLANE_URL: url })
  await assert.rejects(tap(stranger.context([])), { code: 'CONTROL', message: /CONTROL_TOKEN/ })
  const env = { CONTROL_PLANE_URL: url, CONTROL_TOKEN: 'a-token-of-the-operator' }
  await assert.rejects(tap(recordedHost(env).context([])), { code: 'USAGE' })
})
