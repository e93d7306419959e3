/**
 * A generator of realistic log lines: several services, JSON and plain, UTF-8, a known share of
 * ERROR.
 *
 * The demo and the benchmarks produce with it. Rendering text costs microseconds, so that is done
 * once, at the start, for a bounded number of variants; each call takes a variant and patches its
 * time, ids and numbers in place: about 0.1 us, and nothing is allocated. Same seed, same times,
 * same bytes.
 *
 * Known matches. Of the first n lines exactly floor(n * errorShare) contain "ERROR", each once; no
 * other line contains it (asserted for each variant; patches write digits and lower-case letters
 * only).
 */
import assert from 'node:assert/strict'
import { LogpipeError } from './errors.ts'
import { FILLER_WORDS, LOG_SHAPES, type Level, type LogShape } from './log-shapes.ts'
import { type Random, seededRandom } from './random.ts'

export interface LogLinesOptions {
  /** Same seed, same lines. */
  readonly seed: number
  /** Share of lines with ERROR in them, 0 to 1. */
  readonly errorShare: number
  /** Exact bytes of each line; null leaves them as they come (100 to 768 bytes). */
  readonly recordBytes: number | null
  /** Whether stack traces, records of several lines, occur. */
  readonly multiLine: boolean
}

/** A line; it belongs to the generator and is valid until the next call. */
export interface LogLine {
  readonly bytes: Buffer
  readonly service: string
  /** Whether it contains ERROR. */
  readonly isError: boolean
}

export interface LogLines {
  /** The next line, logged at `wallMs` (ms since 1970). */
  next(wallMs: number): LogLine
}

/** No natural line is longer: the demo counts the lines in flight at this size. */
export const NATURAL_LINE_BYTES_MAX = 768

/** The word that makes a line a match. */
const MATCH_WORD = 'ERROR'

/** Distinct lines kept: enough that compression sees no short cycle, few enough to stay small. */
const VARIANTS_MAX = 1024
const VARIANTS_MIN = 16
const VARIANTS_BYTES_MAX = 8 * 1024 * 1024

/** How often a line that is no match has which level. */
const LEVELS: readonly Level[] = [
  ...Array.from<Level>({ length: 16 }).fill('INFO'),
  ...Array.from<Level>({ length: 3 }).fill('DEBUG'),
  'WARN',
]

type Mark = 'T' | 'L' | 'I' | 'N'
const MARK_BYTES: Readonly<Record<Mark, number>> = { T: 24, L: 26, I: 16, N: 4 }

interface Variant extends LogLine {
  /** Where to patch: offsets of each kind of mark in `bytes`. */
  readonly marks: Readonly<Record<Mark, readonly number[]>>
}

export function makeLogLines(options: LogLinesOptions): LogLines {
  const { errorShare, recordBytes } = options
  assert.ok(errorShare >= 0 && errorShare <= 1, 'errorShare is a share')
  assert.ok(recordBytes === null || recordBytes >= 0, 'recordBytes is a size')
  if (recordBytes !== null && recordBytes < MATCH_WORD.length && errorShare > 0) {
    const expected = `a record size of ${MATCH_WORD.length} or more to hold ${MATCH_WORD}`
    throw new LogpipeError('USAGE', `expected ${expected}, got ${recordBytes}`)
  }
  const random = seededRandom(options.seed)
  const others = makeVariants(options, random, false)
  const errors = errorShare > 0 ? makeVariants(options, random, true) : []
  const times = new TimeTexts()
  let count = 0

  return {
    next(wallMs) {
      const isError = matchesAmong(count + 1, errorShare) > matchesAmong(count, errorShare)
      count++
      const variants = isError ? errors : others
      const variant = variants[random.index(variants.length)]
      assert.ok(variant !== undefined)
      times.set(wallMs)
      patch(variant, times, random)
      return variant
    },
  }
}

/** How many of the first `count` lines contain ERROR. */
export function matchesAmong(count: number, errorShare: number): number {
  // The small addend takes back what a share such as 0.001 lacks in binary; it reaches no next
  // whole number.
  return Math.floor(count * errorShare + 1e-6)
}

function makeVariants(options: LogLinesOptions, random: Random, isError: boolean): Variant[] {
  const bytesEach = options.recordBytes ?? NATURAL_LINE_BYTES_MAX
  const affordable = Math.floor(VARIANTS_BYTES_MAX / Math.max(1, bytesEach))
  const count = Math.max(VARIANTS_MIN, Math.min(VARIANTS_MAX, affordable))
  return Array.from({ length: count }, () => {
    const level: Level = isError ? 'ERROR' : (LEVELS[random.index(LEVELS.length)] ?? 'INFO')
    const variant = makeVariant(level, options, random)
    const text = Buffer.from(variant.bytes)
    const first = text.indexOf(MATCH_WORD)
    assert.equal(first !== -1, isError, 'a line matches if and only if it was meant to')
    assert.equal(text.indexOf(MATCH_WORD, first + 1), isError ? -1 : first, 'and only once')
    assert.ok(options.recordBytes !== null || text.length <= NATURAL_LINE_BYTES_MAX)
    return variant
  })
}

