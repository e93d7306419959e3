/**
 * How to start this very program once more.
 */
import { isPacked } from '../core/program-files.ts'

/**
 * The command line up to where the arguments of logpipe begin. From a checkout that is Node, its
 * own arguments and main.ts; the executable holds all of it and has no script to be told.
 */
export function thisProgram(): readonly string[] {
  const [, script] = process.argv
  if (isPacked() || script === undefined) return [process.execPath]
  return [process.execPath, ...process.execArgv, script]
}

/** What a person types to call it. */
export function programName(): string {
  return thisProgram().length === 1 ? 'logpipe' : 'bin/logpipe'
}
