/** Columns and counts for people. */

/**
 * Lines, without their ends, of rows with their columns aligned, two spaces apart; the last column
 * is as long as it is.
 * @param isRight whether a column is aligned on the right, as numbers are
 */
export function tableLines(
  rows: readonly (readonly string[])[],
  isRight: (column: number) => boolean,
): string[] {
  const widths: number[] = []
  for (const row of rows) {
    for (const [column, cell] of row.entries()) {
      widths[column] = Math.max(widths[column] ?? 0, cell.length)
    }
  }
  return rows.map((row) =>
    row
      .map((cell, column) => {
        if (isRight(column)) return cell.padStart(widths[column] ?? 0)
        return column === row.length - 1 ? cell : cell.padEnd(widths[column] ?? 0)
      })
      .join('  '),
  )
}

/** As tableLines, each line with its end. */
export function textTable(
  rows: readonly (readonly string[])[],
  right: ReadonlySet<number> = new Set(),
): string {
  return tableLines(rows, (column) => right.has(column))
    .map((line) => `${line}\n`)
    .join('')
}

/** "1 entry", "2 entries". */
export function counted(count: number, one: string, many = `${one}s`): string {
  return `${count} ${count === 1 ? one : many}`
}
