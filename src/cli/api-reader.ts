/**
 * The control plane's API for commands that look at it: one object, or a stream of events.
 *
 * Bounds. An answer of ANSWER_BYTES_MAX within ANSWER_MS_MAX; an event of EVENT_CHARS_MAX.
 */
import { fetchFault, LogpipeError, messageOf } from '../core/errors.ts'
import { redactUrl, type Config } from '../options/config.ts'
import { detailOf } from '../sync/control-client.ts'

/** Five hundred pipelines are half a megabyte. */
const ANSWER_BYTES_MAX = 16 * 1024 * 1024
const ANSWER_MS_MAX = 10_000
/** As many as the API gives at once, and as it has of anything at all. */
const PAGE = 500
const ITEMS_MAX = 10_000
/** 200 matches of 16,000 characters each. */
const EVENT_CHARS_MAX = 4 * 1024 * 1024

type Cursor = string | number

export interface ServerEvent {
  readonly event: string
  readonly data: string
}

export class ApiReader {
  /** As it is told: without a password. */
  readonly url: string
  readonly #base: string
  readonly #headers: Readonly<Record<string, string>>

  constructor({ controlPlaneUrl, controlToken }: Pick<Config, 'controlPlaneUrl' | 'controlToken'>) {
    this.url = redactUrl(controlPlaneUrl)
    this.#base = controlPlaneUrl.replace(/\/+$/, '')
    this.#headers =
      controlToken === null ? {} : { authorization: `Bearer ${controlToken.split(',')[0]}` }
  }

  /** @throws LogpipeError CONTROL */
  async get(route: string): Promise<unknown> {
    const answer = await this.#ask(route, AbortSignal.timeout(ANSWER_MS_MAX))
    try {
      return JSON.parse(await textOf(answer, ANSWER_BYTES_MAX))
    } catch (error) {
      throw this.#failure(messageOf(error), error)
    }
  }

  /** Every entry of a list, a page after the other. @throws LogpipeError CONTROL */
  async all<Item>(route: '/api/pipelines' | '/api/workers'): Promise<Item[]> {
    const all: Item[] = []
    let cursor: Cursor = ''
    while (all.length < ITEMS_MAX) {
      const from: string = cursor === '' ? '' : `&cursor=${cursor}`
      const page = await this.get(`${route}?limit=${PAGE}${from}`)
      const { items, next_cursor: next } = page as { items: Item[]; next_cursor?: Cursor | null }
      all.push(...items)
      // The version before gives all workers at once, and no cursor.
      if (next === null || next === undefined) break
      cursor = next
    }
    return all
  }

  /** Server-sent events, until the other side ends them. @throws LogpipeError CONTROL */
  async *events(route: string, signal: AbortSignal): AsyncGenerator<ServerEvent> {
    const answer = await this.#ask(route, signal)
    const decoder = new TextDecoder()
    let rest = ''
    try {
      for await (const chunk of answer.body ?? []) {
        const parts = (rest + decoder.decode(chunk, { stream: true })).split('\n\n')
        rest = parts.pop() ?? ''
        if (rest.length > EVENT_CHARS_MAX) throw new RangeError('an event is too large')
        yield* parts.map(parseEvent)
      }
    } catch (error) {
      if (!signal.aborted) throw this.#failure(messageOf(error), error)
    }
  }

  async #ask(route: string, signal: AbortSignal): Promise<Response> {
    let answer: Response
    try {
      const init = { headers: this.#headers, redirect: 'error', signal } as const
      answer = await fetch(this.#base + route, init)
    } catch (error) {
      throw this.#failure(
        `${fetchFault(error)}; start it with \`logpipe control\`, or set another with ` +
          '--control-plane-url',
        error,
      )
    }
    if (answer.ok) return answer
    if (answer.status === 401) {
      throw this.#failure(
        'it requires a token: set --control-token-file or CONTROL_TOKEN; its log names the ' +
          'token file at startup',
      )
    }
    const text = await textOf(answer, ANSWER_BYTES_MAX)
    throw this.#failure(`status ${answer.status}: ${detailOf(text)}`)
  }

  #failure(why: string, cause?: unknown): LogpipeError {
    return new LogpipeError('CONTROL', `the control plane at ${this.url}: ${why}`, { cause })
  }
}

async function textOf(answer: Response, bytesMax: number): Promise<string> {
  const decoder = new TextDecoder()
  let text = ''
  for await (const chunk of answer.body ?? []) {
    text += decoder.decode(chunk, { stream: true })
    if (text.length > bytesMax) throw new RangeError(`expected at most ${bytesMax} bytes`)
  }
  return text
}

/** https://html.spec.whatwg.org/multipage/server-sent-events.html */
function parseEvent(block: string): ServerEvent {
  const values = (field: string) =>
    block
      .split('\n')
      .filter((line) => line.startsWith(`${field}:`))
      .map((line) => line.slice(field.length + 1).replace(/^ /, ''))
  return { event: values('event')[0] ?? 'message', data: values('data').join('\n') }
}
