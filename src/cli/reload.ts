/**
 * SIGHUP: the options are resolved again, from the same arguments and variables, the config file
 * and the files of secrets as they are now. What a running pipeline can be told anew is told; it
 * does not leave its group. A wrong configuration changes nothing.
 */
import { isDeepStrictEqual } from 'node:util'
import { LogpipeError } from '../core/errors.ts'
import type { Log } from '../core/log.ts'
import { fieldOf, type Config } from '../options/config.ts'
import { resolve, type Resolved } from '../options/resolve.ts'
import type { OptionSpec } from '../options/spec.ts'
import { ROWS } from '../options/table.ts'
import type { Pipeline } from '../run/pipeline.ts'
import { pipelineSettings } from '../run/settings-from-config.ts'
import type { CommandContext } from './context.ts'

/** Properties of librdkafka that its clients can be told while they run. */
const RELOADED_PROPERTIES = ['sasl.username', 'sasl.password']

/**
 * From here on SIGHUP re-reads the options.
 * @returns what a pipeline is handed to when it runs; until then a SIGHUP is kept for it.
 */
export function followHangups(
  context: CommandContext,
  first: Resolved,
  log: Log,
): (pipeline: Pick<Pipeline, 'reload'>) => void {
  let config = first.config
  let running: Pick<Pipeline, 'reload'> | null = null
  let isWaiting = false
  context.onHangup(reload)
  return (pipeline) => {
    running = pipeline
    if (isWaiting) reload()
  }

  function reload(): void {
    isWaiting = running === null
    if (running === null) return
    try {
      const next = resolve({ command: 'run', args: context.args, env: context.env }).config
      running.reload(pipelineSettings(next))
      log.setLevel(next.logLevel)
      tell(log, config, next)
      config = next
    } catch (error) {
      if (!(error instanceof LogpipeError)) throw error
      log.warn(`SIGHUP: ${error.message}; the old configuration stays`)
    }
  }
}

function tell(log: Log, old: Config, next: Config): void {
  const changed = ROWS.filter((row) => !isDeepStrictEqual(valueOf(old, row), valueOf(next, row)))
  const taken = changed.filter((row) => isTaken(row, next)).map((row) => row.env)
  const secrets = 'secrets were read again'
  log.info(`SIGHUP: ${taken.length === 0 ? secrets : `${taken.join(', ')} changed; ${secrets}`}`)
  const waiting = changed.filter((row) => !isTaken(row, next)).map((row) => row.env)
  if (waiting.length > 0) log.warn(`SIGHUP: ${waiting.join(', ')} changed: needs a restart`)
}

/** Counts go on under the patterns with which they began. */
function isTaken(row: OptionSpec, { productLine }: Config): boolean {
  return row.reloads === true && !(productLine === 'metrics' && row.group === 'filter')
}

function valueOf(config: Config, row: OptionSpec): unknown {
  if (row.env !== 'KAFKA_CONFIG') return config[fieldOf(row.env)]
  return config.kafkaConfig.filter(([name]) => !RELOADED_PROPERTIES.includes(name))
}
