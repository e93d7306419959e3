/**
 * A small HTTP server: /metrics for Prometheus, /health and /ready for whoever watches the process.
 *
 *   /health  200 while the process answers at all
 *   /ready   200, or 503 with a line for each thing that is down
 *
 * Anybody may read /ready, so it has words of its own for each thing, and no others: what servers,
 * records and messages of the system say stands in the log.
 *
 * Bounds. CONNECTIONS_MAX at a time, which make room for a newcomer, each with little time to say
 * what it wants; no request's body is read. One scrape is made at a time, and kept for some times
 * as long as it took, so that whoever asks without end has a tenth of this thread. A scrape that
 * fails is answered with 500.
 */
import { once } from 'node:events'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { boundConnections } from '../core/connection-bounds.ts'
import { listenError, messageOf } from '../core/errors.ts'
import { PROMETHEUS_CONTENT_TYPE } from './prometheus.ts'

/** What can be down, as /ready says it. */
const FAULTS = {
  starting: 'starting',
  stopping: 'stopping',
  group: 'kafka: the group gives no partitions',
  brokers: 'kafka: no broker can be reached',
  partitions: 'kafka: some partitions are not read',
  output: 'output: in trouble',
  control: 'control plane: not heard',
  pipeline: 'pipeline: has an error',
} as const

export type Fault = keyof typeof FAULTS

export interface MetricsServerOptions {
  /** An empty host: every address. Port 0: a free one. */
  readonly address: { readonly host: string; readonly port: number }
  /** The text of one scrape. */
  readonly metrics: () => Promise<string>
  /** What is down; none: all is well. */
  readonly faults: () => readonly Fault[]
  /** Hears why a scrape failed. */
  readonly warn: (message: string) => void
}

export interface MetricsServer {
  readonly port: number
  /** Where its metrics are, for people; `*` stands for every address. */
  readonly url: string
  /** Ends what is open. Idempotent. */
  close(): Promise<void>
}

/** A few scrapers, probes, people; of one address, as of a node with all its agents, a half. */
const CONNECTIONS_MAX = 128
const LIMITS = {
  headersTimeout: 5000,
  requestTimeout: 10_000,
  // Above the usual interval of a scrape, so that it finds its connection again.
  keepAliveTimeout: 65_000,
  // How often the times above are looked at.
  connectionsCheckingInterval: 2500,
  maxHeaderSize: 16_384,
} as const

/** A scrape is kept for so many times what it took. */
const SCRAPE_KEPT_TIMES = 9

/** With scrapes that are held. */
type Bounded = Omit<MetricsServerOptions, 'metrics'> & { readonly metrics: () => Promise<Buffer> }

interface Answer {
  readonly status: number
  readonly contentType: string
  readonly text: string | Buffer
}

/** @throws LogpipeError LISTEN when the address cannot be had. */
export async function openMetricsServer(options: MetricsServerOptions): Promise<MetricsServer> {
  const bounded = { ...options, metrics: heldScrapes(options.metrics) }
  const server = createServer(LIMITS, (request, response) => {
    void respond(bounded, request, response)
  })
  boundConnections(server, {
    connectionsMax: CONNECTIONS_MAX,
    perAddressMax: CONNECTIONS_MAX / 2,
  })
  await listen(server, options.address)
  const { port } = server.address() as AddressInfo
  let closing: Promise<unknown> | null = null
  return {
    port,
    url: `http://${options.address.host || '*'}:${port}/metrics`,
    close: async () => {
      if (closing === null) {
        closing = once(server, 'close')
        server.close()
        server.closeAllConnections()
      }
      await closing
    },
  }
}

/**
 * The same text for all who ask while it is made, and for a moment after: as bytes, which all who
 * do not read their answers share.
 */
export function heldScrapes(
  metrics: () => Promise<string>,
  nowMs: () => number = () => performance.now(),
): () => Promise<Buffer> {
  let held: Promise<Buffer> | null = null
  let untilMs = -Infinity
  return () => {
    const startedMs = nowMs()
    if (held !== null && startedMs < untilMs) return held
    untilMs = Infinity
    const end = () => {
      untilMs = nowMs() + SCRAPE_KEPT_TIMES * (nowMs() - startedMs)
    }
    held = (async () => Buffer.from(await metrics()))()
    held.then(end, end)
    return held
  }
}

async function listen(
  server: Server,
  { host, port }: MetricsServerOptions['address'],
): Promise<void> {
  try {
    server.listen({ port, ...(host === '' ? {} : { host }) })
    await once(server, 'listening')
  } catch (cause) {
    throw listenError('METRICS_LISTEN', `${host}:${port}`, cause)
  }
}

async function respond(
  options: Bounded,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const { status, contentType, text } = await answerTo(options, request).catch((error: unknown) => {
    options.warn(`cannot render the metrics: ${messageOf(error)}`)
    return plain(500, 'cannot render the metrics; see the log')
  })
  response.writeHead(status, {
    'content-type': contentType,
    'content-length': Buffer.byteLength(text),
    'cache-control': 'no-store',
  })
  // Node leaves the body out where the method is HEAD.
  response.end(text)
}

async function answerTo(options: Bounded, { method, url = '/' }: IncomingMessage): Promise<Answer> {
  if (method !== 'GET' && method !== 'HEAD') return plain(405, 'use GET or HEAD')
  switch (url.split('?')[0]) {
    case '/metrics':
      return { status: 200, contentType: PROMETHEUS_CONTENT_TYPE, text: await options.metrics() }
    case '/health':
      return plain(200, 'ok')
    case '/ready': {
      const faults = options.faults().map((fault) => FAULTS[fault])
      return faults.length === 0 ? plain(200, 'ready') : plain(503, faults.join('\n'))
    }
    default:
      return plain(404, 'not found; available: /metrics, /health and /ready')
  }
}

function plain(status: number, line: string): Answer {
  return { status, contentType: 'text/plain; charset=utf-8', text: `${line}\n` }
}
