/**
 * Whether Elasticsearch (or OpenSearch) can be reached: each node's product and version, with the
 * credentials, the ingest pipeline where one is named, and what documents go to. Nothing is
 * changed; no redirect is followed.
 */
import type { Dispatcher } from 'undici'
import { messageOf } from '../core/errors.ts'
import { redactUrl, type Config } from '../options/config.ts'
import { isTopic } from '../options/notations.ts'
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
import { targetOf, type Ask, type TargetKind } from '../sink/elasticsearch/targets.ts'
import type { Probe } from './check-report.ts'

export type ElasticsearchConfig = ConnectionConfig &
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

interface Answer {
  readonly status: number
  readonly body: string
  /** Where a redirect points to, or an empty string. */
  readonly location: string
}

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
    const asks = config.esUrl.map((url) => (method: 'GET' | 'POST', path: string) => {
      return send({ connections, diagnosis, config }, method, new URL(`${url}${path}`))
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

type AskNode = (method: 'GET' | 'POST', path: string) => Promise<Answer>

async function probeNode(url: string, ask: AskNode): Promise<Probe> {
  const subject = `elasticsearch ${redactUrl(url)}`
  try {
    const answer = await ask('GET', '/')
    const wrong = statusFault(answer)
    if (wrong !== undefined) return { subject, state: 'wrong', detail: wrong }
    const product = productOf(answer.body)
    return product === undefined
      ? { subject, state: 'wrong', detail: 'answers, but is no Elasticsearch or OpenSearch' }
      : { subject, state: 'fine', detail: product }
  } catch (error) {
    return { subject, state: 'wrong', detail: messageOf(error) }
  }
}

async function probePipeline(name: string, ask: AskNode): Promise<Probe> {
  const subject = `ingest pipeline ${name}`
  try {
    const { status } = await ask('GET', `/_ingest/pipeline/${encodeURIComponent(name)}`)
    if (status === 404) return { subject, state: 'wrong', detail: 'does not exist' }
    // Writing documents does not need the right to read pipelines.
    if (status !== 200) return { subject, state: 'untested', detail: `may not be read (${status})` }
    return { subject, state: 'fine', detail: 'exists' }
  } catch (error) {
    return { subject, state: 'wrong', detail: messageOf(error) }
  }
}

/** What documents go to now: of a pattern, by the topics that are named and the date of today. */
async function probeTargets(config: ElasticsearchConfig, ask: Ask): Promise<readonly Probe[]> {
  let names: string[]
  try {
    const pattern = parseIndexPattern(config.esIndex)
    const topics = pattern.byTopic ? config.kafkaTopic.filter(isTopic) : ['']
    names = topics.map((topic) => indexNameOf(pattern, topic, Date.now()))
  } catch {
    // A name that is refused is told by the probe of index names.
    return []
  }
  return Promise.all(
    [...new Set(names)].slice(0, TARGETS_MAX).map(async (name): Promise<Probe> => {
      const kind = await targetOf(ask, name)
      const subject = `index ${name}`
      if (kind === 'unknown') return { subject, state: 'untested', detail: TARGET_WORDS[kind] }
      const isWrong = kind === 'data_stream' && config.esDocumentId === 'key'
      return isWrong
        ? { subject, state: 'wrong', detail: 'a data stream, which takes no --document-id key' }
        : { subject, state: 'fine', detail: TARGET_WORDS[kind] }
    }),
  )
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
  if (status === 403) return 'the credentials may not do this (403)'
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

/** One request without a body; its answer is bounded in time and in size. */
async function send(
  { connections, diagnosis, config }: Sender,
  method: 'GET' | 'POST',
  url: URL,
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
      if (size > BODY_BYTES_MAX) break
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
