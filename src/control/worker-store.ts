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
  /** Of the secret that it sent first (SHA-256); null: it sent none yet. */
  readonly secretHash: string | null
}

/** A worker was given a pipeline, with its secrets. */
export interface Gift {
  readonly workerId: string
  readonly pipelineId: number
  /** The oldest revision that it was given. */
  readonly revision: number
}

/** What a worker may ask again: far more than it can have left a spill of. */
export const GIFTS_KEPT = 32

interface WorkerRow {
  readonly id: string
  readonly pinned: number
  readonly pipeline_id: number | null
  readonly desired_state: 'running' | 'stopped'
  readonly poll_ms: number
  readonly first_seen_ms: number
  readonly last_seen_ms: number
  readonly secret_hash: string | null
}

interface GiftRow {
  readonly worker_id: string
  readonly pipeline_id: number
  readonly revision: number
}

export class WorkerStore {
  readonly #db: Database
  readonly #all: Statement<WorkerRow>
  readonly #put: Statement
  readonly #delete: Statement
  readonly #gifts: Statement<GiftRow>
  readonly #give: Statement
  readonly #trimGifts: Statement

  constructor(db: Database) {
    this.#db = db
    this.#all = db.prepare('SELECT * FROM workers ORDER BY id')
    this.#put = db.prepare(
      'INSERT INTO workers (id, pinned, pipeline_id, desired_state, poll_ms, first_seen_ms,' +
        ' last_seen_ms, secret_hash) VALUES (?, ?, ?, ?, ?, ?, ?, ?)' +
        ' ON CONFLICT (id) DO UPDATE SET' +
        ' pinned = excluded.pinned, pipeline_id = excluded.pipeline_id,' +
        ' desired_state = excluded.desired_state, poll_ms = excluded.poll_ms,' +
        ' last_seen_ms = excluded.last_seen_ms, secret_hash = excluded.secret_hash',
    )
    this.#delete = db.prepare('DELETE FROM workers WHERE id = ?')
    this.#gifts = db.prepare(
      'SELECT worker_id, pipeline_id, revision FROM worker_pipelines' +
        ' ORDER BY given_ms, pipeline_id',
    )
    this.#give = db.prepare(
      'INSERT INTO worker_pipelines (worker_id, pipeline_id, given_ms, revision)' +
        ' VALUES (?, ?, ?, ?)' +
        ' ON CONFLICT (worker_id, pipeline_id) DO UPDATE SET given_ms = excluded.given_ms',
    )
    this.#trimGifts = db.prepare(
      'DELETE FROM worker_pipelines WHERE worker_id = ? AND pipeline_id NOT IN (SELECT' +
        ' pipeline_id FROM worker_pipelines WHERE worker_id = ? ORDER BY given_ms DESC,' +
        ' pipeline_id DESC LIMIT ?)',
    )
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
      secretHash: row.secret_hash,
    }))
  }

  /** Who was given what, the oldest first. */
  gifts(): Gift[] {
    return this.#gifts.all().map((row) => ({
      workerId: row.worker_id,
      pipelineId: row.pipeline_id,
      revision: row.revision,
    }))
  }

  /** Writes these rows, all or none. */
  put(records: readonly WorkerRecord[], gifts: readonly Gift[] = [], nowMs = 0): void {
    if (records.length === 0 && gifts.length === 0) return
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
            record.secretHash,
          )
        }
        for (const { workerId, pipelineId, revision } of gifts) {
          this.#give.run(workerId, pipelineId, nowMs, revision)
          this.#trimGifts.run(workerId, workerId, GIFTS_KEPT)
        }
      })
      .immediate()
  }

  delete(id: string): void {
    this.#delete.run(id)
  }
}
