/**
 * Finds members of a JSON object by their paths, as places in its bytes: what is changed there can
 * be spliced, and all else stays as it was.
 *
 * Paths mean what they mean in expressions (core/expression/ast.ts): {"a.b":1} and {"a":{"b":1}}
 * both have a.b, and any object within an array on the way counts. Of a key that stands twice both
 * members are found, the last one last.
 *
 * The bytes must be one valid JSON object (json-scan.ts): nothing is checked here. Bound: the
 * nesting that json-scan.ts allows.
 */

export interface JsonMember {
  /** The place of its path among those that were asked for. */
  readonly path: number
  /** Its key, with the quotes. */
  readonly keyFrom: number
  readonly keyTo: number
  readonly valueFrom: number
  readonly valueTo: number
  /** Where its object begins, its place within it, and the comma before it (-1: none). */
  readonly objectFrom: number
  readonly index: number
  readonly commaBefore: number
  /** The comma behind it; -1: it is the last. */
  readonly commaAfter: number
}

/** What is left of a path below an object. */
interface Rest {
  readonly path: number
  readonly parts: readonly string[]
}

const QUOTE = 0x22
const BACKSLASH = 0x5c
const COMMA = 0x2c
const COLON = 0x3a
const OPEN_OBJECT = 0x7b
const CLOSE_OBJECT = 0x7d
const OPEN_ARRAY = 0x5b
const CLOSE_ARRAY = 0x5d

/** The members at the paths, in the order in which they end. */
export function membersAt(
  bytes: Buffer,
  paths: readonly (readonly string[])[],
): readonly JsonMember[] {
  const walk = new Walk(bytes)
  walk.value(paths.map((parts, path) => ({ path, parts })))
  return walk.found
}

/** Where all texts (with their quotes) and numbers stand that are no keys, in their order. */
export function scalarsIn(
  bytes: Buffer,
): readonly { readonly from: number; readonly to: number }[] {
  const walk = new Walk(bytes)
  walk.scalars()
  return walk.places
}

class Walk {
  readonly found: JsonMember[] = []
  readonly places: { from: number; to: number }[] = []
  readonly #bytes: Buffer
  #at = 0

  constructor(bytes: Buffer) {
    this.#bytes = bytes
  }

  /** Passes a value, in which these paths are looked for. */
  value(rests: readonly Rest[]): void {
    this.#blanks()
    const first = this.#bytes[this.#at]
    if (rests.length > 0 && first === OPEN_OBJECT) this.#object(rests)
    else if (rests.length > 0 && first === OPEN_ARRAY) this.#array(rests)
    else this.#skip()
  }

  scalars(): void {
    while (this.#at < this.#bytes.length) {
      const from = this.#at
      const byte = this.#bytes[from]!
      if (byte === QUOTE) {
        this.#string()
        const to = this.#at
        this.#blanks()
        if (this.#bytes[this.#at] !== COLON) this.places.push({ from, to })
      } else if (STARTS_NUMBER[byte]) {
        this.#scalar()
        this.places.push({ from, to: this.#at })
      } else this.#at++
    }
  }

  #object(rests: readonly Rest[]): void {
    const objectFrom = this.#at++
    let commaBefore = -1
    for (let index = 0; ; index++) {
      this.#blanks()
      if (this.#bytes[this.#at] === CLOSE_OBJECT) break
      const keyFrom = this.#at
      this.#string()
      const keyTo = this.#at
      const below = restsBelow(rests, this.#keyText(keyFrom, keyTo))
      this.#blanks()
      this.#at++ // The colon.
      this.#blanks()
      const valueFrom = this.#at
      this.value(below.filter(({ parts }) => parts.length > 0))
      const valueTo = this.#at
      this.#blanks()
      const commaAfter = this.#bytes[this.#at] === COMMA ? this.#at++ : -1
      for (const { path, parts } of below) {
        if (parts.length > 0) continue
        const place = { objectFrom, index, commaBefore, commaAfter }
        this.found.push({ path, keyFrom, keyTo, valueFrom, valueTo, ...place })
      }
      commaBefore = commaAfter
      if (commaAfter === -1) break
    }
    this.#at++
  }

  #array(rests: readonly Rest[]): void {
    this.#at++
    for (;;) {
      this.#blanks()
      if (this.#bytes[this.#at] === CLOSE_ARRAY) break
      this.value(rests)
      this.#blanks()
      if (this.#bytes[this.#at] !== COMMA) break
      this.#at++
    }
    this.#at++
  }

  #keyText(from: number, to: number): string {
    const quoted = this.#bytes.toString('utf8', from, to)
    return quoted.includes('\\') ? (JSON.parse(quoted) as string) : quoted.slice(1, -1)
  }

  /** Passes a value without looking into it. */
  #skip(): void {
    let depth = 0
    do {
      const byte = this.#bytes[this.#at]
      if (byte === QUOTE) {
        this.#string()
        continue
      }
      if (byte === OPEN_OBJECT || byte === OPEN_ARRAY) depth++
      else if (byte === CLOSE_OBJECT || byte === CLOSE_ARRAY) depth--
      else if (depth === 0) {
        this.#scalar()
        return
      }
      this.#at++
    } while (depth > 0)
  }

  /** A number, true, false or null. */
  #scalar(): void {
    const { length } = this.#bytes
    while (this.#at < length && !ENDS_SCALAR[this.#bytes[this.#at]!]) this.#at++
  }

  #string(): void {
    for (let at = this.#at + 1; ;) {
      at = this.#bytes.indexOf(QUOTE, at)
      let escapes = 0
      while (this.#bytes[at - 1 - escapes] === BACKSLASH) escapes++
      at++
      if (escapes % 2 === 0) {
        this.#at = at
        return
      }
    }
  }

  #blanks(): void {
    while (IS_BLANK[this.#bytes[this.#at] ?? 0]) this.#at++
  }
}

const IS_BLANK = new Uint8Array(256)
for (const sign of ' \t\r\n') IS_BLANK[sign.charCodeAt(0)] = 1
const STARTS_NUMBER = new Uint8Array(256)
for (const sign of '-0123456789') STARTS_NUMBER[sign.charCodeAt(0)] = 1
const ENDS_SCALAR = Uint8Array.from(IS_BLANK)
for (const sign of ',]}') ENDS_SCALAR[sign.charCodeAt(0)] = 1

/** What is left of the paths behind this key, which may be several parts joined by dots. */
function restsBelow(rests: readonly Rest[], key: string): Rest[] {
  const below: Rest[] = []
  for (const { path, parts } of rests) {
    let joined = ''
    for (let count = 1; count <= parts.length; count++) {
      joined = count === 1 ? parts[0]! : `${joined}.${parts[count - 1]!}`
      if (joined.length > key.length) break
      if (joined === key) below.push({ path, parts: parts.slice(count) })
    }
  }
  return below
}
