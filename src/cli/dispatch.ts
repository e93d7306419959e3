/**
 * The first look at the arguments: help and version are answered without loading the command tree
 * and the table of options, which only the commands need.
 */
import { LogpipeError } from '../core/errors.ts'
import { packedText } from '../core/program-files.ts'
import type { CommandContext, Host } from './context.ts'
import { version } from './this-program.ts'

/** Runs what the arguments name. @returns the exit status. @throws LogpipeError */
export async function dispatch(argv: readonly string[], host: Host): Promise<number> {
  const [first] = argv
  const context = { ...host, args: argv.slice(1) }
  switch (first) {
    case '--version':
    case '-V':
    case 'version':
      return runPlain('version', context, version)
    case undefined:
    case '--help':
    case '-h':
    case 'help':
      return (await import('./help.ts')).help({ ...host, args: argv })
    case 'completion':
      return runPlain('completion', context, (await import('./completion.ts')).completion)
    case '__complete':
      return (await import('./completion.ts')).answerShell(context)
    case 'licenses':
      return runPlain('licenses', context, licenses)
    default:
      return (await import('./program.ts')).runNamed(argv, host)
  }
}

/** Runs a plain command, or prints its help. @throws LogpipeError USAGE: an operand too many */
async function runPlain(
  name: 'version' | 'completion' | 'licenses',
  context: CommandContext,
  run: (context: CommandContext) => number,
): Promise<number> {
  if (context.args.some((arg) => arg === '--help' || arg === '-h')) {
    const { plainHelp } = await import('../options/commands.ts')
    context.print(plainHelp(name) ?? '')
    return 0
  }
  const [extra] = context.args
  if (extra !== undefined && name !== 'completion') {
    throw new LogpipeError('USAGE', `logpipe ${name}: unexpected argument "${extra}"`)
  }
  return run(context)
}

const IN_CHECKOUT =
  'This is a checkout: the licence of logpipe is in LICENSE, those of its packages are in\n' +
  'node_modules/*/LICENSE. The executable (npm run build) prints the texts of all it bundles.\n'

/** The licences of everything inside the executable. */
function licenses(context: CommandContext): number {
  context.print(packedText('licenses.txt') ?? IN_CHECKOUT)
  return 0
}
