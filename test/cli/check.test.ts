/** What check finds out about servers, with real ones on loopback. */
import assert from 'node:assert/strict'
import http from 'node:http'
import type { AddressInfo } from 'node:net'
import net from 'node:net'
import { test } from 'node:test'
import type { TestContext } from 'node:test'
import {
  type Bridge,
  type BrokerAnswer,
  FILL_EVENTS,
  type GroupMember,
} from '../../src/bridge/bridge.ts'
import { check } from '../../src/cli/check.ts'
import { encodeNote, NO_NOTE } from '../../src/kafka/commit-note.ts'
import { probeElasticsearch, productOf, probeTopic } from '../../src/cli/probes.ts'
import { resolve } from '../../src/options/resolve.ts'
import { QUIET_HOST } from './quiet-host.ts'

async function listen(t: TestContext, server: net.Server): Promise<number> {
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done))
  t.after(() => server.close())
  return (server.address() as AddressInfo).port
}

/** Of another pipeline than check's. */
const OTHER = { fingerprint: '0'.repeat(12), label: '"FATAL" to file' }
const NOTE = encodeNote({ ...NO_NOTE, pipeline: OTHER })

const configOf = (args: readonly string[]) => resolve({ command: 'check', args, env: {} }).config
/**
 * A Kafka that answers with one topic, as far as check asks: of a cluster with one broker, which
 * advertises this port.
 * @param group its members, what it has committed, and where the topic ends.
 */
function bridgeOf(
  port: number,
  group: { readonly members?: readonly GroupMember[]; committed?: number; end?: number } = {},
): Bridge {
  const { members = [], committed = -1001, end = 0 } = group
  const row = (offset: number) => {
    const place = { topic: 'test', partition: 0, offset, leaderEpoch: 0 }
    return { ...place, metadata: committed < 0 ? null : NOTE, error: null }
  }
  const none = { error: null, partitions: [], topics: [], members: [] }
  const answers: BrokerAnswer[] = [
    { ...none, question: 1, members },
    { ...none, question: 2, partitions: [row(committed)] },
  ]
  return {
    consumerOpen: () => 1,
    consumerMetadata: () => ({
      brokers: [{ id: 1, host: '127.0.0.1', port }],
      topics: [{ topic: 'test', partitions: 1, error: null }],
    }),
    consumerAskMembers: () => 1,
    consumerAskCommitted: () => 2,
    consumerAskOffsets: () => {
      answers.push({ ...none, question: 3, partitions: [row(end)] })
      return 3
    },
    consumerAnswers: () => answers.splice(0),
    consumerClose: () => true,
  } as unknown as Bridge
}
const BANNER = JSON.stringify({ version: { number: '9.5.0' }, tagline: 'You Know, for Search' })

test('Elasticsearch is named with its version when the credentials open it', async (t) => {
  const seen: (string | undefined)[] = []
  const server = http.createServer((request, response) => {
    seen.push(request.headers.authorization)
    const isOpen = request.headers.authorization === 'ApiKey k'
    response.writeHead(request.url === '/' ? (isOpen ? 200 : 401) : 404).end(BANNER)
  })
  const url = `http://127.0.0.1:${await listen(t, server)}`
  const open = configOf(['--es-url', url, '--es-api-key', 'k', '--es-pipeline', 'none'])
  assert.deepEqual(await probeElasticsearch(open), [
    { subject: `elasticsearch ${url}`, state: 'fine', detail: 'Elasticsearch 9.5.0' },
    {
      subject: 'ingest pipeline none',
      state: 'wrong',
      detail: 'does not exist: make it with PUT /_ingest/pipeline/none, or leave ES_PIPELINE out',
    },
    {
      subject: 'index logs-filtered',
      state: 'untested',
      detail:
        'may not be asked (view_index_metadata): if it is a data stream, it refuses JSON without ' +
        '@timestamp',
    },
  ])
  const basic = configOf(['--es-url', url, '--es-username', 'u', '--es-password', 'p:q'])
  const [closed] = await probeElasticsearch(basic)
  assert.equal(closed?.state, 'wrong')
  assert.match(closed.detail, /refuses the credentials \(401\)/)
  assert.equal(seen.at(-1), `Basic ${Buffer.from('u:p:q').toString('base64')}`)
})

