/**
 * Pipelines and their revisions, as rows.
 *
 * `revision` counts changes of the configuration; `version` counts every change, start and stop
 * included, and is what ETag shows. Each revision is kept, REVISIONS_KEPT of them; going back to
 * one makes a new revision with its content, so that history only grows. Only a secret that is
 * removed goes from all of them. Secrets are sealed on their way in.
 */
import type Database from 'better-sqlite3'
import type { Statement } from 'better-sqlite3'
import assert from 'node:assert/strict'
import { emptyLog } from './database.ts'
import type { PipelineSettings, Secrets } from './pipeline-fields.ts'
import type { SecretBox } from './secret-box.ts'

/** Enough to find the change that broke something; about 100 KB a pipeline at the very most. */
const REVISIONS_KEPT = 50

/** What a person writes: the content of a revision. */
export interface PipelineContent {
  readonly name: string
  readonly settings: PipelineSettings
  readonly secrets: Secrets
  readonly replicas: number
}

export interface Pipeline extends PipelineContent {
  readonly id: number
  /** Wanted to run; the same thing as desired_state `running`. */
  readonly enabled: boolean
  readonly revision: number
  readonly version: number
  /** The last that ran well on a worker; null: none so far. */
  readonly goodRevision: number | null
  readonly createdMs: number
  readonly updatedMs: number
}

export interface Revision extends PipelineContent {
  readonly revision: number
  readonly createdMs: number
}

/** What the scheduler needs of a pipeline. */
export interface PipelineWish {
  readonly id: number
  readonly enabled: boolean
  readonly replicas: number
}

interface ContentRow {
  readonly name: string
  readonly settings: string
  readonly secrets: string
  readonly replicas: number
  readonly revision: number
  readonly created_ms: number
}

interface PipelineRow extends ContentRow {
  readonly id: number
  readonly enabled: number
  readonly version: number
  readonly good_revision: number | null
  readonly updated_ms: number
}

export class PipelineStore {
  readonly #db: Database
  readonly #box: SecretBox
  readonly #insert: Statement
  readonly #get: Statement<PipelineRow>
  readonly #getByName: Statement<PipelineRow>
  readonly #page: Statement<PipelineRow>
  readonly #count: Statement<{ readonly count: number }>
  readonly #wishes: Statement<{ id: number; enabled: number; replicas: number }>
  readonly #update: Statement
  readonly #setEnabled: Statement
  readonly #setGood: Statement
  readonly #delete: Statement
  readonly #keepRevision: Statement
  readonly #trimRevisions: Statement
  readonly #setSecrets: Statement
  readonly #revisions: Statement<ContentRow>
  readonly #revision: Statement<ContentRow>

