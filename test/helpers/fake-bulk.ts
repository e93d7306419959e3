/**
 * A _bulk endpoint that does what it is told: any status, any item error, delays, hangs, resets,
 * half answers. It keeps documents by index and _id, so that a test can count every one.
 *
 * The body is read as Elasticsearch reads it: line by line, with every action that it knows, so a
 * record that smuggles one in is carried out here too.
 *
 * Two ways in: `transport` for tests that own the time, `listen` for tests of HTTP itself.
 */
import assert from 'node:assert/strict'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import { createServer as createTlsServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import { gunzipSync } from 'node:zlib'
import type { Clock } from '../../src/core/clock.ts'
import type { BulkReply, BulkTransport } from '../../src/sink/elasticsearch/bulk-transport.ts'

export interface FakeItem {
  readonly action: string
  readonly index: string
  /** Null: the server would make one. */
  readonly id: string | null
  /** With external_gte. */
  readonly version: bigint | null
  readonly source: string
}

export interface FakeFault {
  readonly status: number
  readonly type: string
  readonly reason: string
  /** Where a pipeline has sent it; by default the index asked for. */
  readonly index?: string
}

export interface FakeRequest {
  /** Counted from 1. */
  readonly number: number
  readonly items: readonly FakeItem[]
  readonly byteCount: number
  readonly query: URLSearchParams
  readonly headers: Readonly<Record<string, string | string[] | undefined>>
  /** The client's end of the connection; 0 without a network. */
  readonly port: number
}

export type FakeAnswer =
  /** The items, each written unless `fault` has something against it. */
  | {
      readonly kind: 'items'
      readonly fault?: (item: FakeItem, position: number) => FakeFault | null
      readonly failureStore?: boolean
      /** The ingest pipeline drops these: answered well, and written nowhere. */
      readonly dropped?: (item: FakeItem) => boolean
      /** Answers for this many items fewer. */
      readonly missing?: number
      readonly delayMs?: number
    }
  | {
      readonly kind: 'status'
      readonly status: number
      readonly body?: string | object
      /** Retry-After. */
      readonly waitMs?: number
    }
  /** No answer; the documents may have been written all the same. */
  | { readonly kind: 'hang' | 'reset' | 'half'; readonly isApplied: boolean }

interface Answered {
  readonly status: number
  readonly text: string
}

export class FakeBulk {
  /** Sources by `index/_id`. */
  readonly documents = new Map<string, string>()
  /** How often each `index/_id` was written, not counting refusals. */
  readonly writes = new Map<string, number>()
  readonly requests: FakeRequest[] = []
  /** What is answered where nothing is written, by the beginning of the path; else nothing is. */
  readonly pages = new Map<string, object>()
  /** What happens to a request; by default all is written. */
  script: (request: FakeRequest) => FakeAnswer = () => ({ kind: 'items' })
  readonly #versions = new Map<string, bigint>()
  #madeIds = 0
  #servers: Server[] = []

  /** Ids that were written, without their index. */
  get ids(): string[] {
    return [...this.documents.keys()].map((key) => key.slice(key.indexOf('/') + 1)).sort()
  }

  /** A transport without a network; a hang ends when `clock` says so. */
  transport(clock: Clock): BulkTransport {
    let isClosed = false
    const underWay: (() => void)[] = []
    return {
      nodeCount: 1,
      send: async (body, timeoutMs) => {
        const node = 'fake'
        assert(!isClosed, 'a request after close')
        const [request, answer] = this.#take(Buffer.from(body), new URLSearchParams(), {})
        const wait = async (delayMs: number) =>
          await new Promise<void>((resolve) => {
            const cancel = clock.after(delayMs, resolve)
            underWay.push(() => {
              cancel()
              resolve()
            })
          })
        if (answer.kind === 'hang') {
          this.#applyIf(answer.isApplied, request)
          await wait(timeoutMs)
          return { kind: 'timeout', node, message: 'no answer in time' }
        }
        if (answer.kind === 'reset' || answer.kind === 'half') {
          this.#applyIf(answer.isApplied, request)
          return { kind: 'unreachable', node, message: 'socket hang up' }
        }
        if (answer.kind === 'items' && answer.delayMs !== undefined) {
          await wait(Math.min(answer.delayMs, timeoutMs))
          if (answer.delayMs > timeoutMs) {
            this.#applyIf(true, request)
            return { kind: 'timeout', node, message: 'no answer in time' }
          }
        }
        const waitMs = answer.kind === 'status' ? (answer.waitMs ?? 0) : 0
        return {
          kind: 'answer',
          node,
          waitMs,
          ...this.#answer(request, asWhole(answer)),
        } satisfies BulkReply
      },
      setAuth: () => undefined,
      close: () => {
        isClosed = true
        for (const giveUp of underWay) giveUp()
        return Promise.resolve()
      },
    }
  }

  /** Serves HTTP on loopback, or HTTPS with a certificate. @returns the URL. */
  async listen(port = 0, tls?: { readonly key: Buffer; readonly cert: Buffer }): Promise<string> {
    const serve = (incoming: IncomingMessage, outgoing: ServerResponse) =>
      void this.#serve(incoming, outgoing)
    const server = tls === undefined ? createServer(serve) : createTlsServer(tls, serve)
    this.#servers.push(server)
    await new Promise<void>((resolve) => server.listen(port, '127.0.0.1', resolve))
    const scheme = tls === undefined ? 'http' : 'https'
    return `${scheme}://127.0.0.1:${(server.address() as AddressInfo).port}`
  }

  async close(): Promise<void> {
    const servers = this.#servers
    this.#servers = []
    for (const server of servers) {
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
    }
  }

  async #serve(incoming: IncomingMessage, outgoing: ServerResponse): Promise<void> {
    const chunks: Buffer[] = []
    try {
      for await (const chunk of incoming) chunks.push(chunk as Buffer)
    } catch {
      return // The client gave up while it was sending.
    }
    const url = new URL(incoming.url ?? '/', 'http://fake')
    if (!url.pathname.endsWith('/_bulk')) {
      const page = [...this.pages].find(([prefix]) => url.pathname.startsWith(prefix))?.[1]
      outgoing.writeHead(200).end(page === undefined ? '' : JSON.stringify(page))
      return
    }
    const sent = Buffer.concat(chunks)
    const body = incoming.headers['content-encoding'] === 'gzip' ? gunzipSync(sent) : sent
    const port = incoming.socket.remotePort ?? 0
    const [request, answer] = this.#take(body, url.searchParams, incoming.headers, port)
    if (answer.kind === 'hang') {
      this.#applyIf(answer.isApplied, request)
      return
    }
    if (answer.kind === 'reset') {
      this.#applyIf(answer.isApplied, request)
      incoming.socket.resetAndDestroy()
      return
    }
    const { status, text } = this.#answer(
      request,
      answer.kind === 'half' && answer.isApplied ? { kind: 'items' } : asWhole(answer),
    )
    if (answer.kind === 'items' && answer.delayMs !== undefined) {
      await new Promise((resolve) => setTimeout(resolve, answer.delayMs))
    }
    outgoing.writeHead(status, {
      'content-type': 'application/json',
      'content-length': Buffer.byteLength(text),
      ...(answer.kind === 'status' && answer.waitMs !== undefined
        ? { 'retry-after': String(answer.waitMs / 1000) }
        : {}),
    })
    if (answer.kind === 'half') {
      outgoing.write(text.slice(0, text.length / 2), () => incoming.socket.destroy())
    } else outgoing.end(text)
  }

  #take(
    body: Buffer,
    query: URLSearchParams,
    headers: FakeRequest['headers'],
    port = 0,
  ): [FakeRequest, FakeAnswer] {
    const read = readBody(body)
    const number = this.requests.length + 1
    const items = typeof read === 'string' ? [] : read
    const request = { number, items, byteCount: body.length, query, headers, port }
    this.requests.push(request)
    if (typeof read !== 'string') return [request, this.script(request)]
    const error = { type: 'illegal_argument_exception', reason: read }
    return [request, { kind: 'status', status: 400, body: { error, status: 400 } }]
  }

  #applyIf(isApplied: boolean, request: FakeRequest): void {
    if (isApplied) this.#answer(request, { kind: 'items' })
  }

  #answer(
    request: FakeRequest,
    answer: Extract<FakeAnswer, { kind: 'items' | 'status' }>,
  ): Answered {
    if (answer.kind === 'status') {
      const body = answer.body ?? { error: { type: 'fake', reason: 'as told' } }
      return {
        status: answer.status,
        text: typeof body === 'string' ? body : JSON.stringify(body),
      }
    }
    const results = request.items.map((item, position) => {
      if (answer.dropped?.(item) === true) return { [item.action]: { status: 200, result: 'noop' } }
      const fault = answer.fault?.(item, position) ?? this.#write(item)
      if (fault === null) {
        const stored = answer.failureStore === true ? { failure_store: 'used' } : {}
        return { [item.action]: { _index: item.index, status: 201, ...stored } }
      }
      const { status, type, reason, index = item.index } = fault
      return { [item.action]: { _index: index, status, error: { type, reason } } }
    })
    const items = results.slice(0, results.length - (answer.missing ?? 0))
    const errors = items.some((item) => JSON.stringify(item).includes('"error"'))
    return { status: 200, text: JSON.stringify({ errors, took: 1, items }) }
  }

  #write(item: FakeItem): FakeFault | null {
    const id = item.id ?? `made-${++this.#madeIds}`
    const key = `${item.index}/${id}`
    const before = this.documents.get(key)
    if (item.action === 'delete') {
      this.documents.delete(key)
      return null
    }
    if (item.action === 'create' && before !== undefined) {
      const reason = `[${id}]: version conflict, document already exists (current version [1])`
      return { status: 409, type: 'version_conflict_engine_exception', reason }
    }
    const versionBefore = this.#versions.get(key) ?? 0n
    if (item.version !== null && item.version < versionBefore) {
      const reason = `[${id}]: version conflict, current version [${versionBefore}] is higher`
      return { status: 409, type: 'version_conflict_engine_exception', reason }
    }
    if (item.version !== null) this.#versions.set(key, item.version)
    this.documents.set(key, item.source)
    this.writes.set(key, (this.writes.get(key) ?? 0) + 1)
    return null
  }
}

