/**
 * The control plane: opens the database, listens, and ticks once a second until it is closed.
 *
 * Order of the start: lock and database, tokens, timer, socket; the end goes the other way round.
 */
import { createAdaptorServer, type HttpBindings } from '@hono/node-server'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { createServer as createHttpServer, type Server } from 'node:http'
import { createServer as createHttpsServer, type Server as HttpsServer } from 'node:https'
import type { AddressInfo, BlockList, Socket } from 'node:net'
import path from 'node:path'
import type { Clock } from '../core/clock.ts'
import { boundConnections } from '../core/connection-bounds.ts'
import { listenError, LogpipeError, messageOf } from '../core/errors.ts'
import type { AccessRules } from './access.ts'
import { createApp, type Assets } from './app.ts'
import type { ControlContext } from './control-context.ts'
import { openDatabase, type LockFile } from './database.ts'
import { addressSet, clientAddress, isAmong, isLoopback, OwnConnections } from './peer.ts'
import { tokensOf } from './tokens.ts'
import { contextOf, type WiringDependencies } from './wiring.ts'

export interface ControlSettings {
  /** Where to listen; port 0 takes a free one. */
  readonly host: string
  readonly port: number
  readonly databasePath: string
  /** CONTROL_TOKEN, one or two; undefined: made, and needed by everyone but the owner. */
  readonly controlToken: string | undefined
  readonly workerToken: string | undefined
  readonly allowedHosts: readonly string[]
  /** Addresses and ranges whose X-Forwarded-For is believed. */
  readonly trustedProxies: readonly string[]
  /** Files of a certificate chain and its key (PEM). */
  readonly tls: { readonly certificate: string; readonly key: string } | undefined
  readonly runtimeMetricsPath: string | undefined
}

export interface ControlDependencies extends WiringDependencies {
  readonly lockFile: LockFile
  /** The dashboard. */
  readonly assets: Assets
  readonly version: string
  /** How this program is called on a command line. */
  readonly program: string
}

export interface RunningControl {
  readonly address: { readonly host: string; readonly port: number }
  /**
   * Takes these tokens, and reads token files and the certificate again.
   * @throws LogpipeError when one of them is wrong: then nothing is changed.
   */
  reload(tokens: TokenSettings): void
  /** Stops listening, ends what is open, and closes the database. May be called again. */
  close(): Promise<void>
}

const TICK_MS = 1000
const REPEAT_MS = 60_000
/** 200 workers and some browsers, each with a few connections; one address has a quarter. */
const CONNECTIONS_MAX = 2000
/** Between two requests of somebody unknown. */
const KEEP_ALIVE_MS = 5000
/** Of whoever showed a token: above the 60 s that load balancers keep theirs. */
const KEEP_ALIVE_KNOWN_MS = 65_000
/** Requests under way at the end have this long. */
const CLOSE_MS = 2000
const SWEEP_MS = 20

/**
 * @throws LogpipeError LOCKED or STORE for the database, LISTEN for the address.
 */
