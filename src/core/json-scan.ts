/**
 * Checks whether bytes are one JSON object (RFC 8259), without creating objects.
 *
 * It decides which records may enter a _bulk body unchanged, so it is strict: it accepts only an
 * object that every reader takes for one line. JSON.parse would do, but it creates objects, needs a
 * string first, and cannot report line ends between tokens.
 *
 * Speed. Most bytes of a log record lie inside strings, so those are skipped four at a time where
 * the address is aligned (the tests for a quote, a backslash and a control character are the
 * well-known "has a byte less than n" on a 32-bit word); everything else goes byte by byte.
 * bench/json-scan.ts compares it with JSON.parse.
 *
 * It does not check UTF-8: the caller uses node:buffer's isUtf8, which is native.
 */

export const JSON_OTHER = 0
export const JSON_OBJECT = 1
/** An object with 0x0A or 0x0D between its tokens; without those bytes it is the same object. */
export const JSON_OBJECT_LINES = 2
export type JsonKind = typeof JSON_OTHER | typeof JSON_OBJECT | typeof JSON_OBJECT_LINES

/** Deeper nesting counts as no object. Elasticsearch itself refuses beyond 1000 (Jackson). */
export const JSON_DEPTH_MAX = 512

const QUOTE = 0x22
const BACKSLASH = 0x5c
const COMMA = 0x2c
const COLON = 0x3a
const OPEN_OBJECT = 0x7b
const CLOSE_OBJECT = 0x7d
const OPEN_ARRAY = 0x5b
const CLOSE_ARRAY = 0x5d
const MINUS = 0x2d
const PLUS = 0x2b
const POINT = 0x2e
const ZERO = 0x30
const NINE = 0x39

/** 1: a byte that ends the plain part of a string: quote, backslash, control character. */
const STRING_STOPS = new Uint8Array(256).fill(1, 0, 0x20)
STRING_STOPS[QUOTE] = 1
STRING_STOPS[BACKSLASH] = 1

/** 1: may follow a backslash on its own. */
const ESCAPES = new Uint8Array(256)
for (const character of '"\\/bfnrt') ESCAPES[character.charCodeAt(0)] = 1

const HEX = new Uint8Array(256)
for (const character of '0123456789abcdefABCDEF') HEX[character.charCodeAt(0)] = 1

const TRUE = Buffer.from('true')
const FALSE = Buffer.from('false')
const NULL = Buffer.from('null')

/** For each open bracket, whether it is an object's (1) or an array's (0). */
const nesting = new Uint8Array(JSON_DEPTH_MAX + 1)

/** Set by skipBlanks; there is one scan at a time in a thread. */
let sawLineEnd = false

/** The words of the buffer scanned last: a thread scans the same shared memory all the time. */
let words = new Int32Array<ArrayBufferLike>(new ArrayBuffer(0))

/** What kind of JSON the bytes [from, to) of `bytes` are. */
export function scanJson(bytes: Uint8Array, from: number, to: number): JsonKind {
  useWordsOf(bytes)
  sawLineEnd = false
  const open = skipBlanks(bytes, from, to)
  if (open >= to || bytes[open] !== OPEN_OBJECT) return JSON_OTHER
  const end = scanObject(bytes, open + 1, to)
  if (end < 0 || skipBlanks(bytes, end, to) !== to) return JSON_OTHER
  return sawLineEnd ? JSON_OBJECT_LINES : JSON_OBJECT
}

/**
 * The index of the first byte in [from, to) that a JSON string must escape, or `to`: a quote, a
 * backslash, a control character.
 */
export function findEscaped(bytes: Uint8Array, from: number, to: number): number {
  useWordsOf(bytes)
  return skipPlain(bytes, from, to)
}

/** Whether an object that scanJson took has a field of this name itself, at its first level. */
export function hasField(bytes: Uint8Array, from: number, to: number, name: string): boolean {
  const text = Buffer.from(bytes.buffer, bytes.byteOffset + from, to - from)
  // Most have it as it is, or nowhere: the search is native. An escape may hide it.
  if (!text.includes(JSON.stringify(name)) && !text.includes('\\u')) return false
  useWordsOf(bytes)
  let depth = 0
  for (let at = from; at < to; at++) {
    const byte = bytes[at]!
    if (byte === OPEN_OBJECT || byte === OPEN_ARRAY) depth++
    else if (byte === CLOSE_OBJECT || byte === CLOSE_ARRAY) depth--
    if (byte !== QUOTE) continue
    const end = scanString(bytes, at + 1, to)
    if (end < 0) return false
    const isKey = depth === 1 && bytes[skipBlanks(bytes, end, to)] === COLON
    if (isKey && JSON.parse(text.toString('utf8', at - from, end - from)) === name) return true
    at = end - 1
  }
  return false
}

function useWordsOf(bytes: Uint8Array): void {
  if (words.buffer === bytes.buffer) return
  words = new Int32Array(bytes.buffer, 0, bytes.buffer.byteLength >>> 2)
}

