/**
 * Reads a config file: YAML, one map, the long flags without dashes as keys.
 *
 *   kafka-brokers: broker-1:9092,broker-2:9092      a list of texts works where commas do
 *   pattern: [ERROR, FATAL]                         options that may be repeated take a list
 *   tests: [{ keep: an ERROR }]                     records for `logpipe test`
 *   metrics: { errors: level:ERROR by service }     or a map a metric (options/metrics.ts)
 *   kafka-config: { security.protocol: ssl }        pairs may also be a map
 *   rules: [{ name: errors, keep: level:ERROR }]    as rule-list.ts says
 *   fields: { remove: [password] }                  as field-edits.ts says
 *
 * Every key must be known to some command; those of other commands are validated and otherwise left
 * alone, so that one file serves `run`, `check` and `replay`. Errors name file, line and column.
 */
import { Alias, isMap, isScalar, isSeq, LineCounter, parseDocument } from 'yaml'
import type { Document, Node, YAMLParseError } from 'yaml'
import { LogpipeError } from '../core/errors.ts'
import { allOptionNames, Faults, give, giveFile, optionNames } from './parse.ts'
import type { Given, NamedOption, Source } from './parse.ts'
import { didYouMean } from '../core/nearest.ts'
import { metricText } from './metrics.ts'
import type { CommandName } from './spec.ts'

/** What `logpipe test` checks the filter of the file against; everybody else passes over it. */
export const TESTS_KEY = 'tests'

/**
 * @param faults takes what is wrong; without it, it is thrown.
 * @throws LogpipeError CONFIG_FILE for bad YAML, USAGE for an unknown key or a wrong value
 */
export function parseConfigFile(
  command: CommandName,
  path: string,
  text: string,
  faults?: Faults,
): readonly Given[] {
  const lines = new LineCounter()
  const document = parseDocument(text, {
    lineCounter: lines,
    prettyErrors: false,
    uniqueKeys: true,
    // Every scalar stays as typed: 1_000, 0x10 and yes mean what the option says they mean.
    schema: 'failsafe',
  })
  const place = (node: { range?: readonly number[] | null | undefined } | null) => {
    const { line, col } = lines.linePos(node?.range?.[0] ?? 0)
    return { line: Math.max(line, 1), column: Math.max(col, 1) }
  }
  const yaml = new Faults()
  for (const fault of document.errors) {
    const { line, col } = lines.linePos(fault.pos[0])
    const what = `${yamlFault(fault)}${quoted(fault, text.split('\n')[line - 1] ?? '')}`
    yaml.add(new LogpipeError('CONFIG_FILE', `${path}:${line}:${col}: ${what}`))
  }
  yaml.raise()
  const own = faults ?? new Faults()
  const given = new FileReader(command, path, text, document, place, own).read()
  if (faults === undefined) own.raise()
  return given
}

/** The parser's faults that people make, in our words; it says the others itself. */
const YAML_FAULTS: ReadonlyMap<string, string> = new Map([
  ['TAB_AS_INDENT', 'a tab indents this line: use spaces'],
  ['BAD_INDENT', 'this line is indented differently, or a list above it does not end with a ]'],
  ['DUPLICATE_KEY', 'this option is set twice: keep one'],
  ['MISSING_CHAR', 'something is missing here: a closing quote, bracket, or the ":" behind a name'],
  ['MULTILINE_IMPLICIT_KEY', 'a name and its ":" must stand on one line'],
  ['BLOCK_AS_IMPLICIT_KEY', 'two ":" on one line: put the value in quotes'],
  ['UNEXPECTED_TOKEN', 'this cannot stand here; put a value with signs in quotes'],
  ['BAD_SCALAR_START', 'a value cannot begin with this sign: put it in quotes'],
  ['BAD_DQ_ESCAPE', 'in double quotes "\\" begins an escape: use single quotes'],
  ['MULTIPLE_DOCS', 'a second document begins here ("---"): keep one'],
])

function yamlFault({ code, message }: YAMLParseError): string {
  return YAML_FAULTS.get(code) ?? message.split('\n')[0] ?? ''
}

/** A value that was pasted as it is: an expression has the signs that YAML has. */
const UNQUOTED = new Set(['BLOCK_AS_IMPLICIT_KEY', 'UNEXPECTED_TOKEN', 'BAD_SCALAR_START'])

