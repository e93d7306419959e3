/**
 * The control plane's SQLite file: one process has it open for writing, in WAL mode.
 *
 * What was accepted survives kill -9 and a power failure: every transaction is fsynced
 * (synchronous=FULL); changes by people are rare, and metrics are written in batches. A database of
 * a newer version is refused before anything is written to it. The lock is a flock on a file beside
 * the database, because a pid says nothing in a container.
 */
import Database from 'better-sqlite3'
import { chmodSync, closeSync, existsSync, mkdirSync, openSync, renameSync, rmSync } from 'node:fs'
import path from 'node:path'
import { LogpipeError, messageOf } from '../core/errors.ts'

/** Takes an exclusive lock on a file; the result releases it. Undefined: another holds it. */
export type LockFile = (file: string) => (() => void) | undefined

export interface ControlDatabase {
  readonly db: Database
  /** Closes the file and then gives up the lock. May be called again. */
  close(): void
}

/** Another process (a backup) may hold SQLite's own lock for a moment. */
const BUSY_TIMEOUT_MS = 5000

/**
 * Opens the database, making or migrating it if need be.
 * @throws LogpipeError LOCKED when another control plane has it; STORE when it cannot be used.
 */
export function openDatabase(file: string, lockFile: LockFile): ControlDatabase {
  makeFolder(path.dirname(file))
  const unlock = lockFile(`${file}.lock`)
  if (unlock === undefined) {
    throw new LogpipeError(
      'LOCKED',
      `expected the database ${file} to be free; another control plane has it open. ` +
        'Stop that one, or give this one a CONTROL_DB_PATH of its own.',
    )
  }
  let db: Database | undefined
  let closed = false
  try {
    // Made by us first, so that it never exists with wider permissions.
    if (!existsSync(file)) closeSync(openSync(file, 'a', 0o600))
    db = new Database(file, { timeout: BUSY_TIMEOUT_MS })
    migrate(db, file)
    chmodSync(file, 0o600)
  } catch (error) {
    db?.close()
    unlock()
    throw storeError(file, error)
  }
  const opened = db
  return {
    db: opened,
    close() {
      if (closed) return
      closed = true
      opened.close()
      unlock()
    },
  }
}

/**
 * Copies a database that a running control plane may be writing to, consistently, into a new file
 * (mode 0600).
 * @throws LogpipeError STORE when there is none, or the target exists.
 */
export async function backupDatabase(file: string, target: string): Promise<void> {
  if (existsSync(target)) {
    throw new LogpipeError('STORE', `expected ${target} not to exist: a backup overwrites nothing`)
  }
  const partial = `${target}.partial`
  let db: Database | undefined
  try {
    rmSync(partial, { force: true })
    closeSync(openSync(partial, 'wx', 0o600))
    db = new Database(file, { readonly: true, fileMustExist: true, timeout: BUSY_TIMEOUT_MS })
    await db.backup(partial)
    renameSync(partial, target)
  } catch (error) {
    rmSync(partial, { force: true })
    throw storeError(file, error)
  } finally {
    db?.close()
  }
}

/** The version is read first, by itself: a newer database must not even be put in WAL mode. */
function migrate(db: Database, file: string): void {
  const found = Number(db.pragma('user_version', { simple: true }))
  if (found > MIGRATIONS.length) {
    throw new LogpipeError(
      'STORE',
      `expected ${file} to be of version ${MIGRATIONS.length} at most; it is of version ` +
        `${found}, made by a newer logpipe. Nothing was changed. Use that version, or a backup.`,
    )
  }
  db.pragma('journal_mode = WAL')
  db.pragma('synchronous = FULL')
  db.pragma('foreign_keys = ON')
  const apply = db.transaction((sql: string, version: number) => {
    db.exec(sql)
    db.pragma(`user_version = ${version}`)
  })
  MIGRATIONS.forEach((sql, index) => {
    if (index >= found) apply.immediate(sql, index + 1)
  })
}

