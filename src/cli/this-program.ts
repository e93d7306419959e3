/**
 * How to start this very program once more: the one place that knows whether it is a checkout.
 */

/**
 * The command line up to where the arguments of logpipe begin. From a checkout that is Node, its
 * own arguments and main.ts; an executable that holds all of it has no script to be told.
 */
export function thisProgram(): readonly string[] {
  const [, script] = process.argv
  const isExecutable = script === undefined || script === process.execPath
  return isExecutable ? [process.execPath] : [process.execPath, ...process.execArgv, script]
}

/** What a person types to call it. */
export function programName(): string {
  return thisProgram().length === 1 ? 'logpipe' : 'bin/logpipe'
}