export async function startControl(
  settings: ControlSettings,
  dependencies: ControlDependencies,
): Promise<RunningControl> {
  const { clock, log } = dependencies
  const database = openDatabase(settings.databasePath, dependencies.lockFile)
  let stopTicking = (): void => undefined
  try {
    const report = onceAMinute(clock, (text) => log('error', text))
    const context = contextOf(settings, dependencies, database, report)
    stopTicking = tickEverySecond(context, report)
    let tokens = readTokens(settings, settings)
    const proxies = addressSet(settings.trustedProxies)
    /** Of people. A worker calls again, and whoever has its token has not ours. */
    const spared = new WeakSet<Socket>()
    const rules = rulesOf(settings, dependencies, () => tokens, proxies, spared)
    const app = createApp(context, {
      rules,
      assets: dependencies.assets,
      secure: settings.tls !== undefined,
      audit: (line) => log('warn', line),
      about: {
        version: dependencies.version,
        program: dependencies.program,
        workerTokenFile: settings.workerToken === undefined ? tokenFiles(settings).worker : null,
        workerTokenBinds: rules.controlTokenBinds || rules.workerTokenBinds,
      },
    })
    const server = serverOf(settings, app.fetch)
    boundConnections(server, {
      connectionsMax: CONNECTIONS_MAX,
      perAddressMax: CONNECTIONS_MAX / 4,
      isShared: (address) => isAmong(proxies, address),
      isSpared: (socket) => spared.has(socket),
    })
    const { port } = await listen(server, settings)
    logWhoNeedsTokens(settings, log)
    let closing: Promise<void> | undefined
    const close = async (): Promise<void> => {
      context.tail.close()
      await closeServer(server, clock)
      stopTicking()
      try {
        context.history.flush()
        context.books.flush()
        context.fleet.flush()
      } catch (error) {
        report(error)
      }
      database.close()
    }
    return {
      address: { host: settings.host, port },
      reload: (given) => {
        const next = readTokens(settings, given)
        if (settings.tls !== undefined)
          (server as HttpsServer).setSecureContext(pemsOf(settings.tls))
        tokens = next
      },
      close: async () => (closing ??= close()),
    }
  } catch (error) {
    stopTicking()
    database.close()
    throw error
  }
}

/** Tells of an error; of the same one, as of a full disk each second, once a minute. */
function onceAMinute(clock: Clock, log: (text: string) => void): (error: unknown) => void {
  let last = ''
  let untilMs = -Infinity
  return (error) => {
    const text = error instanceof Error ? (error.stack ?? error.message) : messageOf(error)
    const nowMs = clock.monotonicMs()
    if (text === last && nowMs < untilMs) return
    last = text
    untilMs = nowMs + REPEAT_MS
    log(text)
  }
}

/** @returns what ends it. */
function tickEverySecond(
  { clock, fleet, history, logRates, books }: ControlContext,
  report: (error: unknown) => void,
): () => void {
  let cancel: () => void
  const tick = (): void => {
    // A full disk must not end the control plane; the next second tries again.
    try {
      fleet.tick()
      history.tick()
      logRates.tick()
      books.tick()
    } catch (error) {
      report(error)
    }
    cancel = clock.after(TICK_MS, tick)
  }
  cancel = clock.after(TICK_MS, tick)
  return () => cancel()
}

type TokenSettings = Pick<ControlSettings, 'controlToken' | 'workerToken'>

/** The tokens that are right just now; `binds`: the operator set it, so everybody needs one. */
interface Tokens {
  readonly control: { readonly right: readonly string[]; readonly binds: boolean }
  readonly worker: { readonly right: readonly string[]; readonly binds: boolean }
}

/** @throws LogpipeError USAGE for a token that is too short, STORE for its file. */
function readTokens(
  settings: ControlSettings,
  { controlToken, workerToken }: TokenSettings,
): Tokens {
  const files = tokenFiles(settings)
  const tokens = (option: string, value: string | undefined, file: string) => ({
    right: tokensOf(option, value, file),
    binds: value !== undefined,
  })
  return {
    control: tokens('CONTROL_TOKEN', controlToken, files.control),
    worker: tokens('WORKER_TOKEN', workerToken, files.worker),
  }
}

function rulesOf(
  settings: ControlSettings,
  { assets }: ControlDependencies,
  tokens: () => Tokens,
  proxies: BlockList,
  spared: WeakSet<Socket>,
): AccessRules {
  const own = new OwnConnections()
  return {
    get controlTokens() {
      return tokens().control.right
    },
    get workerTokens() {
      return tokens().worker.right
    },
    get controlTokenBinds() {
      return tokens().control.binds || settings.allowedHosts.length > 0
    },
    get workerTokenBinds() {
      return tokens().worker.binds
    },
    allowedHosts: new Set(
      [...settings.allowedHosts, settings.host].map((host) => host.toLowerCase()),
    ),
    isAsset: (name) => assets.has(name),
    peerOf: (c) => {
      const { socket } = (c.env as HttpBindings).incoming
      const forwardedFor = c.req.header('x-forwarded-for')
      return {
        address: clientAddress(socket.remoteAddress ?? 'unknown', forwardedFor, proxies),
        isOwnUser: () => own.isOwn(socket),
        isGone: () => socket.destroyed,
      }
    },
    onKnown: (c, kind) => {
      const { outgoing, incoming } = c.env as HttpBindings
      if (kind === 'control') spared.add(incoming.socket)
      // Node sets its own time when the answer is out; this comes after it.
      outgoing.once('finish', () => incoming.socket.setTimeout(KEEP_ALIVE_KNOWN_MS))
    },
  }
}

