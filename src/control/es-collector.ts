/**
 * How Elasticsearch is doing, as asked by the control plane itself.
 *
 * It asks only the addresses that a pipeline is configured with, by GET, without following a
 * redirect, within a bounded time and size. Whoever may change a pipeline may name any address, so
 * of an answer that is not Elasticsearch's nothing is told. Answers are kept for a moment, so that
 * many browsers make one request.
 */
import { parseBounded } from '../core/bounded-json.ts'
import type { Clock } from '../core/clock.ts'
import { messageOf } from '../core/errors.ts'
import type { Pipeline } from './pipeline-store.ts'

export type Fetch = (url: string, init: RequestInit) => Promise<Response>

export interface EsState {
  readonly reachable: boolean
  /** Why something is missing below; one line for each request that failed. */
  readonly errors: readonly string[]
  readonly cluster: {
    readonly name: string
    readonly status: string
    readonly nodes: number
  } | null
  readonly index: { readonly docs: number; readonly bytes: number } | null
  /** Summed over nodes; `rejected` counts since each node's start. */
  readonly write_pool: {
    readonly active: number
    readonly queue: number
    readonly rejected: number
  } | null
}

const TIMEOUT_MS = 3000
const ANSWER_BYTES_MAX = 1024 * 1024
/** Of a thousand nodes; what is asked for has ten values of each. */
const ANSWER_VALUES_MAX = 20_000
/** Of each answer little is kept: a cluster's name is as long as whoever answers likes. */
const NAME_CHARS_MAX = 200
/** A dashboard looks every few seconds. */
const KEPT_MS = 5000
/** Pipelines whose answers are kept, and requests under way. */
const KEPT_MAX = 1000
const UNDER_WAY_MAX = 16

export class EsCollector {
  readonly #fetch: Fetch
  readonly #clock: Clock
  readonly #kept = new Map<string, { readonly atMs: number; readonly state: Promise<EsState> }>()
  #underWay = 0

  constructor(fetcher: Fetch, clock: Clock) {
    this.#fetch = fetcher
    this.#clock = clock
  }

  /** @param defaults what the option table says where the pipeline says nothing. */
  async state(
    pipeline: Pipeline,
    defaults: { readonly url: string; readonly index: string },
  ): Promise<EsState> {
    const key = `${pipeline.id}-${pipeline.version}`
    const kept = this.#kept.get(key)
    if (kept !== undefined && this.#clock.monotonicMs() - kept.atMs < KEPT_MS) return kept.state
    if (this.#underWay >= UNDER_WAY_MAX) {
      return nothing(['too many requests to Elasticsearch are in progress; try again'])
    }
    const state = this.#ask(pipeline, defaults)
    this.#kept.delete(key)
    this.#kept.set(key, { atMs: this.#clock.monotonicMs(), state })
    const oldest = this.#kept.keys().next()
    if (this.#kept.size > KEPT_MAX && oldest.done !== true) this.#kept.delete(oldest.value)
    return state
  }

  async #ask(
    { settings, secrets }: Pipeline,
    defaults: { readonly url: string; readonly index: string },
  ): Promise<EsState> {
    this.#underWay++
    try {
      const urls = String(settings.fields['es_url'] ?? defaults.url).split(',')
      const username = settings.fields['es_username']
      const headers = authorization(secrets, username === undefined ? '' : String(username))
      const index = wildcard(String(settings.fields['es_index'] ?? defaults.index))
      const errors: string[] = []
      const get = async (path: string): Promise<unknown> => {
        try {
          return await this.#get(urls, path, headers)
        } catch (error) {
          errors.push(`GET ${path.split('?')[0]}: ${messageOf(error)}`)
          return undefined
        }
      }
      const [health, stats, pools] = await Promise.all([
        get('/_cluster/health?filter_path=cluster_name,status,number_of_nodes'),
        get(`/${encodeURIComponent(index)}/_stats/docs,store?filter_path=_all.primaries`),
        get('/_nodes/stats/thread_pool?filter_path=nodes.*.thread_pool.write'),
      ])
      return {
        reachable: [health, stats, pools].some((answer) => answer !== undefined),
        errors,
        cluster: clusterOf(health),
        index: indexOf(stats),
        write_pool: writePoolOf(pools),
      }
    } finally {
      this.#underWay--
    }
  }

  /** The first address that answers at all; each has its share of the time. */
  async #get(
    urls: readonly string[],
    path: string,
    headers: Readonly<Record<string, string>>,
  ): Promise<unknown> {
    let failure: unknown
    for (const url of urls.slice(0, 3)) {
      try {
        const answer = await this.#fetch(url.trim().replace(/\/+$/, '') + path, {
          headers,
          redirect: 'manual',
          signal: AbortSignal.timeout(TIMEOUT_MS / Math.min(urls.length, 3)),
        })
        return await jsonOf(answer)
      } catch (error) {
        failure = error
      }
    }
    throw failure
  }
}

