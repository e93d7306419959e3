/**
 * The probes of `logpipe check`: whether Elasticsearch, Kafka or the output's file can be reached
 * and used. Nothing is changed or written, no group is joined, no redirect is followed.
 */
import { accessSync, constants, existsSync, statSync } from 'node:fs'
import net from 'node:net'
import path from 'node:path'
import type { Dispatcher } from 'undici'
import type { Bridge, CommittedOffset } from '../bridge/bridge.ts'
import { messageOf, connectFault } from '../core/errors.ts'
import { nearest } from '../core/nearest.ts'
import { counted } from '../core/text-table.ts'
import { keyOf } from '../core/topic-partition.ts'
import { awaitAnswers } from '../kafka/broker-queries.ts'
import {
  type ClusterMetadata,
  type Consumer,
  type ConsumerOptions,
  withConsumer,
} from '../kafka/consumer.ts'
import { besideGroup, consumerSettings, instanceIds } from '../kafka/consumer-settings.ts'
import { askReaders, atEndText, type GroupReaders } from '../kafka/group-check.ts'
import { identityOf, type ControlledPipeline } from '../kafka/pipeline-identity.ts'
import { topicProblem, whyNotAsked } from '../kafka/preflight.ts'
import { redactUrl, type Config } from '../options/config.ts'
import { isTopic, parseAddress, type OutputTarget } from '../options/notations.ts'
import { isTopicExpression, topicsMeant } from '../options/topic-expression.ts'
import type { FieldMapping } from '../run/mapping-conflicts.ts'
import { connectionSettings, type ConnectionConfig } from '../run/elasticsearch-connection.ts'
import {
  authorizationOf,
  basic,
  Diagnosis,
  openConnections,
  redirectFault,
} from '../sink/elasticsearch/connections.ts'
import { indexNameOf, parseIndexPattern } from '../sink/elasticsearch/index-name.ts'
import type { ConnectionSettings } from '../sink/elasticsearch/settings.ts'
import { targetOf, type TargetKind } from '../sink/elasticsearch/targets.ts'
import { type Answer, type AskNode, type Probe, probeWrites } from './index-probes.ts'

/*
 * Elasticsearch (or OpenSearch): each node's product and version, with the credentials, the ingest
 * pipeline where one is named, and what documents go to.
 */

type ElasticsearchConfig = ConnectionConfig &
  Pick<
    Config,
    | 'esUrl'
    | 'esApiKey'
    | 'esUsername'
    | 'esPassword'
    | 'esTimeoutMs'
    | 'esPipeline'
    | 'esIndex'
    | 'esDocumentId'
    | 'kafkaTopic'
  >

/** The answer to GET / has a few hundred bytes; what is longer is another server's page. */
const BODY_BYTES_MAX = 1024 * 1024
/** Names that are looked at, of a pattern with {topic}. */
const TARGETS_MAX = 10

export async function probeElasticsearch(config: ElasticsearchConfig): Promise<readonly Probe[]> {
  let settings: ConnectionSettings
  try {
    settings = connectionSettings(config)
  } catch (error) {
    return [{ subject: 'elasticsearch', state: 'wrong', detail: messageOf(error) }]
  }
  const connections = openConnections(settings)
  const diagnosis = new Diagnosis(settings)
  try {
    const asks = config.esUrl.map((url): AskNode => (method, path) => {
      return send({ connections, diagnosis, config }, { method, url: new URL(`${url}${path}`) })
    })
    const nodes = await Promise.all(config.esUrl.map((url, index) => probeNode(url, asks[index]!)))
    const ask = asks.find((_, index) => nodes[index]?.state === 'fine')
    if (ask === undefined) return nodes
    const pipeline = config.esPipeline === '' ? [] : [await probePipeline(config.esPipeline, ask)]
    return [...nodes, ...pipeline, ...(await probeTargets(config, ask))]
  } finally {
    await connections.destroy()
  }
}

/** What an index would do with a document's fields, or why nobody says. */
export type FoundMapping =
  { readonly mapping: FieldMapping; readonly from: string } | { readonly problem: string }

/** Mappings of indices with a thousand fields have half a megabyte. */
const MAPPING_BYTES_MAX = 16 * 1024 * 1024

