/**
 * From the text of an expression to its tree.
 *
 * ```
 *   or      := and { "or" and }
 *   and     := not { "and" not }
 *   not     := "not" not | "(" or ")" | term
 *   term    := "*"                                      every record
 *            | word | "text" ["i"] | /regex/ ["i"]      anywhere in the value
 *            | target ":" values
 *            | target "~" ( word | "text" | /regex/ ["i"] )
 *            | target ( "<" | "<=" | ">" | ">=" ) value
 *   target  := word | "text" | "@topic" | "@key" | "@partition" | "@offset" | "@time"
 *            | "@header." word
 *   values  := value | "(" values joined by and, or, not ")"
 *   value   := "*" | word | word with * | "text"
 * ```
 *
 * The face is that of KQL: `and` binds tighter than `or`, the case of and, or, not does not matter,
 * a backslash makes any sign a part of a word, and "text" knows \" \\ \/ \n \r \t \b \f \uXXXX and,
 * as bytes, \xHH. A word behind a colon may hold what elsewhere ends one (2026-09-01T00:00Z).
 *
 * Nothing is guessed: what could be meant in two ways is refused, with the column and the two ways
 * to write it. Bounds: those of ast.ts.
 */
import { nearest } from '../nearest.ts'
import { parseTime } from '../units.ts'
import {
  EXPRESSION_CHARS_MAX,
  EXPRESSION_NESTING_MAX,
  EXPRESSION_NODES_MAX,
  EXPRESSION_PATH_MAX,
  EXPRESSION_TEXT_MAX,
  META_NAMES,
  type CompareNode,
  type ExpressionNode,
  type Order,
  type Target,
  type Test,
} from './ast.ts'

/** Where an expression is wrong, and what was expected there. */
export class ExpressionError extends Error {
  readonly source: string
  /** What was expected, without the place. */
  readonly what: string
  /** From 1, in characters. */
  readonly column: number
  /** The expression, and a caret below the column: two lines. */
  readonly below: string

  /** @param at index in `source`. */
  constructor(source: string, at: number, what: string) {
    const column = Array.from(source.slice(0, at)).length + 1
    super(`column ${column}: ${what}`)
    this.below = pointAt(source, column)
    this.name = 'ExpressionError'
    this.source = source
    this.what = what
    this.column = column
  }
}

/** Characters of the expression that a message shows on either side of the fault. */
const SHOWN_BEFORE = 50
const SHOWN_BEHIND = 30

/** The part of the expression around a column, with a caret below. */
function pointAt(source: string, column: number): string {
  const characters = Array.from(source, (one) => (/[\p{Cc}\p{Zl}\p{Zp}]/u.test(one) ? ' ' : one))
  const from = Math.max(0, column - 1 - SHOWN_BEFORE)
  const end = Math.min(characters.length, column - 1 + SHOWN_BEHIND)
  const before = from > 0 ? '...' : ''
  const behind = end < characters.length ? '...' : ''
  const shown = `${before}${characters.slice(from, end).join('')}${behind}`
  return `  ${shown}\n  ${' '.repeat(before.length + column - 1 - from)}^`
}

/** A regular expression in the text, for whoever can compile it. */
export interface RegexPlace {
  readonly source: string
  readonly ignoreCase: boolean
  /** Index of its first character in the text. */
  readonly at: number
}

export interface ParsedExpression {
  readonly text: string
  readonly node: ExpressionNode
  readonly regexes: readonly RegexPlace[]
}

/** @throws ExpressionError */
export function parseExpression(text: string): ParsedExpression {
  const parser = new Parser(text)
  const node = parser.parse()
  return { text, node, regexes: parser.regexes }
}

/**
 * Reads an expression that is a part of a text: from `at` up to the word `by` or the end, or one
 * term. Columns of faults are those of the whole text.
 * @returns where it ends, too. @throws ExpressionError
 */
