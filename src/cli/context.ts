/**
 * What a command gets of the process: arguments, environment, streams, and the log it makes of
 * them. main.ts makes the real one, tests make their own.
 */
import { LogpipeError } from '../core/errors.ts'
import { Log } from '../core/log.ts'
import { redactorOf, type Config } from '../options/config.ts'
import type { Resolved } from '../options/resolve.ts'
import { isStartedBySync } from './parent-link.ts'

export interface CommandContext {
  /** What follows the command on the command line. */
  readonly args: readonly string[]
  readonly env: Readonly<Record<string, string | undefined>>
  /** Writes to stdout. */
  readonly print: (text: string) => void
  /** Columns of the terminal; 80 where there is none. */
  readonly columns: number
  /** Lines of the terminal behind stdout; null where it is none. */
  readonly rows: () => number | null
  /** Standard error: the log, the status lines, progress. */
  readonly stderr: {
    readonly write: (text: string) => void
    readonly isTerminal: boolean
    readonly columns: () => number
  }
  /**
   * Aborted by the first SIGINT or SIGTERM; from its first call on a second signal ends the process
   * at once. A command that does not ask for it dies of the first one.
   */
  readonly stopSignal: () => AbortSignal
  /** Called at each SIGHUP from now on; without it the first one ends the process. */
  readonly onHangup: (listener: () => void) => void
}

/** The same before a command is known. */
export type Host = Omit<CommandContext, 'args'>

/** A command returns the exit status, or throws a LogpipeError. */
export type Command = (context: CommandContext) => Promise<number> | number

/** For commands whose arguments are all options. @throws LogpipeError USAGE */
export function refuseOperands(resolved: Resolved): void {
  const [first] = resolved.operands
  if (first === undefined) return
  const hint = /^(1|0|true|false|yes|no|on|off)$/.test(first)
    ? ` (a switch takes its value as --name=${first})`
    : ''
  const message = `logpipe ${resolved.command}: unexpected argument "${first}"${hint}`
  throw new LogpipeError('USAGE', message)
}

/** The log of a command that runs: from the options and what the terminal can do. */
export function openLog(config: Config, { stderr, env }: Pick<Host, 'stderr' | 'env'>): Log {
  return new Log({
    format: config.logFormat === 'json' ? 'json' : 'plain',
    level: config.logLevel,
    quiet: config.logQuiet,
    // Its snapshot goes to the control plane once a second; two lines a second would bury its log.
    hidesStatus: isStartedBySync(env),
    isTerminal: stderr.isTerminal,
    columns: stderr.columns,
    write: stderr.write,
    redact: redactorOf(config),
  })
}
