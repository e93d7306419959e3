/**
 * What only servers themselves can say of a mistake, asked of a real Kafka and Elasticsearch: what
 * clients get from a listener of another kind, from an index that takes nothing, and what groups
 * have read. All that people get wrong is listed in test/integration/planted-mistakes.test.ts.
 */
import assert from 'node:assert/strict'
import { test, type TestContext } from 'node:test'
import { check } from '../../src/cli/check.ts'
import { QUIET_HOST } from '../cli/quiet-host.ts'
import { flags, Logpipe } from '../helpers/logpipe.ts'
import { until } from '../helpers/program.ts'
import { saslServers, startKafka, type KafkaServer } from '../servers/kafka.ts'
import { sharedElasticsearch, uniqueName } from '../servers/shared.ts'
import { serversMissing } from '../servers/stack.ts'

const skip = serversMissing() ?? false
const USER = { name: 'reader', password: 'the-right-one' }
const RECORDS = 40

/** Everything right: what each mistake is planted in. */
interface Ground {
  readonly kafka: KafkaServer
  readonly topic: string
  readonly group: string
  readonly index: string
  readonly esUrl: string
  readonly onEs: (method: string, path: string, body?: object) => Promise<void>
}

interface Mistake {
  readonly name: string
  readonly found: RegExp
  readonly state?: 'WRONG' | 'warn'
  readonly args?: (ground: Ground) => readonly string[]
  readonly plant?: (ground: Ground, t: TestContext) => Promise<void>
  readonly mend?: (ground: Ground) => Promise<void>
  /** A server that was started again takes its time. */
  readonly isLate?: true
}

const base = ({ kafka: { bootstrapServers }, topic, group }: Ground) => ({
  brokers: bootstrapServers,
  topic,
  group,
})

const kafka = (...properties: string[]) => properties.map((one) => `--kafka-config=${one}`)
const signIn = (password: string) =>
  kafka(
    'security.protocol=SASL_PLAINTEXT',
    'sasl.mechanism=PLAIN',
    `sasl.username=${USER.name}`,
    `sasl.password=${password}`,
  )

function setting(name: string): Pick<Mistake, 'plant' | 'mend'> {
  const put = (value: boolean | null) => (ground: Ground) =>
    ground.onEs('PUT', `/${ground.index}/_settings`, { [name]: value })
  return { plant: put(true), mend: put(null) }
}

