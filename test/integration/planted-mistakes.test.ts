/**
 * What people get wrong, planted one by one: `logpipe check` names each, and what to do about it.
 *
 * Kafka is the embedded broker, or, for what it does not know (groups, rights), the bridge's
 * answers as real brokers gave them; Elasticsearch answers as 9.5 does.
 */
import assert from 'node:assert/strict'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import http from 'node:http'
import type { AddressInfo } from 'node:net'
import net from 'node:net'
import os from 'node:os'
import path from 'node:path'
import { test, type TestContext } from 'node:test'
import type { Bridge } from '../../src/bridge/bridge.ts'
import { loadBridge } from '../../src/bridge/load.ts'
import { check } from '../../src/cli/check.ts'
import { probeMatches } from '../../src/cli/match-sample.ts'
import { LogpipeError } from '../../src/core/errors.ts'
import { openBulkProducer } from '../../src/kafka/producer.ts'
import { QUIET_HOST } from '../cli/quiet-host.ts'

const TOPIC = 'app-logs'

/** Everything right: what each mistake is planted in. */
interface Ground {
  readonly brokers: string
  readonly esUrl: string
  /** A port at which nobody listens, and one at which a web server does. */
  readonly deadPort: number
  readonly webPort: number
  readonly folder: string
  readonly bridge: Bridge
}

interface Answers {
  readonly [path: string]: readonly [status: number, body: unknown]
}

interface Mistake {
  readonly name: string
  /** How it is found: in which words, with the fix in them. */
  readonly found: RegExp
  /** `usage`: before anything is opened. */
  readonly state?: 'WRONG' | 'warn' | 'note' | 'usage'
  readonly args?: (ground: Ground) => readonly string[]
  readonly env?: (ground: Ground) => Readonly<Record<string, string>>
  /** Of Elasticsearch, in place of the right ones. */
  readonly answers?: Answers
  readonly bridge?: (right: Bridge, ground: Ground) => Partial<Bridge>
  readonly memoryLimit?: number
}

const toEs = ({ esUrl }: Ground) => ['--es-url', esUrl, '--output', 'elasticsearch']
const kafka = (name: string, value: string) => ['--kafka-config', `${name}=${value}`]
const rights = (index: string, given: object): Answers => ({
  '/_security/user/_has_privileges': [200, { index: { [index]: given } }],
})
const settings = (given: object): Answers => ({
  '/app-errors/_settings': [200, { 'app-errors': { settings: given } }],
})
const NONE: Answers = {
  '/_resolve/index/app-errors': [404, {}],
  '/_index_template/_simulate_index/app-errors': [200, { template: {} }],
}
const group =
  (rows: Partial<Record<'members' | 'committed' | 'end', unknown>>) => (): Partial<Bridge> => {
    const none = { error: null, partitions: [], topics: [], members: [] }
    const row = (offset: unknown) => {
      const place = { topic: TOPIC, partition: 0, offset: Number(offset), leaderEpoch: 0 }
      return { ...place, metadata: null, error: null }
    }
    const answers: unknown[] = []
    return {
      consumerMetadata: () => ({
        brokers: [{ id: 1, host: '127.0.0.1', port: 1 }],
        topics: [{ topic: TOPIC, partitions: 1, error: null }],
      }),
      consumerAskMembers: () => (
        answers.push({ ...none, question: 1, members: rows.members ?? [] }),
        1
      ),
      consumerAskCommitted: () => (
        answers.push({ ...none, question: 2, partitions: [row(rows.committed ?? -1001)] }),
        2
      ),
      consumerAskOffsets: () => (
        answers.push({ ...none, question: 3, partitions: [row(rows.end ?? 0)] }),
        3
      ),
      consumerAnswers: () => answers.splice(0),
    } as unknown as Partial<Bridge>
  }