test('credentials in the URL are used and are not shown', async (t) => {
  const server = http.createServer((request, response) => {
    const isOpen = request.headers.authorization === `Basic ${btoa('u:p w')}`
    response.writeHead(isOpen ? 200 : 401).end(BANNER)
  })
  const url = `http://u:p%20w@127.0.0.1:${await listen(t, server)}`
  const printed: string[] = []
  const broker = await listen(t, net.createServer())
  const args = ['--es-enabled', '--es-url', url, '--brokers', `127.0.0.1:${broker}`]
  const context = { ...QUIET_HOST, args, print: (text: string) => printed.push(text) }
  const status = await check(context, {
    loadBridge: () => bridgeOf(broker),
    memoryLimit: () => null,
  })
  assert.match(
    printed.join(''),
    /^ok +elasticsearch http:\/\/u:\(secret\)@127.*Elasticsearch 9\.5\.0$/m,
  )
  assert.doesNotMatch(printed.join(''), /p%20w/)
  assert.equal(status, 0)
})

test('a server that is silent, breaks off or is no Elasticsearch is told apart', async (t) => {
  const silent = await listen(
    t,
    net.createServer().on('connection', (socket) => t.after(() => socket.destroy())),
  )
  const rude = await listen(
    t,
    net.createServer((socket) => socket.destroy()),
  )
  const other = await listen(
    t,
    http.createServer((_, response) => response.end('<html>')),
  )
  const told = async (port: number, ...more: readonly string[]) => {
    const config = configOf(['--es-url', `http://127.0.0.1:${port}`, ...more])
    return (await probeElasticsearch(config)).map(({ state, detail }) => `${state} ${detail}`)
  }
  const details = [
    ...(await told(silent, '--es-timeout-ms', '100')),
    ...(await told(rude)),
    ...(await told(other)),
  ]
  assert.match(details[0] ?? '', /^wrong no answer in 100 ms \(ES_TIMEOUT_MS\)/)
  assert.match(details[1] ?? '', /^wrong .*(closed|reset)/)
  assert.match(details[2] ?? '', /^wrong answers, but is no Elasticsearch/)
})

test('OpenSearch is known by its distribution', () => {
  const banner = { version: { distribution: 'opensearch', number: '3.8.0' } }
  assert.equal(productOf(JSON.stringify(banner)), 'OpenSearch 3.8.0')
  for (const body of ['', '[]', '{}', '{"version":1}']) assert.equal(productOf(body), undefined)
})

test('topics that are missing, forbidden or match nothing are wrong', () => {
  const known = [
    { topic: 'logs-a', partitions: 3, error: null },
    { topic: 'secret', partitions: 0, error: 'TOPIC_AUTHORIZATION_FAILED' },
  ]
  assert.equal(probeTopic('logs-a', known).detail, '3 partitions')
  assert.equal(probeTopic('^logs-.*', known).detail, 'matches 1 topic')
  const internal = { topic: '__consumer_offsets', partitions: 50, error: null }
  assert.equal(probeTopic('^.*', [...known, internal]).detail, 'matches 2 topics')
  for (const topic of ['logs-b', 'secret', '^x']) {
    assert.equal(probeTopic(topic, known).state, 'wrong', topic)
  }
})

test('what librdkafka said is passed on, and the consumer is closed', async (t) => {
  const port = await listen(t, net.createServer())
  const calls: string[] = []
  const bridge = {
    consumerOpen: (options: { config: readonly (readonly [string, string])[] }) => {
      assert.equal(new Map(options.config).get('group.instance.id'), undefined)
      calls.push('open')
      return 7
    },
    consumerMetadata: () => {
      throw Object.assign(new TypeError('Local: Broker transport failure'), { code: '_TRANSPORT' })
    },
    consumerPoll: () => FILL_EVENTS,
    consumerLogs: () => [],
    consumerEvents: () => [
      { kind: 'error', code: '_AUTHENTICATION', message: 'SASL refused' },
      { kind: 'error', code: '_ALL_BROKERS_DOWN', message: 'all down' },
    ],
    consumerClose: () => calls.push('close') > 0,
  } as unknown as Bridge
  const printed: string[] = []
  const args = ['--brokers', `127.0.0.1:${port}`, '--group-instance-id', 'X']
  const context = { ...QUIET_HOST, args, print: (text: string) => printed.push(text) }
  const status = await check(context, { loadBridge: () => bridge, memoryLimit: () => null })
  assert.match(printed.join(''), /^WRONG +kafka cluster: SASL refused; check security\.protocol/m)
  assert.deepEqual(calls, ['open', 'close'])
  assert.equal(status, 1)
})

