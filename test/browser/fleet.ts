/**
 * Everything behind the dashboard: control plane and worker as processes, the embedded broker with
 * log lines in it, and an Elasticsearch that does what it is told.
 */
import assert from 'node:assert/strict'
import type { TestContext } from 'node:test'
import { loadBridge } from '../../src/bridge/load.ts'
import { makeLogLines } from '../../src/core/log-lines.ts'
import { EMBEDDED_KAFKA_CONFIG } from '../../src/demo/embedded.ts'
import { openBulkProducer } from '../../src/kafka/producer.ts'
import { FakeBulk } from '../helpers/fake-bulk.ts'
import { startControlProgram, startProgram, temporaryFolder, until } from '../helpers/program.ts'

const TOPIC = 'app-logs'
const PARTITIONS = 2
/** 2000 lines a second: a rate that is seen, and no load. */
const LINES = 200
const FEED_MS = 100
const PRODUCE_MS = 20_000
const LETTERS = 8
/** The only one. */
const BROKER = 1
/** Kafka's number of a request for records, and its error for a damaged batch. */
const FETCH = 1
const CORRUPT_MESSAGE = 2
/** What the mock's clock needs; sync passes its environment on. */
const KAFKA_ENV = Object.fromEntries(
  EMBEDDED_KAFKA_CONFIG.map(([name, value]) => [
    `KAFKA_CONFIG_${name.toUpperCase().replaceAll('.', '_')}`,
    value,
  ]),
)

const REFUSAL = {
  status: 400,
  type: 'document_parsing_exception',
  reason: '[1:42] failed to parse field [amount] of type [long]',
} as const

const PAGES: readonly (readonly [path: string, answer: object])[] = [
  ['/_cluster/health', { cluster_name: 'logs', status: 'green', number_of_nodes: 3 }],
  [
    '/_nodes/stats',
    { nodes: { a: { thread_pool: { write: { active: 2, queue: 0, rejected: 0 } } } } },
  ],
  [
    '/app-',
    {
      _all: { primaries: { docs: { count: 128_400 }, store: { size_in_bytes: 48_300_000 } } },
    },
  ],
  // Of every other path, so it comes last.
  ['/', { version: { number: '9.5.0' } }],
]

export interface Fleet {
  readonly url: string
  readonly topic: string
  readonly brokers: string
  readonly esUrl: string
  readonly fake: FakeBulk
  readonly call: Awaited<ReturnType<typeof startControlProgram>>['call']
  readonly control: Awaited<ReturnType<typeof startControlProgram>>['control']
  /** Starts a `logpipe sync`. */
  readonly startWorker: (id: string, more?: readonly string[]) => ReturnType<typeof startProgram>
  /** The next answer of the broker has a damaged batch where a record was due. */
  readonly damageNext: () => void
  /** The broker answers so much later; no lines are produced meanwhile. */
  readonly delay: (delayMs: number) => void
  /** Produces lines from now on, a twentieth of them with ERROR. */
  readonly feed: () => void
  /** So many of the next documents are refused for good. */
  readonly refuseNext: (count: number) => void
}

export async function startFleet(
  t: TestContext,
  env: Readonly<Record<string, string>> = {},
): Promise<Fleet> {
  const folder = temporaryFolder(t)
  const bridge = loadBridge(undefined)
  const topics = [{ topic: TOPIC, partitions: PARTITIONS }]
  const mock = bridge.mockOpen({ brokerCount: 1, topics })
  t.after(() => bridge.mockClose(mock.id))
  const fake = new FakeBulk()
  for (const [path, answer] of PAGES) fake.pages.set(path, answer)
  t.after(() => fake.close())
  const esUrl = await fake.listen()
  const { control, url, call } = await startControlProgram(t, folder, env)
  let refusals = 0
  let isDelayed = false
  const fleet: Fleet = {
    url,
    topic: TOPIC,
    brokers: mock.bootstrapServers,
    esUrl,
    fake,
    call,
    control,
    startWorker: (id, more = []) => {
      const args = ['sync', '--worker-id', id, '--control-plane-url', url, ...more]
      return startProgram(t, folder, [...args, '--worker-poll-ms', '300'], KAFKA_ENV)
    },
    damageNext: () => bridge.mockPushErrors(mock.id, FETCH, [CORRUPT_MESSAGE]),
    delay: (delayMs) => {
      isDelayed = delayMs > 0
      bridge.mockBrokerDelay(mock.id, BROKER, delayMs)
    },
    feed: await feedOf(t, mock.bootstrapServers, () => !isDelayed),
    refuseNext: (count) => (refusals = count),
  }
  fake.script = () => ({
    kind: 'items',
    fault: () => (refusals > 0 ? (refusals--, REFUSAL) : null),
  })
  return fleet
}

/** A small pipeline that reads what is fed, as the API takes it. */
export function pipelineOf(fleet: Fleet): Readonly<Record<string, string | number>> {
  return {
    name: 'app-errors',
    kafka_brokers: fleet.brokers,
    kafka_topic: fleet.topic,
    kafka_group_id: 'app-errors',
    es_url: fleet.esUrl,
    es_index: 'app-errors',
    ingress_threads: 1,
    rust_workers: 1,
    pool_size: 8,
  }
}

/**
 * Three pipelines: one that runs and has dead letters, one that waits, one that is stopped.
 * @param secondsSeen until so many seconds with records in them are kept
 */
export async function fillFleet(fleet: Fleet, secondsSeen: number): Promise<void> {
  const running = pipelineOf(fleet)
  const changed = {
    match_pattern: ['ERROR', 'FATAL'],
    kafka_config: { 'client.id': 'dashboard' },
    metrics: ['lines=* by level', 'took=histogram(duration_ms; 10 100)'],
  }
  const nginx = { name: 'nginx-5xx', kafka_topic: 'nginx', es_index: 'nginx-5xx', enabled: true }
  const audit = { name: 'audit-trail', kafka_topic: 'audit', es_index: 'audit' }
  await fleet.call('POST', '/api/pipelines', { ...running, enabled: true })
  await fleet.call('PUT', '/api/pipelines/1', { ...running, ...changed })
  await fleet.call('POST', '/api/pipelines', nginx)
  await fleet.call('POST', '/api/pipelines', audit)
  fleet.refuseNext(LETTERS)
  fleet.startWorker('worker-1')
  fleet.feed()
  await until('some seconds of records', async () => {
    const { body } = await fleet.call('GET', '/api/metrics/runtime/history?seconds=300')
    const points = body.points as { polled_per_second: number }[]
    return points.filter(({ polled_per_second: rate }) => rate > 0).length >= secondsSeen
  })
}

async function feedOf(t: TestContext, brokers: string, isDue: () => boolean): Promise<() => void> {
  const producer = await openBulkProducer({ brokers, config: [], timeoutMs: PRODUCE_MS })
  let timer: NodeJS.Timeout | undefined
  t.after(async () => {
    clearInterval(timer)
    await producer.close()
  })
  const lines = makeLogLines({ seed: 1, errorShare: 0.05, recordBytes: null, multiLine: false })
  let sent = 0
  const burst = (): void => {
    for (let count = 0; count < LINES; count++, sent++) {
      const { bytes } = lines.next(Date.now())
      assert.ok(producer.send(TOPIC, sent % PARTITIONS, null, bytes), 'the queue has room')
    }
  }
  return () => {
    timer = setInterval(() => isDue() && burst(), FEED_MS)
  }
}
