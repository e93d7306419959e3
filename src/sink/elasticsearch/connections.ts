/**
 * Opens connections to Elasticsearch (TLS, client certificate, proxy) and explains failures. The
 * output, `check` and the control plane all use it.
 *
 *   http://ES    through http://PROXY    GET http://ES/... (forwarded)
 *   https://ES   through any proxy       CONNECT ES:443, then TLS with Elasticsearch itself
 *
 * Responses are not compressed: logpipe does not ask for it, and refuses a compressed response
 * unread, because decompression has no bound.
 *
 * Link-local addresses, given as a number or by a name that resolves to one, are refused unless the
 * operator listed the host: cloud metadata services hand out credentials there, and addresses come
 * from the control plane's API.
 *
 * Bound. One dispatcher for each owner; CONNECTIONS_MAX connections to one origin.
 */
import { lookup } from 'node:dns'
import {
  BlockList,
  connect as connectPlain,
  isIP,
  type LookupFunction,
  type Socket,
} from 'node:net'
import { connect as connectTls, type ConnectionOptions } from 'node:tls'
import { Agent, DecoratorHandler, Pool, ProxyAgent, type Dispatcher } from 'undici'
import { connectFault, messageOf } from '../../core/errors.ts'
import type { ConnectionSettings, ProxySettings } from './settings.ts'

/** Options of a client's own connection instead of a pool. */
export type NodeConnections = Pick<Dispatcher, 'close'> & {
  request(options: Dispatcher.RequestOptions): Promise<Dispatcher.ResponseData>
}

/** More than any number of requests in flight. */
const CONNECTIONS_MAX = 256
/** A server closes idle connections sooner, and says until when it keeps them. */
const KEPT_ALIVE_MS = 600_000

/** Opens connections to whatever origin a request names. Close it when done. */
export function openConnections(settings: ConnectionSettings): Dispatcher {
  const tls = tlsOf(settings)
  return new Agent({
    factory: (origin) => {
      const url = new URL(origin)
      const proxy = proxyOf(url, settings.proxies)
      const limits = {
        connections: CONNECTIONS_MAX,
        keepAliveTimeout: KEPT_ALIVE_MS,
        keepAliveMaxTimeout: KEPT_ALIVE_MS,
        // Who sends a request gives up by itself.
        headersTimeout: 0,
        bodyTimeout: 0,
      }
      if (proxy === null) {
        const guarded = { ...tls, lookup: guardedLookup(settings) }
        return new Pool(url.origin, { ...limits, connect: guarded })
      }
      const authorization = authorizationOf(new URL(proxy))
      const token = authorization === null ? {} : { token: authorization }
      const uri = new URL(proxy).origin
      return new ProxyAgent({ ...limits, uri, ...token, requestTls: tls, proxyTunnel: false })
    },
  }).compose((dispatch) => (options, handler) => {
    refuseLinkLocal(hostOf(new URL(String(options.origin))), settings)
    return dispatch(options, plainOnly(handler))
  })
}

/** Its message is all that there is to say. */
class RefusedAddress extends TypeError {}

const LINK_LOCAL = new BlockList()
LINK_LOCAL.addSubnet('169.254.0.0', 16, 'ipv4')
LINK_LOCAL.addSubnet('fe80::', 10, 'ipv6')
// The IPv4 ones through a gateway: NAT64 (RFC 6052), 6to4 (RFC 3056), and of RFC 4291.
LINK_LOCAL.addSubnet('64:ff9b::a9fe:0', 112, 'ipv6')
LINK_LOCAL.addSubnet('2002:a9fe::', 32, 'ipv6')
LINK_LOCAL.addSubnet('::a9fe:0', 112, 'ipv6')
// Those of clouds beside a link-local one, or in its place.
LINK_LOCAL.addAddress('fd00:ec2::254', 'ipv6')
LINK_LOCAL.addAddress('fd20:ce::254', 'ipv6')
LINK_LOCAL.addAddress('100.100.100.200', 'ipv4')

