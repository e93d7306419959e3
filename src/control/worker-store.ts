/**
 * Workers as rows: who has ever called, and what each was given.
 *
 * What a worker does just now is not here but in memory (fleet.ts): it comes anew every second. A
 * row is written when an assignment changes, and its last_seen_ms once in a while.
 */
import type Database from 'better-sqlite3'
import type { Statement } from 'better-sqlite3'

export interface WorkerRecord {
  readonly id: string
  /** Assigned by a person, not by the scheduler. */
  readonly pinned: boolean
  readonly pipelineId: number | null
  readonly desiredState: 'running' | 'stopped'
  readonly pollMs: number
  readonly firstSeenMs: number
  readonly lastSeenMs: number
}

interface WorkerRow {
  readonly id: string
  readonly pinned: number
  readonly pipeline_id: number | null
  readonly desired_state: 'running' | 'stopped'
  readonly poll_ms: number
  readonly first_seen_ms: number
  readonly last_seen_ms: number
}

export class WorkerStore {
  readonly #db: Database
  readonly #all: Statement<WorkerRow>
  readonly #put: Statement
  readonly #delete: Statement

  constructor(db: Database) {
    this.#db = db
    this.#all = db.prepare('SELECT * FROM workers ORDER BY id')
    this.#put = db.prepare(
      'INSERT INTO workers (id, pinned, pipeline_id, desired_state, poll_ms, first_seen_ms,' +
        ' last_seen_ms) VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT (id) DO UPDATE SET' +
        ' pinned = excluded.pinned, pipeline_id = excluded.pipeline_id,' +
        ' desired_state = excluded.desired_state, poll_ms = excluded.poll_ms,' +
        ' last_seen_ms = excluded.last_seen_ms',
    )
    this.#delete = db.prepare('DELETE FROM workers WHERE id = ?')
  }

  all(): WorkerRecord[] {
    return this.#all.all().map((row) => ({
      id: row.id,
      // Deleting a pipeline leaves the mark of a pin to nothing.
      pinned: row.pinned === 1 && row.pipeline_id !== null,
      pipelineId: row.pipeline_id,
      desiredState: row.desired_state,
      pollMs: row.poll_ms,
      firstSeenMs: row.first_seen_ms,
      lastSeenMs: row.last_seen_ms,
    }))
  }

  /** Writes these rows, all or none. */
  put(records: readonly WorkerRecord[]): void {
    if (records.length === 0) return
    this.#db
      .transaction(() => {
        for (const record of records) {
          this.#put.run(
            record.id,
            Number(record.pinned),
            record.pipelineId,
            record.desiredState,
            record.pollMs,
            record.firstSeenMs,
            record.lastSeenMs,
          )
        }
      })
      .immediate()
  }

  delete(id: string): void {
    this.#delete.run(id)
  }
}
