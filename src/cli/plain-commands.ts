/**
 * The commands that take no option and print something that is there already: not part of the table
 * of options, and answered without it.
 */
import { LogpipeError } from '../core/errors.ts'
import type { CommandContext } from './context.ts'

interface PlainCommand {
  readonly name: string
  /** What may follow, for the usage line. */
  readonly operands: string
  readonly summary: string
  readonly details: readonly string[]
}

export const PLAIN_COMMANDS = [
  {
    name: 'help',
    operands: ' [COMMAND|TOPIC] [--man]',
    summary: 'Explain a command: logpipe help run.',
    details: ['--man prints the manual page: logpipe help --man > logpipe.1; man ./logpipe.1'],
  },
  {
    name: 'completion',
    operands: ' bash|zsh|fish',
    summary: 'Print the completion for bash, zsh or fish.',
    details: [
      'bash: logpipe completion bash > /etc/bash_completion.d/logpipe',
      'zsh:  logpipe completion zsh > "${fpath[1]}/_logpipe"',
      'fish: logpipe completion fish > ~/.config/fish/completions/logpipe.fish',
    ],
  },
  {
    name: 'licenses',
    operands: '',
    summary: 'Print the licences of all that is inside.',
    details: [],
  },
  { name: 'version', operands: '', summary: 'Print the version.', details: [] },
] as const satisfies readonly PlainCommand[]

/** The help on one of them, or undefined when there is none of that name. */
export function plainHelp(name: string): string | undefined {
  const command: PlainCommand | undefined = PLAIN_COMMANDS.find((each) => each.name === name)
  if (command === undefined) return undefined
  const { operands, summary, details } = command
  const lines = [`Usage: logpipe ${name}${operands}`, '', summary, ...details]
  return `${lines.join('\n')}\n`
}

/** Runs one of them, or prints its help. @throws LogpipeError USAGE: an operand it does not take */
export function runPlain(
  name: (typeof PLAIN_COMMANDS)[number]['name'],
  context: CommandContext,
  run: (context: CommandContext) => number,
): number {
  if (context.args.some((arg) => arg === '--help' || arg === '-h')) {
    context.print(plainHelp(name) ?? '')
    return 0
  }
  const [extra] = context.args
  if (extra !== undefined && name !== 'completion') {
    throw new LogpipeError('USAGE', `logpipe ${name}: unexpected argument "${extra}"`)
  }
  return run(context)
}
