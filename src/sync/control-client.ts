/**
 * The one call a worker makes: its heartbeat, for its orders. Bounded in time and size.
 */
import { parseBounded } from '../core/bounded-json.ts'
import { fetchFault, LogpipeError } from '../core/errors.ts'
import { WORKER_SECRET_HEADER } from '../core/worker-wire.ts'
import { parseOrders, type Orders } from './assignment.ts'

export type Fetch = (url: string, init: RequestInit) => Promise<Response>

export interface ControlClientSettings {
  readonly url: string
  readonly workerId: string
  /** WORKER_TOKEN, asked for at each call; undefined: none is sent. */
  readonly token: () => string | undefined
  /** Tells this worker from others that have the token too. */
  readonly secret: string
  readonly timeoutMs: number
}

/** A pipeline's variables and sixteen commands are far below. */
const ANSWER_BYTES_MAX = 4 * 1024 * 1024
/** Sixteen commands about 500 dead letters each have 8000. */
const ANSWER_VALUES_MAX = 50_000

export class ControlClient {
  readonly #settings: ControlClientSettings
  readonly #fetch: Fetch

  constructor(settings: ControlClientSettings, fetcher: Fetch) {
    this.#settings = settings
    this.#fetch = fetcher
  }

  /** @throws LogpipeError CONTROL when it cannot be reached, refuses, or answers nonsense. */
  async heartbeat(body: unknown, signal: AbortSignal): Promise<Orders> {
    const { url, workerId, secret, timeoutMs } = this.#settings
    const token = this.#settings.token()
    const target = `${url.replace(/\/+$/, '')}/api/workers/${workerId}/heartbeat`
    try {
      const answer = await this.#fetch(target, {
        method: 'POST',
        redirect: 'error',
        headers: {
          'content-type': 'application/json',
          [WORKER_SECRET_HEADER]: secret,
          ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
        },
        body: JSON.stringify(body),
        signal: AbortSignal.any([signal, AbortSignal.timeout(timeoutMs)]),
      })
      const text = await textOf(answer)
      if (!answer.ok) {
        throw new LogpipeError('CONTROL', `status ${answer.status}: ${detailOf(text)}`)
      }
      const orders = parseBounded(text, ANSWER_VALUES_MAX)
      if (orders === undefined)
        throw new LogpipeError('CONTROL', 'the answer is not JSON in bounds')
      return parseOrders(orders)
    } catch (error) {
      const why = `the control plane at ${url}: ${fetchFault(error)}`
      throw new LogpipeError('CONTROL', why, { cause: error })
    }
  }
}

async function textOf(answer: Response): Promise<string> {
  const decoder = new TextDecoder()
  let text = ''
  for await (const chunk of answer.body ?? []) {
    text += decoder.decode(chunk, { stream: true })
    if (text.length > ANSWER_BYTES_MAX) {
      throw new LogpipeError('CONTROL', `expected at most ${ANSWER_BYTES_MAX} bytes`)
    }
  }
  return text
}

/** It goes into the log, and what answers may be anything. */
const DETAIL_CHARS_MAX = 1000

/** The detail of problem+json, or the beginning of whatever came. */
export function detailOf(text: string): string {
  try {
    const { detail } = JSON.parse(text) as { readonly detail?: unknown }
    if (typeof detail === 'string') return detail.slice(0, DETAIL_CHARS_MAX)
  } catch {
    // Not JSON: a proxy answered in the control plane's place.
  }
  return text.slice(0, 200)
}
