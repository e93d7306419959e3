/**
 * Reads the command line and the environment: which option, which text. Validates what was typed
 * and does nothing else; resolve.ts puts the sources together.
 *
 *   --name VALUE   --name=VALUE   -p VALUE   -pVALUE   switches: --name  --no-name  --name=0  -iv
 *   --             ends the options
 *   -h, --help     ask for the help, whatever else is wrong
 */
import { LogpipeError } from '../core/errors.ts'
import { give, giveFile, optionNames } from './given.ts'
import type { Given, NamedOption } from './given.ts'
import { propertyOfEnv } from './kafka-properties.ts'
import { didYouMean } from './nearest.ts'
import type { CommandName, OptionSpec } from './spec.ts'
import { ROWS } from './table.ts'

export interface ParsedArguments {
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

/** @throws LogpipeError USAGE */
export function parseArguments(command: CommandName, args: readonly string[]): ParsedArguments {
  return new ArgumentReader(command, args).read()
}

class ArgumentReader {
  readonly #command: CommandName
  readonly #rest: string[]
  readonly #names: ReadonlyMap<string, NamedOption>
  readonly #given: Given[] = []
  readonly #operands: string[] = []

  constructor(command: CommandName, args: readonly string[]) {
    this.#command = command
    this.#rest = [...args]
    this.#names = optionNames(command)
  }

  read(): ParsedArguments {
    for (let arg = this.#rest.shift(); arg !== undefined; arg = this.#rest.shift()) {
      if (arg === '--') {
        this.#operands.push(...this.#rest.splice(0))
      } else if (arg.startsWith('--')) {
        this.#readLong(arg)
      } else if (arg.startsWith('-') && arg !== '-') {
        this.#readLetters(arg)
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
    const hint = didYouMean(flag, [...flags, '--help']) || `; see logpipe ${this.#command} --help`
    return new LogpipeError('USAGE', `unknown option ${flag} of logpipe ${this.#command}${hint}`)
  }
}

/** The variables that set options of the command; an empty variable is as good as none. */
export function parseEnvironment(
  command: CommandName,
  env: Readonly<Record<string, string | undefined>>,
): readonly Given[] {
  return ROWS.filter((spec) => spec.commands.includes(command)).flatMap((spec) => [
    ...[spec.env, ...(spec.envAliases ?? [])].flatMap((variable) =>
      givenByVariable(spec, variable, env[variable] ?? ''),
    ),
    ...(spec.secret === true ? givenByFile(spec, env) : []),
  ])
}

function givenByVariable(spec: OptionSpec, variable: string, text: string): readonly Given[] {
  const texts = spec.repeatable === true ? text.split('\n') : [text]
  return texts
    .filter((each) => each !== '')
    .map((each) => give(spec, each, { kind: 'environment', variable }))
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
