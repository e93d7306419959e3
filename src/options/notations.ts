/**
 * The small languages that some options speak: addresses, lists, topics, times, outputs.
 *
 * Each parser takes the text as typed and answers the value, or undefined when it is not one; none
 * opens, resolves or guesses anything.
 */
import { isIP } from 'node:net'
import { parseDurationMs, parseTime } from '../core/units.ts'
import { isTopicExpression, topicExpressionFault } from './topic-expression.ts'

/** Where to listen; an empty host is every address. */
export interface ListenAddress {
  readonly host: string
  readonly port: number
}

/** Where matches go. */
export type OutputTarget =
  | { readonly kind: 'stdout' }
  | { readonly kind: 'none' }
  | { readonly kind: 'elasticsearch' }
  | { readonly kind: 'file'; readonly path: string }

/** Where refused documents go. */
export type DeadLetterTarget =
  | { readonly kind: 'file'; readonly path: string }
  | { readonly kind: 'topic'; readonly topic: string }

/** What an answer to one document may be taken for; anything else would lose documents. */
export const ANSWER_ACTIONS = ['retry', 'hold', 'dead-letter', 'drop', 'duplicate'] as const
export type AnswerAction = (typeof ANSWER_ACTIONS)[number]

/** An answer to one document, by its error type or its status, and what to do about it. */
export interface AnswerOverride {
  readonly answer: { readonly errorType: string } | { readonly status: number }
  readonly action: AnswerAction
}

/** Where a group without a committed offset starts. */
export type StartPosition =
  | { readonly kind: 'earliest' }
  | { readonly kind: 'latest' }
  | { readonly kind: 'time'; readonly timeMs: number }

/** The same as it is typed: some time ago, counted from when the pipeline starts. */
export type TypedStart = StartPosition | { readonly kind: 'ago'; readonly ms: number }

/** Longest topic name that Kafka accepts. */
const TOPIC_LENGTH_MAX = 249
/** Far above any cluster; keeps a typo (0-99999999999) from making a huge list. */
const PARTITIONS_MAX = 100_000
/** HOST, IPv4 or [IPv6], then :PORT; the host may be missing where listening allows it. */
const HOST_PORT = /^(\[[0-9A-Fa-f:.%]+\]|[A-Za-z0-9._-]*):(\d{1,5})$/

function splitList(text: string): string[] {
  return text.split(',').map((part) => part.trim())
}

/** Every part of a comma separated list through `parse`; undefined when one fails or none is. */
function listOf<T>(text: string, parse: (part: string) => T | undefined): T[] | undefined {
  const values: T[] = []
  for (const part of splitList(text)) {
    const value = parse(part)
    if (value === undefined) return undefined
    values.push(value)
  }
  return values
}

/** HOST:PORT, [IPv6]:PORT or :PORT; port 0 asks the system for a free one. */
export function parseAddress(text: string): ListenAddress | undefined {
  const match = HOST_PORT.exec(text.trim())
  if (match === null) return undefined
  const [, host = '', digits = ''] = match
  const port = Number(digits)
  return port <= 65_535 ? { host: host.replace(/^\[|\]$/g, ''), port } : undefined
}

/** Brokers as HOST:PORT; a port that is left out is Kafka's 9092. */
export function parseBrokers(text: string): string[] | undefined {
  return listOf(text, (part) => {
    const whole = /^[A-Za-z0-9._-]+$/.test(part) ? `${part}:9092` : part
    const address = parseAddress(whole)
    return address === undefined || address.host === '' || address.port === 0 ? undefined : whole
  })
}