/** @param host a name, or an address that needs no look-up. @throws RefusedAddress */
function refuseLinkLocal(
  host: string,
  { linkLocalHosts }: Pick<ConnectionSettings, 'linkLocalHosts'>,
  addresses: readonly string[] = [host],
): void {
  if (linkLocalHosts.includes(host)) return
  const found = addresses.find((address) => {
    const version = isIP(address)
    return version !== 0 && LINK_LOCAL.check(address, version === 4 ? 'ipv4' : 'ipv6')
  })
  if (found === undefined) return
  const name = found === host ? host : `${host} (${found})`
  throw new RefusedAddress(`${name} is link-local: list it in ES_LINK_LOCAL_HOSTS to allow it`)
}

/** Connects to the address just looked up, so a name cannot change in between. */
function guardedLookup(settings: ConnectionSettings): LookupFunction {
  return (host, options, callback) => {
    lookup(host, options, (error, address, family) => {
      if (error !== null) return callback(error, address, family)
      const all = typeof address === 'string' ? [address] : address.map((each) => each.address)
      try {
        refuseLinkLocal(host.toLowerCase(), settings, all)
      } catch (thrown) {
        return callback(thrown as Error, address, family)
      }
      return callback(null, address, family)
    })
  }
}

/** The host of a URL, an IPv6 address without its brackets. */
function hostOf(url: URL): string {
  return url.hostname.replace(/^\[|\]$/g, '')
}

/** Ends a request whose answer has an encoding. */
function plainOnly(handler: Dispatcher.DispatchHandler): Dispatcher.DispatchHandler {
  const plain = new DecoratorHandler(handler) as Dispatcher.DispatchHandler
  const start = plain.onResponseStart?.bind(plain)
  plain.onResponseStart = (controller, status, headers, message) => {
    const encoding = String(headers['content-encoding'] ?? 'identity')
    if (encoding === 'identity') return start?.(controller, status, headers, message)
    const quoted = JSON.stringify(encoding.slice(0, 20))
    const reason = `the response has Content-Encoding ${quoted}, which logpipe did not request`
    return controller.abort(new TypeError(`${reason}: check the proxies in between`))
  }
  return plain
}

/**
 * For one node of the client. Its URL may have a path, which is no part of an origin; and the
 * client keeps an error's message alone, which often does not name the cause.
 */
export function nodeConnections(settings: ConnectionSettings): NodeConnections {
  const connections = openConnections(settings)
  const diagnosis = new Diagnosis(settings)
  return {
    request: async (options) => {
      const url = new URL(String(options.origin))
      try {
        return await connections.request({ ...options, origin: url.origin })
      } catch (error) {
        const isGivenUp = (options.signal as AbortSignal | null | undefined)?.aborted === true
        if (isGivenUp) throw error
        throw new TypeError(await diagnosis.of(error, url), { cause: error })
      }
    },
    close: () => connections.close(),
  }
}

/** A fetch over such connections, whose errors name the problem. */
export function fetchBy(
  settings: ConnectionSettings,
): (url: string, init: RequestInit) => Promise<Response> {
  // The same class, which @types/node declares again.
  const dispatcher = openConnections(settings) as unknown as NonNullable<RequestInit['dispatcher']>
  const diagnosis = new Diagnosis(settings)
  return async (text, init) => {
    // fetch takes no credentials in a URL.
    const url = new URL(text)
    const authorization = authorizationOf(url)
    const headers = new Headers(init.headers)
    // fetch would ask for any encoding that it knows.
    headers.set('accept-encoding', 'identity')
    if (authorization !== null && !headers.has('authorization')) {
      headers.set('authorization', authorization)
    }
    url.username = ''
    url.password = ''
    try {
      return await fetch(url, { ...init, headers, dispatcher })
    } catch (error) {
      // fetch says "fetch failed", and why in the cause.
      if (!(error instanceof TypeError) || error.cause === undefined) throw error
      throw new TypeError(await diagnosis.of(error.cause, url), { cause: error })
    }
  }
}

function tlsOf({ caPem, client }: ConnectionSettings): {
  readonly ca?: string
  readonly cert?: string
  readonly key?: string
} {
  return {
    ...(caPem === null ? {} : { ca: caPem }),
    ...(client === null ? {} : { cert: client.certificatePem, key: client.keyPem }),
  }
}

/** The proxy that a URL is reached through; null: none. */
export function proxyOf(url: URL, { http, https, except }: ProxySettings): string | null {
  const proxy = url.protocol === 'https:' ? https : http
  if (proxy === null) return null
  return except.some((entry) => isExcept(url, entry)) ? null : proxy
}