test('an expression is shown, and a regex that does not compile is wrong', async (t) => {
  const port = await listen(t, net.createServer())
  const checked = async (expression: string, fault: { message: string; at: number } | null) => {
    const printed: string[] = []
    const args = ['--brokers', `127.0.0.1:${port}`, '--output', 'none', '--keep', expression]
    const context = { ...QUIET_HOST, args, print: (text: string) => printed.push(text) }
    const bridge = { ...bridgeOf(port), regexCheck: () => fault }
    const status = await check(context, { loadBridge: () => bridge, memoryLimit: () => null })
    return { status, text: printed.join('') }
  }
  const fine = await checked('level:ERROR and /a+/', null)
  assert.match(fine.text, /^ok +filter: level:ERROR and \/a\+\/$/m)
  assert.equal(fine.status, 0)
  const wrong = await checked('/a(/', { message: 'no )', at: 1 })
  assert.match(wrong.text, /^WRONG +filter: --keep: column 3: .* does not compile: no \)$/m)
  assert.equal(wrong.status, 1)
})

test('a container that is too small is named with the largest part', async (t) => {
  const port = await listen(t, net.createServer())
  const printed: string[] = []
  const args = ['--brokers', `127.0.0.1:${port}`, '--output', 'none']
  const context = { ...QUIET_HOST, args, print: (text: string) => printed.push(text) }
  const status = await check(context, {
    loadBridge: () => bridgeOf(port),
    memoryLimit: () => 2 ** 30,
  })
  assert.match(printed.join(''), /^WRONG +memory: .*80 % of the limit of 1\.0 GiB.*consumers/m)
  assert.equal(status, 1)
})

test('an address that a broker advertises and that cannot be reached is wrong', async (t) => {
  const broker = await listen(t, net.createServer())
  const closed = net.createServer()
  const port = await listen(t, closed)
  await new Promise((resolve) => closed.close(resolve))
  const printed: string[] = []
  const args = ['--brokers', `127.0.0.1:${broker}`, '--output', 'none']
  const context = { ...QUIET_HOST, args, print: (text: string) => printed.push(text) }
  const status = await check(context, { loadBridge: () => bridgeOf(port), memoryLimit: () => null })
  const names = new RegExp(
    `^WRONG +kafka broker 1 at 127.0.0.1:${port}: .*advertised.listeners`,
    'm',
  )
  assert.match(printed.join(''), names)
  assert.equal(status, 1)
})

test('who reads with the group, and that it has nothing left to read, are told', async (t) => {
  const broker = await listen(t, net.createServer())
  const found = async (group: Parameters<typeof bridgeOf>[1], more: readonly string[] = []) => {
    const printed: string[] = []
    const args = ['--brokers', `127.0.0.1:${broker}`, '--output', 'none', ...more]
    const context = { ...QUIET_HOST, args, print: (text: string) => printed.push(text) }
    const deps = { loadBridge: () => bridgeOf(broker, group), memoryLimit: () => null }
    const status = await check(context, deps)
    const lines = printed.join('').split('\n')
    return [status, ...lines.filter((line) => line.includes('kafka group'))].join('\n')
  }
  assert.equal(await found({}), '0')
  const clientId = `logpipe-pipeline-${OTHER.fingerprint}`
  const members = [{ clientId, host: '/10.0.0.5', instanceId: null }]
  const shared = /^1\nWRONG +kafka group rust-main-g1: group .* in use by another pipeline, "FATAL"/
  assert.match(await found({ members, committed: 3, end: 9 }), shared)
  assert.match(
    await found({ members }, ['--take-over']),
    /^0\nwarn +kafka group .*in use by another/,
  )
  assert.match(await found({ committed: 3, end: 9 }), /^0\nwarn .*used by another.*before[^\n]*$/)
  assert.match(
    await found({ committed: 9, end: 9 }),
    /^0\nwarn .* before .*\nwarn .*nothing to read: group rust-main-g1 is at the end of test; /,
  )
})

test('topics that would mix in one index are wrong', async (t) => {
  const port = await listen(t, net.createServer())
  const printed: string[] = []
  const to = ['--es-enabled', '--es-url', `http://127.0.0.1:${port}`, '--es-timeout-ms', '100']
  const args = ['--topic', 'Logs,logs', '--es-index', 'app-{topic}', ...to]
  const context = { ...QUIET_HOST, args, print: (text: string) => printed.push(text) }
  const status = await check(context, { loadBridge: () => bridgeOf(port), memoryLimit: () => null })
  assert.match(
    printed.join(''),
    /^WRONG +index names: .*Logs and logs would both go to .*app-logs/m,
  )
  assert.equal(status, 1)
})
