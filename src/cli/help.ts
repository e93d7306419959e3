/**
 * `logpipe help [COMMAND|TOPIC]`, `logpipe help --man`, `logpipe --help`, and `logpipe` alone.
 */
import { LogpipeError } from '../core/errors.ts'
import { COMMANDS, PLAIN_COMMANDS, plainHelp } from '../options/commands.ts'
import { didYouMean } from '../core/nearest.ts'
import { renderHelp, renderOverview, renderTopic } from '../options/render-help.ts'
import { renderMan } from '../options/render-man.ts'
import { COMMAND_NAMES } from '../options/spec.ts'
import { TOPICS, topicNamed } from '../options/topics.ts'
import type { CommandContext } from './context.ts'
import { programVersion } from './this-program.ts'

export function help(context: CommandContext): number {
  if (context.args.includes('--man')) {
    context.print(renderMan(programVersion()))
    return 0
  }
  const unknown = context.args.find((arg) => arg.startsWith('-') && !/^(-h|--help)$/.test(arg))
  if (unknown !== undefined) {
    throw new LogpipeError(
      'USAGE',
      `logpipe help: unknown option ${unknown}; it accepts only --man`,
    )
  }
  const words = context.args.filter((arg) => !arg.startsWith('-') && arg !== 'help')
  if (words.length === 0) {
    context.print(renderOverview([...COMMANDS, ...PLAIN_COMMANDS], context.columns))
    return 0
  }
  const asked = words.join(' ')
  const plain = plainHelp(asked)
  if (plain !== undefined) {
    context.print(plain)
    return 0
  }
  const topic = topicNamed(asked)
  if (topic !== undefined) context.print(`${renderTopic(topic, context.columns)}\n`)
  const name = COMMAND_NAMES.find((each) => each === (asked === 'bench' ? 'bench compare' : asked))
  if (name === undefined && topic !== undefined) return 0
  if (name === undefined) {
    const names = [...COMMANDS, ...PLAIN_COMMANDS, ...TOPICS].map((each) => each.name)
    const hint = didYouMean(asked, names)
    throw new LogpipeError('USAGE', `no help on "${asked}"${hint}; see logpipe help`)
  }
  context.print(renderHelp(name, 'long', context.columns))
  return 0
}
