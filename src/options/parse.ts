/**
 * Reads the command line and the environment: which option, which text, and where it was given.
 * Validates what was typed and does nothing else; resolve.ts puts the sources together.
 *
 *   --name VALUE   --name=VALUE   -p VALUE   -pVALUE   switches: --name  --no-name  --name=0  -iv
 *   --             ends the options
 *   -h, --help     ask for the help, whatever else is wrong
 */
import { LogpipeError } from '../core/errors.ts'
import { propertyOfEnv } from './kafka-properties.ts'
import {
  expected,
  expressionFault,
  faultOf,
  parseValue,
  structureFault,
  type OptionValue,
} from './kinds.ts'
import { didYouMean } from '../core/nearest.ts'
import { type CommandName, type OptionSpec, flagOf, namesOf } from './spec.ts'
import { ROWS } from './table.ts'

interface ParsedArguments {
  readonly given: readonly Given[]
  /** What is no option, in order. */
  readonly operands: readonly string[]
}

/** Which help the arguments ask for; looked for before anything is validated. */
export function helpAsked(args: readonly string[]): 'short' | 'long' | null {
  const end = args.indexOf('--')
  const options = end === -1 ? args : args.slice(0, end)
  if (options.includes('--help')) return 'long'
  return options.includes('-h') ? 'short' : null
}

/** A file or a command line that is all wrong is another program's. */
const FAULTS_MAX = 20

/** The value of one option is wrong; whatever does not concern that option can still be judged. */
class ValueFault extends LogpipeError {
  readonly spec: OptionSpec

  constructor(spec: OptionSpec, message: string, options?: { readonly below?: string }) {
    super('USAGE', message, options)
    this.spec = spec
  }
}

/** The faults of what a user typed: gathered, so that all of them are told at once. */
export class Faults {
  readonly #errors: LogpipeError[] = []

  /** The options whose values are wrong; null: something is wrong of which nobody knows more. */
  get wrongOptions(): ReadonlySet<OptionSpec> | null {
    const specs = this.#errors.flatMap((one) => (one instanceof ValueFault ? [one.spec] : []))
    return specs.length === this.#errors.length ? new Set(specs) : null
  }

  /** @returns undefined where it was wrong. */
  attempt<Value>(run: () => Value): Value | undefined {
    try {
      return run()
    } catch (error) {
      if (!(error instanceof LogpipeError)) throw error
      this.add(error)
      return undefined
    }
  }

  add(error: LogpipeError): void {
    this.#errors.push(error)
  }

  /** @throws LogpipeError the only one, or the first with a line for each. */
  raise(): void {
    const [first] = this.#errors
    if (first === undefined) return
    if (this.#errors.length === 1) throw first
    const all = this.#errors.flatMap((error) => error.lines)
    const lines = all.slice(0, FAULTS_MAX)
    if (all.length > FAULTS_MAX) lines.push(`and ${all.length - FAULTS_MAX} more`)
    throw new LogpipeError(first.code, lines)
  }
}

/**
 * @param faults takes what is wrong; without it, it is thrown.
 * @throws LogpipeError USAGE
 */
export function parseArguments(
  command: CommandName,
  args: readonly string[],
  faults?: Faults,
): ParsedArguments {
  const own = faults ?? new Faults()
  const parsed = new ArgumentReader(command, args, own).read()
  if (faults === undefined) own.raise()
  return parsed
}

class ArgumentReader {
  readonly #command: CommandName
  readonly #rest: string[]
  readonly #names: ReadonlyMap<string, NamedOption>
  readonly #given: Given[] = []
  readonly #operands: string[] = []
  readonly #faults: Faults

  constructor(command: CommandName, args: readonly string[], faults: Faults) {
    this.#command = command
    this.#faults = faults
    this.#rest = [...args]
    this.#names = optionNames(command)
  }

  read(): ParsedArguments {
    for (let arg = this.#rest.shift(); arg !== undefined; arg = this.#rest.shift()) {
      if (arg === '--') {
        this.#operands.push(...this.#rest.splice(0))
      } else if (arg.startsWith('--')) {
        this.#faults.attempt(() => this.#readLong(arg))
      } else if (arg.startsWith('-') && arg !== '-') {
        this.#faults.attempt(() => this.#readLetters(arg))
      } else {
        this.#operands.push(arg)
      }
    }
    return { given: this.#given, operands: this.#operands }
  }

  #readLong(arg: string): void {
    const at = arg.indexOf('=')
    const name = arg.slice(2, at === -1 ? undefined : at)
    const attached = at === -1 ? undefined : arg.slice(at + 1)
    const option = this.#names.get(name)
    if (option === undefined) {
      this.#readNegated(name, attached)
    } else if (option.spec.kind === 'switch') {
      this.#add(option, `--${name}`, attached ?? '1')
    } else {
      this.#add(option, `--${name}`, attached ?? this.#next(`--${name}`))
    }
  }

  /** --no-es-enabled for --es-enabled=0. */
  #readNegated(name: string, attached: string | undefined): void {
    const option = name.startsWith('no-') ? this.#names.get(name.slice('no-'.length)) : undefined
    if (option?.spec.kind !== 'switch' || attached !== undefined) throw this.#unknown(`--${name}`)
    this.#add(option, `--${name}`, '0')
  }

  /** -q, -iv, -p VALUE, -pVALUE. */
  #readLetters(arg: string): void {
    for (let index = 1; index < arg.length; index++) {
      const flag = `-${arg[index]}`
      const spec = ROWS.find(
        (row) => row.letter === arg[index] && row.commands.includes(this.#command),
      )
      if (spec === undefined) throw this.#unknown(flag === arg ? arg : `${flag} in ${arg}`)
      if (spec.kind === 'switch') {
        this.#add({ spec, inFile: false }, flag, '1')
        continue
      }
      const attached = arg.slice(index + 1)
      this.#add({ spec, inFile: false }, flag, attached === '' ? this.#next(flag) : attached)
      return
    }
  }

