/**
 * The first look at the arguments: help and version are answered without loading the command tree
 * and the table of options, which only the commands need.
 */
import type { Host } from './context.ts'
import { runPlain } from './plain-commands.ts'

/** Runs what the arguments name. @returns the exit status. @throws LogpipeError */
export async function dispatch(argv: readonly string[], host: Host): Promise<number> {
  const [first] = argv
  if (first === '--version' || first === '-V' || first === 'version') {
    const { version } = await import('./version.ts')
    return runPlain('version', { ...host, args: argv.slice(1) }, version)
  }
  if (first === undefined || first === '--help' || first === '-h' || first === 'help') {
    const { help } = await import('./help.ts')
    return help({ ...host, args: argv })
  }
  if (first === 'completion') {
    const { completion } = await import('./completion.ts')
    return runPlain('completion', { ...host, args: argv.slice(1) }, completion)
  }
  if (first === 'licenses') {
    const { licenses } = await import('./licenses.ts')
    return runPlain('licenses', { ...host, args: argv.slice(1) }, licenses)
  }
  const { runNamed } = await import('./program.ts')
  return runNamed(argv, host)
}
