/**
 * Every route of the control plane as a request that can be made again and again: what
 * bench/control.ts asks for. Each call changes what only its turn has, or what takes no harm.
 */

/** Asks, asserts that the answer is a good one, and gives its JSON. */
export type Ask = (method: string, path: string, body?: unknown) => Promise<unknown>

export interface Fleet {
  readonly ask: Ask
  readonly pipelines: number
  readonly esUrl: string
  /** Opens a session. */
  readonly token: string
}

export interface Call {
  readonly method: string
  /** As the API's description writes it; the name in the table. */
  readonly route: string
  /** The request's path and body, made anew for each call. */
  readonly make: (turn: number) => { readonly path: string; readonly body?: unknown }
  /** What must be there before, and is not timed. */
  readonly before?: (turn: number) => Promise<void>
}

export function pipelineBody({ esUrl }: Pick<Fleet, 'esUrl'>, name: string, more: object = {}) {
  return {
    name,
    kafka_brokers: 'kafka-1:9092,kafka-2:9092,kafka-3:9092',
    kafka_topic: `${name}-logs`,
    kafka_group_id: name,
    es_url: esUrl,
    es_index: `${name}-{+yyyy.MM.dd}`,
    match_pattern: 'ERROR',
    ...more,
  }
}

/** Workers call it by themselves. */
export const HEARTBEAT = '/api/workers/{id}/heartbeat'

/** What the API's description (OpenAPI) has and nobody calls. */
export function uncalled(description: unknown, calls: readonly Call[]): string[] {
  const { paths } = description as { paths: Record<string, object> }
  return Object.entries(paths).flatMap(([route, methods]) =>
    Object.keys(methods)
      .map((name) => name.toUpperCase())
      .filter((method) => !calls.some((call) => call.method === method && call.route === route))
      .filter(() => route !== HEARTBEAT)
      .map((method) => `${method} ${route}`),
  )
}

/** Every route but the heartbeat. */
export function routeCalls(fleet: Fleet): readonly Call[] {
  return [
    ...readCalls(fleet),
    ...pipelineCalls(fleet),
    ...workerCalls(fleet),
    ...commandCalls(fleet),
  ]
}

function get(route: string, query: (turn: number) => string = () => ''): Call {
  return { method: 'GET', route, make: (turn) => ({ path: route + query(turn) }) }
}

function readCalls({ pipelines, token }: Fleet): Call[] {
  const path = '/api/session'
  return [
    ...[
      '/health',
      '/ready',
      '/metrics',
      '/openapi.json',
      '/',
      path,
      '/api/options',
      '/api/about',
    ].map((route) => get(route)),
    get('/api/workers'),
    get('/api/metrics/runtime'),
    get('/api/metrics/runtime/history', () => '?seconds=300'),
    get('/api/metrics/es', (turn) => `?pipeline_id=${(turn % pipelines) + 1}`),
    get('/api/pipelines', (turn) => `?limit=500&cursor=${(turn % 2) * 500}`),
    { method: 'POST', route: path, make: () => ({ path, body: { token } }) },
    { method: 'DELETE', route: path, make: () => ({ path }) },
  ]
}

function pipelineCalls(fleet: Fleet): Call[] {
  const route = '/api/pipelines/{id}'
  const { ask, pipelines } = fleet
  const on = (method: string, tail: string, body?: (id: number) => unknown, from = 0): Call => ({
    method,
    route: `${route}${tail}`,
    make: (turn) => {
      const id = from + (turn % (pipelines - from)) + 1
      return { path: `/api/pipelines/${id}${tail}`, body: body?.(id) }
    },
  })
  const passing = new Map<number, number>()
  let changes = 0
  return [
    on('GET', ''),
    on('GET', '/revisions'),
    on('GET', '/books'),
    on('GET', '/tail'),
    on('PUT', '', (id) => pipelineBody(fleet, `p${id}`, { match_pattern: `ERR ${changes++}` })),
    on('POST', '/start'),
    // Those that nobody runs.
    on('POST', '/stop', undefined, Math.floor(pipelines * 0.9)),
    on('POST', '/rollback', () => ({ revision: 1 })),
    {
      method: 'POST',
      route: '/api/pipelines',
      make: (turn) => ({ path: '/api/pipelines', body: pipelineBody(fleet, `made-${turn}`) }),
    },
    {
      method: 'DELETE',
      route,
      before: async (turn) => {
        const made = await ask('POST', '/api/pipelines', pipelineBody(fleet, `passing-${turn}`))
        passing.set(turn, (made as { id: number }).id)
      },
      make: (turn) => ({ path: `/api/pipelines/${passing.get(turn) ?? 0}` }),
    },
  ]
}

/** Pinned are the first of them to the first pipelines, again and again. */
const PINNED = 20

function workerCalls({ ask }: Fleet): Call[] {
  return [
    {
      method: 'PUT',
      route: '/api/workers/{id}/assignment',
      make: (turn) => ({
        path: `/api/workers/worker-${turn % PINNED}/assignment`,
        body: { pipeline_id: (turn % PINNED) + 1, desired_state: 'running' },
      }),
    },
    {
      method: 'DELETE',
      route: '/api/workers/{id}',
      // Given back before it ever called: known, and not alive.
      before: async (turn) => {
        await ask('PUT', `/api/workers/passing-${turn}/assignment`, { pipeline_id: null })
      },
      make: (turn) => ({ path: `/api/workers/passing-${turn}` }),
    },
  ]
}

function commandCalls({ ask }: Fleet): Call[] {
  const order = (turn: number) => ({
    path: `/api/pipelines/${(turn % PINNED) + 1}/commands`,
    body: { kind: 'dlq-list', limit: 10 },
  })
  let id = ''
  return [
    { method: 'POST', route: '/api/pipelines/{id}/commands', make: order },
    {
      method: 'POST',
      route: '/api/pipelines/{id}/try',
      make: (turn) => ({
        path: `/api/pipelines/${(turn % PINNED) + 1}/try`,
        body: { match_keep: 'level:ERROR' },
      }),
    },
    {
      method: 'GET',
      route: '/api/commands/{id}',
      before: async (turn) => {
        if (id !== '') return
        const { path, body } = order(turn)
        const answer = (await ask('POST', path, body)) as { items: { id: string }[] }
        id = answer.items[0]?.id ?? ''
      },
      make: () => ({ path: `/api/commands/${id}` }),
    },
  ]
}
