/**
 * `logpipe sync`: a worker, which runs what the control plane says.
 */
import { once } from 'node:events'
import path from 'node:path'
import { loadBridge } from '../bridge/load.ts'
import { systemClock } from '../core/clock.ts'
import { messageOf } from '../core/errors.ts'
import type { Log } from '../core/log.ts'
import { openMetricsServer, type MetricsServer } from '../metrics/metrics-server.ts'
import { federatedMetricsText } from '../metrics/prometheus.ts'
import { redactUrl, type Config } from '../options/config.ts'
import { resolve } from '../options/resolve.ts'
import { spawnChild } from '../sync/child.ts'
import { systemProcesses } from '../sync/processes.ts'
import { startSync, type RunningSync, type SyncSettings } from '../sync/sync.ts'
import { refuseOperands, type CommandContext, openLog } from './context.ts'
import { fileLocks } from '../bridge/locks.ts'
import { thisProgram, programVersion } from './this-program.ts'

/** Below it lies a folder for each worker. */
const DATA_FOLDER = 'data'
/** What a child needs beyond its deadline: to start listening to it, and to exit. */
const DRAIN_RESERVE_MS = 5000

export async function sync(context: CommandContext): Promise<number> {
  const resolved = () => resolve({ command: 'sync', args: context.args, env: context.env })
  refuseOperands(resolved())
  const { config } = resolved()
  const log = openLog(config, context)
  const settings = syncSettings(config, context.env)
  const signal = context.stopSignal()
  const running = await startSync(settings, {
    clock: systemClock,
    lockFile: fileLocks(loadBridge(config.bridgeLib ?? undefined)),
    fetch,
    spawn: spawnChild,
    processes: systemProcesses,
    log: (level, message) => log[level](message),
  })
  const endpoint = await openEndpoint(config, running, log)
  const files = path.join(settings.dataFolder, settings.workerId)
  log.info(
    `worker ${settings.workerId} of ${redactUrl(running.address)}, files in ${files}, ` +
      `runs ${settings.command.join(' ')}`,
  )
  context.onHangup(() => {
    try {
      running.useToken(syncSettings(resolved().config, context.env).workerToken)
      log.info('SIGHUP: reloaded WORKER_TOKEN')
    } catch (error) {
      log.error(`SIGHUP: nothing changed: ${messageOf(error)}`)
    }
  })
  if (!signal.aborted) await once(signal, 'abort')
  log.info(`${String(signal.reason)}: stopping the worker`)
  await running.close()
  await endpoint?.close()
  return 0
}

/** What Prometheus and a scheduler's probes ask of a worker: its child's numbers, what is down. */
async function openEndpoint(
  config: Config,
  sync: RunningSync,
  log: Log,
): Promise<MetricsServer | null> {
  if (config.metricsListen === null) return null
  try {
    const server = await openMetricsServer({
      address: config.metricsListen,
      metrics: async () => {
        const { workerId, pipelineId, books, ...said } = await sync.view()
        if (pipelineId === null) return ''
        return federatedMetricsText([
          {
            labels: { worker: workerId, pipeline: pipelineId },
            ...said,
            ...(books === null ? {} : { books }),
          },
        ])
      },
      faults: () => sync.faults(),
      warn: (message) => log.warn(message),
    })
    log.info(`metrics at ${server.url}`)
    return server
  } catch (error) {
    await sync.close()
    throw error
  }
}

function syncSettings(config: Config, env: CommandContext['env']): SyncSettings {
  const dlq = env['DLQ'] ?? ''
  return {
    controlPlaneUrl: config.controlPlaneUrl,
    // Required: without one the options were refused.
    workerId: config.workerId ?? '',
    workerToken: config.workerToken?.split(',')[0],
    pollMs: config.workerPollMs,
    // The child gets paths below it.
    dataFolder: path.resolve(DATA_FOLDER),
    drainMs: config.shutdownDeadlineMs + DRAIN_RESERVE_MS,
    version: programVersion(),
    command: config.syncBinPath === null ? thisProgram() : [path.resolve(config.syncBinPath)],
    environment: env,
    secretHosts: config.workerSecretHosts,
    // A refused document must not stop a pipeline that nobody sits at; a target of the operator's
    // own is left alone.
    homeVariables: (folder): Readonly<Record<string, string>> =>
      dlq === '' ? { DLQ: `file:${lettersIn(folder)}` } : {},
    lettersOf: (folder) => {
      if (dlq === '') return lettersIn(folder)
      return dlq.startsWith('file:') ? path.resolve(dlq.slice('file:'.length)) : null
    },
  }
}

const lettersIn = (folder: string) => path.join(folder, 'dead_letters.ndjson')
