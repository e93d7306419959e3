/**
 * A small HTTP server: /metrics for Prometheus, /health and /ready for whoever watches the process.
 *
 *   /health  200 while the process answers at all
 *   /ready   200, or 503 with a line for each thing that is down
 *
 * Bound. CONNECTIONS_MAX at a time, of which idle ones make room for a newcomer, each with little
 * time to say what it wants; no request's body is read. A scrape that fails is answered with 500.
 */
import { once } from 'node:events'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { boundConnections } from '../core/connection-bounds.ts'
import { listenError, messageOf } from '../core/errors.ts'
import { printable } from '../core/printable.ts'
import { PROMETHEUS_CONTENT_TYPE } from './prometheus.ts'

export interface MetricsServerOptions {
  /** An empty host: every address. Port 0: a free one. */
  readonly address: { readonly host: string; readonly port: number }
  /** The text of one scrape. */
  readonly metrics: () => Promise<string>
  /** What is down, each in one line. */
  readonly faults: () => readonly string[]
}

export interface MetricsServer {
  readonly port: number
  /** Ends what is open. Idempotent. */
  close(): Promise<void>
}

/** Of a line of /ready, which anybody may read: enough to see what is down. */
const FAULT_CHARS_MAX = 500
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

interface Answer {
  readonly status: number
  readonly contentType: string
  readonly text: string
}

/** @throws LogpipeError LISTEN when the address cannot be had. */
export async function openMetricsServer(options: MetricsServerOptions): Promise<MetricsServer> {
  const server = createServer(LIMITS, (request, response) => {
    void respond(options, request, response)
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
  options: MetricsServerOptions,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const { status, contentType, text } = await answerTo(options, request).catch((error: unknown) =>
    plain(500, `cannot render the metrics: ${messageOf(error)}`),
  )
  response.writeHead(status, {
    'content-type': contentType,
    'content-length': Buffer.byteLength(text),
    'cache-control': 'no-store',
  })
  // Node leaves the body out where the method is HEAD.
  response.end(text)
}

async function answerTo(
  options: MetricsServerOptions,
  { method, url = '/' }: IncomingMessage,
): Promise<Answer> {
  if (method !== 'GET' && method !== 'HEAD') return plain(405, 'use GET or HEAD')
  switch (url.split('?')[0]) {
    case '/metrics':
      return { status: 200, contentType: PROMETHEUS_CONTENT_TYPE, text: await options.metrics() }
    case '/health':
      return plain(200, 'ok')
    case '/ready': {
      const faults = options.faults().map((fault) => printable(fault).slice(0, FAULT_CHARS_MAX))
      return faults.length === 0 ? plain(200, 'ready') : plain(503, faults.join('\n'))
    }
    default:
      return plain(404, 'not found; available: /metrics, /health and /ready')
  }
}

function plain(status: number, line: string): Answer {
  return { status, contentType: 'text/plain; charset=utf-8', text: `${line}\n` }
}
