/**
 * Sends bodies to _bulk, over the transport of @elastic/elasticsearch: its pools, TLS, and care for
 * dead nodes. Its retries are off, for only the writer knows what may be sent again; its product
 * check is off, for OpenSearch is no Elasticsearch; and it gets plain media types, which
 * Elasticsearch 9 and 8 and OpenSearch 3 all take (the vendored ones name one major version).
 *
 * Every way that a request can end is a value: nothing here rejects.
 *
 * Bound. One request at a time for each slot of the writer; an answer of at most ANSWER_BYTES_MAX.
 */
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
import type { ElasticsearchSettings } from './settings.ts'

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
  /** Never rejects. `body` must not change until this resolves. */
  send(body: Buffer, timeoutMs: number): Promise<BulkReply>
  /** From the next request on. */
  setAuth(auth: Auth): void
  /** Gives up what is under way; its `send` resolves. Idempotent. */
  close(): Promise<void>
}

/** Fields of the answer: only what judging needs (the rest would be most of the bytes). */
const FILTER_PATH =
  'took,errors,items.*.status,items.*._index,items.*.error.type,items.*.error.reason,' +
  'items.*.error.caused_by,items.*.failure_store'

/** Some 100 bytes for each of 100,000 refused documents, and ample. */
const ANSWER_BYTES_MAX = 256 * 1024 * 1024

/** The first wait before a dead node is asked again; doubled up to 2^5 of it by the pool. */
const RESURRECT_MS = 1000

/** What is shorter could not be told from the text around it (a user ":" gives "Og=="). */
const SECRET_LENGTH_MIN = 4

const gzipAsync = promisify(gzip)

/** Leaves the answer's text alone: bulk-answer.ts reads it. */
const textSerializer = Object.assign(new Serializer(), { deserialize: (json: string) => json })

export class ElasticTransport implements BulkTransport {
  readonly nodeCount: number
  readonly #transport: Transport
  readonly #pool: ClusterConnectionPool
  readonly #pipeline: string | null
  readonly #isCompressed: boolean
  readonly #clock: Clock
  readonly #underWay = new Set<AbortController>()
  #authorization: string | null
  /** What may not be told; old ones too, for requests with them may be under way. */
  readonly #secrets: Set<string>
  #isClosed = false

  constructor(settings: ElasticsearchSettings, clock: Clock) {
    this.#authorization = authorizationOf(settings.auth)
    this.nodeCount = settings.urls.length
    this.#isCompressed = settings.compression === 'gzip'
    this.#clock = clock
    this.#secrets = new Set([...settings.urls.flatMap(secretsOfUrl), ...secretsOf(settings.auth)])
    this.#pool = new ClusterConnectionPool({
      Connection: NodeConnection,
      // A ping would have no time-out (see send), so a real request finds out.
      resurrectStrategy: 'optimistic',
      ...(settings.caPem === null ? {} : { tls: { ca: settings.caPem } }),
    })
    this.#pool.resurrectTimeout = RESURRECT_MS
    this.#pool.addConnection(settings.urls.map((url) => ({ url: new URL(url) })))
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
      maxResponseSize: ANSWER_BYTES_MAX,
      openTelemetry: { enabled: false },
      // "replace" clones the request with its body, byte by byte, for every error (seconds, for
      // 16 MiB). The errors end in this file, where only their message is used.
      redaction: { type: 'off' },
      headers: { 'user-agent': 'logpipe' },
    })
    this.#pipeline = settings.pipeline
  }

  async send(body: Buffer, timeoutMs: number): Promise<BulkReply> {
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
      return await this.#request(body, timeoutMs, abort.signal)
    } catch (error) {
      return this.#replyOf(error, isLate ? timeoutMs : null)
    } finally {
      cancel()
      this.#underWay.delete(abort)
    }
  }

  setAuth(auth: Auth): void {
    this.#authorization = authorizationOf(auth)
    for (const secret of secretsOf(auth)) this.#secrets.add(secret)
  }

  async #request(body: Buffer, timeoutMs: number, signal: AbortSignal): Promise<BulkReply> {
    if (this.#isClosed) return { kind: 'unreachable', node: '', message: 'closed' }
    for (const node of this.#pool.connections) if (node instanceof NodeConnection) node.settle()
    const headers: Record<string, string> = {
      'content-type': 'application/x-ndjson',
      accept: 'application/json',
    }
    if (this.#isCompressed) headers['content-encoding'] = 'gzip'
    if (this.#authorization !== null) headers['authorization'] = this.#authorization
    // Level 1: log lines shrink nearly as well as with 6, at a third of the processor time.
    const payload = this.#isCompressed
      ? await gzipAsync(body, { level: constants.Z_BEST_SPEED })
      : body
    const result = await this.#transport.request<string>(
      { method: 'POST', path: '/_bulk', querystring: this.#queryOf(timeoutMs), bulkBody: payload },
      { meta: true, headers, signal },
    )
    return this.#answerOf(result, result.statusCode)
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
    const body = typeof result.body === 'string' ? result.body : ''
    // What is not written is told to people, and some proxies answer with the request's headers.
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

/** How long connections are not used twice after one of them gave no answer. */
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

  /** Drops idle connections, and uses none twice for a while; requests under way keep theirs. */
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

/** Longer is not believed: whoever asks for a day may change his mind. */
const WAIT_MAX_MS = 5 * 60_000

/** Retry-After: seconds, or a date. */
function waitOf(header: unknown, nowMs: number): number {
  if (typeof header !== 'string') return 0
  const waitMs = /^\d+$/.test(header) ? Number(header) * 1000 : Date.parse(header) - nowMs
  return Number.isNaN(waitMs) ? 0 : Math.max(0, Math.min(WAIT_MAX_MS, waitMs))
}

/** Null: none, or the one in the URL. */
function authorizationOf(auth: Auth): string | null {
  switch (auth.kind) {
    case 'none':
      return null
    case 'apiKey':
      return `ApiKey ${auth.apiKey}`
    case 'basic':
      return `Basic ${Buffer.from(`${auth.username}:${auth.password}`).toString('base64')}`
  }
}

/** Credentials, as they are given and as they are sent. */
function secretsOf(auth: Auth): string[] {
  if (auth.kind === 'none') return []
  const sent = authorizationOf(auth)?.replace(/^\w+ /, '') ?? ''
  const secrets = auth.kind === 'apiKey' ? [auth.apiKey] : [sent, auth.password]
  return secrets.filter((secret) => secret.length >= SECRET_LENGTH_MIN)
}

function secretsOfUrl(text: string): string[] {
  const { username, password } = new URL(text)
  if (password === '') return []
  const [plainUser, plain] = [decodeURIComponent(username), decodeURIComponent(password)]
  const auth = { kind: 'basic', username: plainUser, password: plain } as const
  return [password, ...secretsOf(auth)].filter((secret) => secret.length >= SECRET_LENGTH_MIN)
}

function nodeOf(result: DiagnosticResult | undefined): string {
  return result?.meta.connection?.id ?? ''
}
