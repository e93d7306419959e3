/**
 * Finds the row of the table of answers (answers.ts) that an answer falls under, and reads the
 * overrides that an option may put before it.
 */
import { LogpipeError } from '../../core/errors.ts'
import { ANSWERS, type AnswerRow, type Verdict } from './answers.ts'

/** One answer, as far as the table looks at it. */
export interface Answer {
  readonly scope: 'item' | 'request'
  readonly status: number
  readonly errorType: string
  readonly reason: string
}

/** The row for an answer. Total: there is always one. */
export function judge(answer: Answer, overrides: readonly AnswerRow[]): AnswerRow {
  const row =
    overrides.find((candidate) => matches(candidate, answer)) ??
    ANSWERS.find((candidate) => matches(candidate, answer))
  return row ?? ANSWERS[ANSWERS.length - 1]!
}

function matches(row: AnswerRow, answer: Answer): boolean {
  if (row.scope !== 'any' && row.scope !== answer.scope) return false
  if (row.errorType !== undefined && !row.errorType.test(answer.errorType)) return false
  if (row.reason !== undefined && !row.reason.test(answer.reason)) return false
  const [first, last] = row.status ?? [0, 999]
  return answer.status >= first && answer.status <= last
}

/** What an override may ask for. Others would lose documents or make no sense for an item. */
const OVERRIDE_VERDICTS: ReadonlyMap<string, Verdict> = new Map([
  ['retry', 'retry'],
  ['hold', 'hold'],
  ['dead-letter', 'dead_letter'],
  ['drop', 'drop'],
  ['duplicate', 'duplicate'],
])

/**
 * Reads one override: `ERROR_TYPE=VERDICT` or `STATUS=VERDICT`, for items.
 * @throws LogpipeError USAGE
 */
export function parseAnswerOverride(text: string): AnswerRow {
  const [left = '', right = ''] = text.split('=')
  const verdict = OVERRIDE_VERDICTS.get(right)
  if (verdict === undefined || !/^([1-5]\d\d|[a-z][a-z0-9_]*)$/.test(left)) {
    const verdicts = [...OVERRIDE_VERDICTS.keys()].join('|')
    throw new LogpipeError('USAGE', `"${text}" is not ERROR_TYPE=VERDICT or STATUS=${verdicts}`)
  }
  const row = { name: text, scope: 'item', verdict, meaning: 'Set by an option.' } as const
  const status = Number(left)
  return Number.isNaN(status)
    ? { ...row, errorType: new RegExp(`^${left}$`) }
    : { ...row, status: [status, status] }
}