const MISTAKES: readonly Mistake[] = [
  // The command line and the config file.
  {
    name: 'a flag of another program',
    args: () => ['--brokers-list', 'b:9092'],
    state: 'usage',
    found: /unknown option --brokers-list .*did you mean/,
  },
  {
    name: 'a number where a word is meant',
    args: () => ['--start', 'soon'],
    state: 'usage',
    found: /--start: expected earliest, latest, -1h, a date.*, got "soon"/,
  },
  {
    name: 'a pool smaller than its threads',
    args: () => ['--pool-size', '2'],
    state: 'usage',
    found: /--pool-size: expected at least \d+ slots, got 2/,
  },
  {
    name: 'two ways to sign in',
    args: () => ['--es-api-key', 'k', '--es-username', 'u', '--es-password', 'p'],
    state: 'usage',
    found: /ES_API_KEY and ES_USERNAME are both set: set only one/,
  },
  {
    name: 'a user without a password',
    args: () => ['--es-username', 'u'],
    state: 'usage',
    found: /--es-username: requires ES_PASSWORD as well/,
  },
  {
    name: 'Elasticsearch off and on at once',
    args: () => ['--no-es-enabled', '--output', 'elasticsearch'],
    state: 'usage',
    found: /--no-es-enabled and --output contradict each other/,
  },
  {
    name: 'a tab in the config file',
    args: ({ folder }) => ['-c', path.join(folder, 'tab.yaml')],
    state: 'usage',
    found: /tab\.yaml:2:1: a tab indents this line: use spaces/,
  },
  {
    name: 'a key that is none, and a wrong value, in the config file',
    args: ({ folder }) => ['-c', path.join(folder, 'keys.yaml')],
    state: 'usage',
    found:
      /keys\.yaml:1:1: unknown key "topics".*did you mean.*keys\.yaml:2:1: pool-size: expected/s,
  },
  {
    name: 'a config file that is not there',
    args: ({ folder }) => ['-c', path.join(folder, 'none.yaml')],
    state: 'usage',
    found: /cannot read .*none\.yaml: no such file/,
  },
  // Kafka.
  {
    name: 'brokers that do not run',
    args: ({ deadPort }) => ['--brokers', `127.0.0.1:${deadPort}`],
    found: /kafka broker .*: connection refused: nothing listens there; start it, or .*--brokers/,
  },
  {
    name: 'a host name that is misspelt',
    // No resolver is asked for such a name, so the answer is the same on a machine without one.
    args: () => ['--brokers', 'kafka..invalid:9092'],
    found: /kafka broker kafka\.\.invalid:9092: unknown host name; .*--brokers/,
  },
  {
    name: 'a web server in place of a broker',
    args: ({ webPort }) => ['--brokers', `127.0.0.1:${webPort}`],
    found: /kafka cluster: .*does not answer as a broker with this security\.protocol: check it/,
  },
  {
    name: 'TLS to a plain port',
    args: () => kafka('security.protocol', 'ssl'),
    found: /kafka cluster: .*check security\.protocol/,
  },
  {
    name: 'SASL to a port that knows none',
    args: () => [
      ...kafka('security.protocol', 'sasl_plaintext'),
      ...kafka('sasl.mechanism', 'PLAIN'),
      ...kafka('sasl.username', 'u'),
      ...kafka('sasl.password', 'p'),
    ],
    found: /kafka cluster: .*(check security\.protocol, sasl|sasl\.\* and ssl)/,
  },
  {
    name: 'a topic that is misspelt',
    args: () => ['--topic', 'app-log'],
    found: /kafka topic app-log: does not exist.*create it.*did you mean app-logs\?/,
  },
  {
    name: 'an expression that matches no topic',
    args: () => ['--topic', '^web-'],
    found: /kafka topic \^web-: no topic matches now: .*there are app-logs/,
  },
  {
    name: 'a topic that may not be read',
    bridge: () => ({
      ...group({})(),
      consumerMetadata: () => ({
        brokers: [{ id: 1, host: '127.0.0.1', port: 1 }],
        topics: [{ topic: TOPIC, partitions: 0, error: 'TOPIC_AUTHORIZATION_FAILED' }],
      }),
    }),
    found: /kafka topic app-logs: no permission to read topic app-logs.*; grant READ on it/,
  },
  {
    name: 'a broker that advertises an address of its own network',
    bridge: (right, { deadPort }) => ({
      consumerMetadata: (...call) => {
        const found = right.consumerMetadata(...call)
        return {
          ...found,
          brokers: [...found.brokers, { id: 7, host: '127.0.0.1', port: deadPort }],
        }
      },
    }),
    found: /kafka broker 7 at 127\.0\.0\.1:\d+: .*cannot be read; see its advertised\.listeners/,
  },
  {
    name: 'the group of another pipeline',
    bridge: group({
      members: [{ clientId: 'logpipe-pipeline-000000000000', host: '/10.0.0.5', instanceId: null }],
    }),
    found: /kafka group mine: .*in use by another pipeline/,
  },
  {
    name: 'a group that has read everything',
    bridge: group({ committed: 9, end: 9 }),
    state: 'warn',
    found: /kafka group mine: nothing to read: group mine is at the end of app-logs; .*--group/,
  },
  {
    name: 'a pattern that is in no record',
    args: () => ['--pattern', 'EROR'],
    state: 'warn',
    found:
      /matches: none of the last 500 records matches: is the pattern written as in the records/,
  },
  {
    name: 'a pattern in other capitals',
    args: () => ['--pattern', 'error'],
    state: 'warn',
    found: /matches: none of the last 500 .*capitals count \(--ignore-case\)/,
  },
  // The output.
  {
    name: 'ES_URL, and an output that is stdout',
    args: () => ['--output', 'stdout'],
    env: ({ esUrl }) => ({ ES_URL: esUrl }),
    state: 'warn',
    found: /output: ES_URL.* set, but the output is stdout: .*--output elasticsearch/,
  },
  {
    name: 'options that nobody has set',
    state: 'note',
    found: /options: nobody has set MATCH_PATTERN \(ERROR\): these are defaults/,
  },
  {
    name: 'an output file in a folder that is not there',
    args: ({ folder }) => ['--output', `file:${path.join(folder, 'none', 'out.log')}`],
    found: /output .*out\.log: cannot be written: .*no such file or directory.*; make the folder/,
  },
  {
    name: 'a folder as the output file',
    args: ({ folder }) => ['--output', `file:${folder}`],
    found: /output .*: is a folder; name a file/,
  },
  {
    name: 'a container that is too small',
    memoryLimit: 2 ** 29,
    found: /memory: .*80 % of the limit of 512\.0 MiB/,
  },
  // Elasticsearch.
  {
    name: 'Elasticsearch that does not run',
    args: ({ deadPort }) => ['--es-url', `http://127.0.0.1:${deadPort}`, '-o', 'elasticsearch'],
    found: /elasticsearch http.*: connection refused: nothing listens there; .*--es-url/,
  },
  {
    name: 'https to a plain port',
    args: ({ esUrl }) => ['--es-url', esUrl.replace('http:', 'https:'), '-o', 'elasticsearch'],
    found: /elasticsearch https.*: .*speaks plain HTTP, not TLS: use http:\/\//,
  },
  {
    name: 'credentials that are wrong',
    args: toEs,
    answers: { '/': [401, {}] },
    found: /elasticsearch .*: refuses the credentials \(401\): see ES_API_KEY, ES_USERNAME/,
  },
  {
    name: 'another server in place of Elasticsearch',
    args: toEs,
    answers: { '/': [200, { hello: 'world' }] },
    found: /elasticsearch .*: answers, but is no Elasticsearch or OpenSearch; .*--es-url/,
  },
  {
    name: 'an ingest pipeline that is not there',
    args: (ground) => [...toEs(ground), '--es-pipeline', 'parse'],
    found: /ingest pipeline parse: does not exist: make it with PUT .* or leave ES_PIPELINE out/,
  },
  {
    name: 'an index name with capitals',
    args: (ground) => [...toEs(ground), '--es-index', 'App-Errors'],
    found: /index names: .*must not contain "A".*: write app-errors/,
  },
  {
    name: 'topics that would mix in one index',
    args: (ground) => [...toEs(ground), '--topic', 'App-Logs,app-logs', '--es-index', '{topic}'],
    found: /index names: .*both go to the index app-logs; .*separate pipelines/,
  },
  {
    name: 'a user who may only read',
    args: (ground) => [...toEs(ground), '--es-username', 'reader', '--es-password', 'p'],
    answers: rights('app-errors', {
      create_doc: false,
      auto_configure: false,
      create_index: false,
    }),
    found: /index app-errors: the user reader may not write to it: grant the privilege create_doc/,
  },
  {
    name: 'an index that the user may not make',
    args: (ground) => [...toEs(ground), '--es-api-key', 'k'],
    answers: {
      ...NONE,
      ...rights('app-errors', { create_doc: true, auto_configure: false, create_index: false }),
    },
    found:
      /index app-errors: does not exist, and the API key may not make it: grant .*auto_configure/,
  },
  {
    name: 'an index with a write block',
    args: toEs,
    answers: settings({ 'index.blocks.write': 'true' }),
    found:
      /index app-errors: takes no writes \(index\.blocks\.write\): lift it with PUT \/app-errors/,
  },
  {
    name: 'a disk at its flood stage',
    args: toEs,
    answers: settings({ 'index.blocks.read_only_allow_delete': 'true' }),
    found: /index app-errors: .*nearly full \(flood stage\): make room there/,
  },
  {
    name: 'an index that is closed',
    args: toEs,
    answers: settings({ 'index.verified_before_close': 'true' }),
    found: /index app-errors: is closed: open it with POST \/app-errors\/_open/,
  },
  {
    name: 'a cluster that is read-only',
    args: toEs,
    answers: {
      '/_cluster/settings': [200, { persistent: { 'cluster.blocks.read_only': 'true' } }],
    },
    found: /index app-errors: the whole cluster is read-only .*: lift it with PUT \/_cluster/,
  },
  {
    name: 'keys as ids in a data stream',
    args: (ground) => [...toEs(ground), '--document-id', 'key'],
    answers: { '/_resolve/index/app-errors': [200, { data_streams: [{ name: 'app-errors' }] }] },
    found: /index app-errors: a data stream, which takes no --document-id key: name an index/,
  },
]

