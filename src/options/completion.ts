/**
 * What a shell may complete, from the tables of commands and options: `logpipe __complete WORDS`
 * answers by it, for the scripts of bash, zsh and fish.
 */
import { COMMANDS, PLAIN_COMMANDS } from './commands.ts'
import { optionNames } from './parse.ts'
import type { CommandName, OptionSpec } from './spec.ts'
import { ROWS } from './table.ts'
import { TOPICS } from './topics.ts'

export interface Suggestion {
  readonly word: string
  readonly summary: string
}

/** Null: the names of files, which the shell knows best. */
export type Suggestions = readonly Suggestion[] | null

interface Flag extends Suggestion {
  /** What may follow it: some words, a file, text that nobody knows; none: it is a switch. */
  readonly value: 'none' | 'file' | 'text' | readonly string[]
}

/** The words behind a command that are no options. */
const OPERANDS: Readonly<Partial<Record<CommandName, readonly string[]>>> = {
  control: ['backup', 'rotate-key', 'forget-secrets'],
  try: ['-'],
  spill: ['ls', 'verify', 'drain'],
  dlq: ['ls', 'show', 'stats', 'replay', 'drop'],
}

const HELP: readonly Flag[] = [
  { word: '-h', value: 'none', summary: 'List the options.' },
  { word: '--help', value: 'none', summary: 'Explain the options.' },
]

/**
 * @param typed what stands behind `logpipe`, up to the cursor: the last is the word that is
 *   completed, empty where it has not begun. bash makes three words of `--mode=w`.
 */
export function complete(typed: readonly string[]): Suggestions {
  const words = typed.filter((word, index) => word !== '=' || index === typed.length - 1)
  const last = words.at(-1) ?? ''
  const [current, before] = [last === '=' ? '' : last, words.slice(0, -1)]
  const fits = (all: readonly Suggestion[]) => all.filter(({ word }) => word.startsWith(current))
  const [head, second] = before
  if (head === undefined) return fits(heads())
  const tails = tailsOf(head)
  if (tails.length > 0 && second === undefined && !current.startsWith('-')) return fits(tails)
  const plain = PLAIN_COMMANDS.find(({ name }) => name === head)
  if (plain !== undefined) {
    const topics = TOPICS.map(({ name }) => name.replaceAll(' ', '-'))
    return fits(bare(head === 'help' ? [...plain.words, ...topics] : plain.words))
  }
  // `bench` alone is its first.
  const tail = tails.find(({ word }) => word === second) ?? tails[0]
  const name = tail === undefined ? head : `${head} ${tail.word}`
  const command = COMMANDS.find((each) => each.name === name)
  return command === undefined ? [] : completeOption(command.name, before.at(-1) ?? '', current)
}

function completeOption(command: CommandName, previous: string, current: string): Suggestions {
  const flags = flagsOf(command)
  const [flag, value] = current.startsWith('--') ? current.split('=', 2) : [current]
  if (flag !== undefined && value !== undefined) {
    const values = valuesOf(flags, flag, value)
    return values?.map(({ word, summary }) => ({ word: `${flag}=${word}`, summary })) ?? values
  }
  const takesValue = flags.some(({ word, value: kind }) => word === previous && kind !== 'none')
  if (takesValue) return valuesOf(flags, previous, current)
  const long = flags.filter(({ word }) => word.startsWith('--'))
  return [...bare(OPERANDS[command] ?? []), ...long].filter(({ word }) => word.startsWith(current))
}

function valuesOf(flags: readonly Flag[], name: string, typed: string): Suggestions {
  const value = flags.find(({ word }) => word === name)?.value ?? 'none'
  if (value === 'file') return null
  if (value === 'text' || value === 'none') return []
  return bare(value.filter((word) => word.startsWith(typed)))
}

function bare(words: readonly string[]): readonly Suggestion[] {
  return [...new Set(words)].map((word) => ({ word, summary: '' }))
}

/** The first words of all commands, each once. */
function heads(): readonly Suggestion[] {
  const all = new Map<string, Suggestion>()
  for (const { name, summary } of [...COMMANDS, ...PLAIN_COMMANDS]) {
    const [word = ''] = name.split(' ')
    if (!all.has(word)) all.set(word, { word, summary })
  }
  return [...all.values(), ...bare(['--help', '--version'])]
}

/** The second words below a first one: consume and produce for bench. */
function tailsOf(head: string): readonly Suggestion[] {
  return COMMANDS.flatMap(({ name, summary }) => {
    const [first, word] = name.split(' ')
    return first === head && word !== undefined ? [{ word, summary }] : []
  })
}

function flagsOf(command: CommandName): readonly Flag[] {
  const letters = ROWS.filter((row) => row.commands.includes(command) && row.letter !== undefined)
  return [
    ...letters.map((row) => ({ word: `-${row.letter}`, value: valueOf(row), summary: row.short })),
    ...[...optionNames(command)].flatMap(([name, { spec, inFile }]): Flag[] => {
      const value = inFile ? 'file' : valueOf(spec)
      const flag = { word: `--${name}`, value, summary: spec.short }
      return spec.kind === 'switch' ? [flag, { ...flag, word: `--no-${name}` }] : [flag]
    }),
    ...HELP,
  ]
}

function valueOf({ kind, choices }: OptionSpec): Flag['value'] {
  if (choices !== undefined) return choices
  switch (kind) {
    case 'switch':
      return 'none'
    case 'path':
      return 'file'
    case 'output':
      return ['stdout', 'none', 'elasticsearch', 'file:']
    case 'letters':
      return ['file:', 'topic:']
    case 'start':
      return ['earliest', 'latest', 'beginning', 'end', '-1h']
    default:
      return 'text'
  }
}
