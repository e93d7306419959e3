/**
 * "Did you mean": the known name nearest to what was typed.
 */

/** More edits than this are another word rather than a slip. */
const EDITS_MAX = 3
/** Longer input is not a slip of the pen; it also bounds the work. */
const LENGTH_MAX = 64

/** The nearest of the names, or undefined when none is near; the first of equals wins. */
export function nearest(typed: string, names: Iterable<string>): string | undefined {
  if (typed.length > LENGTH_MAX) return undefined
  let best: string | undefined
  let bestEdits = Math.min(EDITS_MAX, Math.floor(typed.length / 2)) + 1
  for (const name of names) {
    const edits = editCount(typed, name)
    if (edits < bestEdits) {
      best = name
      bestEdits = edits
    }
  }
  if (best !== undefined) return best
  // A word left out (--es-time for --es-timeout-ms), or one too many (--brokers-list for
  // --brokers), is many letters, yet a likely slip.
  const all = [...names]
  const longer = all.find((name) => typed.length > 3 && name.startsWith(typed))
  const shorter = all.filter((name) => name.length > 4 && typed.startsWith(`${name}-`))
  return longer ?? shorter.toSorted((left, right) => right.length - left.length)[0]
}

/** " (did you mean NAME?)" or nothing, to end a message. */
export function didYouMean(typed: string, names: Iterable<string>): string {
  const name = nearest(typed, names)
  return name === undefined ? '' : ` (did you mean ${name}?)`
}

/** Insertions, deletions, changes and swaps of neighbours (optimal string alignment). */
function editCount(left: string, right: string): number {
  let beforeLast: number[] = []
  let last = Array.from({ length: right.length + 1 }, (_, index) => index)
  for (let row = 1; row <= left.length; row++) {
    const current = [row]
    for (let column = 1; column <= right.length; column++) {
      const same = left[row - 1] === right[column - 1]
      let edits = Math.min(
        (last[column] ?? 0) + 1,
        (current[column - 1] ?? 0) + 1,
        (last[column - 1] ?? 0) + (same ? 0 : 1),
      )
      const swapped = left[row - 1] === right[column - 2] && left[row - 2] === right[column - 1]
      if (row > 1 && column > 1 && swapped) {
        edits = Math.min(edits, (beforeLast[column - 2] ?? 0) + 1)
      }
      current.push(edits)
    }
    beforeLast = last
    last = current
  }
  return last[right.length] ?? 0
}
