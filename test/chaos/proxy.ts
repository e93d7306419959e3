/**
 * What stands between the members and Elasticsearch: it passes everything on, unless it is told to
 * answer itself, or not to answer.
 *
 * Each member has a port of its own, so that a fault can be for one of them. Where several
 * injections apply to a request, the first one whose chance comes up is carried out.
 *
 * A document that holds `toxic-WAY` makes its request fail in that way, whoever sends it and as
 * often as it comes: the poison that ingest processors, proxies and firewalls are known for.
 */
import assert from 'node:assert/strict'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { pause } from './pause.ts'

export type Treatment =
  | { readonly kind: 'status'; readonly status: number; readonly body: string }
  /** A share of the items is refused so; only the others are passed on. */
  | { readonly kind: 'items'; readonly share: number; readonly error: ItemError }
  /** 413 for a longer body. */
  | { readonly kind: 'too large'; readonly bytesMax: number }
  /** It is passed on, and its answer comes later than anybody waits at first. */
  | { readonly kind: 'late'; readonly ms: number }
  /** The answer tells of one document too few: that one is not passed on. */
  | { readonly kind: 'short' }
  /** The answer does not come, or not whole; the request may have been passed on all the same. */
  | { readonly kind: 'hang' | 'reset' | 'half'; readonly isPassedOn: boolean }

export interface ItemError {
  readonly status: number
  readonly type: string
  readonly reason: string
}

export interface Injection {
  /** Null: all. */
  readonly member: string | null
  /** 0 to 1: the share of requests it is for. */
  readonly chance: number
  readonly treatment: () => Treatment
  /** Requests that were treated. */
  hitCount: number
}

interface Answer {
  readonly status: number
  readonly type: string
  readonly body: Buffer
}

/** How a request fails that holds a toxic document, by WAY. */
const TOXIC: Readonly<Record<string, Treatment>> = {
  403: { kind: 'status', status: 403, body: '<html><h1>Request blocked</h1></html>' },
  500: { kind: 'status', status: 500, body: '{"error":{"type":"null_pointer_exception"}}' },
  502: { kind: 'status', status: 502, body: '<html><h1>Bad Gateway</h1></html>' },
  page: { kind: 'status', status: 200, body: '<html><h1>Welcome</h1></html>' },
  reset: { kind: 'reset', isPassedOn: false },
  hang: { kind: 'hang', isPassedOn: false },
  short: { kind: 'short' },
}
export const TOXIC_WAYS: readonly string[] = Object.keys(TOXIC)
const TOXIC_MARK = 'toxic-'

export class Proxy {
  readonly #target: string
  readonly #random: () => number
  readonly #injections = new Set<Injection>()
  readonly #servers: Server[] = []

  /** @param random 0 to 1 */
  constructor(target: string, random: () => number) {
    this.#target = target
    this.#random = random
  }