/** As curl has it: a name stands for its sub-domains too, with a dot before it or not. */
function isExcept(url: URL, entry: string): boolean {
  if (entry === '*') return true
  const host = hostOf(url)
  if (entry.includes('/')) return isWithin(host, entry)
  // More than one colon without brackets: an IPv6 address, which has no room for a port.
  const isAddress = isIP(entry) === 6
  const [, name = '', port] = isAddress ? ['', entry] : (/^(.*?)(?::(\d+))?$/.exec(entry) ?? [])
  if (port !== undefined && Number(port) !== portOf(url)) return false
  const wanted = name
    .toLowerCase()
    .replace(/^\*?\./, '')
    .replace(/^\[|\]$/g, '')
  return wanted !== '' && (host === wanted || host.endsWith(`.${wanted}`))
}

/** @param network as 10.0.0.0/8 */
function isWithin(host: string, network: string): boolean {
  const [address = '', bits = ''] = network.split('/')
  const kind = isIP(address)
  if (kind === 0 || isIP(host) !== kind || !/^\d{1,3}$/.test(bits)) return false
  if (Number(bits) > (kind === 4 ? 32 : 128)) return false
  const family = kind === 4 ? 'ipv4' : 'ipv6'
  const list = new BlockList()
  list.addSubnet(address, Number(bits), family)
  return list.check(host, family)
}

function portOf(url: URL): number {
  if (url.port !== '') return Number(url.port)
  return url.protocol === 'https:' ? 443 : 80
}

/** Credentials of the proxies, as they are given and as they are sent. */
export function proxySecrets({ proxies }: ConnectionSettings): string[] {
  return [proxies.http, proxies.https].flatMap((proxy) =>
    proxy === null ? [] : secretsOfUrl(proxy),
  )
}

/** The password in a URL, as it is given, as it is meant, and as it is sent. */
export function secretsOfUrl(text: string): string[] {
  const { username, password } = new URL(text)
  if (password === '') return []
  const plain = decoded(password)
  return [password, plain, basic(decoded(username), plain).replace('Basic ', '')]
}

/** The header that the credentials in a URL stand for; null: there are none. */
export function authorizationOf({ username, password }: URL): string | null {
  return username === '' ? null : basic(decoded(username), decoded(password))
}

export function basic(username: string, password: string): string {
  return `Basic ${Buffer.from(`${username}:${password}`).toString('base64')}`
}

/** A percent sign that starts no escape stands for itself. */
function decoded(text: string): string {
  try {
    return decodeURIComponent(text)
  } catch {
    // As it was typed.
    return text
  }
}

/** A redirect is not followed: documents go only where ES_URL says. */
export function redirectFault(status: number, location: string): string | undefined {
  if (status < 300 || status > 399 || !URL.canParse(location)) return undefined
  const target = new URL(location)
  const base = `${target.origin}${target.pathname.replace(/\/(_bulk)?$/, '')}`
  return `redirects to ${base} (${status}): set ES_URL to that address`
}

/** Both ends are near, or the reason is another one. */
const PROBE_MS_MAX = 2000
/** A server is repaired in minutes, and each probe costs a connection. */
const PROBE_EVERY_MS = 30_000
/** Origins that are remembered: a control plane checks those of all pipelines. */
const ORIGINS_MAX = 1000

/**
 * Says in words why a request got no answer. A server that wants TLS, or plain HTTP, or a client
 * certificate often just breaks off, each in its own way: so the server is probed, which is
 * surer than any list of errors.
 *
 * Bound. One probe of an origin in PROBE_EVERY_MS, of PROBE_MS_MAX; ORIGINS_MAX origins.
 */
export class Diagnosis {
  readonly #settings: ConnectionSettings
  readonly #lookup: LookupFunction
  readonly #looks = new Map<string, { readonly atMs: number; readonly fault: Promise<string> }>()

  constructor(settings: ConnectionSettings) {
    this.#settings = settings
    this.#lookup = guardedLookup(settings)
  }

