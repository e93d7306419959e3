/** Columns and counts for people. */
import type { Log } from '../core/log.ts'

/**
 * Rows with their columns aligned, two spaces apart; the last column is as long as it is.
 * @param right the columns that are aligned on the right, as numbers are
 */
export function textTable(
  rows: readonly (readonly string[])[],
  right: ReadonlySet<number> = new Set(),
): string {
  const widths: number[] = []
  for (const row of rows) {
    for (const [column, cell] of row.entries()) {
      widths[column] = Math.max(widths[column] ?? 0, cell.length)
    }
  }
  const lines = rows.map((row) =>
    row
      .map((cell, column) => {
        if (right.has(column)) return cell.padStart(widths[column] ?? 0)
        return column === row.length - 1 ? cell : cell.padEnd(widths[column] ?? 0)
      })
      .join('  '),
  )
  return lines.map((line) => `${line}\n`).join('')
}

/** "1 entry", "2 entries". */
export function counted(count: number, one: string, many = `${one}s`): string {
  return `${count} ${count === 1 ? one : many}`
}

/** How far a command has come, on stderr, every few seconds. */
interface Progress {
  /** These were sent. */
  add(documentCount: number): void
  end(): void
}

const EVERY_MS = 5000

/** @param trouble what is wrong now, in one line, or null. */
export function progressLog(log: Log, trouble: () => string | null): Progress {
  let sentCount = 0
  const timer = setInterval(() => {
    const why = trouble()
    log.info(`${counted(sentCount, 'document')} sent${why === null ? '' : `; ${why}`}`)
  }, EVERY_MS)
  return {
    add: (documentCount) => {
      sentCount += documentCount
    },
    end: () => clearInterval(timer),
  }
}
