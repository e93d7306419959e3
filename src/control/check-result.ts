/**
 * What a check on a worker found, out of what `logpipe check` printed there.
 *
 * Its text is a table, its last part one line for each thing that was looked at: `WRONG  subject:
 * detail`. A check that could not look (a wrong option, another pipeline by now) says why instead.
 */
import type { Command } from './commands.ts'

const WRONG = /^WRONG\s+(.+)$/
const FINDING = /^(ok|warn|WRONG|--)\s/
/** Of a check that found nothing to say, what it said instead. */
const LINES_MAX = 12
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

/**
 * The result without the configuration that the check tells first: a list of pipelines holds one of
 * these for each. The whole is at /api/commands/ID.
 */
export function findingsOf(result: unknown): unknown {
  const { output } = Object(result) as { output?: unknown }
  if (!Array.isArray(output)) return result
  const lines = output.map(String)
  const found = lines.filter((line) => FINDING.test(line))
  const verdict = lines.at(-1)
  const kept =
    found.length === 0 ? lines.slice(-LINES_MAX) : [...found, ...(verdict ? [verdict] : [])]
  return { ...Object(result), output: kept }
}
