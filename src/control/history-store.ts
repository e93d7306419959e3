/**
 * Samples of metrics as rows, down-sampled and bounded.
 *
 * A row is one pipeline (0: the fleet) at one time step; its values are a JSON list in the order of
 * HISTORY_METRICS. Rows are written in batches, and old ones go a few at a time, so that no single
 * transaction takes long.
 */
import type Database from 'better-sqlite3'
import type { Statement } from 'better-sqlite3'

/** How long each step is kept: ten seconds for six hours, one minute for seven days. */
export const STORED_STEPS: readonly { readonly stepMs: number; readonly keepMs: number }[] = [
  { stepMs: 10_000, keepMs: 6 * 3_600_000 },
  { stepMs: 60_000, keepMs: 7 * 86_400_000 },
]
/**
 * 200 running pipelines at full length have 2.5 million rows of about 100 bytes: 250 MB. Beyond
 * that the oldest go before their time.
 */
const ROWS_MAX = 2_500_000
/** Deleting this many takes some milliseconds; a batch adds fewer, so the rest catches up. */
const DELETED_AT_ONCE = 5000

export interface HistoryRow {
  readonly stepMs: number
  readonly atMs: number
  readonly pipelineId: number
  readonly values: readonly number[]
}

export class HistoryStore {
  readonly #db: Database
  readonly #put: Statement
  readonly #range: Statement<{ readonly at_ms: number; readonly sample: string }>
  readonly #deleteBefore: Statement
  readonly #deleteOldest: Statement
  readonly #rowsMax: number
  #rowCount: number

  constructor(db: Database, rowsMax: number = ROWS_MAX) {
    this.#db = db
    this.#rowsMax = rowsMax
    this.#put = db.prepare(
      'INSERT OR REPLACE INTO history (step_ms, at_ms, pipeline_id, sample) VALUES (?, ?, ?, ?)',
    )
    this.#range = db.prepare(
      'SELECT at_ms, sample FROM history WHERE step_ms = ? AND pipeline_id = ? AND at_ms >= ?' +
        ' AND at_ms < ? ORDER BY at_ms',
    )
    this.#deleteBefore = db.prepare(
      'DELETE FROM history WHERE (step_ms, pipeline_id, at_ms) IN (SELECT step_ms, pipeline_id,' +
        ' at_ms FROM history WHERE step_ms = ? AND at_ms < ? ORDER BY at_ms LIMIT ?)',
    )
    this.#deleteOldest = db.prepare(
      'DELETE FROM history WHERE (step_ms, pipeline_id, at_ms) IN (SELECT step_ms, pipeline_id,' +
        ' at_ms FROM history ORDER BY step_ms, at_ms LIMIT ?)',
    )
    const count = db.prepare<{ readonly count: number }>('SELECT count(*) AS count FROM history')
    this.#rowCount = count.get()?.count ?? 0
  }

  /** Adds rows, and lets go of what is too old or too much. */
  write(rows: readonly HistoryRow[], nowMs: number): void {
    this.#db
      .transaction(() => {
        for (const row of rows) {
          const sample = JSON.stringify(row.values)
          this.#rowCount += this.#put.run(row.stepMs, row.atMs, row.pipelineId, sample).changes
        }
        for (const { stepMs, keepMs } of STORED_STEPS) {
          const cutMs = nowMs - keepMs
          this.#rowCount -= this.#deleteBefore.run(stepMs, cutMs, DELETED_AT_ONCE).changes
        }
        const surplus = Math.min(this.#rowCount - this.#rowsMax, DELETED_AT_ONCE)
        if (surplus > 0) this.#rowCount -= this.#deleteOldest.run(surplus).changes
      })
      .immediate()
  }

  /** Samples with fromMs <= time < toMs, in order of time. */
  range(
    stepMs: number,
    pipelineId: number,
    fromMs: number,
    toMs: number,
  ): { readonly atMs: number; readonly values: readonly number[] }[] {
    return this.#range.all(stepMs, pipelineId, fromMs, toMs).map(({ at_ms, sample }) => ({
      atMs: at_ms,
      values: JSON.parse(sample) as number[],
    }))
  }

  get rowCount(): number {
    return this.#rowCount
  }
}
