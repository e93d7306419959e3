/**
 * Regular expressions that JavaScript's backtracking engine matches in linear time, whatever the
 * bytes: those without an endless repeat.
 *
 * Where every repeat has an end, an attempt at one place tries at most so many ways, however long
 * the text. That number is computed from the source, and bounded:
 *
 * ```
 *   a|b       the ways of both              ab      their product
 *   x{2,5}    for one character 4, for a part with w ways w^2 + w^3 + w^4 + w^5
 * ```
 *
 * For masks, and not linear-regex.ts: V8's engine without backtracking takes no flag u, without
 * which . is half an emoji, and no repeat above 16, such as the \d{13,19} of a card's number. And
 * not the other way round: a metric's took=(\d+) needs the endless repeats that are refused here.
 *
 * What is not understood here for certain is refused: * + {n,}, back references, lookahead and
 * lookbehind, flags within. ^ and $ mean the whole text, \b a word's edge.
 */
import { messageOf } from './errors.ts'

/** Ways to try at one place: beyond it a text of a megabyte would take seconds. */
const WAYS_MAX = 50_000
const SOURCE_CHARS_MAX = 1024
const DEPTH_MAX = 20

/** @returns the expression, or what is wrong with it. */
export function boundedRegex(source: string): RegExp | { readonly fault: string } {
  if (source === '' || source.length > SOURCE_CHARS_MAX) {
    return { fault: `expected a regular expression of 1 to ${SOURCE_CHARS_MAX} characters` }
  }
  try {
    const regex = new RegExp(source, 'gu')
    const { ways, isEmpty } = new WayCounter(source).count()
    if (isEmpty) return { fault: 'it matches nothing at all, which is everywhere' }
    if (ways <= WAYS_MAX) return regex
    return { fault: `it can match in more than ${WAYS_MAX} ways at one place: shorten its repeats` }
  } catch (error) {
    return { fault: messageOf(error) }
  }
}

/** A part of an expression: in how many ways it can match, and whether by no character. */
interface Part {
  readonly ways: number
  readonly isEmpty: boolean
  /** It is one character, in one way: its repeats cost a way each. */
  readonly isSingle: boolean
}

class WayCounter {
  readonly #source: string
  #at = 0
  #depth = 0

  constructor(source: string) {
    this.#source = source
  }

  count(): Part {
    const part = this.#alternatives()
    if (this.#at < this.#source.length) throw this.#refused('an unexpected )')
    return part
  }

  #alternatives(): Part {
    let ways = 0
    let isEmpty = false
    do {
      const branch = this.#sequence()
      ways += branch.ways
      isEmpty ||= branch.isEmpty
    } while (this.#take('|'))
    return { ways, isEmpty, isSingle: false }
  }

  #sequence(): Part {
    let ways = 1
    let isEmpty = true
    while (this.#at < this.#source.length && !'|)'.includes(this.#source[this.#at]!)) {
      const part = this.#repeated(this.#atom())
      ways *= part.ways
      isEmpty &&= part.isEmpty
    }
    return { ways, isEmpty, isSingle: false }
  }

  #atom(): Part {
    const [atom = ''] =
      /^(?:\\[^]|\[(?:\\[^]|[^\]\\])*\]|[^])/u.exec(this.#source.slice(this.#at)) ?? []
    this.#at += atom.length
    if (atom === '(') return this.#group()
    if (atom === '^' || atom === '$' || /^\\[bB]$/.test(atom)) return ASSERTION
    if (/^\\[1-9k]/.test(atom)) throw this.#refused('a back reference')
    if (/^\\[uxpPc]/.test(atom)) this.#endOfEscape(atom)
    if ('*+?{'.includes(atom)) throw this.#refused(`${atom} with nothing before it`)
    return CHARACTER
  }

  /** \u0041, \u{41}, \x41, \p{L}, \cA: RegExp itself has found them well formed. */
  #endOfEscape(atom: string): void {
    const rest = this.#source.slice(this.#at)
    const length = /^\{[^}]*\}/.exec(rest)?.[0].length
    this.#at += length ?? { u: 4, x: 2, c: 1 }[atom.slice(1)] ?? 0
  }

  #group(): Part {
    if (++this.#depth > DEPTH_MAX) throw this.#refused('groups nested too deep')
    if (this.#take('?') && !this.#take(':')) {
      throw this.#refused('lookahead, lookbehind, a name or flags within a group')
    }
    const part = this.#alternatives()
    this.#at++ // The parenthesis, which RegExp has seen.
    this.#depth--
    return part
  }

  #repeated(part: Part): Part {
    const found = /^(?:[*+?]|\{(\d+)(,?)(\d*)\})\??/.exec(this.#source.slice(this.#at))
    if (found === null) return part
    const [whole, least = '0', comma, most = ''] = found
    this.#at += whole.length
    if (whole.startsWith('*') || whole.startsWith('+') || (comma === ',' && most === '')) {
      throw this.#refused(`${whole}, a repeat without an end: write {1,64}`)
    }
    const isOptional = whole.startsWith('?')
    const from = isOptional ? 0 : Number(least)
    const to = isOptional ? 1 : comma === ',' ? Number(most) : from
    const ways = part.isSingle ? to - from + 1 : powers(part.ways, from, to)
    return { ways, isEmpty: part.isEmpty || from === 0, isSingle: false }
  }

  #take(sign: string): boolean {
    if (this.#source[this.#at] !== sign) return false
    this.#at++
    return true
  }

  #refused(what: string): SyntaxError {
    return new SyntaxError(`${what} cannot be used here`)
  }
}

const CHARACTER: Part = { ways: 1, isEmpty: false, isSingle: true }
const ASSERTION: Part = { ways: 1, isEmpty: true, isSingle: false }

/** ways^from + ... + ways^to, or more than WAYS_MAX. */
function powers(ways: number, from: number, to: number): number {
  if (ways === 1) return to - from + 1
  let sum = 0
  for (let count = from; count <= to && sum <= WAYS_MAX; count++) sum += ways ** count
  return sum
}