function makeFolder(folder: string): void {
  try {
    mkdirSync(folder, { recursive: true, mode: 0o700 })
  } catch (error) {
    throw storeError(folder, error)
  }
}

function storeError(file: string, error: unknown): LogpipeError {
  if (error instanceof LogpipeError) return error
  return new LogpipeError('STORE', `${file} cannot be used: ${messageOf(error)}`, { cause: error })
}

/*
 * The database's schema, as numbered steps: a database at version N has had the first N applied.
 *
 * The number lives in SQLite's user_version. A step that was released is never edited; a change of
 * the schema is a new step at the end.
 */

export const MIGRATIONS: readonly string[] = [
  // 1: pipelines with their revisions, and workers with what they were assigned.
  `
  CREATE TABLE pipelines (
    id         INTEGER PRIMARY KEY AUTOINCREMENT,
    name       TEXT    NOT NULL UNIQUE,
    settings   TEXT    NOT NULL,
    secrets    TEXT    NOT NULL,
    enabled    INTEGER NOT NULL CHECK (enabled IN (0, 1)),
    replicas   INTEGER NOT NULL CHECK (replicas >= 1),
    revision   INTEGER NOT NULL,
    version    INTEGER NOT NULL,
    created_ms INTEGER NOT NULL,
    updated_ms INTEGER NOT NULL
  ) STRICT;
  CREATE TABLE revisions (
    pipeline_id INTEGER NOT NULL REFERENCES pipelines (id) ON DELETE CASCADE,
    revision    INTEGER NOT NULL,
    name        TEXT    NOT NULL,
    settings    TEXT    NOT NULL,
    secrets     TEXT    NOT NULL,
    replicas    INTEGER NOT NULL,
    created_ms  INTEGER NOT NULL,
    PRIMARY KEY (pipeline_id, revision)
  ) STRICT, WITHOUT ROWID;
  CREATE TABLE workers (
    id            TEXT    NOT NULL PRIMARY KEY,
    pinned        INTEGER NOT NULL CHECK (pinned IN (0, 1)),
    pipeline_id   INTEGER REFERENCES pipelines (id) ON DELETE SET NULL,
    desired_state TEXT    NOT NULL CHECK (desired_state IN ('running', 'stopped')),
    poll_ms       INTEGER NOT NULL,
    first_seen_ms INTEGER NOT NULL,
    last_seen_ms  INTEGER NOT NULL
  ) STRICT, WITHOUT ROWID;
  `,
  // 2: metrics, one row for each time step, pipeline (0 is the fleet) and tier of resolution.
  `
  CREATE TABLE history (
    step_ms     INTEGER NOT NULL,
    at_ms       INTEGER NOT NULL,
    pipeline_id INTEGER NOT NULL,
    sample      TEXT    NOT NULL,
    PRIMARY KEY (step_ms, pipeline_id, at_ms)
  ) STRICT, WITHOUT ROWID;
  CREATE INDEX history_by_age ON history (step_ms, at_ms);
  `,
  // 3: the last revision of each pipeline that ran well.
  `
  ALTER TABLE pipelines ADD COLUMN good_revision INTEGER;
  `,
  // 4: the secret that each worker proves itself with, and the pipelines that it was given.
  `
  ALTER TABLE workers ADD COLUMN secret_hash TEXT;
  CREATE TABLE worker_pipelines (
    worker_id   TEXT    NOT NULL REFERENCES workers (id) ON DELETE CASCADE,
    pipeline_id INTEGER NOT NULL REFERENCES pipelines (id) ON DELETE CASCADE,
    given_ms    INTEGER NOT NULL,
    PRIMARY KEY (worker_id, pipeline_id)
  ) STRICT, WITHOUT ROWID;
  INSERT INTO worker_pipelines
    SELECT id, pipeline_id, last_seen_ms FROM workers WHERE pipeline_id IS NOT NULL;
  `,
]