  constructor(db: Database, box: SecretBox) {
    this.#db = db
    this.#box = box
    this.#insert = db.prepare(
      'INSERT INTO pipelines (name, settings, secrets, enabled, replicas, revision, version,' +
        ' created_ms, updated_ms) VALUES (?, ?, ?, ?, ?, 1, 1, ?, ?)',
    )
    this.#get = db.prepare('SELECT * FROM pipelines WHERE id = ?')
    this.#getByName = db.prepare('SELECT * FROM pipelines WHERE name = ?')
    this.#page = db.prepare('SELECT * FROM pipelines WHERE id > ? ORDER BY id LIMIT ?')
    this.#count = db.prepare('SELECT count(*) AS count FROM pipelines')
    this.#wishes = db.prepare('SELECT id, enabled, replicas FROM pipelines ORDER BY id')
    this.#update = db.prepare(
      'UPDATE pipelines SET name = ?, settings = ?, secrets = ?, enabled = ?, replicas = ?,' +
        ' revision = revision + 1, version = version + 1, updated_ms = ? WHERE id = ?',
    )
    this.#setEnabled = db.prepare(
      'UPDATE pipelines SET enabled = ?, version = version + 1, updated_ms = ? WHERE id = ?',
    )
    this.#setGood = db.prepare(
      'UPDATE pipelines SET good_revision = ? WHERE id = ? AND good_revision IS NOT ?',
    )
    this.#delete = db.prepare('DELETE FROM pipelines WHERE id = ?')
    this.#keepRevision = db.prepare(
      'INSERT INTO revisions SELECT id, revision, name, settings, secrets, replicas, updated_ms' +
        ' FROM pipelines WHERE id = ?',
    )
    this.#trimRevisions = db.prepare(
      'DELETE FROM revisions WHERE pipeline_id = ? AND revision <= ?',
    )
    this.#setSecrets = db.prepare(
      'UPDATE revisions SET secrets = ? WHERE pipeline_id = ? AND revision = ?',
    )
    this.#revisions = db.prepare(
      'SELECT * FROM revisions WHERE pipeline_id = ? ORDER BY revision DESC',
    )
    this.#revision = db.prepare('SELECT * FROM revisions WHERE pipeline_id = ? AND revision = ?')
  }

  insert(content: PipelineContent, enabled: boolean, nowMs: number): Pipeline {
    return this.#db
      .transaction(() => {
        const { name, settings, secrets, replicas } = content
        const { lastInsertRowid } = this.#insert.run(
          name,
          JSON.stringify(settings),
          this.#sealed(secrets),
          Number(enabled),
          replicas,
          nowMs,
          nowMs,
        )
        const id = Number(lastInsertRowid)
        this.#keepRevision.run(id)
        return this.#mustGet(id)
      })
      .immediate()
  }

  /**
   * Puts new content in place of the old, as a new revision.
   * @param removed keys of secrets that somebody removed: no revision keeps them
   */
  update(
    id: number,
    content: PipelineContent,
    enabled: boolean,
    nowMs: number,
    removed: readonly string[] = [],
  ): Pipeline {
    const updated = this.#db
      .transaction(() => {
        const { name, settings, secrets, replicas } = content
        const changed = this.#update.run(
          name,
          JSON.stringify(settings),
          this.#sealed(secrets),
          Number(enabled),
          replicas,
          nowMs,
          id,
        )
        assert.equal(changed.changes, 1)
        this.#keepRevision.run(id)
        const pipeline = this.#mustGet(id)
        this.#trimRevisions.run(id, pipeline.revision - REVISIONS_KEPT)
        this.#purge(id, removed)
        return pipeline
      })
      .immediate()
    if (removed.length > 0) emptyLog(this.#db)
    return updated
  }

  /** Start or stop; says so even when nothing changed, without making a new version then. */
  setEnabled(id: number, enabled: boolean, nowMs: number): Pipeline {
    const pipeline = this.#mustGet(id)
    if (pipeline.enabled === enabled) return pipeline
    this.#setEnabled.run(Number(enabled), nowMs, id)
    return this.#mustGet(id)
  }

  /** Notes that a revision ran well; no change by anybody, so the version stays. */
  setGood(id: number, revision: number): void {
    if (this.get(id)?.goodRevision === revision) return
    this.#setGood.run(revision, id, revision)
  }

  /** Deletes the pipeline, its revisions, and every assignment of it. */
  delete(id: number): void {
    this.#delete.run(id)
    emptyLog(this.#db)
  }

  get(id: number): Pipeline | undefined {
    const row = this.#get.get(id)
    return row === undefined ? undefined : this.#pipelineOf(row)
  }

  getByName(name: string): Pipeline | undefined {
    const row = this.#getByName.get(name)
    return row === undefined ? undefined : this.#pipelineOf(row)
  }

  /** At most `limit` pipelines with ids above `afterId`, in order of id. */
  page(afterId: number, limit: number): Pipeline[] {
    return this.#page.all(afterId, limit).map((row) => this.#pipelineOf(row))
  }

  count(): number {
    return this.#count.get()?.count ?? 0
  }

  wishes(): PipelineWish[] {
    return this.#wishes
      .all()
      .map(({ id, enabled, replicas }) => ({ id, enabled: enabled === 1, replicas }))
  }

  /** The kept revisions, newest first; the first is the present one. */
  revisions(id: number): Revision[] {
    return this.#revisions.all(id).map((row) => this.#revisionOf(row))
  }

  revision(id: number, revision: number): Revision | undefined {
    const row = this.#revision.get(id, revision)
    return row === undefined ? undefined : this.#revisionOf(row)
  }

  #mustGet(id: number): Pipeline {
    const pipeline = this.get(id)
    assert.ok(pipeline !== undefined, `pipeline ${id} exists`)
    return pipeline
  }

  /** Takes a removed secret from every revision: history must not hold what nobody wants kept. */
  #purge(id: number, keys: readonly string[]): void {
    if (keys.length === 0) return
    for (const { revision, secrets } of this.revisions(id)) {
      const kept = Object.entries(secrets).filter(([key]) => !keys.includes(key))
      if (kept.length === Object.keys(secrets).length) continue
      this.#setSecrets.run(this.#sealed(Object.fromEntries(kept)), id, revision)
    }
  }

  #sealed(secrets: Secrets): string {
    return Object.keys(secrets).length === 0 ? '{}' : this.#box.seal(JSON.stringify(secrets))
  }

  #revisionOf(row: ContentRow): Revision {
    return {
      revision: row.revision,
      createdMs: row.created_ms,
      name: row.name,
      settings: JSON.parse(row.settings) as PipelineSettings,
      secrets: row.secrets === '{}' ? {} : (JSON.parse(this.#box.open(row.secrets)) as Secrets),
      replicas: row.replicas,
    }
  }

  #pipelineOf(row: PipelineRow): Pipeline {
    return {
      ...this.#revisionOf(row),
      id: row.id,
      enabled: row.enabled === 1,
      version: row.version,
      goodRevision: row.good_revision,
      updatedMs: row.updated_ms,
    }
  }
}
