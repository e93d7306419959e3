/**
 * Dead letters as a worker lists them: one JSON object a line, the whole a list that may be cut off
 * when it was too long.
 */

import { member } from './command-output.ts'

export interface Letter {
  readonly workerId: string
  readonly id: string
  readonly at: string
  readonly status: number
  readonly errorType: string
  readonly reason: string
  readonly index: string
}

/** @param result of a dlq-list; whatever is no letter is left out. */
export function lettersOf(workerId: string, result: unknown): readonly Letter[] {
  const output = member(result, 'output')
  if (!Array.isArray(output)) return []
  return output.flatMap((each: unknown) => {
    const letter = typeof each === 'string' ? parsedLine(each) : each
    const id = member(letter, 'id')
    if (typeof id !== 'string') return []
    return [
      {
        workerId,
        id,
        at: text(letter, 'at'),
        status: Number(member(letter, 'status') ?? 0),
        errorType: text(letter, 'errorType'),
        reason: text(letter, 'reason'),
        index: text(letter, 'index'),
      },
    ]
  })
}

function parsedLine(line: string): unknown {
  try {
    return JSON.parse(line.replace(/^\[/, '').replace(/[,\]]$/, ''))
  } catch {
    // Cut off, or a sentence among the letters.
    return undefined
  }
}

function text(value: unknown, name: string): string {
  const found = member(value, name)
  return typeof found === 'string' ? found : ''
}
