/**
 * Sends bodies to _bulk over the transport of @elastic/elasticsearch, which provides connection
 * pools, TLS and handling of dead nodes. Its retries are off, because only the writer knows which
 * documents may be sent again. Its product check is off, because OpenSearch fails it. It gets plain
 * media types, which Elasticsearch 8 and 9 and OpenSearch 3 all accept (the vendored ones name one
 * major version).
 *
 * Every end of a request is a value: nothing here rejects.
 *
 * Bound. One request at a time per slot of the writer. The size of a response is limited by its
 * request: ANSWER_BYTES, plus ANSWER_DOCUMENT_BYTES per document.
 */
import assert from 'node:assert/strict'
import { promisify } from 'node:util'
import { constants, gzip } from 'node:zlib'
import {
  ClusterConnectionPool,
  Serializer,
  Transport,
  UndiciConnection,
  errors,
  type DiagnosticResult,
} from '@elastic/elasticsearch'
import { messageOf } from '../../core/errors.ts'
import type { Clock } from '../../core/clock.ts'
import type { Auth } from '../sink.ts'
import {
  authorizationOf,
  basic,
  nodeConnections,
  proxySecrets,
  redirectFault,
  secretsOfUrl,
} from './connections.ts'
import type { ElasticsearchSettings } from './settings.ts'
import type { Ask } from './targets.ts'

export type BulkReply =
  /** An HTTP answer, whatever its status. */
  | {
      readonly kind: 'answer'
      readonly node: string
      readonly status: number
      readonly text: string
      /** How long the server asks to be left alone (Retry-After); 0: it does not. */
      readonly waitMs: number
    }
  /** None in time. The documents may have been written all the same. */
  | { readonly kind: 'timeout'; readonly node: string; readonly message: string }
  /** Refused, reset, cut off, no such host. The same holds. */
  | { readonly kind: 'unreachable'; readonly node: string; readonly message: string }

export interface BulkTransport {
  /** How many nodes there are to try. */
  readonly nodeCount: number
  /**
   * Never rejects. `body` must not change until this resolves.
   * @param documentCount documents in the request, which limits the length of the response
   */
  send(body: Buffer, timeoutMs: number, documentCount: number): Promise<BulkReply>
  /** Asks about the cluster. Rejects when there is no answer; absent: nothing can be asked. */
  readonly ask?: Ask
  /** From the next request on. */
  setAuth(auth: Auth): void
  /** Aborts the request in flight; its `send` resolves. Idempotent. */
  close(): Promise<void>
}

/** Fields of the answer: only what judging needs (the rest would be most of the bytes). */
const FILTER_PATH =
  'took,errors,items.*.status,items.*.result,items.*._index,items.*.error.type,' +
  'items.*.error.reason,items.*.error.caused_by,items.*.failure_store'

/** A page of a proxy, an answer about the cluster. */
const ANSWER_BYTES = 1024 * 1024
/** A document that is refused takes some 300 bytes, with the reasons of its causes a few more. */
const ANSWER_DOCUMENT_BYTES = 4096

/** The first wait before a dead node is tried again; the pool doubles it, up to 2^5 times. */
const RESURRECT_MS = 1000

/** A shorter one could not be distinguished from the text around it (a user ":" gives "Og=="). */
const SECRET_LENGTH_MIN = 4

const gzipAsync = promisify(gzip)

/** Leaves the answer's text alone: bulk-response.ts reads it. */
const textSerializer = Object.assign(new Serializer(), { deserialize: (json: string) => json })

export class ElasticTransport implements BulkTransport {
  readonly nodeCount: number
  readonly #transport: Transport
  readonly #pool: ClusterConnectionPool
  readonly #pipeline: string | null
  /** How long a question about the cluster may take. */
  readonly #askMs: number
  readonly #isCompressed: boolean
  readonly #clock: Clock
  readonly #underWay = new Set<AbortController>()
  #authorization: string | null
  /** Secrets to redact; former ones too, because requests with them may be in flight. */
  readonly #secrets = new Set<string>()
  #isClosed = false

