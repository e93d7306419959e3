/**
 * What a check on a worker found, out of what `logpipe check` printed there.
 *
 * Its text is a table, its last part one line for each thing that was looked at: `WRONG  subject:
 * detail`. A check that could not look (a wrong option, another pipeline by now) says why instead.
 */
import type { Command } from './commands.ts'

const WRONG = /^WRONG\s+(.+)$/
/** A sentence has room for so many, and a line is cut by sync. */
const WRONG_MAX = 5

/** One line for each thing that is wrong; none where nothing is, or the check is not done. */
export function wrongOf({ state, result }: Pick<Command, 'state' | 'result'>): readonly string[] {
  if (state !== 'failed') return []
  const { output, message } = Object(result) as { output?: unknown; message?: unknown }
  const lines = Array.isArray(output) ? output.map(String).filter((line) => line !== '') : []
  const wrong = lines.flatMap((line) => WRONG.exec(line)?.[1] ?? [])
  if (wrong.length > 0) return wrong.slice(0, WRONG_MAX)
  return [typeof message === 'string' ? message : (lines.at(-1) ?? 'it failed')]
}
