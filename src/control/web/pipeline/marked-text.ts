/**
 * A text in parts, those that a pattern made match set apart.
 */

export interface Part {
  readonly text: string
  readonly isMatch: boolean
}

/** Marks in one text at most: a page of them helps nobody. */
const MARKS_MAX = 50

/** The leftmost match first, the longest pattern where several begin together. */
export function markedParts(text: string, patterns: readonly string[]): readonly Part[] {
  const wanted = patterns
    .filter((pattern) => pattern !== '')
    .sort((left, right) => right.length - left.length)
  const parts: Part[] = []
  let from = 0
  for (let marks = 0; marks < MARKS_MAX; marks++) {
    const hits = wanted
      .map((pattern) => ({ pattern, at: text.indexOf(pattern, from) }))
      .filter(({ at }) => at !== -1)
    const first = hits.reduce<(typeof hits)[number] | undefined>(
      (best, hit) => (best === undefined || hit.at < best.at ? hit : best),
      undefined,
    )
    if (first === undefined) break
    if (first.at > from) parts.push({ text: text.slice(from, first.at), isMatch: false })
    parts.push({ text: first.pattern, isMatch: true })
    from = first.at + first.pattern.length
  }
  if (from < text.length) parts.push({ text: text.slice(from), isMatch: false })
  return parts
}