  constructor(settings: ElasticsearchSettings, clock: Clock) {
    this.#authorization = signatureOf(settings.auth)
    this.nodeCount = settings.urls.length
    this.#askMs = settings.timeoutMs
    this.#isCompressed = settings.compression === 'gzip'
    this.#clock = clock
    this.#keepSecrets(settings.urls.flatMap(secretsOfUrl))
    this.#keepSecrets(secretsOf(settings.auth))
    this.#keepSecrets(proxySecrets(settings.connection))
    this.#pool = new ClusterConnectionPool({
      Connection: NodeConnection,
      // A ping would have no time-out (see send), so a real request finds out.
      resurrectStrategy: 'optimistic',
      agent: () => nodeConnections(settings.connection),
    })
    this.#pool.resurrectTimeout = RESURRECT_MS
    // By a header: the client leaves out a user without a password, and stumbles over a bare %.
    this.#pool.addConnection(
      settings.urls.map((text) => {
        const url = new URL(text)
        const authorization = authorizationOf(url)
        url.username = ''
        url.password = ''
        return authorization === null ? { url } : { url, headers: { authorization } }
      }),
    )
    this.#transport = new Transport({
      connectionPool: this.#pool,
      serializer: textSerializer,
      maxRetries: 0,
      retryOnTimeout: false,
      requestTimeout: null,
      compression: false,
      sniffInterval: false,
      sniffOnStart: false,
      sniffOnConnectionFault: false,
      enableMetaHeader: false,
      maxResponseSize: ANSWER_BYTES,
      openTelemetry: { enabled: false },
      // "replace" clones the request with its body, byte by byte, for every error (seconds, for
      // 16 MiB). The errors end in this file, where only their message is used.
      redaction: { type: 'off' },
      headers: { 'user-agent': 'logpipe' },
    })
    this.#pipeline = settings.pipeline
  }

  async send(body: Buffer, timeoutMs: number, documentCount: number): Promise<BulkReply> {
    const maxResponseSize = ANSWER_BYTES + ANSWER_DOCUMENT_BYTES * documentCount
    const { isLate, ...ended } = await this.#inTime(timeoutMs, (signal) =>
      this.#request(body, timeoutMs, { signal, maxResponseSize }),
    )
    if ('result' in ended) return ended.result
    return this.#replyOf(ended.error, isLate ? timeoutMs : null)
  }

  readonly ask: Ask = async (method, path) => {
    const headers = { accept: 'application/json', ...this.#signedHeaders() }
    const ended = await this.#inTime(this.#askMs, (signal) =>
      this.#transport.request<string>({ method, path }, { meta: true, headers, signal }),
    )
    if ('result' in ended) return { status: ended.result.statusCode, body: ended.result.body }
    if (!(ended.error instanceof errors.ResponseError)) throw ended.error
    const { statusCode, body } = ended.error.meta
    return { status: statusCode ?? 0, body: typeof body === 'string' ? body : '' }
  }

  /** Runs a request, and gives it up after this time or at close. */
  async #inTime<Result>(
    timeoutMs: number,
    request: (signal: AbortSignal) => Promise<Result>,
  ): Promise<({ readonly result: Result } | { readonly error: unknown }) & { isLate: boolean }> {
    const abort = new AbortController()
    this.#underWay.add(abort)
    let isLate = false
    // The transport's own time-out is an event that undici 7 does not heed, and would end with the
    // answer's head.
    const cancel = this.#clock.after(timeoutMs, () => {
      isLate = true
      abort.abort()
    })
    try {
      return { result: await request(abort.signal), isLate }
    } catch (error) {
      return { error, isLate }
    } finally {
      cancel()
      this.#underWay.delete(abort)
    }
  }

  setAuth(auth: Auth): void {
    this.#authorization = signatureOf(auth)
    this.#keepSecrets(secretsOf(auth))
  }

  #keepSecrets(secrets: readonly string[]): void {
    for (const secret of secrets) {
      if (secret.length >= SECRET_LENGTH_MIN) this.#secrets.add(secret)
    }
  }

  async #request(
    body: Buffer,
    timeoutMs: number,
    limits: { readonly signal: AbortSignal; readonly maxResponseSize: number },
  ): Promise<BulkReply> {
    if (this.#isClosed) return { kind: 'unreachable', node: '', message: 'closed' }
    for (const node of this.#pool.connections) if (node instanceof NodeConnection) node.settle()
    const headers: Record<string, string> = {
      'content-type': 'application/x-ndjson',
      accept: 'application/json',
      ...this.#signedHeaders(),
    }
    if (this.#isCompressed) headers['content-encoding'] = 'gzip'
    // Level 1: log lines shrink nearly as well as with 6, at a third of the processor time.
    const payload = this.#isCompressed
      ? await gzipAsync(body, { level: constants.Z_BEST_SPEED })
      : body
    const result = await this.#transport.request<string>(
      { method: 'POST', path: '/_bulk', querystring: this.#queryOf(timeoutMs), bulkBody: payload },
      { meta: true, headers, ...limits },
    )
    return this.#answerOf(result, result.statusCode)
  }

  #signedHeaders(): { readonly authorization?: string } {
    return this.#authorization === null ? {} : { authorization: this.#authorization }
  }

  /** `timeout` is how long the server waits for a shard: it should give up before we do. */
  #queryOf(timeoutMs: number): string {
    const query = new URLSearchParams({
      filter_path: FILTER_PATH,
      timeout: `${Math.max(1, Math.round(timeoutMs * 0.8))}ms`,
    })
    if (this.#pipeline !== null) query.set('pipeline', this.#pipeline)
    return query.toString()
  }

  /** @param timeoutMs that has passed, or null. */
  #replyOf(error: unknown, timeoutMs: number | null): BulkReply {
    if (error instanceof errors.ResponseError) {
      return this.#answerOf(error.meta, error.statusCode ?? 0)
    }
    const isOurs =
      error instanceof errors.TimeoutError ||
      error instanceof errors.ConnectionError ||
      error instanceof errors.RequestAbortedError
    const meta = isOurs ? error.meta : undefined
    const node = nodeOf(meta)
    if (timeoutMs === null)
      return { kind: 'unreachable', node, message: this.#redacted(messageOf(error)) }
    // A node that hangs must not get its share of the requests. When all of them do, the pool asks
    // all of them.
    const connection = meta?.meta.connection
    if (connection !== null && connection !== undefined) {
      this.#pool.markDead(connection)
      if (connection instanceof NodeConnection) connection.distrust()
    }
    return { kind: 'timeout', node, message: `no answer in ${Math.round(timeoutMs)} ms` }
  }

  #answerOf(result: DiagnosticResult, status: number): BulkReply {
    const redirect = redirectFault(status, result.headers?.['location'] ?? '')
    const body = redirect ?? (typeof result.body === 'string' ? result.body : '')
    // People read the errors, and some proxies answer with the request's headers.
    const text = status < 300 ? body : this.#redacted(body)
    const waitMs = waitOf(result.headers?.['retry-after'], this.#clock.wallMs())
    return { kind: 'answer', node: nodeOf(result), status, text, waitMs }
  }

  #redacted(text: string): string {
    let redacted = text
    for (const secret of this.#secrets) redacted = redacted.replaceAll(secret, '(secret)')
    return redacted
  }

  async close(): Promise<void> {
    if (this.#isClosed) return
    this.#isClosed = true
    for (const abort of this.#underWay) abort.abort()
    await this.#pool.empty()
  }
}

/** How long no connection is reused after one gave no answer. */
const DISTRUST_MS = 60_000

type ConnectionOptions = ConstructorParameters<typeof UndiciConnection>[0]

/** A node whose connections may have died in silence: a load balancer forgets idle ones. */
class NodeConnection extends UndiciConnection {
  readonly #options: ConnectionOptions
  /** -Infinity: they are trusted. */
  #distrustUntilMs = -Infinity

  constructor(options: ConnectionOptions) {
    super(options)
    this.#options = options
  }

  /** To be called before each request: whether the time of distrust is over. */
  settle(): void {
    if (performance.now() < this.#distrustUntilMs) return
    if (this.#distrustUntilMs !== -Infinity) this.#renew({})
    this.#distrustUntilMs = -Infinity
  }

  /** Drops idle connections, and reuses none for a while; requests in flight keep theirs. */
  distrust(): void {
    const isNew = this.#distrustUntilMs === -Infinity
    this.#distrustUntilMs = performance.now() + DISTRUST_MS
    // Without pipelining undici closes a connection after its answer.
    if (isNew) this.#renew({ agent: { pipelining: 0 } })
  }

  #renew(options: Partial<ConnectionOptions>): void {
    const old = this.pool
    this.pool = new UndiciConnection({ ...this.#options, ...options }).pool
    old.close().catch(() => undefined)
  }
}

/** A longer Retry-After is shortened to this: a server that asks for a day may recover earlier. */
const WAIT_MAX_MS = 5 * 60_000

/** Retry-After: seconds, or a date. */
function waitOf(header: unknown, nowMs: number): number {
  if (typeof header !== 'string') return 0
  const waitMs = /^\d+$/.test(header) ? Number(header) * 1000 : Date.parse(header) - nowMs
  return Number.isNaN(waitMs) ? 0 : Math.max(0, Math.min(WAIT_MAX_MS, waitMs))
}

/** Null: none, or the one in the URL. */
function signatureOf(auth: Auth): string | null {
  switch (auth.kind) {
    case 'none':
      return null
    case 'apiKey':
      return `ApiKey ${auth.apiKey}`
    case 'basic':
      return basic(auth.username, auth.password)
  }
}

/** Credentials, as they are given and as they are sent. */
function secretsOf(auth: Auth): string[] {
  if (auth.kind === 'none') return []
  const sent = signatureOf(auth)?.replace(/^\w+ /, '') ?? ''
  return auth.kind === 'apiKey' ? [auth.apiKey] : [sent, auth.password]
}

function nodeOf(result: DiagnosticResult | undefined): string {
  return result?.meta.connection?.id ?? ''
}

/*
 * Memory for the bodies of requests, used again and again: fresh memory of that size comes from the
 * kernel page by page and goes back to it, which costs as much as the copying itself.
 *
 * Bound. `countMax` buffers of `bytesMax` each; only what a body has touched is resident. A larger
 * body (one huge document) gets memory of its own.
 */

export class BodyBuffers {
  readonly #bytesMax: number
  readonly #countMax: number
  readonly #free: Buffer[] = []

  constructor(bytesMax: number, countMax: number) {
    this.#bytesMax = bytesMax
    this.#countMax = countMax
  }

  /** At least this many bytes, of any content. */
  acquire(byteCount: number): Buffer {
    if (byteCount > this.#bytesMax) return Buffer.allocUnsafeSlow(byteCount)
    return this.#free.pop() ?? Buffer.allocUnsafeSlow(this.#bytesMax)
  }

  /** Nobody reads or writes it any more. */
  giveBack(buffer: Buffer): void {
    if (buffer.length !== this.#bytesMax || this.#free.length >= this.#countMax) return
    assert(!this.#free.includes(buffer), 'given back once')
    this.#free.push(buffer)
  }
}
