/**
 * `logpipe control`, what it does with the database (backup FILE, rotate-key, forget-secrets), and
 * the dashboard's files that it serves.
 */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readdirSync, readFileSync } from 'node:fs'
import path from 'node:path'
import { loadBridge } from '../bridge/load.ts'
import type { Asset, Assets } from '../control/app.ts'
import { type ControlSettings, startControl, tokenFiles } from '../control/control.ts'
import { backupDatabase, forgetSecrets, rotateKey } from '../control/database.ts'
import { OPTION_FIELDS } from '../control/pipeline-fields.ts'
import { keyFileOf } from '../control/secret-box.ts'
import { systemClock } from '../core/clock.ts'
import { LogpipeError, messageOf } from '../core/errors.ts'
import { isPacked, packedFiles } from '../core/program-files.ts'
import type { Config } from '../options/config.ts'
import type { ListenAddress } from '../options/notations.ts'
import { resolve } from '../options/resolve.ts'
import { connectionSettings } from '../run/elasticsearch-connection.ts'
import { fetchBy } from '../sink/elasticsearch/connections.ts'
import { fileLocks } from '../bridge/locks.ts'
import { type CommandContext, openLog } from './context.ts'
import type { Log } from '../core/log.ts'
import { programName, programVersion, thisProgram } from './this-program.ts'

export async function control(context: CommandContext): Promise<number> {
  const resolved = () => resolve({ command: 'control', args: context.args, env: context.env })
  const { config, operands } = resolved()
  if (operands.length > 0) return maintain(context, config, operands)
  const log = openLog(config, context)
  const settings = controlSettings(config)
  const signal = context.stopSignal()
  const running = await startControl(settings, {
    clock: systemClock,
    lockFile: fileLocks(loadBridge(config.bridgeLib ?? undefined)),
    options: OPTION_FIELDS,
    assets: readDashboard(),
    version: programVersion(),
    program: programName(),
    fetch: fetchBy(connectionSettings(config)),
    log: (level, message) => log[level](message),
  })
  log.info(startLine(settings, running.address.port))
  const worker = config.controlWithWorker
    ? startWorker(settings, running.address, context.env, log)
    : null
  const reload = (): void => {
    try {
      running.reload(controlSettings(resolved().config))
      log.info('SIGHUP: reloaded tokens and certificates')
    } catch (error) {
      log.error(`SIGHUP: nothing changed: ${messageOf(error)}`)
    }
  }
  context.onHangup(reload)
  if (!signal.aborted) await once(signal, 'abort')
  log.info(`${String(signal.reason)}: stopping the control plane`)
  // It drains what it has read, and signs off.
  await worker?.stop()
  await running.close()
  return 0
}

/** A worker on this machine, for `--with-worker`; its log is ours. */
function startWorker(
  settings: ControlSettings,
  address: ListenAddress,
  env: CommandContext['env'],
  log: Log,
): { readonly stop: () => Promise<void> } {
  const [program = '', ...args] = thisProgram()
  const id = (env['WORKER_ID'] ?? '') === '' ? 'worker-1' : env['WORKER_ID']
  // Whoever set a token needs it here, too: of two, the first is in force.
  const token =
    settings.workerToken?.split(',')[0] ?? readFileSync(tokenFiles(settings).worker, 'utf8')
  const child = spawn(program, [...args, 'sync'], {
    env: {
      ...env,
      WORKER_ID: id,
      WORKER_TOKEN: token.trim(),
      CONTROL_PLANE_URL: ownUrl(address),
      // It ends when this process does, however that ends.
      LOGPIPE_PARENT_STDIN: '1',
    },
    stdio: ['ignore', 'inherit', 'inherit'],
  })
  const ended = new Promise<void>((done) => {
    child.once('error', (error) => {
      log.error(`the worker cannot be started: ${error.message}`)
      done()
    })
    child.once('exit', (status, reason) => {
      log.warn(`worker ${id} has ended (${reason ?? `status ${status}`})`)
      done()
    })
  })
  return {
    async stop() {
      child.kill('SIGTERM')
      await ended
    },
  }
}

/**
 * The URL at which this process itself listens. Loopback only where that is so: the same port there
 * may be another user's, who would be sent the token.
 */
export function ownUrl({ host, port }: ListenAddress): string {
  const isEverywhere = host === '' || host === '0.0.0.0' || /^[0:]+$/.test(host)
  if (isEverywhere) return `http://127.0.0.1:${port}`
  return `http://${host.includes(':') ? `[${host}]` : host}:${port}`
}

