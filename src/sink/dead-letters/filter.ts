/**
 * `--where` of `logpipe dlq`: which dead letters are meant, by expressions as --keep takes them.
 * All conditions must hold.
 *
 * A letter is asked as a record whose value is JSON: reason, errorType, status, index, topic,
 * partition, offset, stored (ms since 1970) and document, what was sent. @topic, @partition,
 * @offset and @time are those of its record.
 *
 * The form of before is another way to write the same tree:
 *
 *   reason~TEXT  errorType=TYPE  index=NAME  topic=NAME  status=400  partition=3
 *   offset=100  offset=100..200 (both included)  since=TIME  until=TIME (when it was stored)
 *   recordSince=TIME  recordUntil=TIME (the record's own time; one without a time is not meant)
 *
 * TIME is ISO 8601 with its zone; `=` compares all of the text, `~` looks for it without regard to
 * case.
 */
import { isUtf8 } from 'node:buffer'
import type { Bridge } from '../../bridge/bridge.ts'
import { LogpipeError } from '../../core/errors.ts'
import type { ExpressionNode, Order, Target } from '../../core/expression/ast.ts'
import { ExpressionError, parseExpression } from '../../core/expression/parse.ts'
import { parseTime } from '../../core/units.ts'
import { regexFault } from '../../options/filter.ts'
import { JSON_OBJECT, scanJson } from '../../core/json-scan.ts'
import type { StoredDeadLetter } from './dead-letter-files.ts'

export type DeadLetterFilter = (letter: StoredDeadLetter) => boolean

type Evaluator = Pick<Bridge, 'matcherOpen' | 'matcherTest' | 'regexCheck'>

const CLAUSE = /^(\w+)([=~])(?!["/ ])(.+)$/s
const TEXTS = ['reason', 'errorType', 'index', 'topic']
const NUMBERS = ['status', 'partition', 'offset']

/** The time to compare with, and the direction. */
const TIMES: Readonly<Record<string, readonly [target: Target, op: Order]>> = {
  since: [{ of: 'field', path: ['stored'] }, '>='],
  until: [{ of: 'field', path: ['stored'] }, '<'],
  recordSince: [{ of: 'time' }, '>='],
  recordUntil: [{ of: 'time' }, '<'],
}

const NO_BYTES = new Uint8Array(0)
const LINE_END = 0x0a

/**
 * No condition: every letter. The matcher stays open for the life of the process.
 * @throws LogpipeError USAGE.
 */
export function parseWhere(conditions: readonly string[], evaluator: Evaluator): DeadLetterFilter {
  if (conditions.length === 0) return () => true
  const keep: ExpressionNode = {
    kind: 'all',
    of: conditions.map((text) => clauseNode(text) ?? expressionNode(text, evaluator)),
  }
  const expression = JSON.stringify({ keep, drop: null, prefilter: null })
  const matcher = evaluator.matcherOpen({ expression })
  return (letter) => {
    const { topic, partition, offset, timestampMs } = letter
    const place = [topic, partition, offset, timestampMs] as const
    return evaluator.matcherTest(matcher, valueOf(letter), null, NO_BYTES, ...place)
  }
}

function expressionNode(text: string, evaluator: Evaluator): ExpressionNode {
  try {
    const parsed = parseExpression(text)
    const fault = regexFault(text, parsed.regexes, evaluator)
    if (fault !== null) throw fault
    return parsed.node
  } catch (cause) {
    if (!(cause instanceof ExpressionError)) throw cause
    const fields = 'reason, errorType, status, index, topic, partition, offset, stored, document.*'
    const what = `${cause.message}; a dead letter has the fields ${fields}`
    throw new LogpipeError('USAGE', `--where: ${what}`, { cause, below: cause.below })
  }
}

/** The tree of a condition in the form of before; null: it is none. */
function clauseNode(text: string): ExpressionNode | null {
  const [, name = '', operator = '', value = ''] = CLAUSE.exec(text) ?? []
  const field = { of: 'field', path: [name] } as const
  if (TEXTS.includes(name)) {
    // A word that an expression looks for minds the case; here it never did.
    if (operator === '=') return compared(field, { op: 'equals', text: value })
    const isExpression = /\s(?:and|or)\s|\)$/i.test(value)
    const source = value.replaceAll(/[^\p{L}\p{N}_]/gu, String.raw`\$&`)
    return isExpression ? null : compared(field, { op: 'regex', source, ignoreCase: true })
  }
  if (operator !== '=') return null
  const [, from, to = from] = /^(\d+)(?:\.\.(\d+))?$/.exec(value) ?? []
  if (NUMBERS.includes(name) && from !== undefined && to !== undefined) {
    const bounds = [
      compared(field, { op: '>=', text: from }),
      compared(field, { op: '<=', text: to }),
    ]
    return { kind: 'all', of: bounds }
  }
  const time = Object.hasOwn(TIMES, name) ? TIMES[name] : undefined
  const timeMs = parseTime(value)
  if (time === undefined || timeMs === undefined) return null
  return compared(time[0], { op: time[1], text: String(timeMs) })
}

function compared(
  target: Target,
  test: Extract<ExpressionNode, { kind: 'compare' }>['test'],
): ExpressionNode {
  return { kind: 'compare', target, test }
}

function valueOf(letter: StoredDeadLetter): Buffer {
  const { reason, errorType, status, index, topic, partition, offset, atMs } = letter
  const head = { reason, errorType, status, index, topic, partition, offset, stored: atMs }
  const payload = Buffer.from(letter.payload)
  const first = payload.indexOf(LINE_END) + 1
  const end = payload.at(-1) === LINE_END ? payload.length - 1 : payload.length
  const document = payload.subarray(first, end)
  const isJson = isUtf8(document) && scanJson(document, 0, document.length) === JSON_OBJECT
  const text = document.toString('utf8')
  return Buffer.from(
    `${JSON.stringify(head).slice(0, -1)},"document":${isJson ? text : JSON.stringify(text)}}`,
  )
}