const RIGHT: Answers = {
  '/': [200, { version: { number: '9.5.0' }, tagline: 'You Know, for Search' }],
  '/_resolve/index/app-errors': [200, { indices: [{ name: 'app-errors' }], data_streams: [] }],
  ...rights('app-errors', { create_doc: true, index: true, auto_configure: true }),
  ...settings({}),
  '/_cluster/settings': [200, { persistent: {}, transient: {} }],
}

async function listen(t: TestContext, server: net.Server): Promise<number> {
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done))
  t.after(() => server.close())
  return (server.address() as AddressInfo).port
}

async function groundOf(t: TestContext, answers: { now: Answers }): Promise<Ground> {
  const folder = mkdtempSync(path.join(os.tmpdir(), 'planted-'))
  t.after(() => rmSync(folder, { recursive: true, force: true }))
  mkdirSync(path.join(folder, 'data'))
  writeFileSync(path.join(folder, 'tab.yaml'), 'topic:\n\tapp\n')
  writeFileSync(path.join(folder, 'keys.yaml'), 'topics: app\npool-size: many\n')
  const bridge = loadBridge(undefined)
  const mock = bridge.mockOpen({ brokerCount: 1, topics: [{ topic: TOPIC, partitions: 2 }] })
  t.after(() => bridge.mockClose(mock.id))
  const brokers = mock.bootstrapServers
  const producer = await openBulkProducer({ brokers, config: [], timeoutMs: 20_000 })
  for (let count = 0; count < 500; count++) {
    const text = `${count % 5 === 0 ? 'ERROR' : 'INFO'} line ${count}`
    assert.ok(producer.send(TOPIC, count % 2, null, Buffer.from(text)))
  }
  await producer.flush(20_000)
  await producer.close()
  const es = http.createServer((request, response) => {
    const found = (request.url ?? '').split('?')[0] ?? ''
    const [status, body] = { ...RIGHT, ...answers.now }[found] ?? [404, {}]
    response.writeHead(status).end(JSON.stringify(body))
  })
  const dead = net.createServer()
  const deadPort = await listen(t, dead)
  await new Promise((done) => dead.close(done))
  const web = http.createServer((_, response) => response.writeHead(400).end('<html>'))
  const webPort = await listen(t, web)
  const esUrl = `http://127.0.0.1:${await listen(t, es)}`
  return { brokers, esUrl, deadPort, webPort, folder, bridge }
}

