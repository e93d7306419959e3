/**
 * What a shell may complete, from the tables of commands and options. The renderers of bash, zsh
 * and fish are loops over it.
 */
import { COMMANDS, PLAIN_COMMANDS } from './commands.ts'
import { optionNames } from './parse.ts'
import type { CommandName, OptionSpec } from './spec.ts'
import { ROWS } from './table.ts'
import { TOPICS } from './topics.ts'

/** What can stand for a value: one of some words, a file, or text that no shell knows. */
export type CompletionValue =
  | { readonly kind: 'none' }
  | { readonly kind: 'words'; readonly words: readonly string[] }
  | { readonly kind: 'file' }
  | { readonly kind: 'text' }

export interface CompletionFlag {
  /** With its dashes. */
  readonly flag: string
  readonly value: CompletionValue
  readonly summary: string
}

export interface CompletionCommand {
  /** `run`, or `bench consume`. */
  readonly name: string
  readonly summary: string
  readonly flags: readonly CompletionFlag[]
  /** Words that may follow. */
  readonly operands: readonly string[]
}

/** The words behind a command that are no options. */
const OPERANDS: Readonly<Partial<Record<CommandName, readonly string[]>>> = {
  control: ['backup', 'rotate-key', 'forget-secrets'],
  spill: ['ls', 'verify', 'drain'],
  dlq: ['ls', 'show', 'stats', 'replay', 'drop'],
}

const HELP: readonly CompletionFlag[] = [
  { flag: '-h', value: { kind: 'none' }, summary: 'List the options.' },
  { flag: '--help', value: { kind: 'none' }, summary: 'Explain the options.' },
]

/** Every command that can be run, with its options in the order of the help. */
export function completionCommands(): readonly CompletionCommand[] {
  const topics = TOPICS.map(({ name }) => name.replaceAll(' ', '-'))
  const known = COMMANDS.filter(({ notBuilt }) => notBuilt !== true).map(({ name, summary }) => ({
    name,
    summary,
    flags: [...flagsOf(name), ...HELP],
    operands: OPERANDS[name] ?? [],
  }))
  const plain = PLAIN_COMMANDS.map(({ name, summary, words }) => ({
    name,
    summary,
    flags: [],
    operands: name === 'help' ? [...new Set([...words, ...topics])] : words,
  }))
  return [...known, ...plain]
}

/** The first words of all commands, each once, with a summary. */
export function completionHeads(): readonly (readonly [word: string, summary: string])[] {
  const heads = new Map<string, string>()
  for (const { name, summary } of completionCommands()) {
    const [head = ''] = name.split(' ')
    if (!heads.has(head)) heads.set(head, summary)
  }
  return [...heads]
}

/** The second words below a first one: consume and produce for bench. */
export function completionTails(head: string): readonly (readonly [string, string])[] {
  return completionCommands().flatMap(({ name, summary }) => {
    const [first, second] = name.split(' ')
    return first === head && second !== undefined ? [[second, summary] as const] : []
  })
}

function flagsOf(command: CommandName): readonly CompletionFlag[] {
  const letters = ROWS.filter((row) => row.commands.includes(command) && row.letter !== undefined)
  return [
    ...letters.map((row) => flagOfRow(`-${row.letter}`, row, false)),
    ...[...optionNames(command)].flatMap(([name, { spec, inFile }]) => {
      const flag = flagOfRow(`--${name}`, spec, inFile)
      return spec.kind === 'switch' ? [flag, { ...flag, flag: `--no-${name}` }] : [flag]
    }),
  ]
}

function flagOfRow(flag: string, row: OptionSpec, inFile: boolean): CompletionFlag {
  return { flag, value: inFile ? { kind: 'file' } : valueOf(row), summary: row.short }
}

function valueOf({ kind, choices }: OptionSpec): CompletionValue {
  if (choices !== undefined) return { kind: 'words', words: choices }
  switch (kind) {
    case 'switch':
      return { kind: 'none' }
    case 'path':
      return { kind: 'file' }
    case 'output':
      return { kind: 'words', words: ['stdout', 'none', 'elasticsearch', 'file:'] }
    case 'letters':
      return { kind: 'words', words: ['file:', 'topic:'] }
    case 'start':
      return { kind: 'words', words: ['earliest', 'latest'] }
    default:
      return { kind: 'text' }
  }
}