/** A half answer is half of the answer that would have come. */
function asWhole(answer: FakeAnswer): Extract<FakeAnswer, { kind: 'items' | 'status' }> {
  if (answer.kind === 'items' || answer.kind === 'status') return answer
  return { kind: 'status', status: 200, body: '{"took":1,"errors":false,"items":[' }
}

/** The items of a body, or what is wrong with it. */
function readBody(body: Buffer): FakeItem[] | string {
  const lines = body.toString('utf8').split('\n')
  if (lines.pop() !== '') return 'The bulk request must be terminated by a newline [\\n]'
  const items: FakeItem[] = []
  for (let at = 0; at < lines.length; at++) {
    const line = at + 1
    const action = readAction(lines[at] ?? '')
    if (action === null) return `Malformed action/metadata line [${line}], expected START_OBJECT`
    const source = action.action === 'delete' ? '' : (lines[++at] ?? '')
    items.push({ ...action, source })
  }
  return items
}

function readAction(line: string): Omit<FakeItem, 'source'> | null {
  try {
    const parsed = JSON.parse(line) as Record<string, Record<string, unknown>>
    const [[action, meta] = ['', {}]] = Object.entries(parsed)
    if (!['create', 'index', 'delete', 'update'].includes(action)) return null
    const { _index: index, _id: id } = meta
    const version = /"version":(\d+),"version_type":"external_gte"/.exec(line)?.[1]
    return {
      action,
      index: typeof index === 'string' ? index : '',
      id: typeof id === 'string' ? id : null,
      version: version === undefined ? null : BigInt(version),
    }
  } catch {
    return null
  }
}