/** What check prints, or why it refuses to begin. */
async function checked(ground: Ground, mistake: Partial<Mistake>): Promise<readonly string[]> {
  const base = ['--brokers', ground.brokers, '--topic', TOPIC, '--group', 'mine', '-o', 'none']
  const args = [...base, '--es-index', 'app-errors', ...(mistake.args?.(ground) ?? [])]
  const printed: string[] = []
  const context = {
    ...QUIET_HOST,
    args,
    env: mistake.env?.(ground) ?? {},
    print: (text: string) => printed.push(text),
  }
  const bridge =
    mistake.bridge === undefined
      ? ground.bridge
      : { ...ground.bridge, ...mistake.bridge(ground.bridge, ground) }
  try {
    await check(context, {
      loadBridge: () => bridge,
      memoryLimit: () => mistake.memoryLimit ?? null,
      // The bridge's own answers only: threads load their own.
      ...(mistake.bridge === undefined ? { probeMatches } : {}),
    })
  } catch (error) {
    if (!(error instanceof LogpipeError)) throw error
    return [`usage ${error.lines.join('\n')}`]
  }
  return printed.join('').split('\n')
}

test('there are thirty mistakes and more', () => {
  assert.ok(MISTAKES.length >= 30, String(MISTAKES.length))
  assert.equal(new Set(MISTAKES.map(({ name }) => name)).size, MISTAKES.length)
})

