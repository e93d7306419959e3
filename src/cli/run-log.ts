/**
 * The log of a command that runs: from the options and what the terminal can do.
 */
import { Log } from '../core/log.ts'
import type { Config } from '../options/config.ts'
import type { Host } from './context.ts'

export function openLog(
  config: Pick<Config, 'logFormat' | 'logLevel' | 'logQuiet'>,
  { stderr }: Pick<Host, 'stderr'>,
): Log {
  return new Log({
    format: config.logFormat === 'json' ? 'json' : 'plain',
    level: config.logLevel,
    quiet: config.logQuiet,
    isTerminal: stderr.isTerminal,
    columns: stderr.columns,
    write: stderr.write,
  })
}
