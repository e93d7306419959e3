/**
 * The log of a command that runs: from the options and what the terminal can do.
 */
import { Log } from '../core/log.ts'
import type { Config } from '../options/config.ts'
import type { Host } from './context.ts'
import { isStartedBySync } from './parent-link.ts'

export function openLog(
  config: Pick<Config, 'logFormat' | 'logLevel' | 'logQuiet'>,
  { stderr, env }: Pick<Host, 'stderr' | 'env'>,
): Log {
  return new Log({
    format: config.logFormat === 'json' ? 'json' : 'plain',
    level: config.logLevel,
    quiet: config.logQuiet,
    // Its snapshot goes to the control plane once a second; two lines a second would bury its log.
    hidesStatus: isStartedBySync(env),
    isTerminal: stderr.isTerminal,
    columns: stderr.columns,
    write: stderr.write,
  })
}
