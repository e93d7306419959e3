/**
 * What a worker's command printed: its lines, and the findings of a check among them.
 */

/** The last lines that a command said, for people. */
export function outputLines(result: unknown, max: number): readonly string[] {
  const message = member(result, 'message')
  const output = member(result, 'output')
  const lines = Array.isArray(output) ? output.filter((line) => typeof line === 'string') : []
  return [...lines.slice(-max), ...(typeof message === 'string' ? [message] : [])]
}

export interface Finding {
  /** ok, WRONG, or -- for what was not tested. */
  readonly word: string
  readonly text: string
}

/** What a check found, among what else it said. */
export function findingsOf(lines: readonly string[]): readonly Finding[] {
  return lines.flatMap((line) => {
    const [, word, text] = /^(ok|note|warn|WRONG|--)\s+(\S.*)$/.exec(line) ?? []
    return word === undefined || text === undefined ? [] : [{ word, text }]
  })
}

export function member(value: unknown, name: string): unknown {
  return typeof value === 'object' && value !== null ? Reflect.get(value, name) : undefined
}
