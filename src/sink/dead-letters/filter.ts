/**
 * `--where` of `logpipe dlq`: which dead letters are meant. All clauses must hold.
 *
 *   reason~TEXT  errorType=TYPE  index=NAME  topic=NAME  status=400  partition=3
 *   offset=100  offset=100..200 (both included)  since=TIME  until=TIME (when it was stored)
 *   recordSince=TIME  recordUntil=TIME (the record's own time; one without a time is not meant)
 *
 * TIME is ISO 8601 with its zone; `=` compares all of the text, `~` looks for it without regard to
 * case.
 */
import { LogpipeError } from '../../core/errors.ts'
import { parseTime } from '../../core/units.ts'
import type { StoredDeadLetter } from './dead-letter-files.ts'

export type DeadLetterFilter = (letter: StoredDeadLetter) => boolean

const CLAUSE = /^(\w+)([=~])(.*)$/s

const TEXTS = {
  reason: (letter: StoredDeadLetter) => letter.reason,
  errorType: (letter: StoredDeadLetter) => letter.errorType,
  index: (letter: StoredDeadLetter) => letter.index,
  topic: (letter: StoredDeadLetter) => letter.topic,
} as const

const NUMBERS = {
  status: (letter: StoredDeadLetter) => letter.status,
  partition: (letter: StoredDeadLetter) => letter.partition,
  offset: (letter: StoredDeadLetter) => letter.offset,
} as const

/** The time that a letter has to have, and which side of it. */
const TIMES = {
  since: (letter: StoredDeadLetter, timeMs: number) => letter.atMs >= timeMs,
  until: (letter: StoredDeadLetter, timeMs: number) => letter.atMs < timeMs,
  recordSince: ({ timestampMs }: StoredDeadLetter, timeMs: number) =>
    timestampMs !== -1 && timestampMs >= timeMs,
  recordUntil: ({ timestampMs }: StoredDeadLetter, timeMs: number) =>
    timestampMs !== -1 && timestampMs < timeMs,
} as const

/** No clause: every letter. @throws LogpipeError USAGE. */
export function parseWhere(clauses: readonly string[]): DeadLetterFilter {
  const filters = clauses.map(parseClause)
  return (letter) => filters.every((filter) => filter(letter))
}

function parseClause(clause: string): DeadLetterFilter {
  const [, field = '', operator = '', value = ''] = CLAUSE.exec(clause) ?? []
  if (isKey(TEXTS, field)) {
    const textOf = TEXTS[field]
    const folded = value.toLowerCase()
    return operator === '='
      ? (letter) => textOf(letter) === value
      : (letter) => textOf(letter).toLowerCase().includes(folded)
  }
  if (operator === '=' && isKey(NUMBERS, field)) {
    const numberOf = NUMBERS[field]
    const [, from = '', to = from] = /^(\d+)(?:\.\.(\d+))?$/.exec(value) ?? []
    if (from !== '') {
      const [low, high] = [Number(from), Number(to)]
      return (letter) => numberOf(letter) >= low && numberOf(letter) <= high
    }
  }
  const timeMs = parseTime(value)
  if (operator === '=' && isKey(TIMES, field) && timeMs !== undefined) {
    const isMeant = TIMES[field]
    return (letter) => isMeant(letter, timeMs)
  }
  throw new LogpipeError(
    'USAGE',
    `--where: expected reason~TEXT, errorType=, index=, topic=, status=, partition=, ` +
      `offset=FROM..TO, since=TIME, until=TIME, recordSince=TIME or recordUntil=TIME ` +
      `(a time with its zone, as 2026-09-01T00:00Z), got "${clause}"`,
  )
}

function isKey<T extends object>(table: T, key: string): key is keyof T & string {
  return Object.hasOwn(table, key)
}
