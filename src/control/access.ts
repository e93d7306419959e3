/**
 * Who may do what: the checks before every route.
 *
 *   path                        loopback, no token set   loopback, CONTROL_TOKEN set   elsewhere
 *   /health, /ready, assets     open                     open                          open
 *   POST .../heartbeat          open*                    worker token                  worker token
 *   everything else             open                     control token or cookie       the same
 *   (* unless WORKER_TOKEN is set)
 *
 * A browser lends its place in the network to any page it shows. So where being on loopback is
 * enough, the Host must be a name that no page can point at us (an address, localhost, or one the
 * operator named), and what changes something must come from a page of ours (Origin,
 * Sec-Fetch-Site). A cookie is sent for our own pages only (SameSite=Strict). A request that a
 * proxy passed on is never counted as loopback.
 */
import type { Context, MiddlewareHandler } from 'hono'
import { getCookie } from 'hono/cookie'
import { isIP } from 'node:net'
import { Problem } from './problem.ts'
import { type FailedTokens, type Sessions, tokensEqual } from './tokens.ts'

export const SESSION_COOKIE = 'logpipe_session'

export interface AccessRules {
  readonly controlToken: string
  /** Set by the operator, not made by us: then it binds everyone. */
  readonly controlTokenBinds: boolean
  readonly workerToken: string
  readonly workerTokenBinds: boolean
  /** Host names by which the control plane is called, in lower case. */
  readonly allowedHosts: ReadonlySet<string>
  readonly isAsset: (path: string) => boolean
  /** The address of the other end; undefined is nobody we trust. */
  readonly remoteAddress: (context: Context) => string | undefined
}

type Kind = 'open' | 'session' | 'worker' | 'control'

export function accessGuard(
  rules: AccessRules,
  sessions: Sessions,
  failures: FailedTokens,
): MiddlewareHandler {
  return async (c, next) => {
    const kind = kindOf(c.req.method, c.req.path, rules)
    const address = rules.remoteAddress(c) ?? 'unknown'
    const token = bearerOf(c)
    if (token !== undefined) {
      failures.check(address)
      const right = kind === 'worker' ? rules.workerToken : rules.controlToken
      if (kind === 'worker' || kind === 'control') {
        if (!tokensEqual(token, right)) {
          failures.count(address, token)
          throw refusal(kind)
        }
        // No page of another origin can send this header: Host and Origin need no look.
        await next()
        return
      }
    }
    checkHost(c, kind, rules.allowedHosts)
    if (kind !== 'open') checkOrigin(c)
    if (kind === 'worker' && !isTrustedPlace(c, address, rules, kind)) throw refusal(kind)
    if (kind === 'control' && !isTrustedPlace(c, address, rules, kind)) {
      const session = getCookie(c, SESSION_COOKIE)
      if (session === undefined || !sessions.isOpen(session)) throw refusal(kind)
    }
    await next()
  }
}

/** Whether somebody at this place needs no token at all. */
export function isTrustedPlace(
  c: Context,
  address: string,
  rules: AccessRules,
  kind: 'control' | 'worker',
): boolean {
  if (rules.controlTokenBinds || (kind === 'worker' && rules.workerTokenBinds)) return false
  const passedOn = ['forwarded', 'x-forwarded-for', 'x-real-ip', 'via'].some(
    (name) => c.req.header(name) !== undefined,
  )
  return !passedOn && isLoopback(address)
}

export function isLoopback(address: string): boolean {
  const plain = address.replace(/^::ffff:/i, '')
  return plain === '::1' || (isIP(plain) === 4 && plain.startsWith('127.'))
}

function kindOf(method: string, path: string, rules: AccessRules): Kind {
  if (method === 'POST' && /^\/api\/workers\/[^/]+\/heartbeat$/.test(path)) return 'worker'
  if (path === '/api/session') return 'session'
  if (method !== 'GET' && method !== 'HEAD') return 'control'
  if (path === '/health' || path === '/ready' || rules.isAsset(path)) return 'open'
  return 'control'
}

function bearerOf(c: Context): string | undefined {
  const header = c.req.header('authorization')
  if (header === undefined) return undefined
  return /^Bearer\s+(\S+)\s*$/i.exec(header)?.[1] ?? ''
}

function refusal(kind: Kind): Problem {
  const which = kind === 'worker' ? 'WORKER_TOKEN' : 'CONTROL_TOKEN'
  return new Problem(
    401,
    `Send the header "Authorization: Bearer TOKEN" with the control plane's ${which}. ` +
      'Its log says at the start which file holds it.',
    { headers: { 'www-authenticate': 'Bearer realm="logpipe"' } },
  )
}

/** A name could be made to point at us by whoever owns it (DNS rebinding); an address could not. */
function checkHost(c: Context, kind: Kind, allowedHosts: ReadonlySet<string>): void {
  // Probes of Kubernetes and load balancers say what they like, and hear one word.
  if (kind === 'open' && !c.req.path.startsWith('/api/')) return
  const { hostname, host } = new URL(c.req.url)
  const name = hostname.toLowerCase()
  const isAddress = isIP(name.replace(/^\[|\]$/g, '')) !== 0
  if (isAddress || name === 'localhost' || allowedHosts.has(name)) return
  if (allowedHosts.has(host.toLowerCase())) return
  throw new Problem(403, `The host ${host} is not one of CONTROL_ALLOWED_HOSTS.`)
}

function checkOrigin(c: Context): void {
  const site = c.req.header('sec-fetch-site')
  if (site === 'cross-site' || site === 'same-site') {
    throw new Problem(403, 'Pages of another origin may not call the API.')
  }
  const origin = c.req.header('origin')
  if (origin === undefined) return
  const from = URL.parse(origin)
  if (from === null || from.host !== new URL(c.req.url).host) {
    throw new Problem(403, 'Pages of another origin may not call the API.')
  }
}

/*
 * Headers that every answer has: what a browser may do with it.
 */

/** Everything from here, nothing inline, in nobody's frame. */
const POLICY = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self'",
  "img-src 'self' data:",
  "font-src 'self'",
  "connect-src 'self'",
  "manifest-src 'self'",
  "form-action 'self'",
  "base-uri 'none'",
  "frame-ancestors 'none'",
].join('; ')

export function securityHeaders(secure: boolean): MiddlewareHandler {
  return async (c, next) => {
    await next()
    const { headers } = c.res
    headers.set('content-security-policy', POLICY)
    headers.set('x-content-type-options', 'nosniff')
    headers.set('x-frame-options', 'DENY')
    headers.set('referrer-policy', 'no-referrer')
    headers.set('cross-origin-opener-policy', 'same-origin')
    headers.set('cross-origin-resource-policy', 'same-origin')
    headers.set('permissions-policy', 'camera=(), geolocation=(), microphone=()')
    if (secure) headers.set('strict-transport-security', 'max-age=31536000')
    if (!headers.has('cache-control')) headers.set('cache-control', 'no-store')
  }
}
