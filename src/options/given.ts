/**
 * A value as a user gave it, and where: what the readers of flags, environment and config file hand
 * to the resolver.
 *
 * Making one validates the text by its kind and bounds and does nothing else. A wrong value names
 * the option as the user typed it, what came, and what is allowed.
 */
import { LogpipeError } from '../core/errors.ts'
import { expected, faultOf, parseValue } from './kinds.ts'
import type { OptionValue } from './kinds.ts'
import { flagOf, namesOf } from './spec.ts'
import type { CommandName, OptionSpec } from './spec.ts'
import { ROWS } from './table.ts'

/** Where a value comes from. */
export type Source =
  | { readonly kind: 'default' }
  | { readonly kind: 'profile'; readonly profile: string }
  | {
      readonly kind: 'file'
      readonly path: string
      readonly line: number
      readonly column: number
      readonly key: string
    }
  | { readonly kind: 'environment'; readonly variable: string }
  | { readonly kind: 'flag'; readonly flag: string }

export interface Given {
  readonly spec: OptionSpec
  readonly source: Source
  /** null: the value lies in the file that `text` names (NAME_FILE). */
  readonly value: OptionValue | null
  readonly text: string
}

/** Longest part of a wrong value that a message repeats. */
const SHOWN_MAX = 80

/** Validates one value. @throws LogpipeError USAGE */
export function give(spec: OptionSpec, text: string, source: Source): Given {
  const value = parseValue(spec, text)
  if (value === undefined) {
    const fault = faultOf(spec, text)
    const came = fault === undefined ? shown(spec, text) : `${shown(spec, text)} (${fault})`
    throw new LogpipeError('USAGE', `${nameOf(source)}: expected ${expected(spec)}, got ${came}`)
  }
  return { spec, source, value, text }
}

/** A wrong value without what may be a secret in it: nobody knows how it was meant. */
function shown(spec: OptionSpec, text: string): string {
  if (text === '') return 'nothing'
  if (spec.secret === true) return 'something else'
  // A value without its name, or a name and something that is not "=" behind it.
  if (spec.env === 'KAFKA_CONFIG') return `${quote(/^[\w.-]*/.exec(text)?.[0] ?? '')} and no "="`
  return quote(text.replaceAll(/:\/\/\S*@/g, '://(secret)@'))
}

/** A value that lies in a file; it is read when the options are resolved. */
export function giveFile(spec: OptionSpec, path: string, source: Source): Given {
  if (path === '') throw new LogpipeError('USAGE', `${nameOf(source)}: expected a path, got ""`)
  return { spec, source, value: null, text: path }
}

/** The option as the user typed it: --pool-size, POOL_SIZE or pipeline.yaml:3:1: pool-size. */
export function nameOf(source: Source): string {
  switch (source.kind) {
    case 'flag':
      return source.flag
    case 'environment':
      return source.variable
    case 'file':
      return `${source.path}:${source.line}:${source.column}: ${source.key}`
    case 'profile':
      return `--profile ${source.profile}`
    case 'default':
      break
  }
  return 'the default'
}

/** What came, for a message: quoted, on one line, of bounded length. */
export function quote(text: string): string {
  return JSON.stringify(text.length > SHOWN_MAX ? `${text.slice(0, SHOWN_MAX)}...` : text)
}

/** What a name on the command line or in the file stands for. */
export interface NamedOption {
  readonly spec: OptionSpec
  /** The name is that of the file with the (secret) value. */
  readonly inFile: boolean
}

/** Every name, without dashes, that the command knows. */
export function optionNames(command: CommandName): ReadonlyMap<string, NamedOption> {
  return namesIn(ROWS.filter((spec) => spec.commands.includes(command)))
}

/** Every name that any command knows; the first row of the table wins. */
export function allOptionNames(): ReadonlyMap<string, NamedOption> {
  return namesIn(ROWS.toReversed())
}

function namesIn(rows: readonly OptionSpec[]): ReadonlyMap<string, NamedOption> {
  const names = new Map<string, NamedOption>()
  for (const spec of rows) {
    for (const name of namesOf(spec)) names.set(name, { spec, inFile: false })
    if (spec.secret === true) names.set(`${flagOf(spec.env)}-file`, { spec, inFile: true })
  }
  return names
}