export function parseLeading(
  text: string,
  at: number,
  until: 'by' | 'term',
): { readonly parsed: ParsedExpression; readonly end: number } {
  const parser = new Parser(text, at)
  const { node, end } = parser.parseLeading(until)
  return { parsed: { text, node, regexes: parser.regexes }, end }
}

/** A name of a field, as it stands before a comparison. */
interface Name {
  readonly at: number
  readonly bytes: Buffer
  /** The parts between unescaped asterisks. */
  readonly parts: readonly string[]
  readonly isQuoted: boolean
  readonly ignoreCase: boolean
}

const KEYWORD = /^(and|or|not)$/i
const BLANK = /\s/
/** What ends a word, and what ends one behind a colon. */
const TERM_ENDS = /[\s()"<>=~:]/
const VALUE_ENDS = /[\s()"]/
const JOINS = 'and, or, or the end'
const TERMS = 'a word, "text", /regex/, FIELD:value, @topic, not or ('

const ESCAPES: Readonly<Record<string, string>> = {
  '"': '"',
  '\\': '\\',
  '/': '/',
  n: '\n',
  r: '\r',
  t: '\t',
  b: '\b',
  f: '\f',
}

class Parser {
  readonly regexes: RegexPlace[] = []
  readonly #text: string
  #at = 0
  #nodes = 0
  #nesting = 0

  constructor(text: string, at = 0) {
    this.#text = text
    this.#at = at
  }

  parse(): ExpressionNode {
    this.#checkSize()
    const node = this.#or(() => this.#term())
    if (this.#at < this.#text.length) throw this.#leftOver()
    return node
  }

  parseLeading(until: 'by' | 'term'): { readonly node: ExpressionNode; readonly end: number } {
    this.#checkSize()
    const node = until === 'term' ? this.#term() : this.#or(() => this.#term())
    this.#skipBlanks()
    const end = this.#at
    if (until === 'by' && !this.#takeKeyword('by') && end < this.#text.length) {
      throw this.#leftOver()
    }
    return { node, end }
  }

  #checkSize(): void {
    if (this.#text.length <= EXPRESSION_CHARS_MAX) return
    const what = `an expression has at most ${EXPRESSION_CHARS_MAX} characters; give several`
    throw this.#error(what, EXPRESSION_CHARS_MAX)
  }

  #or(term: () => ExpressionNode): ExpressionNode {
    return this.#joined('or', 'any', () => this.#joined('and', 'all', () => this.#not(term)))
  }

  #joined(word: string, kind: 'all' | 'any', part: () => ExpressionNode): ExpressionNode {
    const first = part()
    if (!this.#takeKeyword(word)) return first
    const of = [first, part()]
    while (this.#takeKeyword(word)) of.push(part())
    return this.#made({
      kind,
      of: of.flatMap((one) => (one.kind === kind && one.of.length > 0 ? one.of : [one])),
    })
  }

  #not(term: () => ExpressionNode): ExpressionNode {
    this.#skipBlanks()
    const at = this.#at
    if (this.#takeKeyword('not')) {
      const of = this.#within(at, () => this.#not(term))
      return of.kind === 'not' ? of.of : this.#made({ kind: 'not', of })
    }
    if (this.#text[this.#at] !== '(') return term()
    this.#at++
    const node = this.#within(at, () => this.#or(term))
    this.#skipBlanks()
    if (this.#text[this.#at] !== ')') {
      throw this.#at < this.#text.length ? this.#leftOver() : this.#error('expected )')
    }
    this.#at++
    return node
  }

  #within<T>(at: number, parse: () => T): T {
    if (++this.#nesting > EXPRESSION_NESTING_MAX) {
      const what = `more than ${EXPRESSION_NESTING_MAX} parentheses and nots within one another`
      throw this.#error(what, at)
    }
    const parsed = parse()
    this.#nesting--
    return parsed
  }

  #made<N extends ExpressionNode>(node: N): N {
    if (++this.#nodes > EXPRESSION_NODES_MAX) {
      throw this.#error(`more than ${EXPRESSION_NODES_MAX} terms`)
    }
    return node
  }

  /** What stands where a join or the end was expected. */
  #leftOver(): ExpressionError {
    const rest = this.#text.slice(this.#at)
    const got = this.#got()
    if (rest.startsWith(')')) return this.#error(`expected ${JOINS}, got ) without its (`)
    const join = rest.startsWith('&&') ? 'and' : rest.startsWith('||') ? 'or' : null
    if (join !== null) return this.#error(`expected ${JOINS}, got ${got}: write ${join}`)
    return this.#error(
      `expected ${JOINS}, got ${got} (terms are joined by and, or; text with blanks is quoted)`,
    )
  }

  #term(): ExpressionNode {
    this.#skipBlanks()
    const at = this.#at
    const next = this.#text[at]
    if (next === '/') {
      const regex = this.#regex()
      return this.#made({ kind: 'regex', ...regex })
    }
    const name = next === '"' ? this.#quoted() : this.#word(TERM_ENDS, TERMS)
    const endOfName = this.#at
    this.#skipBlanks()
    const operator = /^(?:[<>]=?|!?=+|[:~])/.exec(this.#text.slice(this.#at, this.#at + 3))?.[0]
    if (operator === undefined) {
      this.#at = endOfName
      return this.#anywhere(name)
    }
    if (name.isQuoted && name.ignoreCase) throw this.#error(`expected ${JOINS}`, endOfName)
    const operatorAt = this.#at
    this.#at += operator.length
    if (operator.includes('=') && !/^[<>]/.test(operator)) {
      throw this.#equalsSign(name, operator, operatorAt)
    }
    const target = this.#target(name)
    if (operator === ':') return this.#values(target)
    return operator === '~' ? this.#like(target) : this.#ordered(target, operator as Order)
  }

  #equalsSign({ bytes }: Name, operator: string, at: number): ExpressionError {
    const typed = bytes.toString('utf8')
    const name = typed.replace(/!$/, '')
    const text = JSON.stringify(`${name}=...`)
    return operator.startsWith('!') || name !== typed
      ? this.#error(`expected :, got !=: write not ${name}:VALUE`, at)
      : this.#error(`expected :, got =: write ${name}:VALUE for a field, ${text} for bytes`, at)
  }

  /** Text on its own: bytes of the value. */
  #anywhere(name: Name): ExpressionNode {
    if (!name.isQuoted) {
      const word = this.#text.slice(name.at, this.#at)
      if (word === '*') return this.#made({ kind: 'all', of: [] })
      if (word.startsWith('@')) this.#refuseBareMeta(word, name.at)
      if (word.startsWith('!')) {
        throw this.#error(`expected ${TERMS}, got !: write not, or quotes for this text`, name.at)
      }
      if (name.parts.length > 1) {
        const text = JSON.stringify(word)
        throw this.#error(`a word on its own takes no *: write /a.*b/, or ${text}`, name.at)
      }
    }
    const hex = name.bytes.toString('hex')
    return this.#made({ kind: 'bytes', hex, ignoreCase: name.ignoreCase })
  }

  #refuseBareMeta(word: string, at: number): void {
    const meta = META_NAMES.find((one) => `@${one}` === word)
    if (meta === undefined && !word.startsWith('@header.')) throw this.#unknownMeta(word, at)
    const example = meta === 'partition' || meta === 'offset' ? `${word}:0` : `${word}:*`
    throw this.#error(`expected : or another comparison behind ${word}, as ${example}`, this.#at)
  }

  #unknownMeta(word: string, at: number): ExpressionError {
    const known = [...META_NAMES.map((one) => `@${one}`), '@header.NAME']
    const near =
      nearest(word, known.slice(0, -1)) ?? (word.startsWith('@h') ? '@header.NAME' : null)
    const hint = near === null ? '' : `: did you mean ${near}?`
    const all = `there are ${known.join(', ')}; a field of that name is written "${word}"`
    return this.#error(`unknown ${word}${hint} (${all})`, at)
  }

  #target(name: Name): Target {
    const word = name.bytes.toString('utf8')
    if (!name.isQuoted && word.startsWith('@')) {
      const meta = META_NAMES.find((one) => `@${one}` === word)
      if (meta !== undefined) return { of: meta }
      if (!word.startsWith('@header.')) throw this.#unknownMeta(word, name.at)
      const header = word.slice('@header.'.length)
      if (header === '') throw this.#error('expected the name of a header behind @header.', name.at)
      return { of: 'header', name: header }
    }
    if (name.parts.length > 1) throw this.#error('the name of a field takes no *', name.at)
    this.#checkText(name.bytes, name.at)
    const path = word.split('.')
    if (path.includes('')) {
      throw this.#error('expected a field, as level or http.status: a part of it is empty', name.at)
    }
    if (path.length > EXPRESSION_PATH_MAX) {
      throw this.#error(`a field has at most ${EXPRESSION_PATH_MAX} parts`, name.at)
    }
    return { of: 'field', path }
  }

  /** What stands behind a colon: a value, or several in parentheses. */
  #values(target: Target): ExpressionNode {
    this.#skipBlanks()
    if (this.#text[this.#at] !== '(') return this.#isValue(target)
    return this.#not(() => {
      const node = this.#isValue(target)
      // A field within the list of another one would be taken for a value.
      let from = this.#at
      while (from > 0 && !/[\s()"]/.test(this.#text[from - 1]!)) from--
      const word = this.#text.slice(from, this.#at)
      if (target.of === 'time' || !word.includes(':')) return node
      throw this.#error(`a value in parentheses that holds : needs quotes`, from)
    })
  }

  #isValue(target: Target): CompareNode {
    this.#skipBlanks()
    const at = this.#at
    const next = this.#text[at]
    if (next !== undefined && /[<>=~]/.test(next)) {
      throw this.#error(`expected a value, got ${next}: leave out the colon`, at)
    }
    const value = this.#value()
    if (value.isQuoted) return this.#compared(target, this.#equals(target, value))
    const typed = this.#text.slice(at, this.#at)
    if (/^\/.+\/i?$/.test(typed)) {
      throw this.#error(`for a regular expression write ~ ${typed}, for text use quotes`, at)
    }
    if (typed === '*') return this.#compared(target, { op: 'exists' })
    if (value.parts.length === 1) return this.#compared(target, this.#equals(target, value))
    this.#refuseNumberMeta(target, at, 'takes no *')
    return this.#compared(target, { op: 'wildcard', parts: value.parts })
  }

  #equals(target: Target, value: Name): Test {
    return { op: 'equals', text: this.#valueText(target, value) }
  }

  #ordered(target: Target, op: Order): CompareNode {
    const value = this.#value()
    if (value.parts.length > 1) throw this.#error(`a value behind ${op} takes no *`, value.at)
    return this.#compared(target, { op, text: this.#valueText(target, value) })
  }

  #like(target: Target): CompareNode {
    this.#skipBlanks()
    this.#refuseNumberMeta(target, this.#at, 'is compared by : < <= > >=')
    if (this.#text[this.#at] === '/') {
      return this.#compared(target, { op: 'regex', ...this.#regex() })
    }
    const value = this.#value()
    if (value.parts.length > 1)
      throw this.#error('text behind ~ takes no *: it is a part', value.at)
    return this.#compared(target, { op: 'contains', text: value.bytes.toString('utf8') })
  }

  #compared(target: Target, test: Test): CompareNode {
    return this.#made({ kind: 'compare', target, test })
  }

  /** A value of a comparison: a word or "text", valid UTF-8. */
  #value(): Name {
    this.#skipBlanks()
    const value = this.#text[this.#at] === '"' ? this.#quoted() : this.#word(VALUE_ENDS, 'a value')
    if (value.ignoreCase) {
      throw this.#error('a value takes no i: write ~ /text/i', this.#at - 1)
    }
    this.#checkText(value.bytes, value.at)
    return value
  }

  #checkText(bytes: Buffer, at: number): void {
    if (bytes.equals(Buffer.from(bytes.toString('utf8'), 'utf8'))) return
    throw this.#error('\\xHH that is no UTF-8 stands for bytes of the value, not for a field', at)
  }

  /** As the record has it: numbers for partition and offset, milliseconds for the time. */
  #valueText(target: Target, { bytes, at }: Name): string {
    const text = bytes.toString('utf8')
    if (target.of === 'partition' || target.of === 'offset') {
      if (/^\d{1,16}$/.test(text)) return String(Number(text))
      throw this.#error(`@${target.of} is compared with a whole number`, at)
    }
    if (target.of !== 'time') return text
    const timeMs = timeOf(text)
    if (timeMs !== undefined) return String(timeMs)
    const examples = '2026-09-01, 2026-09-01T08:30Z or milliseconds since 1970'
    throw this.#error(`expected a time, as ${examples}`, at)
  }

  #refuseNumberMeta({ of }: Target, at: number, why: string): void {
    const isNumber = of === 'partition' || of === 'offset' || of === 'time'
    if (isNumber) throw this.#error(`@${of} ${why}`, at)
  }

  /** Up to the first unescaped sign of `ends`. */
  #word(ends: RegExp, what: string): Name {
    const at = this.#at
    const parts: string[] = ['']
    for (;;) {
      const character = this.#text[this.#at]
      if (character === undefined || ends.test(character)) break
      this.#at++
      if (character === '*') {
        // a**b is a*b.
        if (parts.length === 1 || parts.at(-1) !== '') parts.push('')
      } else parts[parts.length - 1] += character === '\\' ? this.#escapedSign(at) : character
    }
    const typed = this.#text.slice(at, this.#at)
    if (typed === '' || KEYWORD.test(typed)) {
      this.#at = at
      throw this.#error(`expected ${what}, got ${this.#got()}`)
    }
    return this.#named(at, Buffer.from(parts.join('*'), 'utf8'), parts, false)
  }

  /** What a backslash in a word makes a part of it: a sign, or the word and, or, not. */
  #escapedSign(wordAt: number): string {
    const at = this.#at - 1
    const rest = this.#text.slice(this.#at)
    const keyword = at === wordAt ? /^(and|or|not)(?![\w])/i.exec(rest)?.[0] : undefined
    const sign = keyword ?? /^[^\p{L}\p{N}]/u.exec(rest)?.[0]
    if (sign === undefined) {
      const why = 'in a word, a backslash makes a sign a part of it'
      throw this.#error(`${why}; a backslash itself is \\\\, a line end "\\n" in quotes`, at)
    }
    this.#at += sign.length
    return sign
  }

  /** "text", with an i behind it where that is meant. */
  #quoted(): Name {
    const at = this.#at++
    const chunks: Buffer[] = []
    let plain = ''
    for (;;) {
      const character = this.#text[this.#at]
      if (character === undefined) throw this.#error('expected " at the end of this text', at)
      this.#at++
      if (character === '"') break
      const byte = character === '\\' ? /^x([0-9a-f]{2})/i.exec(this.#ahead(3)) : null
      if (byte === null) plain += character === '\\' ? this.#escape() : character
      else {
        chunks.push(Buffer.from(plain, 'utf8'), Buffer.from(byte[1] ?? '', 'hex'))
        plain = ''
        this.#at += 3
      }
    }
    chunks.push(Buffer.from(plain, 'utf8'))
    const bytes = Buffer.concat(chunks)
    return this.#named(at, bytes, [bytes.toString('utf8')], true)
  }

  #named(at: number, bytes: Buffer, parts: readonly string[], isQuoted: boolean): Name {
    if (bytes.length > EXPRESSION_TEXT_MAX) {
      throw this.#error(`a text has at most ${EXPRESSION_TEXT_MAX} bytes`, at)
    }
    if (!isQuoted && !parts.join('').isWellFormed()) throw this.#error('half of a surrogate', at)
    return { at, bytes, parts, isQuoted, ignoreCase: isQuoted && this.#takeFlag('text') }
  }

  #ahead(count: number): string {
    return this.#text.slice(this.#at, this.#at + count)
  }

  /** Behind the backslash in quotes. */
  #escape(): string {
    const at = this.#at - 1
    const unicode = /^u([0-9a-f]{4})(?:\\u([0-9a-f]{4}))?/i.exec(this.#ahead(11))
    if (unicode !== null) {
      const [, first = '', second = ''] = unicode
      const high = String.fromCharCode(Number.parseInt(first, 16))
      const pair = high + (second === '' ? '' : String.fromCharCode(Number.parseInt(second, 16)))
      const text = high.isWellFormed() ? high : pair
      if (!text.isWellFormed()) throw this.#error('half of a surrogate pair is no text', at)
      this.#at += text === high ? 5 : 11
      return text
    }
    const sign = ESCAPES[this.#text[this.#at] ?? '']
    if (sign === undefined) {
      const known = String.raw`\" \\ \/ \n \r \t \b \f \uXXXX or \xHH`
      throw this.#error(`expected ${known}; a backslash itself is \\\\`, at)
    }
    this.#at++
    return sign
  }

  /** /source/, with an i behind it where that is meant. A slash within is \/, or in brackets. */
  #regex(): { readonly source: string; readonly ignoreCase: boolean } {
    const at = ++this.#at
    let source = ''
    let inClass = false
    for (;;) {
      const character = this.#text[this.#at]
      if (character === undefined) {
        throw this.#error('expected / at the end of this regular expression', at - 1)
      }
      this.#at++
      if (character === '/' && !inClass) break
      if (character === '\\') {
        const next = this.#text[this.#at++] ?? ''
        source += next === '/' ? '/' : `\\${next}`
        continue
      }
      if (character === '[') inClass = true
      if (character === ']') inClass = false
      source += character
    }
    if (source === '') throw this.#error('// holds nothing; every record is written *', at - 1)
    if (Buffer.byteLength(source) > EXPRESSION_TEXT_MAX || !source.isWellFormed()) {
      throw this.#error(`a regular expression has at most ${EXPRESSION_TEXT_MAX} bytes`, at - 1)
    }
    const ignoreCase = this.#takeFlag('/')
    this.regexes.push({ source, ignoreCase, at })
    return { source, ignoreCase }
  }

  /** The letter i right behind a text or a regular expression. */
  #takeFlag(behind: 'text' | '/'): boolean {
    const word = /^[^\s();:<>=~"]*/.exec(this.#text.slice(this.#at, this.#at + 16))?.[0] ?? ''
    if (word === '') return false
    if (word === 'i') {
      this.#at++
      return true
    }
    const hint = behind === '/' ? '; text that begins with / needs quotes' : ''
    throw this.#error(`expected i or a blank, got ${JSON.stringify(word)}${hint}`)
  }

  #takeKeyword(word: string): boolean {
    this.#skipBlanks()
    const found = /^[A-Za-z]+/.exec(this.#ahead(4))?.[0] ?? ''
    const behind = this.#text[this.#at + word.length]
    if (found.toLowerCase() !== word || (behind !== undefined && !/[\s()"/]/.test(behind))) {
      return false
    }
    this.#at += word.length
    return true
  }

  #skipBlanks(): void {
    while (BLANK.test(this.#text[this.#at] ?? '')) this.#at++
  }

  #got(): string {
    const rest = this.#text.slice(this.#at, this.#at + 20)
    const word = /^\s*([^\s()]+|[()])/.exec(rest)?.[1]
    return word === undefined ? 'the end' : word
  }

  #error(what: string, at = this.#at): ExpressionError {
    return new ExpressionError(this.#text, Math.min(at, this.#text.length), what)
  }
}

/** A date alone begins at midnight UTC, so that it means the same on every machine. */
function timeOf(text: string): number | undefined {
  if (/^-?\d{1,15}$/.test(text)) return Number(text)
  return parseTime(/^\d{4}-\d{2}-\d{2}$/.test(text) ? `${text}Z` : text)
}
