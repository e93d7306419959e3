/**
 * Who may do what: the checks before every route.
 *
 * ```
 * path                      the owner's own call   everybody else
 * /health, /ready, assets   open                   open
 * POST .../heartbeat        open                   worker token
 * everything else           open                   control token, or the cookie of a sign-in
 * ```
 *
 * Trust is not given by place: everything that a proxy, a tunnel or a sidecar passes on comes from
 * loopback. A call is the owner's own only when all of these hold:
 *   - the peer's socket is on this machine and belongs to the user who runs the server (peer.ts);
 *   - Host is a loopback name, as in what a person types;
 *   - there is no header but those that curl and browsers send of themselves: whoever passes a
 *     request on adds some, and a list of the names in use would always lack one;
 *   - the operator set neither CONTROL_TOKEN nor CONTROL_ALLOWED_HOSTS (nor, for the heartbeat,
 *     WORKER_TOKEN).
 *
 * A browser lends its place in the network to any page it shows. So the Host must be a name that no
 * page can point at us (an address, localhost, or one the operator named), and a request that
 * changes something must come from a page of ours (Origin, Sec-Fetch-Site). A cookie is sent for
 * our own pages only (SameSite=Strict).
 *
 * Every refusal counts against its address (tokens.ts); a right token is let in all the same. Every
 * change that is let in goes through the audit (audit.ts), with who made it.
 */
import type { Context, MiddlewareHandler } from 'hono'
import { getCookie } from 'hono/cookie'
import { isIP } from 'node:net'
import { isLoopback, type Peer } from './peer.ts'
import { Problem } from './problem.ts'
import { type FailedTokens, fingerprintOf, isOneOf, type Sessions } from './tokens.ts'

export const SESSION_COOKIE = 'logpipe_session'

export interface AccessRules {
  /** One, or two while they are exchanged. */
  readonly controlTokens: readonly string[]
  /** The operator set CONTROL_TOKEN or CONTROL_ALLOWED_HOSTS: nobody goes without a token. */
  readonly controlTokenBinds: boolean
  readonly workerTokens: readonly string[]
  readonly workerTokenBinds: boolean
  /** Host names by which the control plane is called, in lower case. */
  readonly allowedHosts: ReadonlySet<string>
  readonly isAsset: (path: string) => boolean
  readonly peerOf: (context: Context) => Peer
  /** Called for each request of a person or a worker that is let in. */
  readonly onKnown?: (context: Context, kind: 'control' | 'worker') => void
}

declare module 'hono' {
  interface ContextVariableMap {
    /**
     * Whether what let the request in would do so now: asked by an answer that goes on and on. The
     * token may have been exchanged since, and the browser signed out.
     */
    isStillLetIn: () => boolean
    /** Of a route that changes nothing, whether this call of it stands in the audit log. */
    isAudited?: boolean
  }
}

type Kind = 'open' | 'session' | 'worker' | 'control'

/** Runs a change, and notes who made it. */
type Audit = (c: Context, who: string, run: () => Promise<void>) => Promise<void>

export function accessGuard(
  rules: AccessRules,
  sessions: Sessions,
  failures: FailedTokens,
  audit: Audit,
): MiddlewareHandler {
  return async (c, next) => {
    const go = (kind: Kind, how: string, isStill: () => boolean): Promise<void> => {
      c.set('isStillLetIn', isStill)
      const isRead = c.req.method === 'GET' || c.req.method === 'HEAD'
      if (isRead || kind === 'open' || kind === 'worker') return next()
      // Anybody may sign out, any number of times: who was not signed in changes nothing.
      const isSignOut = kind === 'session' && c.req.method === 'DELETE'
      if (isSignOut && !hasSession(c, sessions, rules.controlTokens)) return next()
      return audit(c, `${how} from ${rules.peerOf(c).address}`, next)
    }
    const kind = kindOf(c.req.method, c.req.path, rules)
    const token = bearerOf(c)
    if (token !== undefined && (kind === 'worker' || kind === 'control')) {
      const isRight = () =>
        isOneOf(token, kind === 'worker' ? rules.workerTokens : rules.controlTokens)
      // No page of another origin can send this header: Host and Origin need no look.
      if (isRight()) {
        rules.onKnown?.(c, kind)
        return await go(kind, `token ${fingerprintOf(token)}`, isRight)
      }
      throw failures.refuse(rules.peerOf(c).address, () => refusal(kind))
    }
    checkHost(c, kind, rules.allowedHosts)
    if (kind !== 'open') checkOrigin(c)
    if (kind === 'open' || kind === 'session') return await go(kind, 'a browser', () => true)
    // Whose a connection is does not change.
    const isStillOwners = () => mayBeOwnersCall(c, rules, kind)
    const isSignedIn = () => kind === 'control' && hasSession(c, sessions, rules.controlTokens)
    const isOwners = await isOwnersCall(c, rules, kind)
    if (!isOwners && !isSignedIn()) {
      const { address, isGone } = rules.peerOf(c)
      // Whose it was cannot be told any more: no failed attempt.
      throw isGone() ? refusal(kind) : failures.refuse(address, () => refusal(kind))
    }
    rules.onKnown?.(c, kind)
    await (isOwners
      ? go(kind, "the server's own user", isStillOwners)
      : go(kind, 'a browser', isSignedIn))
  }
}

/** Whether whoever calls needs no token at all. */
export async function isOwnersCall(
  c: Context,
  rules: AccessRules,
  kind: 'control' | 'worker',
): Promise<boolean> {
  return mayBeOwnersCall(c, rules, kind) && (await rules.peerOf(c).isOwnUser())
}

/** All of it but whose process the peer is. */
function mayBeOwnersCall(c: Context, rules: AccessRules, kind: 'control' | 'worker'): boolean {
  if (rules.controlTokenBinds || (kind === 'worker' && rules.workerTokenBinds)) return false
  const { hostname } = new URL(c.req.url)
  const host = hostname.replace(/^\[|\]$/g, '')
  if (host !== 'localhost' && !isLoopback(host)) return false
  return Object.keys(c.req.header()).every((name) => PLAIN_HEADERS.test(name))
}

/** What curl, browsers, Node's fetch and sync send of themselves. */
const PLAIN_HEADERS = new RegExp(
  '^(accept(-encoding|-language)?|authorization|cache-control|connection|content-(length|type)|' +
    'cookie|dnt|expect|host|if-(match|none-match|modified-since)|keep-alive|last-event-id|' +
    'logpipe-worker-secret|origin|pragma|priority|range|referer|sec-[a-z-]+|te|transfer-encoding|' +
    'upgrade-insecure-requests|user-agent)$',
)

function hasSession(c: Context, sessions: Sessions, tokens: readonly string[]): boolean {
  const session = getCookie(c, SESSION_COOKIE)
  return session !== undefined && sessions.isOpen(session, tokens)
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
      'Its log names the token file at startup.',
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
  throw new Problem(403, `The host ${host} is not in CONTROL_ALLOWED_HOSTS.`)
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