/** The mapping of an index, or that which a template would give it. Never rejects. */
export async function askMapping(
  config: ElasticsearchConfig,
  index: string,
): Promise<FoundMapping> {
  const settings = connectionSettings(config)
  const connections = openConnections(settings)
  const diagnosis = new Diagnosis(settings)
  try {
    const [node = ''] = config.esUrl
    const ask = (method: 'GET' | 'POST', path_: string) =>
      send(
        { connections, diagnosis, config },
        { method, url: new URL(`${node}${path_}`), bytesMax: MAPPING_BYTES_MAX },
      )
    const name = encodeURIComponent(index)
    const found = await ask('GET', `/${name}/_mapping`)
    if (found.status === 200) {
      // Of a data stream, the newest backing index.
      const all = Object.entries(JSON.parse(found.body) as Record<string, { mappings?: unknown }>)
      const [, newest] = all.toSorted(([left], [right]) => (left < right ? -1 : 1)).at(-1) ?? []
      return { mapping: (newest?.mappings ?? {}) as FieldMapping, from: `index ${index}` }
    }
    if (found.status !== 404) return { problem: statusFault(found) ?? 'no answer' }
    const made = await ask('POST', `/_index_template/_simulate_index/${name}`)
    const body = made.status === 200 ? (JSON.parse(made.body) as SimulatedIndex) : {}
    const mapping = body.template?.mappings
    return mapping === undefined
      ? { problem: `there is no index ${index} yet, and no template with a mapping for it` }
      : { mapping, from: `the template for ${index}` }
  } catch (error) {
    return { problem: messageOf(error) }
  } finally {
    await connections.destroy()
  }
}

interface SimulatedIndex {
  readonly template?: { readonly mappings?: FieldMapping }
}
async function probeNode(url: string, ask: AskNode): Promise<Probe> {
  const subject = `elasticsearch ${redactUrl(url)}`
  try {
    const answer = await ask('GET', '/')
    const wrong = statusFault(answer)
    if (wrong !== undefined) return { subject, state: 'wrong', detail: wrong }
    const product = productOf(answer.body)
    return product === undefined
      ? {
          subject,
          state: 'wrong',
          detail: 'answers, but is no Elasticsearch or OpenSearch; see --es-url',
        }
      : { subject, state: 'fine', detail: product }
  } catch (error) {
    const why = messageOf(error)
    // Where it says what to use in its place, that is the advice.
    const advice = / use |see /.test(why) ? '' : '; start it, or name another with --es-url'
    return { subject, state: 'wrong', detail: `${why}${advice}` }
  }
}

async function probePipeline(name: string, ask: AskNode): Promise<Probe> {
  const subject = `ingest pipeline ${name}`
  try {
    const { status } = await ask('GET', `/_ingest/pipeline/${encodeURIComponent(name)}`)
    if (status === 404) return { subject, state: 'wrong', detail: noPipeline(name) }
    // Writing documents does not need the right to read pipelines.
    if (status !== 200) return { subject, state: 'untested', detail: `may not be read (${status})` }
    return { subject, state: 'fine', detail: 'exists' }
  } catch (error) {
    return { subject, state: 'wrong', detail: messageOf(error) }
  }
}

function noPipeline(name: string): string {
  return `does not exist: make it with PUT /_ingest/pipeline/${name}, or leave ES_PIPELINE out`
}

/** What documents go to now: of a pattern, by the topics that are named and the date of today. */
async function probeTargets(config: ElasticsearchConfig, ask: AskNode): Promise<readonly Probe[]> {
  let names: string[]
  try {
    const pattern = parseIndexPattern(config.esIndex)
    const topics = pattern.byTopic ? config.kafkaTopic.filter(isTopic) : ['']
    names = topics.map((topic) => indexNameOf(pattern, topic, Date.now()))
  } catch {
    // A name that is refused is told by the probe of index names.
    return []
  }
  const overwrites = config.esDocumentId === 'key'
  const who = userOf(config)
  const found = await Promise.all(
    [...new Set(names)].slice(0, TARGETS_MAX).map(async (name): Promise<readonly Probe[]> => {
      const kind = await targetOf(ask, name)
      const faults = await probeWrites(ask, { name, kind, who, overwrites })
      if (faults.length > 0) return faults
      const subject = `index ${name}`
      if (kind === 'unknown') return [{ subject, state: 'untested', detail: TARGET_WORDS[kind] }]
      const isWrong = kind === 'data_stream' && overwrites
      return [
        isWrong
          ? { subject, state: 'wrong', detail: KEY_INTO_STREAM }
          : { subject, state: 'fine', detail: TARGET_WORDS[kind] },
      ]
    }),
  )
  return found.flat()
}

