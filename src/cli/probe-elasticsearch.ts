/**
 * Whether Elasticsearch (or OpenSearch) can be reached: each node's product and version, with the
 * credentials, and the ingest pipeline where one is named. Only GET requests; no redirect is
 * followed.
 */
import http from 'node:http'
import https from 'node:https'
import { messageOf } from '../core/errors.ts'
import { redactUrl, type Config } from '../options/config.ts'
import { readCertificates } from '../run/ca-file.ts'
import type { Probe } from './check-report.ts'
import { connectFault } from './probe-kafka.ts'

export type ElasticsearchConfig = Pick<
  Config,
  'esUrl' | 'esApiKey' | 'esUsername' | 'esPassword' | 'esCaFile' | 'esTimeoutMs' | 'esPipeline'
>

interface Answer {
  readonly status: number
  readonly body: string
}

/** The answer to GET / has a few hundred bytes; what is longer is another server's page. */
const BODY_BYTES_MAX = 64 * 1024

export async function probeElasticsearch(config: ElasticsearchConfig): Promise<readonly Probe[]> {
  let ca: string | undefined
  try {
    if (config.esCaFile !== null) ca = readCertificates(config.esCaFile)
  } catch (error) {
    return [{ subject: 'elasticsearch', state: 'wrong', detail: messageOf(error) }]
  }
  const nodes = await Promise.all(config.esUrl.map((url) => probeNode(url, config, ca)))
  const answering = config.esUrl.find((_, index) => nodes[index]?.state === 'fine')
  if (config.esPipeline === '' || answering === undefined) return nodes
  return [...nodes, await probePipeline(answering, config, ca)]
}

async function probeNode(
  url: string,
  config: ElasticsearchConfig,
  ca: string | undefined,
): Promise<Probe> {
  const subject = `elasticsearch ${redactUrl(url)}`
  try {
    const answer = await get(`${url}/`, config, ca)
    const wrong = statusFault(answer.status)
    if (wrong !== undefined) return { subject, state: 'wrong', detail: wrong }
    const product = productOf(answer.body)
    return product === undefined
      ? { subject, state: 'wrong', detail: 'answers, but is no Elasticsearch or OpenSearch' }
      : { subject, state: 'fine', detail: product }
  } catch (error) {
    return { subject, state: 'wrong', detail: connectFault(error as NodeJS.ErrnoException) }
  }
}

async function probePipeline(
  url: string,
  config: ElasticsearchConfig,
  ca: string | undefined,
): Promise<Probe> {
  const subject = `ingest pipeline ${config.esPipeline}`
  try {
    const path = `${url}/_ingest/pipeline/${encodeURIComponent(config.esPipeline)}`
    const { status } = await get(path, config, ca)
    if (status === 404) return { subject, state: 'wrong', detail: 'does not exist' }
    // Writing documents does not need the right to read pipelines.
    if (status !== 200) return { subject, state: 'untested', detail: `may not be read (${status})` }
    return { subject, state: 'fine', detail: 'exists' }
  } catch (error) {
    return { subject, state: 'wrong', detail: messageOf(error) }
  }
}

function statusFault(status: number): string | undefined {
  if (status === 200) return undefined
  if (status === 401) return 'refuses the credentials (401): see ES_API_KEY, ES_USERNAME'
  if (status === 403) return 'the credentials may not do this (403)'
  return `answers with status ${status}`
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

/** One GET, bounded in time and in size. */
function get(url: string, config: ElasticsearchConfig, ca: string | undefined): Promise<Answer> {
  const { promise, resolve, reject } = Promise.withResolvers<Answer>()
  const target = new URL(url)
  const headers = { accept: 'application/json', ...authorization(target, config) }
  const signal = AbortSignal.timeout(config.esTimeoutMs)
  const options = { headers, signal, ...(ca === undefined ? {} : { ca }) }
  const request = (target.protocol === 'https:' ? https : http).get(target, options, (response) => {
    const chunks: Buffer[] = []
    let bytes = 0
    response.on('data', (chunk: Buffer) => {
      bytes += chunk.length
      if (bytes <= BODY_BYTES_MAX) chunks.push(chunk)
      else response.destroy()
    })
    response.on('close', () => {
      resolve({ status: response.statusCode ?? 0, body: Buffer.concat(chunks).toString('utf8') })
    })
  })
  request.on('error', (error) => {
    const timedOut = signal.aborted
    reject(
      timedOut ? new TypeError(`no answer in ${config.esTimeoutMs} ms (ES_TIMEOUT_MS)`) : error,
    )
  })
  return promise
}

function authorization(
  target: URL,
  config: ElasticsearchConfig,
): { readonly authorization?: string } {
  if (config.esApiKey !== null) return { authorization: `ApiKey ${config.esApiKey}` }
  const user = config.esUsername ?? decodeURIComponent(target.username)
  const password = config.esPassword ?? decodeURIComponent(target.password)
  if (user === '') return {}
  return { authorization: `Basic ${Buffer.from(`${user}:${password}`).toString('base64')}` }
}
