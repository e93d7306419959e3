/**
 * The HTTP application: every route, behind the checks that come before all of them.
 *
 * No socket here: tests call `app.request`, and control.ts puts it on one.
 */
import { createHash } from 'node:crypto'
import type { OpenAPIHono } from '@hono/zod-openapi'
import type { Context, MiddlewareHandler } from 'hono'
import { exceedsBounds } from '../core/bounded-json.ts'
import { type About, aboutRoutes, optionRoutes } from './about-routes.ts'
import { accessGuard, type AccessRules, securityHeaders } from './access.ts'
import { commandRoutes } from './command-routes.ts'
import { type ControlContext, newRouter } from './control-context.ts'
import { metricsRoutes } from './metrics-routes.ts'
import { pipelineRoutes } from './pipeline-routes.ts'
import { notFoundHandler, Problem, problemHandler } from './problem.ts'
import { sessionRoutes } from './session-routes.ts'
import { FailedTokens, Sessions } from './tokens.ts'
import { workerRoutes } from './worker-routes.ts'

/** A heartbeat with a full tail; a pipeline is far below. */
const BODY_BYTES_MAX = 4 * 1024 * 1024
/** A token: read from whoever asks, so hardly more than one. */
const SIGN_IN_BYTES_MAX = 4 * 1024
/** A heartbeat with the results of many commands has some 20,000. */
const BODY_VALUES_MAX = 50_000
/** Of a body that is on its way, more counts as large: each connection may have this much. */
const SMALL_BYTES = 64 * 1024
/** What is large of all bodies on their way: many full heartbeats at once. */
const LARGE_BYTES_MAX = 64 * 1024 * 1024

interface AppOptions {
  readonly rules: AccessRules
  readonly assets: Assets
  /** Served over TLS. */
  readonly secure: boolean
  readonly about: About
  /** Hears of sign-ins and refusals. */
  readonly audit: (line: string) => void
}

export function createApp(context: ControlContext, options: AppOptions): OpenAPIHono {
  const { rules, assets, secure, about, audit } = options
  const sessions = new Sessions(context.clock)
  const failures = new FailedTokens(context.clock, audit)
  const app = newRouter()
  app.onError(problemHandler(context.report))
  app.notFound(notFoundHandler((path) => methodsOf(app, path)))
  app.use('*', securityHeaders(secure))
  app.use(
    '*',
    accessGuard(rules, sessions, failures, (c, who, run) => context.audit.around(c, who, run)),
  )
  app.use('*', onlyJson)
  app.use('*', boundedBodies())
  app.use('*', assetRoutes(assets))
  for (const routes of [
    sessionRoutes(rules, sessions, failures, secure),
    pipelineRoutes(context),
    workerRoutes(context),
    commandRoutes(context),
    metricsRoutes(context),
    optionRoutes(context),
    aboutRoutes(about),
  ]) {
    app.route('/', routes)
  }
  // Made once, when somebody first asks: it takes longer than any other answer.
  let document: string | undefined
  app.get('/openapi.json', (c) => {
    document ??= JSON.stringify(
      app.getOpenAPI31Document({
        openapi: '3.1.0',
        info: { title: 'logpipe control plane', version: about.version },
      }),
    )
    return c.body(document, 200, { 'content-type': 'application/json' })
  })
  return app
}

/**
 * Reads and parses the body of a request, within bounds: of its bytes, of its values, and of all
 * bodies on their way together. Who sends slowly holds little, and of whoever sends more than there
 * is room for the request is refused, small ones never.
 */
function boundedBodies(): MiddlewareHandler {
  const large = { bytes: 0 }
  return async (c, next) => {
    if (c.req.method !== 'POST' && c.req.method !== 'PUT') return next()
    const bytesMax = c.req.path === '/api/session' ? SIGN_IN_BYTES_MAX : BODY_BYTES_MAX
    const text = await bodyOf(c, bytesMax, large)
    if (exceedsBounds(text, BODY_VALUES_MAX)) {
      throw new Problem(413, `Expected at most ${BODY_VALUES_MAX} values, less deeply nested.`)
    }
    // Hono keeps a promise of what was read, whatever its type says: routes read no more.
    Object.assign(c.req.bodyCache, { text: Promise.resolve(text) })
    await next()
  }
}

async function bodyOf(c: Context, bytesMax: number, large: { bytes: number }): Promise<string> {
  const declared = Number(c.req.header('content-length') ?? Infinity)
  const tooLarge = () => new Problem(413, `Expected at most ${bytesMax} bytes.`)
  if (declared !== Infinity && declared > bytesMax) throw tooLarge()
  if (declared <= SMALL_BYTES) return await c.req.text()
  const chunks: Uint8Array[] = []
  let bytes = 0
  let counted = 0
  try {
    for await (const chunk of c.req.raw.body ?? []) {
      bytes += chunk.length
      if (bytes > bytesMax) throw tooLarge()
      large.bytes -= counted
      counted = Math.max(0, bytes - SMALL_BYTES)
      large.bytes += counted
      if (large.bytes > LARGE_BYTES_MAX) {
        const headers = { 'retry-after': '5', connection: 'close' }
        throw new Problem(503, 'Too many large requests at once; retry later.', { headers })
      }
      chunks.push(chunk)
    }
    return new TextDecoder().decode(Buffer.concat(chunks))
  } finally {
    large.bytes -= counted
  }
}

/** The methods that a path has, middleware for all of them left out. */
function methodsOf({ routes }: OpenAPIHono, path: string): string[] {
  const fits = (pattern: string) =>
    new RegExp(`^${pattern.replaceAll('.', '\\.').replaceAll(/:\w+/g, '[^/]+')}$`).test(path)
  const methods = routes
    .filter((route) => route.method !== 'ALL' && fits(route.path))
    .map(({ method }) => method)
  return [...new Set(methods)].sort()
}

/** A form of another origin can send text/plain without asking; it cannot send JSON. */
const onlyJson: MiddlewareHandler = async (c, next) => {
  const hasBody = c.req.header('content-length') ?? c.req.header('transfer-encoding')
  const type = c.req.header('content-type')
  const isJson = type !== undefined && /^application\/json\s*(;|$)/i.test(type)
  const bodyMethod = c.req.method === 'POST' || c.req.method === 'PUT'
  if (bodyMethod && !isJson && (type !== undefined || (hasBody !== undefined && hasBody !== '0'))) {
    throw new Problem(415, 'Send the body with Content-Type: application/json.')
  }
  await next()
}

/*
 * The dashboard's files, from memory: they are built into the program, and no path reaches a disk.
 */

export interface Asset {
  /** The content type. */
  readonly type: string
  readonly body: string | Uint8Array<ArrayBuffer>
}

/** By path; `/` is the page. */
export type Assets = ReadonlyMap<string, Asset>

/** Answers what is an asset, and passes on the rest. */
function assetRoutes(assets: Assets): MiddlewareHandler {
  const tags = new Map(
    [...assets].map(([path, { body }]) => [
      path,
      `"${createHash('sha256').update(body).digest('base64url').slice(0, 22)}"`,
    ]),
  )
  return async (c, next) => {
    const asset = assets.get(c.req.path)
    if (asset === undefined || (c.req.method !== 'GET' && c.req.method !== 'HEAD')) {
      await next()
      return
    }
    const etag = tags.get(c.req.path) ?? ''
    const headers = { 'content-type': asset.type, 'cache-control': 'no-cache', etag }
    c.res =
      c.req.header('if-none-match') === etag
        ? c.body(null, 304, headers)
        : c.body(asset.body, 200, headers)
  }
}