const KEY_INTO_STREAM =
  'a data stream, which takes no --document-id key: name an index, or leave the option out'

/** As messages name it. */
function userOf({ esApiKey, esUsername }: ElasticsearchConfig): string {
  if (esApiKey !== null) return 'the API key'
  return esUsername === null ? 'the user' : `the user ${esUsername}`
}

const TARGET_WORDS: Readonly<Record<TargetKind, string>> = {
  data_stream: 'a data stream: JSON without @timestamp gets the time of its record',
  index: 'exists',
  none: 'will be made as an index',
  unknown:
    'may not be asked (view_index_metadata): if it is a data stream, it refuses JSON without ' +
    '@timestamp',
}

function statusFault({ status, location }: Answer): string | undefined {
  if (status === 200) return undefined
  if (status === 401) return 'refuses the credentials (401): see ES_API_KEY, ES_USERNAME'
  if (status === 403) return 'the credentials may not do this (403): grant the privilege monitor'
  if (status === 407) return 'the proxy wants credentials (407): see ES_PROXY'
  return redirectFault(status, location) ?? `answers with status ${status}`
}

/** "Elasticsearch 9.5.0" or "OpenSearch 3.8.0"; undefined for any other server. */
export function productOf(body: string): string | undefined {
  let parsed: unknown
  try {
    parsed = JSON.parse(body)
  } catch {
    // Another server's page: not JSON.
    return undefined
  }
  if (typeof parsed !== 'object' || parsed === null || !('version' in parsed)) return undefined
  const { version } = parsed
  if (typeof version !== 'object' || version === null || !('number' in version)) return undefined
  const isOpenSearch = 'distribution' in version && version.distribution === 'opensearch'
  return `${isOpenSearch ? 'OpenSearch' : 'Elasticsearch'} ${String(version.number)}`
}

interface Sender {
  readonly connections: Dispatcher
  readonly diagnosis: Diagnosis
  readonly config: ElasticsearchConfig
}

interface Question {
  readonly method: 'GET' | 'POST'
  readonly url: URL
  readonly bytesMax?: number
}

/** One request; its answer is bounded in time and in size. */
async function send(
  { connections, diagnosis, config }: Sender,
  { method, url, bytesMax = BODY_BYTES_MAX }: Question,
): Promise<Answer> {
  const signal = AbortSignal.timeout(config.esTimeoutMs)
  try {
    const { statusCode, headers, body } = await connections.request({
      method,
      origin: url.origin,
      path: `${url.pathname}${url.search}`,
      headers: { accept: 'application/json', ...authorization(url, config) },
      signal,
    })
    const chunks: Buffer[] = []
    let size = 0
    for await (const chunk of body) {
      const bytes = chunk as Buffer
      size += bytes.length
      if (size > bytesMax) break
      chunks.push(bytes)
    }
    const location = String(headers['location'] ?? '')
    return { status: statusCode, body: Buffer.concat(chunks).toString('utf8'), location }
  } catch (error) {
    const why = signal.aborted
      ? `no answer in ${config.esTimeoutMs} ms (ES_TIMEOUT_MS)`
      : await diagnosis.of(error, url)
    throw new TypeError(why, { cause: error })
  }
}

function authorization(
  target: URL,
  config: ElasticsearchConfig,
): { readonly authorization?: string } {
  if (config.esApiKey !== null) return { authorization: `ApiKey ${config.esApiKey}` }
  if (config.esUsername !== null) {
    return { authorization: basic(config.esUsername, config.esPassword ?? '') }
  }
  const own = authorizationOf(target)
  return own === null ? {} : { authorization: own }
}

/*
 * Kafka: a TCP connection to each broker named, then, through librdkafka, what the cluster says of
 * itself and of the topics, and a connection to each address that its brokers advertise: partitions
 * are read there.
 */

interface KafkaProbe {
  readonly probes: readonly Probe[]
  /** Brokers of the cluster, or null when they were not told. */
  readonly brokerCount: number | null
}

/** Patience with a broker that does not answer; a healthy one answers in milliseconds. */
const CONNECT_MS_MAX = 3000
const METADATA_MS_MAX = 5000

type Topics = ClusterMetadata['topics']