/** @returns the index behind the object whose opening brace is before `at`; -1: it is none. */
function scanObject(bytes: Uint8Array, start: number, to: number): number {
  let at = start
  let depth = 1
  let inObject = true
  /** The bracket was just opened, so it may close at once. */
  let isFresh = true
  nesting[1] = 1
  for (;;) {
    at = skipBlanks(bytes, at, to)
    if (at >= to) return -1
    let byte = bytes[at]!
    if (!isFresh || byte !== (inObject ? CLOSE_OBJECT : CLOSE_ARRAY)) {
      if (inObject) {
        if (byte !== QUOTE) return -1
        at = scanString(bytes, at + 1, to)
        if (at < 0) return -1
        at = skipBlanks(bytes, at, to)
        if (at >= to || bytes[at] !== COLON) return -1
        at = skipBlanks(bytes, at + 1, to)
        if (at >= to) return -1
        byte = bytes[at]!
      }
      if (byte === OPEN_OBJECT || byte === OPEN_ARRAY) {
        if (depth === JSON_DEPTH_MAX) return -1
        depth++
        at++
        inObject = byte === OPEN_OBJECT
        nesting[depth] = inObject ? 1 : 0
        isFresh = true
        continue
      }
      at = byte === QUOTE ? scanString(bytes, at + 1, to) : scanScalar(bytes, at, to)
      if (at < 0) return -1
      isFresh = false
    }
    // Behind a value, or at a bracket that closes at once, closes may follow, then a comma.
    for (;;) {
      at = skipBlanks(bytes, at, to)
      if (at >= to) return -1
      const next = bytes[at]!
      at++
      if (next === COMMA && !isFresh) break
      if (next !== (inObject ? CLOSE_OBJECT : CLOSE_ARRAY)) return -1
      depth--
      isFresh = false
      if (depth === 0) return at
      inObject = nesting[depth] === 1
    }
  }
}

function skipBlanks(bytes: Uint8Array, from: number, to: number): number {
  let at = from
  for (; at < to; at++) {
    const byte = bytes[at]!
    if (byte > 0x20) break
    if (byte === 0x0a || byte === 0x0d) sawLineEnd = true
    else if (byte !== 0x20 && byte !== 0x09) break
  }
  return at
}

/** @param from behind the opening quote. @returns the index behind the closing one, or -1. */
function scanString(bytes: Uint8Array, from: number, to: number): number {
  let at = from
  for (;;) {
    at = skipPlain(bytes, at, to)
    if (at >= to) return -1
    const stop = bytes[at]!
    if (stop === QUOTE) return at + 1
    if (stop !== BACKSLASH || at + 1 >= to) return -1
    const escape = bytes[at + 1]!
    at += 2
    if (ESCAPES[escape] === 1) continue
    if (escape !== 0x75 || at + 4 > to) return -1
    for (const end = at + 4; at < end; at++) if (HEX[bytes[at]!] !== 1) return -1
  }
}

/** @returns the index of the first byte of STRING_STOPS, or `to`. */
function skipPlain(bytes: Uint8Array, from: number, to: number): number {
  let at = from
  const base = bytes.byteOffset
  // Byte by byte up to an aligned address; a short string ends here already.
  while (at < to && ((base + at) & 3) !== 0) {
    if (STRING_STOPS[bytes[at]!] === 1) return at
    at++
  }
  let word = (base + at) >>> 2
  for (const end = (base + to) >>> 2; word < end; word++) {
    const four = words[word]!
    const quote = four ^ 0x22222222
    const backslash = four ^ 0x5c5c5c5c
    // A byte below n (n up to 0x80): (x - n in each) & ~x & 0x80 in each. Equal: xor, below 1.
    const found =
      ((four - 0x20202020) & ~four) |
      ((quote - 0x01010101) & ~quote) |
      ((backslash - 0x01010101) & ~backslash)
    if ((found & 0x80808080) !== 0) break
  }
  at = Math.max(at, (word << 2) - base)
  while (at < to && STRING_STOPS[bytes[at]!] !== 1) at++
  return at
}

/** A number, true, false or null. @returns the index behind it, or -1. */
function scanScalar(bytes: Uint8Array, from: number, to: number): number {
  const first = bytes[from]
  if (first === TRUE[0]) return scanWord(bytes, from, to, TRUE)
  if (first === FALSE[0]) return scanWord(bytes, from, to, FALSE)
  if (first === NULL[0]) return scanWord(bytes, from, to, NULL)
  return scanNumber(bytes, from, to)
}

function scanWord(bytes: Uint8Array, from: number, to: number, word: Uint8Array): number {
  const end = from + word.length
  if (end > to) return -1
  for (let index = 0; index < word.length; index++) {
    if (bytes[from + index] !== word[index]) return -1
  }
  return end
}

function scanNumber(bytes: Uint8Array, from: number, to: number): number {
  let at = from
  if (bytes[at] === MINUS) at++
  const whole = at
  at = skipDigits(bytes, at, to)
  if (at === whole || (bytes[whole] === ZERO && at > whole + 1)) return -1
  if (at < to && bytes[at] === POINT) {
    const fraction = at + 1
    at = skipDigits(bytes, fraction, to)
    if (at === fraction) return -1
  }
  if (at < to && (bytes[at]! | 0x20) === 0x65) {
    at++
    if (at < to && (bytes[at] === PLUS || bytes[at] === MINUS)) at++
    const exponent = at
    at = skipDigits(bytes, exponent, to)
    if (at === exponent) return -1
  }
  return at
}

function skipDigits(bytes: Uint8Array, from: number, to: number): number {
  let at = from
  while (at < to && bytes[at]! >= ZERO && bytes[at]! <= NINE) at++
  return at
}