  /** The next argument as a value. A known flag there means that the value was forgotten. */
  #next(flag: string): string {
    const value = this.#rest.shift()
    if (value === undefined) throw new LogpipeError('USAGE', `${flag} needs a value`)
    const name = /^--([a-z][a-z0-9-]*)(=|$)/.exec(value)?.[1] ?? ''
    if (this.#names.has(name)) {
      const meant = `if ${value} is the value, write ${flag}=${value}`
      throw new LogpipeError('USAGE', `${flag} needs a value; ${meant}`)
    }
    return value
  }

  #add(option: NamedOption, flag: string, text: string): void {
    const source = { kind: 'flag', flag } as const
    const { spec, inFile } = option
    this.#given.push(inFile ? giveFile(spec, text, source) : give(spec, text, source))
  }

  #unknown(flag: string): LogpipeError {
    const flags = [...this.#names.keys()].map((name) => `--${name}`)
    const hint =
      synonymOf(flag, flags) ??
      (didYouMean(flag, [...flags, '--help']) || `; see logpipe ${this.#command} --help`)
    return new LogpipeError('USAGE', `unknown option ${flag} of logpipe ${this.#command}${hint}`)
  }
}

/** What other programs call it: the first that the command has, as it would be typed here. */
const SYNONYMS: ReadonlyMap<string, readonly string[]> = new Map([
  ['--workers', ['--filter-threads']],
  ['--threads', ['--filter-threads']],
  ['--limit', ['--max-records', '--records', '--run-seconds']],
  ['--max-messages', ['--max-records', '--run-seconds']],
  ['--max-count', ['--max-records']],
  ['--count', ['--max-records']],
  ['--offset', ['--start', '--from']],
  ['--from-beginning', ['--start earliest']],
  ['--dry-run', ['logpipe check']],
  ['--verbose', ['--log-level debug']],
  ['--debug', ['--log-level debug']],
  ['--bootstrap-server', ['--brokers']],
  ['--bootstrap-servers', ['--brokers']],
  ['--grep', ['--pattern']],
  ['--index', ['--es-index']],
  ['--host', ['--es-url', '--brokers']],
])

function synonymOf(flag: string, flags: readonly string[]): string | undefined {
  const meant = SYNONYMS.get(flag)?.find((each) => {
    const [name = ''] = each.split(' ')
    return name === 'logpipe' || flags.includes(name)
  })
  return meant === undefined ? undefined : ` (did you mean ${meant}?)`
}

/** The variables that set options of the command; an empty variable is as good as none. */
export function parseEnvironment(
  command: CommandName,
  env: Readonly<Record<string, string | undefined>>,
  faults?: Faults,
): readonly Given[] {
  const own = faults ?? new Faults()
  const given = ROWS.filter((spec) => spec.commands.includes(command)).flatMap((spec) => [
    ...[spec.env, ...(spec.envAliases ?? [])].flatMap((variable) =>
      givenByVariable(spec, variable, env[variable] ?? '', own),
    ),
    ...(spec.secret === true ? (own.attempt(() => givenByFile(spec, env)) ?? []) : []),
  ])
  if (faults === undefined) own.raise()
  return given
}

function givenByVariable(
  spec: OptionSpec,
  variable: string,
  text: string,
  faults: Faults,
): readonly Given[] {
  const texts = spec.repeatable === true ? text.split('\n') : [text]
  return texts
    .filter((each) => each !== '')
    .flatMap(
      (each) => faults.attempt(() => give(spec, each, { kind: 'environment', variable })) ?? [],
    )
}

function givenByFile(
  spec: OptionSpec,
  env: Readonly<Record<string, string | undefined>>,
): readonly Given[] {
  const variable = `${spec.env}_FILE`
  const path = env[variable] ?? ''
  return path === '' ? [] : [giveFile(spec, path, { kind: 'environment', variable })]
}

/** KAFKA_CONFIG_SASL_MECHANISM=PLAIN and its like, as if given by --kafka-config. */
export function parsePropertyVariables(
  env: Readonly<Record<string, string | undefined>>,
): readonly Given[] {
  const spec = ROWS.find((row) => row.env === 'KAFKA_CONFIG')
  if (spec === undefined) return []
  return Object.keys(env)
    .toSorted()
    .flatMap((variable) => {
      const property = propertyOfEnv(variable)
      const value = env[variable] ?? ''
      if (property === undefined || value === '') return []
      return [give(spec, `${property}=${value}`, { kind: 'environment', variable })]
    })
}

/*
 * A value as a user gave it, and where: what the readers of flags, environment and config file hand
 * to the resolver.
 *
 * Making one validates the text by its kind and bounds and does nothing else. A wrong value names
 * the option as the user typed it, what came, and what is allowed.
 */

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
  const place = value === undefined ? placedFault(spec, text) : undefined
  if (place !== undefined) {
    const below = place.below === null ? {} : { below: place.below }
    throw new ValueFault(spec, `${nameOf(source)}: ${place.message}`, below)
  }
  if (value === undefined) {
    const fault = faultOf(spec, text)
    const came = fault === undefined ? shown(spec, text) : `${shown(spec, text)} (${fault})`
    throw new ValueFault(spec, `${nameOf(source)}: expected ${expected(spec)}, got ${came}`)
  }
  return { spec, source, value, text }
}

/** Of the kinds that are languages, what is wrong and where. */
function placedFault(
  { kind }: OptionSpec,
  text: string,
): { readonly message: string; readonly below: string | null } | undefined {
  return expressionFault(kind, text) ?? structureFault(kind, text)
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