function makeVariant(level: Level, options: LogLinesOptions, random: Random): Variant {
  const shape = pickShape(level, options.multiLine, random)
  const text = shape.text(level, random)
  const bytes = options.recordBytes
  if (bytes === null) return render(text.replace('%F', ''), shape.service, level)
  const missing = bytes - renderedBytes(text.replace('%F', ''))
  if (missing >= 0) {
    return render(text.replace('%F', filler(missing, shape.format, random)), shape.service, level)
  }
  // Too small for this shape: the level comes first, so that it is never what gets cut off.
  const short = `${level} %T ${shape.service} request=%I status=%N`
  return cut(render(short + filler(bytes, 'plain', random), shape.service, level), bytes)
}

function pickShape(level: Level, multiLine: boolean, random: Random): LogShape {
  const shapes = LOG_SHAPES.filter(
    (shape) => shape.levels.includes(level) && (multiLine || !shape.isMultiLine),
  )
  // A shape as often as it weighs; the weights are small whole numbers.
  const drawn = shapes.flatMap((shape) => Array.from({ length: shape.weight }, () => shape))
  const shape = drawn[random.index(drawn.length)]
  assert.ok(shape !== undefined, 'every level has a shape of one line')
  return shape
}

/**
 * Exactly `bytes` bytes, all ASCII. A JSON field if it fits, else blanks, so that JSON stays JSON.
 */
function filler(bytes: number, format: LogShape['format'], random: Random): string {
  const opening = format === 'json' ? ',"context":"' : ' context="'
  const frame = opening.length + 1
  if (bytes < frame) return ' '.repeat(bytes)
  let words = ''
  while (words.length < bytes - frame) {
    const word = FILLER_WORDS[random.index(FILLER_WORDS.length)] ?? ''
    words += `${word}=${random.next().toString(36)} `
  }
  return `${opening}${words.slice(0, bytes - frame)}"`
}

const MARKS = /%([TLIN])/g

/** Bytes of `text` once its marks are filled in. */
function renderedBytes(text: string): number {
  return Buffer.byteLength(blankMarks(text))
}

/** Each mark as the digit 1 as often as the mark is long. */
function blankMarks(text: string): string {
  return text.replace(MARKS, (_whole, mark: Mark) => '1'.repeat(MARK_BYTES[mark]))
}

function render(text: string, service: string, level: Level): Variant {
  const marks: Record<Mark, number[]> = { T: [], L: [], I: [], N: [] }
  for (const match of text.matchAll(MARKS)) {
    marks[match[1] as Mark].push(renderedBytes(text.slice(0, match.index)))
  }
  return { bytes: Buffer.from(blankMarks(text)), service, isError: level === 'ERROR', marks }
}

function cut(variant: Variant, bytes: number): Variant {
  const within = (mark: Mark) =>
    variant.marks[mark].filter((offset) => offset + MARK_BYTES[mark] <= bytes)
  const marks = { T: within('T'), L: within('L'), I: within('I'), N: within('N') }
  return { ...variant, bytes: variant.bytes.subarray(0, bytes), marks }
}

/** The two formats of a line's time, rendered again only when the millisecond changes. */
class TimeTexts {
  readonly T = Buffer.alloc(MARK_BYTES.T)
  readonly L = Buffer.alloc(MARK_BYTES.L)
  #wallMs = Number.NaN

  set(wallMs: number): void {
    if (wallMs === this.#wallMs) return
    this.#wallMs = wallMs
    const date = new Date(wallMs)
    this.T.write(date.toISOString(), 'latin1')
    // toUTCString: "Wed, 12 Nov 2025 10:15:32 GMT"
    const [, day = '', month = '', year = '', time = ''] = date.toUTCString().split(' ')
    this.L.write(`${day}/${month}/${year}:${time} +0000`, 'latin1')
  }
}

const HEX_DIGITS = Buffer.from('0123456789abcdef')
const ZERO = 0x30

function patch(variant: Variant, times: TimeTexts, random: Random): void {
  const { bytes, marks } = variant
  for (const offset of marks.T) bytes.set(times.T, offset)
  for (const offset of marks.L) bytes.set(times.L, offset)
  for (const offset of marks.I) {
    patchHex(bytes, offset, random.next())
    patchHex(bytes, offset + 8, random.next())
  }
  for (const offset of marks.N) patchNumber(bytes, offset, 1000 + random.index(9000))
}

function patchHex(bytes: Uint8Array, offset: number, value: number): void {
  for (let digit = 0; digit < 8; digit++) {
    bytes[offset + digit] = HEX_DIGITS[(value >>> (digit * 4)) & 15] ?? 0
  }
}

function patchNumber(bytes: Uint8Array, offset: number, value: number): void {
  let rest = value
  for (let digit = 3; digit >= 0; digit--) {
    bytes[offset + digit] = ZERO + (rest % 10)
    rest = Math.floor(rest / 10)
  }
}
