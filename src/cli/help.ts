/**
 * `logpipe help [COMMAND]`, `logpipe --help`, and `logpipe` alone.
 */
import { LogpipeError } from '../core/errors.ts'
import { COMMANDS } from '../options/commands.ts'
import { didYouMean } from '../options/nearest.ts'
import { renderHelp, renderOverview } from '../options/render-help.ts'
import { COMMAND_NAMES } from '../options/spec.ts'
import type { CommandContext } from './context.ts'

export function help(context: CommandContext): number {
  const words = context.args.filter((arg) => !arg.startsWith('-') && arg !== 'help')
  if (words.length === 0) {
    context.print(renderOverview(overview(), context.columns))
    return 0
  }
  const asked = words.join(' ')
  const name = COMMAND_NAMES.find((each) => each === (asked === 'bench' ? 'bench consume' : asked))
  if (name === undefined) {
    const hint = didYouMean(asked, COMMAND_NAMES)
    throw new LogpipeError('USAGE', `there is no help on "${asked}"${hint}; see logpipe help`)
  }
  context.print(renderHelp(name, 'long', context.columns))
  return 0
}

function overview(): readonly { readonly name: string; readonly summary: string }[] {
  return [
    ...COMMANDS.map(({ name, summary, notBuilt }) => ({
      name,
      summary: notBuilt === true ? `${summary} (Not yet.)` : summary,
    })),
    { name: 'help', summary: 'Explain a command: logpipe help run.' },
    { name: 'version', summary: 'Print the version.' },
  ]
}
