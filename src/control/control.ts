/**
 * The control plane: opens the database, listens, and ticks once a second until it is closed.
 *
 * Order of the start: lock and database, tokens, timer, socket; the end goes the other way round.
 */
import { createAdaptorServer } from '@hono/node-server'
import { getConnInfo } from '@hono/node-server/conninfo'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { createServer as createHttpServer, type Server } from 'node:http'
import { createServer as createHttpsServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import path from 'node:path'
import type { Clock } from '../core/clock.ts'
import { listenError, LogpipeError, messageOf } from '../core/errors.ts'
import { isLoopback, type AccessRules } from './access.ts'
import { createApp } from './app.ts'
import type { Assets } from './asset-routes.ts'
import type { ControlContext } from './control-context.ts'
import { openDatabase, type LockFile } from './database.ts'
import { tokenInFile } from './tokens.ts'
import { contextOf, type WiringDependencies } from './wiring.ts'

export interface ControlSettings {
  /** Where to listen; port 0 takes a free one. */
  readonly host: string
  readonly port: number
  readonly databasePath: string
  /** CONTROL_TOKEN; undefined: made, and needed from elsewhere than loopback. */
  readonly controlToken: string | undefined
  readonly workerToken: string | undefined
  readonly allowedHosts: readonly string[]
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
  readonly log: (level: 'info' | 'warn' | 'error', message: string) => void
}

export interface RunningControl {
  readonly address: { readonly host: string; readonly port: number }
  /** Stops listening, ends what is open, and closes the database. May be called again. */
  close(): Promise<void>
}

const TICK_MS = 1000
const REPEAT_MS = 60_000
/** 200 workers and some browsers, each with a few connections. */
const CONNECTIONS_MAX = 2000
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
    const context = contextOf(settings, dependencies, database.db, report)
    stopTicking = tickEverySecond(context, report)
    const rules = rulesOf(settings, dependencies)
    const app = createApp(context, {
      rules,
      assets: dependencies.assets,
      secure: settings.tls !== undefined,
      about: {
        version: dependencies.version,
        program: dependencies.program,
        workerTokenFile: settings.workerToken === undefined ? tokenFiles(settings).worker : null,
        workerTokenBinds: rules.controlTokenBinds || rules.workerTokenBinds,
      },
    })
    const server = serverOf(settings, app.fetch)
    const { port } = await listen(server, settings)
    tellTokens(settings, log)
    let closing: Promise<void> | undefined
    const close = async (): Promise<void> => {
      context.tail.close()
      await closeServer(server, clock)
      stopTicking()
      try {
        context.history.flush()
        context.fleet.flush()
      } catch (error) {
        report(error)
      }
      database.close()
    }
    return { address: { host: settings.host, port }, close: async () => (closing ??= close()) }
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
  { clock, fleet, history }: ControlContext,
  report: (error: unknown) => void,
): () => void {
  let cancel: () => void
  const tick = (): void => {
    // A full disk must not end the control plane; the next second tries again.
    try {
      fleet.tick()
      history.tick()
    } catch (error) {
      report(error)
    }
    cancel = clock.after(TICK_MS, tick)
  }
  cancel = clock.after(TICK_MS, tick)
  return () => cancel()
}

function rulesOf(settings: ControlSettings, { assets }: ControlDependencies): AccessRules {
  const files = tokenFiles(settings)
  return {
    controlToken: settings.controlToken ?? tokenInFile(files.control),
    controlTokenBinds: settings.controlToken !== undefined,
    workerToken: settings.workerToken ?? tokenInFile(files.worker),
    workerTokenBinds: settings.workerToken !== undefined,
    allowedHosts: new Set(
      [...settings.allowedHosts, settings.host].map((host) => host.toLowerCase()),
    ),
    isAsset: (name) => assets.has(name),
    remoteAddress: (c) => getConnInfo(c).remote.address,
  }
}

/** Where tokens are kept that the operator did not set. */
export function tokenFiles({ databasePath }: ControlSettings): { control: string; worker: string } {
  const folder = path.dirname(databasePath)
  return { control: path.join(folder, 'control-token'), worker: path.join(folder, 'worker-token') }
}

function tellTokens(settings: ControlSettings, log: ControlDependencies['log']): void {
  const files = tokenFiles(settings)
  const isPublic = !isLoopback(settings.host) && settings.host !== 'localhost'
  if (settings.controlToken === undefined && isPublic) {
    log('info', `from other machines the API needs the token in ${files.control}`)
  }
  if (settings.workerToken === undefined && (isPublic || settings.controlToken !== undefined)) {
    log('info', `workers need WORKER_TOKEN, which is in ${files.worker}`)
  }
  if (settings.tls === undefined && isPublic) {
    log('warn', 'without CONTROL_TLS_CERT and CONTROL_TLS_KEY tokens and secrets travel in clear')
  }
}

function serverOf(
  { tls }: ControlSettings,
  fetch: (request: Request, env: object) => Response | Promise<Response>,
): Server {
  const limits = {
    headersTimeout: 10_000,
    requestTimeout: 30_000,
    keepAliveTimeout: 65_000,
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
            cert: readPem(tls.certificate),
            key: readPem(tls.key),
            minVersion: 'TLSv1.2',
          },
        })
  // HTTP/2 servers have another type; both of ours are servers of HTTP/1.1.
  const plain = server as Server
  plain.maxConnections = CONNECTIONS_MAX
  return plain
}

function readPem(file: string): Buffer {
  try {
    return readFileSync(file)
  } catch (error) {
    throw new LogpipeError('LISTEN', `${file} cannot be read: ${messageOf(error)}`, {
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
