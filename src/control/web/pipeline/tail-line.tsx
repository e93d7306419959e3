/**
 * One match of the live tail, with what made it match set apart.
 */
import { clockTime } from '../parts/format.ts'
import { markedParts } from './marked-text.ts'
import type { TailEntry } from './use-tail.ts'

interface Props {
  readonly line: TailEntry
  readonly patterns: readonly string[]
}

export function TailLine({ line, patterns }: Props) {
  const at = new Date(line.atMs).toISOString()
  return (
    <li>
      <span class="tail-head">
        <time dateTime={at}>{clockTime(at).slice(11)}</time> {line.workerId}
      </span>
      <code>
        {markedParts(line.text, patterns).map(({ text, isMatch }, index) =>
          isMatch ? <mark key={index}>{text}</mark> : text,
        )}
      </code>
    </li>
  )
}