/** Where tokens are kept that the operator did not set. */
export function tokenFiles({ databasePath }: ControlSettings): { control: string; worker: string } {
  const folder = path.dirname(databasePath)
  return { control: path.join(folder, 'control-token'), worker: path.join(folder, 'worker-token') }
}

function logWhoNeedsTokens(settings: ControlSettings, log: ControlDependencies['log']): void {
  const files = tokenFiles(settings)
  const isPublic = !isLoopback(settings.host) && settings.host !== 'localhost'
  const where = settings.controlToken === undefined ? files.control : 'CONTROL_TOKEN'
  if (settings.controlToken !== undefined || settings.allowedHosts.length > 0) {
    log('info', `every request to the API needs the token in ${where}`)
  } else {
    log(
      'info',
      `your own processes on this machine need no token; all others need the token in ${where}`,
    )
  }
  if (settings.workerToken === undefined) {
    log('info', `workers of other users or machines need WORKER_TOKEN, from ${files.worker}`)
  }
  if (settings.tls === undefined && isPublic) {
    log('warn', 'tokens and secrets are sent unencrypted: set CONTROL_TLS_CERT and CONTROL_TLS_KEY')
  }
}

function serverOf(
  { tls }: ControlSettings,
  fetch: (request: Request, env: object) => Response | Promise<Response>,
): Server {
  const limits = {
    headersTimeout: 10_000,
    requestTimeout: 30_000,
    keepAliveTimeout: KEEP_ALIVE_MS,
    // How often the times above are looked at.
    connectionsCheckingInterval: 5000,
    maxHeaderSize: 16_384,
  }
  const server =
    tls === undefined
      ? createAdaptorServer({ fetch, createServer: createHttpServer, serverOptions: limits })
      : createAdaptorServer({
          fetch,
          createServer: createHttpsServer,
          serverOptions: {
            ...limits,
            ...pemsOf(tls),
            handshakeTimeout: 10_000,
          },
        })
  // HTTP/2 servers have another type; both of ours are servers of HTTP/1.1.
  return server as Server
}

function pemsOf({ certificate, key }: { readonly certificate: string; readonly key: string }) {
  return { cert: readPem(certificate), key: readPem(key), minVersion: 'TLSv1.2' as const }
}

function readPem(file: string): Buffer {
  try {
    return readFileSync(file)
  } catch (error) {
    throw new LogpipeError('LISTEN', `cannot read ${file}: ${messageOf(error)}`, {
      cause: error,
    })
  }
}

async function listen(server: Server, { host, port }: ControlSettings): Promise<AddressInfo> {
  try {
    server.listen(port, host)
    await once(server, 'listening')
  } catch (error) {
    throw listenError('CONTROL_LISTEN', `${host}:${port}`, error)
  }
  return server.address() as AddressInfo
}

async function closeServer(server: Server, clock: Clock): Promise<void> {
  const closed = once(server, 'close')
  const endMs = clock.monotonicMs() + CLOSE_MS
  server.close()
  let cancel: () => void
  /** Connections become idle one after another, as their requests end. */
  const sweep = (): void => {
    if (clock.monotonicMs() < endMs) server.closeIdleConnections()
    else server.closeAllConnections()
    cancel = clock.after(SWEEP_MS, sweep)
  }
  cancel = clock.after(SWEEP_MS, sweep)
  await closed
  cancel()
}