/** @param loadBridge is called when a broker answers */
export async function probeKafka(
  config: Config,
  controlled: ControlledPipeline | null,
  loadBridge: (file: string | undefined) => Bridge,
): Promise<KafkaProbe> {
  const connections = await Promise.all(config.kafkaBrokers.map(probeBroker))
  if (connections.every(({ state }) => state === 'wrong')) {
    return { probes: connections, brokerCount: null }
  }
  try {
    const bridge = loadBridge(config.bridgeLib ?? undefined)
    const metadata = withConsumer(bridge, outsideOf(config), METADATA_MS_MAX, (consumer) =>
      askCluster(config, controlled, consumer),
    )
    const { brokerCount, advertised } = metadata
    const others = advertised.filter(({ address }) => !config.kafkaBrokers.includes(address))
    const unreachable = await Promise.all(others.map(probeAdvertised))
    const wrong = unreachable.filter((probe) => probe.state === 'wrong')
    return { brokerCount, probes: [...connections, ...metadata.probes, ...wrong] }
  } catch (error) {
    const wrong: Probe = { subject: 'kafka', state: 'wrong', detail: messageOf(error) }
    return { probes: [...connections, wrong], brokerCount: null }
  }
}

/** Without a subscription no group is joined; static membership must not be disturbed either. */
function outsideOf(config: Config): ConsumerOptions {
  const properties = besideGroup(consumerSettings(config, 0))
  return { properties, tokenFile: config.kafkaTokenFile, warn: () => undefined }
}

interface Advertised {
  readonly id: number
  readonly address: string
}

/** @returns what is wrong with an address that a broker advertises, or that it is fine. */
async function probeAdvertised({ id, address }: Advertised): Promise<Probe> {
  const probe = await probeBroker(address)
  const advice = 'partitions that it leads cannot be read; see its advertised.listeners'
  return {
    ...probe,
    subject: `kafka broker ${id} at ${address}`,
    detail: `${probe.detail}; ${advice}`,
  }
}

/** Connects and closes again. Never rejects. */
function probeBroker(broker: string): Promise<Probe> {
  const address = parseAddress(broker)
  const subject = `kafka broker ${broker}`
  return new Promise((resolve) => {
    const socket = net.connect({ host: address?.host ?? '', port: address?.port ?? 0 })
    const end = (state: Probe['state'], detail: string) => {
      socket.destroy()
      resolve({ subject, state, detail })
    }
    socket.setTimeout(CONNECT_MS_MAX, () => {
      end('wrong', `no answer in ${CONNECT_MS_MAX / 1000} s; is a firewall between?`)
    })
    socket.once('connect', () => end('fine', 'accepts connections'))
    socket.once('error', (error) => {
      end('wrong', `${connectFault(error)}; start it, or name others with --brokers`)
    })
  })
}