test('check finds each planted mistake, and says what to do', async (t) => {
  const answers: { now: Answers } = { now: {} }
  const ground = await groundOf(t, answers)
  const calm = await checked(ground, { args: toEs })
  const odd = calm.filter((line) => /^(WRONG|warn)/.test(line))
  assert.deepEqual(odd, [], 'without a mistake there is nothing to find')
  assert.equal(calm[0], 'nothing wrong was found')
  assert.equal(calm.at(-2), 'nothing wrong was found', 'first and last')
  const quiet = await checked(ground, { args: (one) => [...toEs(one), '-q'] })
  assert.deepEqual(quiet, ['nothing wrong was found', ''])
  const [object = ''] = await checked(ground, { args: (one) => [...toEs(one), '--json'] })
  const { ok, verdict, findings } = JSON.parse(object)
  assert.deepEqual([ok, verdict], [true, calm[0]])
  assert.ok(findings.some((one: { subject: string }) => one.subject === `kafka topic ${TOPIC}`))
  for (const mistake of MISTAKES) {
    await t.test(mistake.name, async () => {
      answers.now = mistake.answers ?? {}
      const lines = await checked(ground, mistake)
      const state = mistake.state ?? 'WRONG'
      const findings = lines.filter((line) => line.startsWith(`${state} `))
      const told = lines.filter((line) => /^(WRONG|warn|note|usage|--|ok)/.test(line))
      assert.ok(
        findings.some((line) => mistake.found.test(line)),
        `expected ${String(mistake.found)}\n${told.join('\n')}`,
      )
    })
  }
})
