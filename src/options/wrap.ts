/**
 * Text in columns: wrapping for the help.
 */

/** Lines of at most `width` columns, each indented; a longer word stays whole. */
export function wrap(text: string, indentColumns: number, width: number): string[] {
  const margin = ' '.repeat(indentColumns)
  const lines: string[] = []
  let line = ''
  for (const word of text.split(' ')) {
    if (line !== '' && margin.length + line.length + 1 + word.length > width) {
      lines.push(margin + line)
      line = word
    } else {
      line = line === '' ? word : `${line} ${word}`
    }
  }
  return [...lines, margin + line]
}

/** A name at the left and its text from column `at`; a long name has a line of its own. */
export function fieldColumns(left: string, text: string, at: number, width: number): string[] {
  const lines = wrap(text, at, Math.max(width, at + 20))
  if (left.length > at - 2) return [left, ...lines]
  const first = lines[0] ?? ''
  return [left.padEnd(at) + first.slice(at), ...lines.slice(1)]
}