  /** @returns the URL for this member. */
  async listen(member: string): Promise<string> {
    const server = createServer((incoming, outgoing) => {
      this.#serve(member, incoming, outgoing).catch(() => {
        // Elasticsearch is away, or the member is: either sees a broken connection.
        incoming.socket.resetAndDestroy()
      })
    })
    this.#servers.push(server)
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    return `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  }

  add(injection: Omit<Injection, 'hitCount'>): Injection {
    const added = { ...injection, hitCount: 0 }
    this.#injections.add(added)
    return added
  }

  remove(injection: Injection): void {
    this.#injections.delete(injection)
  }

  async close(): Promise<void> {
    for (const server of this.#servers.splice(0)) {
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
    }
  }

  async #serve(member: string, incoming: IncomingMessage, outgoing: ServerResponse): Promise<void> {
    const chunks: Buffer[] = []
    for await (const chunk of incoming) chunks.push(chunk as Buffer)
    const body = Buffer.concat(chunks)
    const path = incoming.url ?? '/'
    const isBulk = path.split('?')[0]?.endsWith('/_bulk') === true
    const treatment = isBulk ? this.#treatmentFor(member, body) : null
    if (treatment?.kind === 'hang' || treatment?.kind === 'reset' || treatment?.kind === 'half') {
      const answer = treatment.isPassedOn ? await this.#pass(incoming, path, body) : null
      if (treatment.kind === 'reset') incoming.socket.resetAndDestroy()
      else if (treatment.kind === 'half') sendHalf(outgoing, answer)
      return
    }
    const answer = await this.#answer(treatment, incoming, path, body)
    outgoing.writeHead(answer.status, {
      'content-type': answer.type,
      'content-length': answer.body.length,
      // What the official clients look for.
      'x-elastic-product': 'Elasticsearch',
    })
    outgoing.end(answer.body)
  }

  #treatmentFor(member: string, body: Buffer): Treatment | null {
    const mark = body.indexOf(TOXIC_MARK)
    const way = mark === -1 ? null : /^\w+/.exec(body.toString('latin1', mark + 6, mark + 16))
    if (way !== null) return TOXIC[way[0]] ?? assert.fail(`toxic in a way unknown: ${way[0]}`)
    for (const injection of this.#injections) {
      if (injection.member !== null && injection.member !== member) continue
      if (this.#random() >= injection.chance) continue
      const treatment = injection.treatment()
      if (treatment.kind === 'too large' && body.length <= treatment.bytesMax) continue
      injection.hitCount++
      return treatment
    }
    return null
  }

  async #answer(
    treatment: Treatment | null,
    incoming: IncomingMessage,
    path: string,
    body: Buffer,
  ): Promise<Answer> {
    switch (treatment?.kind) {
      case 'status':
        return textAnswer(treatment.status, treatment.body)
      case 'too large':
        return textAnswer(413, '{"error":"content too large","status":413}')
      case 'items':
        return await this.#refuseItems(treatment, incoming, path, body)
      case 'short':
        return await this.#leaveOut(incoming, path, body)
      case 'late': {
        const answer = await this.#pass(incoming, path, body)
        await pause(treatment.ms)
        return answer
      }
      default:
        return await this.#pass(incoming, path, body)
    }
  }

  async #refuseItems(
    { share, error }: Extract<Treatment, { kind: 'items' }>,
    incoming: IncomingMessage,
    path: string,
    body: Buffer,
  ): Promise<Answer> {
    const items = itemsOf(body)
    const isRefused = items.map(() => this.#random() < share)
    const passed = items.filter((_, at) => isRefused[at] !== true)
    let results: unknown[] = []
    if (passed.length > 0) {
      const answer = await this.#pass(incoming, path, Buffer.concat(passed))
      if (answer.status !== 200) return answer
      results = (JSON.parse(answer.body.toString()) as { items: unknown[] }).items
      assert.equal(results.length, passed.length)
    }
    const merged = isRefused.map((refused) =>
      refused
        ? { create: { status: error.status, error: { type: error.type, reason: error.reason } } }
        : results.shift(),
    )
    return textAnswer(200, JSON.stringify({ took: 1, errors: true, items: merged }))
  }

  /** The answer without a word about the toxic documents, which nobody gets. */
  async #leaveOut(incoming: IncomingMessage, path: string, body: Buffer): Promise<Answer> {
    const others = itemsOf(body).filter((item) => !item.includes(TOXIC_MARK))
    if (others.length > 0) return await this.#pass(incoming, path, Buffer.concat(others))
    return textAnswer(200, '{"took":1,"errors":false,"items":[]}')
  }

  async #pass(incoming: IncomingMessage, path: string, body: Buffer): Promise<Answer> {
    const method = incoming.method ?? 'GET'
    const answer = await fetch(`${this.#target}${path}`, {
      method,
      headers: {
        'content-type': incoming.headers['content-type'] ?? 'application/json',
        accept: incoming.headers.accept ?? '*/*',
      },
      ...(method === 'GET' || method === 'HEAD' ? {} : { body: new Uint8Array(body) }),
      signal: AbortSignal.timeout(60_000),
    })
    return {
      status: answer.status,
      type: answer.headers.get('content-type') ?? 'application/json',
      body: Buffer.from(await answer.arrayBuffer()),
    }
  }
}

function textAnswer(status: number, text: string): Answer {
  const type = text.startsWith('{') ? 'application/json' : 'text/html'
  return { status, type, body: Buffer.from(text) }
}

function sendHalf(outgoing: ServerResponse, answer: Answer | null): void {
  const whole = answer?.body ?? Buffer.from('{"took":1,"errors":false,"items":[{"create":{}}]}')
  outgoing.writeHead(200, { 'content-type': 'application/json', 'content-length': whole.length })
  outgoing.write(whole.subarray(0, whole.length / 2), () => outgoing.destroy())
}

/** The documents of a body, each with its action line; logpipe sends actions with a source only. */
function itemsOf(body: Buffer): Buffer[] {
  const items: Buffer[] = []
  for (let start = 0; start < body.length;) {
    const action = body.indexOf(0x0a, start)
    const source = body.indexOf(0x0a, action + 1)
    assert.ok(action !== -1 && source !== -1, 'an action line and a source line')
    items.push(body.subarray(start, source + 1))
    start = source + 1
  }
  return items
}
