/**
 * The books of each pipeline over all its workers, revisions and restarts.
 *
 * Each home of a worker sums its own children up and reports that sum by an id; a report replaces
 * the one before of the same id, so nothing is counted twice, whoever starts again. A worker that
 * is gone for good leaves its last report here.
 *
 * Bound. HOMES_MAX reports a pipeline; beyond it the two longest unheard become one, which counts a
 * home twice only when one that was unheard for so long comes back. Written every FLUSH_MS, at the
 * end, and at once where no other report will come; a live worker repeats itself each second.
 */
import { randomUUID } from 'node:crypto'
import type Database from 'better-sqlite3'
import type { Statement } from 'better-sqlite3'
import type { Clock } from '../core/clock.ts'
import { addBooks, booksIn, type LiveBooks, NO_BOOKS } from '../core/live-books.ts'

interface Report {
  readonly entries: LiveBooks
  readonly atMs: number
  readonly isWritten: boolean
}

interface Row {
  readonly pipeline_id: number
  readonly id: string
  readonly entries: string
  readonly updated_ms: number
}

/** Workers with a folder of their own each, and some years of replacing them. */
const HOMES_MAX = 1000
const FLUSH_MS = 10_000

export class BooksStore {
  readonly #db: Database
  readonly #clock: Clock
  readonly #pipelines = new Map<number, Map<string, Report>>()
  readonly #put: Statement
  readonly #delete: Statement
  #flushedMs: number

  constructor(db: Database, clock: Clock) {
    this.#db = db
    this.#clock = clock
    this.#flushedMs = clock.monotonicMs()
    // Of a pipeline that was deleted meanwhile nothing is kept.
    this.#put = db.prepare(
      'INSERT OR REPLACE INTO books (pipeline_id, id, entries, updated_ms)' +
        ' SELECT id, ?, ?, ? FROM pipelines WHERE id = ?',
    )
    this.#delete = db.prepare('DELETE FROM books WHERE pipeline_id = ? AND id = ?')
    const rows = db.prepare<Row>('SELECT * FROM books ORDER BY updated_ms').all()
    for (const { pipeline_id: pipelineId, id, entries, updated_ms: atMs } of rows) {
      const books = booksIn(JSON.parse(entries))
      if (books !== null) this.#of(pipelineId).set(id, { entries: books, atMs, isWritten: true })
    }
  }

  /** @param isLast the worker will not say it again. */
  report(pipelineId: number, id: string, entries: LiveBooks, isLast: boolean): void {
    const reports = this.#of(pipelineId)
    reports.delete(id)
    reports.set(id, { entries, atMs: this.#clock.wallMs(), isWritten: false })
    if (reports.size > HOMES_MAX) this.#merge(pipelineId, reports)
    if (isLast) this.flush()
  }

  /** The sum, and of how many homes it is; null: nobody has reported any. */
  of(pipelineId: number): { readonly entries: LiveBooks; readonly homes: number } | null {
    const reports = this.#pipelines.get(pipelineId)
    if (reports === undefined || reports.size === 0) return null
    const entries = [...reports.values()].reduce((sum, one) => addBooks(sum, one.entries), NO_BOOKS)
    return { entries, homes: reports.size }
  }

  pipelineDeleted(pipelineId: number): void {
    this.#pipelines.delete(pipelineId)
  }

  /** To be called about once a second. */
  tick(): void {
    if (this.#clock.monotonicMs() - this.#flushedMs >= FLUSH_MS) this.flush()
  }

  flush(): void {
    this.#flushedMs = this.#clock.monotonicMs()
    this.#db
      .transaction(() => {
        for (const [pipelineId, reports] of this.#pipelines) {
          for (const [id, report] of reports) {
            if (report.isWritten) continue
            this.#put.run(id, JSON.stringify(report.entries), report.atMs, pipelineId)
            reports.set(id, { ...report, isWritten: true })
          }
        }
      })
      .immediate()
  }

  #of(pipelineId: number): Map<string, Report> {
    const known = this.#pipelines.get(pipelineId)
    if (known !== undefined) return known
    const reports = new Map<string, Report>()
    this.#pipelines.set(pipelineId, reports)
    return reports
  }

  /** They are in the order in which they were heard. */
  #merge(pipelineId: number, reports: Map<string, Report>): void {
    const [first, second] = reports
    if (first === undefined || second === undefined) return
    for (const [id] of [first, second]) {
      reports.delete(id)
      this.#delete.run(pipelineId, id)
    }
    const [{ entries, atMs }, { entries: others }] = [first[1], second[1]]
    const rest = [...reports]
    reports.clear()
    reports.set(randomUUID(), { entries: addBooks(entries, others), atMs, isWritten: false })
    for (const [id, report] of rest) reports.set(id, report)
    this.flush()
  }
}
