/**
 * Finds the row of the table of answers (answers.ts) that an answer falls under, and makes rows of
 * the overrides that an option may put before it.
 */
import { answerText, type AnswerAction, type AnswerOverride } from '../../options/notations.ts'
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

const VERDICTS = {
  retry: 'retry',
  hold: 'hold',
  'dead-letter': 'dead_letter',
  drop: 'drop',
  duplicate: 'duplicate',
} as const satisfies Readonly<Record<AnswerAction, Verdict>>

/** The row that an override puts before the table; it is about items only. */
export function overrideRow(override: AnswerOverride): AnswerRow {
  const { answer, action } = override
  const row = {
    name: answerText(override),
    scope: 'item',
    verdict: VERDICTS[action],
    meaning: 'Set by an option.',
  } as const
  return 'status' in answer
    ? { ...row, status: [answer.status, answer.status] }
    : { ...row, errorType: new RegExp(`^${answer.errorType}$`) }
}