  /** Never rejects. @param error of the request */
  async of(error: unknown, url: URL): Promise<string> {
    if (error instanceof RefusedAddress) return error.message
    try {
      refuseLinkLocal(hostOf(url), this.#settings)
    } catch (refusal) {
      return messageOf(refusal)
    }
    if (proxyOf(url, this.#settings.proxies) !== null) return requestFault(error)
    const nowMs = performance.now()
    const known = this.#looks.get(url.origin)
    if (known !== undefined && nowMs - known.atMs < PROBE_EVERY_MS) {
      return (await known.fault) || requestFault(error)
    }
    if (this.#looks.size >= ORIGINS_MAX) this.#looks.clear()
    const fault = url.protocol === 'https:' ? this.#probeTls(url) : this.#probePlain(url)
    this.#looks.set(url.origin, { atMs: nowMs, fault })
    return (await fault) || requestFault(error)
  }

  async #probeTls(url: URL): Promise<string> {
    if (await speaksHttp(url, this.#lookup)) {
      return `the server at ${url.host} speaks plain HTTP, not TLS: use http://`
    }
    const { error } = await speakTls(url, { ...tlsOf(this.#settings), lookup: this.#lookup })
    const alert = /alert (certificate required|handshake failure)/i.exec(messageOf(error))?.[1]
    if (alert === undefined) return ''
    const word = alert === 'certificate required' ? 'wants' : 'may want'
    return `the server at ${url.host} ${word} a client certificate: set ES_CLIENT_CERT (${alert})`
  }

  async #probePlain(url: URL): Promise<string> {
    // Nothing is sent to it but the hello, so it need not be trusted.
    const { isTls } = await speakTls(url, { rejectUnauthorized: false, lookup: this.#lookup })
    return isTls ? `the server at ${url.host} speaks TLS: use https://` : ''
  }
}

/** What an error of a request means, in words. */
function requestFault(error: unknown): string {
  const [, tunnel, forward] =
    /^Proxy response \((\d+)\)|^Proxy Authentication Required \((\d+)\)/.exec(messageOf(error)) ??
    []
  const status = tunnel ?? forward
  const { code } = Object(error) as { readonly code?: unknown }
  if (typeof code === 'string' && /SELF_SIGNED|UNABLE_TO_(GET_ISSUER|VERIFY)/.test(code)) {
    // Node goes on with advice about its own command line.
    const why = messageOf(error).split(';')[0]
    return `the server's certificate is not trusted (${why}): set ES_CA_FILE to its CA certificate`
  }
  return status === undefined ? connectFault(error) : `the proxy answers ${status}: check ES_PROXY`
}

async function speakTls(url: URL, options: ConnectionOptions) {
  const address = addressOf(url)
  const servername = isIP(address.host) === 0 ? { servername: address.host } : {}
  const socket = connectTls({ ...options, ...address, ...servername })
  let isTls = false
  let error: unknown
  const { promise, resolve } = Promise.withResolvers<void>()
  socket.once('secureConnect', () => {
    isTls = true
    if (options.rejectUnauthorized === false) resolve()
    // It may think of our certificate only now (TLS 1.3).
    else socket.write(helloTo(url))
  })
  socket.on('error', (thrown) => {
    error = thrown
    // Only who speaks TLS sends an alert.
    isTls ||= /\balert\b/i.test(thrown.message)
    resolve()
  })
  endWith(socket, resolve)
  await promise
  socket.destroy()
  return { isTls, error }
}

async function speaksHttp(url: URL, lookUp: LookupFunction): Promise<boolean> {
  const socket = connectPlain({ ...addressOf(url), lookup: lookUp })
  let start = ''
  const { promise, resolve } = Promise.withResolvers<void>()
  socket.once('connect', () => socket.write(helloTo(url)))
  socket.once('data', (bytes) => (start = bytes.toString('latin1')))
  socket.on('error', () => resolve())
  endWith(socket, resolve)
  await promise
  socket.destroy()
  return start.startsWith('HTTP/')
}

function endWith(socket: Socket, resolve: () => void): void {
  socket.setTimeout(PROBE_MS_MAX, resolve)
  socket.once('data', resolve)
  socket.once('close', resolve)
}

function helloTo(url: URL): string {
  return `HEAD / HTTP/1.1\r\nhost: ${url.host}\r\nconnection: close\r\n\r\n`
}

function addressOf(url: URL): { readonly host: string; readonly port: number } {
  return { host: hostOf(url), port: portOf(url) }
}