export function parseUrl(text: string): string | undefined {
  const trimmed = text.trim()
  if (!/^https?:\/\//i.test(trimmed) || !URL.canParse(trimmed)) return undefined
  // A path that is added behind a query or a fragment, an empty one too, would be a part of it: the
  // request would go to any path that the rest of the URL names.
  if (/[?#]/.test(trimmed)) return undefined
  return trimmed.replace(/\/+$/, '')
}

/** How far a time may lie before and after now. */
export interface DateSpan {
  readonly pastMs: number
  readonly futureMs: number
}

/** A span that would reach before 1970, or beyond what a date can be, is none. */
const DATE_SPAN_MS_MAX = 36_500 * 86_400_000

/** "30d,1d": 30 days before now to 1 day after. */
export function parseDateSpan(text: string): DateSpan | 'off' | undefined {
  if (text.trim().toLowerCase() === 'off') return 'off'
  const times = text.split(',').map(parseDurationMs)
  const [pastMs, futureMs] = times
  if (times.length !== 2 || pastMs === undefined || futureMs === undefined) return undefined
  return Math.max(pastMs, futureMs) <= DATE_SPAN_MS_MAX ? { pastMs, futureMs } : undefined
}

/** As it is typed, in the largest units that give whole numbers. */
export function dateSpanText({ pastMs, futureMs }: DateSpan): string {
  const units = [
    ['d', 86_400_000],
    ['h', 3_600_000],
    ['s', 1000],
  ] as const
  const text = (ms: number) => {
    const [name, sizeMs] = units.find(([, size]) => ms % size === 0) ?? ['ms', 1]
    return `${ms / sizeMs}${name}`
  }
  return `${text(pastMs)},${text(futureMs)}`
}

/** Of any scheme: other programs read the variable too, and only its use is refused. */
export function parseProxy(text: string): string | undefined {
  const trimmed = text.trim()
  if (trimmed.toLowerCase() === 'none') return 'none'
  const whole = /^[a-z][a-z0-9+.-]*:\/\//i.test(trimmed) ? trimmed : `http://${trimmed}`
  return URL.canParse(whole) && new URL(whole).hostname !== '' ? whole : undefined
}

export function parseUrls(text: string): string[] | undefined {
  return listOf(text, parseUrl)
}

/** Topic names by Kafka's rules, or regular expressions, which start with ^. */
export function parseTopics(text: string): string[] | undefined {
  const topics = splitTopics(text)
  return topics.every((topic) => topicFault(topic) === null) ? topics : undefined
}

/** The first part that is neither, and why; undefined where there is none or the name is wrong. */
export function topicsFault(text: string): string | undefined {
  const wrong = splitTopics(text).find((topic) => topicFault(topic) !== null)
  return wrong !== undefined && isTopicExpression(wrong)
    ? `${wrong}: ${topicFault(wrong)}`
    : undefined
}

function topicFault(topic: string): string | null {
  if (isTopicExpression(topic)) return topicExpressionFault(topic)
  return isTopic(topic) ? null : 'not a topic name'
}

/** A comma within brackets belongs to an expression, as in ^app-[0-9]{1,2}$. */
function splitTopics(text: string): string[] {
  const ends: number[] = []
  let brackets = new OpenBrackets()
  let isExpression: boolean | undefined
  for (let at = 0; at < text.length; at++) {
    const character = text[at]!
    if (character === ',' && !(isExpression === true && brackets.isOpen)) {
      ends.push(at)
      brackets = new OpenBrackets()
      isExpression = undefined
    } else {
      isExpression ??= character.trim() === '' ? undefined : isTopicExpression(character)
      brackets.pass(character)
    }
  }
  return [...ends, text.length].map((end, index) =>
    text.slice(index === 0 ? 0 : ends[index - 1]! + 1, end).trim(),
  )
}

/** Which brackets of an expression stand open, a character after the other. */
class OpenBrackets {
  /** Of ( and of {: how many more were opened than closed. */
  readonly #more = { '(': 0, '{': 0 }
  #isInSet = false
  #isEscaped = false

  get isOpen(): boolean {
    return this.#isInSet || this.#more['('] > 0 || this.#more['{'] > 0
  }

  pass(character: string): void {
    const isEscaped = this.#isEscaped
    this.#isEscaped = character === '\\' && !isEscaped
    if (isEscaped || this.#isEscaped) return
    if (this.#isInSet) this.#isInSet = character !== ']'
    else if (character === '[') this.#isInSet = true
    else if (character === '(' || character === '{') this.#more[character]++
    else if (character === ')') this.#more['(']--
    else if (character === '}') this.#more['{']--
  }
}

/** Whether Kafka accepts this as a topic's name. */
export function isTopic(text: string): boolean {
  return /^[A-Za-z0-9._-]+$/.test(text) && text.length <= TOPIC_LENGTH_MAX && !/^\.\.?$/.test(text)
}

/** Words without blanks; an empty text is an empty list. */
export function parseNames(text: string): string[] | undefined {
  if (text.trim() === '') return []
  return listOf(text, (part) => (/^\S+$/.test(part) ? part : undefined))
}

/** Addresses, and ranges such as 10.0.0.0/8 or fd00::/8. */
export function parseNetworks(text: string): string[] | undefined {
  if (text.trim() === '') return []
  return listOf(text, (part) => {
    const [address = '', bits, ...more] = part.split('/')
    const family = isIP(address)
    const hasBits = bits === undefined || /^\d{1,3}$/.test(bits)
    const bitsMax = family === 6 ? 128 : 32
    const isRight = family !== 0 && hasBits && Number(bits ?? 0) <= bitsMax && more.length === 0
    return isRight ? part : undefined
  })
}

/** 0,3,7-9 -> [0, 3, 7, 8, 9]. */
export function parsePartitions(text: string): number[] | undefined {
  const partitions = new Set<number>()
  for (const part of splitList(text)) {
    const match = /^(\d{1,9})(?:-(\d{1,9}))?$/.exec(part)
    if (match === null) return undefined
    const first = Number(match[1])
    const last = Number(match[2] ?? match[1])
    if (last < first || last - first >= PARTITIONS_MAX) return undefined
    for (let partition = first; partition <= last; partition++) partitions.add(partition)
    if (partitions.size > PARTITIONS_MAX) return undefined
  }
  return [...partitions].sort((left, right) => left - right)
}

/** Digits with or without blanks, colons or 0x, in pairs; at least one byte. */
export function parseHex(text: string): string | undefined {
  const digits = text.replace(/^0x/i, '').replaceAll(/[\s:]/g, '').toLowerCase()
  return /^(?:[0-9a-f]{2})+$/.test(digits) ? digits : undefined
}

export function parsePair(text: string): [name: string, value: string] | undefined {
  const at = text.indexOf('=')
  const name = text.slice(0, at).trim()
  return at < 1 || name === '' ? undefined : [name, text.slice(at + 1)]
}

/** ERROR_TYPE=ACTION or STATUS=ACTION. */
export function parseAnswer(text: string): AnswerOverride | undefined {
  const [, left = '', right = ''] = /^([1-5]\d\d|[a-z][a-z0-9_]*)=([a-z-]+)$/.exec(text) ?? []
  const action = ANSWER_ACTIONS.find((each) => each === right)
  if (action === undefined) return undefined
  const status = Number(left)
  return { answer: Number.isNaN(status) ? { errorType: left } : { status }, action }
}

/** As it is typed. */
export function answerText({ answer, action }: AnswerOverride): string {
  return `${'status' in answer ? answer.status : answer.errorType}=${action}`
}

export function parseOutput(text: string): OutputTarget | undefined {
  if (text === 'stdout' || text === '-') return { kind: 'stdout' }
  if (text === 'none') return { kind: 'none' }
  if (text === 'elasticsearch') return { kind: 'elasticsearch' }
  const path = afterPrefix(text, 'file:')
  return path === undefined ? undefined : { kind: 'file', path }
}

export function parseDeadLetters(text: string): DeadLetterTarget | undefined {
  const path = afterPrefix(text, 'file:')
  if (path !== undefined) return { kind: 'file', path }
  const topic = afterPrefix(text, 'topic:')
  return topic === undefined || !isTopic(topic) ? undefined : { kind: 'topic', topic }
}

function afterPrefix(text: string, prefix: string): string | undefined {
  return text.startsWith(prefix) && text.length > prefix.length && !text.includes('\0')
    ? text.slice(prefix.length)
    : undefined
}

/** The words of Kafka's other tools mean the same. */
const STARTS: ReadonlyMap<string, StartPosition> = new Map([
  ['earliest', { kind: 'earliest' }],
  ['beginning', { kind: 'earliest' }],
  ['latest', { kind: 'latest' }],
  ['end', { kind: 'latest' }],
])

/** A word, a time, a date, which begins at midnight UTC, or -1h: so long before the start. */
export function parseStart(text: string): TypedStart | undefined {
  const start = STARTS.get(text)
  if (start !== undefined) return start
  if (text.startsWith('-')) {
    const ms = parseDurationMs(text.slice(1))
    return ms === undefined || !Number.isSafeInteger(ms) ? undefined : { kind: 'ago', ms }
  }
  const timeMs = parseTime(/^\d{4}-\d{2}-\d{2}$/.test(text) ? `${text}Z` : text)
  return timeMs === undefined ? undefined : { kind: 'time', timeMs }
}

/** @param nowMs since 1970 */
export function startAt(start: TypedStart, nowMs: number): StartPosition {
  return start.kind === 'ago' ? { kind: 'time', timeMs: Math.max(0, nowMs - start.ms) } : start
}