async function jsonOf({ status, body }: Response): Promise<unknown> {
  const unlike = new TypeError(
    'no Elasticsearch there that accepts these credentials; run the check of a worker',
  )
  if (status !== 200) {
    await body?.cancel()
    throw unlike
  }
  let text = ''
  const decoder = new TextDecoder()
  for await (const chunk of body ?? []) {
    text += decoder.decode(chunk, { stream: true })
    if (text.length > ANSWER_BYTES_MAX) throw unlike
  }
  const answer = parseBounded(text, ANSWER_VALUES_MAX)
  if (answer === undefined) throw unlike
  return answer
}

function authorization(
  secrets: Pipeline['secrets'],
  username: string,
): Readonly<Record<string, string>> {
  const apiKey = secrets['es_api_key']
  if (apiKey !== undefined) return { authorization: `ApiKey ${apiKey}` }
  if (username === '') return {}
  const pair = `${username}:${secrets['es_password'] ?? ''}`
  return { authorization: `Basic ${Buffer.from(pair).toString('base64')}` }
}

/** app-{topic}-{+yyyy.MM.dd} stands for app-*-*. */
function wildcard(index: string): string {
  return index.replaceAll(/\{[^}]*\}/g, '*')
}

/** A value deep within an answer, or undefined. */
function at(value: unknown, ...path: readonly string[]): unknown {
  let now = value
  for (const key of path) {
    if (typeof now !== 'object' || now === null) return undefined
    now = Reflect.get(now, key)
  }
  return now
}

function clusterOf(health: unknown): EsState['cluster'] {
  const status = at(health, 'status')
  if (typeof status !== 'string') return null
  const nodes = Number(at(health, 'number_of_nodes') ?? 0)
  const text = (value: unknown) => String(value).slice(0, NAME_CHARS_MAX)
  return { name: text(at(health, 'cluster_name')), status: text(status), nodes }
}

function indexOf(stats: unknown): EsState['index'] {
  const docs = at(stats, '_all', 'primaries', 'docs', 'count')
  const bytes = at(stats, '_all', 'primaries', 'store', 'size_in_bytes')
  // An index that does not exist yet has no totals.
  return typeof docs === 'number' ? { docs, bytes: Number(bytes ?? 0) } : null
}

function writePoolOf(pools: unknown): EsState['write_pool'] {
  const nodes = at(pools, 'nodes')
  if (typeof nodes !== 'object' || nodes === null) return null
  const sum = (field: string) =>
    Object.values(nodes).reduce(
      (total: number, node: unknown) =>
        total + Number(at(node, 'thread_pool', 'write', field) ?? 0),
      0,
    )
  return { active: sum('active'), queue: sum('queue'), rejected: sum('rejected') }
}

function nothing(errors: readonly string[]): EsState {
  return { reachable: false, errors, cluster: null, index: null, write_pool: null }
}