function askCluster(
  config: Config,
  controlled: ControlledPipeline | null,
  consumer: Consumer,
): KafkaProbe & { readonly advertised: readonly Advertised[] } {
  try {
    const brokers = consumer.metadata(null, METADATA_MS_MAX)
    const count = counted(brokers.brokers.length, 'broker')
    const said = `${count}, ${counted(brokers.topics.length, 'topic')}`
    const topics = config.kafkaTopic.map((topic) => probeTopic(topic, brokers.topics))
    return {
      brokerCount: brokers.brokers.length,
      advertised: brokers.brokers.map(({ id, host, port }) => ({
        id,
        address: host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`,
      })),
      probes: [
        { subject: 'kafka cluster', state: 'fine', detail: said },
        ...topics,
        ...probeGroup(config, controlled, consumer, brokers.topics),
      ],
    }
  } catch (error) {
    const detail = whyNotAsked(consumer) ?? `${messageOf(error)}; ${NO_BROKER}`
    const probes: Probe[] = [{ subject: 'kafka cluster', state: 'wrong', detail }]
    return { brokerCount: null, advertised: [], probes }
  }
}

/** Of what accepts a connection and is then closed without a word of why. */
const NO_BROKER =
  'the address does not answer as a broker with this security.protocol: check it, sasl.* ' +
  'and ssl.* (--kafka-config)'

/** Who else reads with the group, and whether there is anything to read; empty: all is well. */
function probeGroup(
  config: Config,
  controlled: ControlledPipeline | null,
  consumer: Consumer,
  known: Topics,
): readonly Probe[] {
  const { kafkaGroupId: groupId, groupInstanceId, ingressThreads, kafkaTopic } = config
  const question = {
    groupId,
    identity: identityOf(config, controlled),
    instanceIds: instanceIds(groupInstanceId, ingressThreads),
    topics: kafkaTopic,
  }
  let probes: readonly Probe[] = []
  awaitAnswers(consumer, (queries) => {
    askReaders(queries, question, (readers) => {
      probes = groupProbes(config, readers)
      const partitions = committedPartitions(topicsMeant(kafkaTopic, known), readers.committed)
      if (partitions.length === 0) return
      queries.ask(partitions, { end: true }, METADATA_MS_MAX, (facts) => {
        const ends = partitions.map((one, index) => ({ ...one, end: facts[index]?.end?.offset }))
        if (ends.some(({ end, offset }) => end === undefined || end > offset)) return
        const text = atEndText(groupId, partitions)
        probes = [...probes, { subject: `kafka group ${groupId}`, state: 'warning', detail: text }]
      })
    })
  })
  return probes
}

/** @returns what to say of those who read with the group. */
function groupProbes(
  { kafkaGroupId, takeOver }: Pick<Config, 'kafkaGroupId' | 'takeOver'>,
  { conflict, notices }: GroupReaders,
): readonly Probe[] {
  const subject = `kafka group ${kafkaGroupId}`
  const state = takeOver ? 'warning' : 'wrong'
  return [
    ...(conflict === null ? [] : [{ subject, state, detail: conflict } as const]),
    ...notices.map((detail) => ({ subject, state: 'warning', detail }) as const),
  ]
}

/** What the group has committed of all partitions; empty where it has not of one. */
function committedPartitions(
  topics: Topics,
  committed: readonly CommittedOffset[],
): readonly CommittedOffset[] {
  const offsets = new Map(committed.map((row) => [keyOf(row), row]))
  const rows = topics.flatMap(({ topic, partitions }) =>
    Array.from({ length: partitions }, (_, partition) => offsets.get(keyOf({ topic, partition }))),
  )
  const found = rows.filter((row) => row !== undefined && row.offset >= 0)
  return found.length === rows.length ? found.filter((row) => row !== undefined) : []
}

/** Topics named to somebody who has named none of them. */
const TOPICS_SHOWN = 5

/** What to name in its place. */
function elsewhere(wanted: string, known: Topics): string {
  const names = known.map(({ topic }) => topic).filter((topic) => !topic.startsWith('__'))
  const near = nearest(wanted, names)
  if (near !== undefined) return `name another with --topic (did you mean ${near}?)`
  if (names.length === 0) return 'name another with --topic; this cluster shows none'
  const shown = names.slice(0, TOPICS_SHOWN).join(', ')
  const more = names.length > TOPICS_SHOWN ? ', ...' : ''
  return `name another with --topic: there are ${shown}${more}`
}

/** @param known every topic that the user may see */
export function probeTopic(wanted: string, known: Topics): Probe {
  const subject = `kafka topic ${wanted}`
  if (isTopicExpression(wanted)) {
    const count = topicsMeant([wanted], known).length
    return count === 0
      ? { subject, state: 'wrong', detail: `no topic matches now: ${elsewhere(wanted, known)}` }
      : { subject, state: 'fine', detail: `matches ${counted(count, 'topic')}` }
  }
  const found = known.find(({ topic }) => topic === wanted)
  if (found === undefined || found.error === 'UNKNOWN_TOPIC_OR_PART') {
    return {
      subject,
      state: 'wrong',
      detail: [
        'does not exist, or may not be read: create it, grant READ and DESCRIBE on it, or',
        elsewhere(wanted, known),
      ].join(' '),
    }
  }
  if (found.error !== null) {
    return { subject, state: 'wrong', detail: topicProblem(wanted, found.error).message }
  }
  return { subject, state: 'fine', detail: counted(found.partitions, 'partition') }
}

/** An output that is not Elasticsearch. */
export function probeOutput(output: OutputTarget): readonly Probe[] {
  if (output.kind !== 'file') return []
  const subject = `output ${output.path}`
  const folder = path.dirname(path.resolve(output.path))
  try {
    if (!existsSync(output.path)) {
      accessSync(folder, constants.W_OK)
      return [{ subject, state: 'fine', detail: 'will be made' }]
    }
    if (statSync(output.path).isDirectory()) {
      return [{ subject, state: 'wrong', detail: 'is a folder; name a file' }]
    }
    accessSync(output.path, constants.W_OK)
    return [{ subject, state: 'fine', detail: 'will be appended to' }]
  } catch (error) {
    const reason = messageOf(error).replace(/^[A-Z]+: /, '')
    const advice = 'make the folder, or name another file with --output'
    return [{ subject, state: 'wrong', detail: `cannot be written: ${reason}; ${advice}` }]
  }
}