/** One action on the database, then the end. */
async function maintain(
  context: CommandContext,
  { controlDbPath, bridgeLib }: Config,
  operands: readonly string[],
): Promise<number> {
  const [action, file] = operands
  const isBackup = action === 'backup' && file !== undefined
  if (operands.length === (isBackup ? 2 : 1)) {
    const lockFile = () => fileLocks(loadBridge(bridgeLib ?? undefined))
    if (isBackup) {
      await backupDatabase(controlDbPath, file)
      context.print(
        `copied ${controlDbPath} to ${file}; the key of its secrets is in ` +
          `${keyFileOf(controlDbPath)}: keep a copy of that file in another place\n`,
      )
      return 0
    }
    if (action === 'rotate-key') {
      rotateKey(controlDbPath, lockFile())
      context.print(`encrypted the secrets with a new key, in ${keyFileOf(controlDbPath)}\n`)
      return 0
    }
    if (action === 'forget-secrets') {
      forgetSecrets(controlDbPath, lockFile())
      context.print(`deleted all secrets from ${controlDbPath}: set those of each pipeline again\n`)
      return 0
    }
  }
  const wanted = 'nothing, "backup FILE", "rotate-key" or "forget-secrets"'
  const got = `got "${operands.join(' ')}"`
  throw new LogpipeError('USAGE', `logpipe control: expected ${wanted}, ${got}`)
}

function controlSettings(config: Config): ControlSettings {
  const { controlTlsCert: certificate, controlTlsKey: key } = config
  return {
    ...config.controlListen,
    databasePath: config.controlDbPath,
    controlToken: config.controlToken ?? undefined,
    workerToken: config.workerToken ?? undefined,
    allowedHosts: config.controlAllowedHosts,
    trustedProxies: config.controlTrustedProxies,
    tls: certificate === null || key === null ? undefined : { certificate, key },
    runtimeMetricsPath: config.runtimeMetricsPath,
  }
}

/** Where it is, and where the tokens are: by their files, or by the option that set them. */
function startLine(settings: ControlSettings, port: number): string {
  const { host, tls, databasePath, controlToken, workerToken } = settings
  const shownHost = host === '' ? '*' : host.includes(':') ? `[${host}]` : host
  const files = tokenFiles(settings)
  return [
    `control plane at http${tls === undefined ? '' : 's'}://${shownHost}:${port}`,
    `database ${databasePath}`,
    `token ${controlToken === undefined ? `in ${files.control}` : 'of CONTROL_TOKEN'}`,
    `workers' token ${workerToken === undefined ? `in ${files.worker}` : 'of WORKER_TOKEN'}`,
  ].join(', ')
}

/*
 * The dashboard's files, read once at the start of `logpipe control`.
 *
 * Set-up bundles src/control/web into build/web, `npm run build` into the executable: plain files,
 * of which index.html is served as / and every other one as /assets/NAME.
 */

/** Files by their names. */
type DashboardFiles = ReadonlyMap<string, Uint8Array<ArrayBuffer>>

const TYPES: ReadonlyMap<string, string> = new Map([
  ['.html', 'text/html; charset=utf-8'],
  ['.js', 'text/javascript; charset=utf-8'],
  ['.css', 'text/css; charset=utf-8'],
  ['.svg', 'image/svg+xml'],
])

const MISSING =
  'This is the logpipe control plane. Its dashboard is not built: run `npm run setup`.\n' +
  'The API is under /api, its OpenAPI document at /openapi.json.\n'

/** What is there to be served; a page that says what to do when nothing is. */
export function readDashboard(folder?: URL): Assets {
  const files = folder === undefined ? ownFiles() : filesIn(folder)
  if (!files.has('index.html')) {
    return new Map([['/', { type: 'text/plain; charset=utf-8', body: MISSING }]])
  }
  return new Map(
    [...files].flatMap(([name, body]): [string, Asset][] => {
      const type = TYPES.get(path.extname(name))
      if (type === undefined) return []
      return [[name === 'index.html' ? '/' : `/assets/${name}`, { type, body }]]
    }),
  )
}

function ownFiles(): DashboardFiles {
  if (isPacked()) return packedFiles('web')
  return filesIn(new URL('../../build/web/', import.meta.url))
}

function filesIn(folder: URL): DashboardFiles {
  try {
    return new Map(
      readdirSync(folder).map((name) => [
        name,
        new Uint8Array(readFileSync(new URL(name, folder))),
      ]),
    )
  } catch {
    // A checkout without set-up; the API works without a dashboard.
    return new Map()
  }
}