const MISTAKES: readonly Mistake[] = [
  {
    name: 'TLS to a plain port',
    args: () => kafka('security.protocol=SSL'),
    found: /kafka cluster: .*check security\.protocol/,
  },
  {
    name: 'SASL to a port that knows none',
    args: () => signIn(USER.password),
    found: /kafka cluster: .*check security\.protocol, sasl/,
  },
  {
    name: 'no SASL to a port that wants it',
    args: (ground) => flags({ brokers: saslServers(ground.kafka) }),
    found: /kafka cluster: .*check security\.protocol, sasl/,
  },
  {
    name: 'a wrong password',
    args: (ground) => [...flags({ brokers: saslServers(ground.kafka) }), ...signIn('wrong')],
    found: /kafka cluster: .*Authentication failed.*check security\.protocol, sasl/,
  },
  {
    name: 'a topic that is misspelt',
    args: ({ topic }) => flags({ topic: topic.slice(0, -1) }),
    found: /kafka topic .*: does not exist.*did you mean mistakes-/,
  },
  {
    name: 'a pattern that is in no record',
    args: () => flags({ pattern: 'EROR' }),
    state: 'warn',
    found: /matches: none of the last 40 records matches: is the pattern written as/,
  },
  {
    name: 'a group that has read everything',
    plant: async (ground, t) => {
      const args = flags({ ...base(ground), until: 'end', output: 'file:out' })
      const { status, stderr } = await new Logpipe(t, ['run', ...args]).ended
      assert.equal(status, 0, stderr)
    },
    state: 'warn',
    found: /kafka group .*: nothing to read: .* is at the end of .*--group/,
  },
  {
    name: 'the group of another pipeline',
    plant: async (ground, t) => {
      const args = flags({ ...base(ground), pattern: 'WARN', output: 'file:out', 'run-seconds': 0 })
      const other = new Logpipe(t, ['run', ...args])
      await other.until('it has joined', () => other.stderr.includes('assigned '))
    },
    found: /kafka group .*: .*in use by another pipeline/,
  },
  {
    name: 'an index with a write block',
    ...setting('index.blocks.write'),
    found: /takes no writes \(index\.blocks\.write\): lift it with PUT/,
  },
  {
    name: 'a disk at its flood stage',
    ...setting('index.blocks.read_only_allow_delete'),
    found: /nearly full \(flood stage\): make room there/,
  },
  {
    name: 'an index that is closed',
    plant: ({ onEs, index }) => onEs('POST', `/${index}/_close`),
    mend: ({ onEs, index }) => onEs('POST', `/${index}/_open`),
    found: /is closed: open it with POST/,
  },
  {
    name: 'an ingest pipeline that is not there',
    args: () => flags({ 'es-pipeline': 'no-such' }),
    found: /ingest pipeline no-such: does not exist: make it with PUT/,
  },
  {
    name: 'https to a plain port',
    args: ({ esUrl }) => flags({ 'es-url': esUrl.replace('http:', 'https:') }),
    found: /elasticsearch https.*speaks plain HTTP, not TLS: use http:/,
  },
  // The last: its broker says so from now on.
  {
    name: 'a broker that advertises where nobody listens',
    plant: async (ground) => {
      await ground.kafka.stopBroker(1)
      await ground.kafka.misplaceBroker(1)
    },
    isLate: true,
    found: /kafka broker 1 at .*: connection refused.*see its advertised\.listeners/,
  },
]

async function groundOf(t: TestContext): Promise<Ground> {
  const server = await startKafka({ user: USER })
  t.after(() => server.stop())
  const esUrl = await sharedElasticsearch(t)
  const [topic, index] = [uniqueName('mistakes'), uniqueName('mistakes')]
  await server.createTopic(topic, 2)
  const values = Array.from({ length: RECORDS }, (_, line) => `ERROR line ${line}`)
  await server.produceInTurns(topic, values, 2)
  const onEs: Ground['onEs'] = async (method, path, body) => {
    const headers = { 'content-type': 'application/json' }
    const sent = body === undefined ? {} : { headers, body: JSON.stringify(body) }
    const answer = await fetch(esUrl + path, { method, ...sent })
    assert.ok(answer.ok, `${method} ${path}: ${await answer.text()}`)
  }
  await onEs('PUT', `/${index}`)
  return { kafka: server, topic, group: topic, index, esUrl, onEs }
}

async function checked(ground: Ground, args: readonly string[] = []): Promise<readonly string[]> {
  const printed: string[] = []
  const own = flags({ ...base(ground), 'es-url': ground.esUrl, 'es-index': ground.index })
  await check({
    ...QUIET_HOST,
    args: [...own, '--output', 'elasticsearch', ...args],
    env: {},
    print: (text: string) => printed.push(text),
  })
  return printed.join('').split('\n')
}

test('check says what servers have against it, with the fix', { skip }, async (t) => {
  const ground = await groundOf(t)
  const odd = (lines: readonly string[]) => lines.filter((line) => /^(WRONG|warn)/.test(line))
  assert.deepEqual(odd(await checked(ground)), [], 'without a mistake there is nothing to find')
  for (const mistake of MISTAKES) {
    await t.test(mistake.name, async (one) => {
      await mistake.plant?.(ground, one)
      const state = mistake.state ?? 'WRONG'
      let told: readonly string[] = []
      const isFound = async () => {
        told = odd(await checked(ground, mistake.args?.(ground)))
        return told.some((line) => line.startsWith(state) && mistake.found.test(line))
      }
      const found = mistake.isLate === true ? await until(mistake.name, isFound) : await isFound()
      await mistake.mend?.(ground)
      assert.ok(found, `expected ${String(mistake.found)}\n${told.join('\n')}`)
    })
  }
})