/** Of a name and its value on one line, how they are written; else nothing. */
function quoted({ code }: YAMLParseError, line: string): string {
  const [, name, value] = /^\s*(?:- +)?([\w.-]+): +([^\s#{[|>].*?)\s*$/.exec(line) ?? []
  if (name === undefined || value === undefined || !UNQUOTED.has(code)) return ''
  return `, as ${name}: '${value.replaceAll("'", "''")}'`
}

type Place = (node: Node | null) => { readonly line: number; readonly column: number }

class FileReader {
  readonly #path: string
  readonly #text: string
  readonly #document: Document
  readonly #place: Place
  readonly #own: ReadonlyMap<string, NamedOption>
  readonly #all = allOptionNames()
  readonly #faults: Faults

  constructor(
    command: CommandName,
    path: string,
    text: string,
    document: Document,
    place: Place,
    faults: Faults,
  ) {
    this.#faults = faults
    this.#path = path
    this.#text = text
    this.#document = document
    this.#place = place
    this.#own = optionNames(command)
  }

  read(): readonly Given[] {
    const root = this.#document.contents
    if (root === null || (isScalar(root) && root.value === '')) return []
    if (!isMap(root)) throw this.#fault(root, 'expected a map of options (name: value)')
    return root.items.flatMap(
      ({ key, value }) =>
        this.#faults.attempt(() => this.#readPair(key as Node, value as Node | null)) ?? [],
    )
  }

  #readPair(keyNode: Node, valueNode: Node | null): readonly Given[] {
    const key = isScalar(keyNode) ? String(keyNode.value) : ''
    if (key === TESTS_KEY) return []
    const option = this.#own.get(key) ?? this.#all.get(key)
    if (option === undefined) {
      const hint = didYouMean(key, [...this.#own.keys()])
      throw this.#fault(keyNode, `unknown key "${key}"${hint}`)
    }
    if (option.spec.env === 'LOGPIPE_CONFIG') {
      throw this.#fault(keyNode, `${key} cannot be set in a config file`)
    }
    const source: Source = { kind: 'file', path: this.#path, key, ...this.#place(keyNode) }
    const given = this.#texts(key, option, valueNode, keyNode).map((text) =>
      option.inFile ? giveFile(option.spec, text, source) : give(option.spec, text, source),
    )
    return this.#own.has(key) ? given : []
  }

  /** The texts that a node stands for: one, or as many as an option takes. */
  #texts(key: string, option: NamedOption, valueNode: Node | null, keyNode: Node): string[] {
    const node = this.#followed(valueNode)
    const { spec } = option
    const isStructure = spec.kind === 'rules' || spec.kind === 'fields'
    if (isStructure && (isSeq(node) || isMap(node))) return [this.#structure(key)]
    if (isScalar(node)) {
      const empty = node.value === '' && node.source === ''
      if (!empty || /^['"]/.test(this.#quoteOf(node))) return [String(node.value)]
    } else if (isSeq(node)) {
      const texts = node.items.map((item) => this.#scalar(key, item as Node))
      if (spec.repeatable === true) return texts
      if (LISTS.has(spec.kind)) return [texts.join(',')]
      throw this.#fault(node, `${key} takes one value, not a list`)
    } else if (isMap(node) && spec.kind === 'metric') {
      return node.items.map(({ key: name, value }) => {
        const body = this.#followed(value as Node | null)
        return metricText(this.#scalar(key, name as Node), plainOf(body), (message) =>
          this.#fault(body, message),
        )
      })
    } else if (isMap(node) && spec.kind === 'pair') {
      return node.items.map(
        (item) => `${this.#scalar(key, item.key as Node)}=${this.#scalar(key, item.value as Node)}`,
      )
    } else if (isMap(node)) {
      throw this.#fault(node, `${key} takes a value, not a map`)
    }
    throw this.#fault(keyNode, `${key} has no value`)
  }

  /** As JSON; here numbers and switches are what YAML says they are. */
  #structure(key: string): string {
    const typed = parseDocument(this.#text, { prettyErrors: false, schema: 'core' })
    const whole = typed.toJS() as Readonly<Record<string, unknown>>
    return JSON.stringify(whole[key])
  }

  #quoteOf(node: { type?: string | undefined }): string {
    return node.type === 'QUOTE_DOUBLE' ? '"' : node.type === 'QUOTE_SINGLE' ? "'" : ''
  }

  #scalar(key: string, raw: Node | null): string {
    const node = this.#followed(raw)
    if (isScalar(node)) return String(node.value)
    throw this.#fault(raw, `${key} takes strings, not lists or maps`)
  }

  #followed(node: Node | null): Node | null {
    if (!(node instanceof Alias)) return node
    const meant = node.resolve(this.#document)
    if (meant !== undefined) return meant
    throw this.#fault(node, '"*" begins an alias in YAML: put the value in quotes')
  }

  #fault(node: Node | null, message: string): LogpipeError {
    const { line, column } = this.#place(node)
    return new LogpipeError('USAGE', `${this.#path}:${line}:${column}: ${message}`)
  }
}

/** What a node says, as plain values. */
function plainOf(node: Node | null): unknown {
  return node?.toJSON()
}

/** Kinds that are comma separated lists, for which the file may write a list. */
const LISTS: ReadonlySet<string> = new Set([
  'addresses',
  'urls',
  'topics',
  'names',
  'networks',
  'partitions',
])
