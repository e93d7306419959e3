/**
 * The control plane's SQLite file: one process has it open for writing, in WAL mode.
 *
 * What was accepted survives kill -9 and a power failure: every transaction is fsynced
 * (synchronous=FULL); changes by people are rare, and metrics are written in batches. A database of
 * a newer version is refused before anything is written to it. The lock is a flock on a file beside
 * the database, because a pid says nothing in a container.
 *
 * Folder and files (the database, and SQLite's own beside it) are checked, and made readable by
 * their owner alone, before SQLite opens them. Secrets are sealed (secret-box.ts), and what is
 * deleted is overwritten.
 *
 *     control.db        the database; control.db-wal, -shm and -journal are SQLite's
 *     control.db.key    the key that its secrets are sealed with
 *     control.db.lock   who has it open
 */
import Database from 'better-sqlite3'
import { closeSync, constants, copyFileSync, existsSync, linkSync, openSync, rmSync } from 'node:fs'
import path from 'node:path'
import { LogpipeError, messageOf } from '../core/errors.ts'
import { checkOwnFile, ownFolder } from '../core/own-file.ts'
import { keyFileOf, readKeys, SecretBox, writeKeys } from './secret-box.ts'

/** Takes an exclusive lock on a file; the result releases it. Undefined: another holds it. */
export type LockFile = (file: string) => (() => void) | undefined

export interface ControlDatabase {
  readonly db: Database
  /** Seals and opens the secrets in it. */
  readonly box: SecretBox
  /** Closes the file and then gives up the lock. May be called again. */
  readonly close: () => void
}

/** Another process (a backup) may hold SQLite's own lock for a moment. */
const BUSY_TIMEOUT_MS = 5000

/**
 * Opens the database, making or migrating it if need be.
 * @throws LogpipeError LOCKED when another control plane has it; STORE when it cannot be used.
 */
export function openDatabase(file: string, lockFile: LockFile): ControlDatabase {
  const { db, close } = openLocked(file, lockFile)
  try {
    return { db, box: upToDate(db, file), close }
  } catch (error) {
    close()
    throw storeError(file, error)
  }
}

/**
 * Seals every secret with a new key, which takes the old one's place in the key file.
 * @throws LogpipeError as openDatabase.
 */
export function rotateKey(file: string, lockFile: LockFile): void {
  const { db, box: old, close } = openDatabase(file, lockFile)
  try {
    const next = SecretBox.random()
    // Whenever this is cut short, the key that the database names is in the file.
    writeKeys(keyFileOf(file), [next, old])
    db.function('reseal', (text) => next.seal(old.open(String(text))))
    const reseal = db.transaction(() => {
      for (const table of SEALED_TABLES) {
        db.exec(`UPDATE ${table} SET secrets = reseal(secrets) WHERE secrets <> '{}'`)
      }
      db.prepare('UPDATE secret_key SET id = ?').run(next.keyId)
    })
    reseal.immediate()
    emptyLog(db)
    writeKeys(keyFileOf(file), [next])
  } catch (error) {
    throw storeError(file, error)
  } finally {
    close()
  }
}

/**
 * Removes every secret, for whoever lost the key: pipelines stay, and take their secrets again.
 * @throws LogpipeError as openDatabase.
 */
export function forgetSecrets(file: string, lockFile: LockFile): void {
  const { db, close } = openLocked(file, lockFile)
  try {
    if (versionOf(db, file) < SEALED_VERSION) return
    const forget = db.transaction(() => {
      for (const table of SEALED_TABLES) db.exec(`UPDATE ${table} SET secrets = '{}'`)
      db.exec('DELETE FROM secret_key')
    })
    forget.immediate()
    emptyLog(db)
  } catch (error) {
    throw storeError(file, error)
  } finally {
    close()
  }
}

/**
 * Moves what lies in SQLite's log into the database and cuts the log: what was overwritten there
 * lies in it too. Where somebody reads just now, the next change does it (journal_size_limit).
 */
export function emptyLog(db: Database): void {
  // Nobody is waited for: the control plane answers nothing meanwhile.
  db.pragma('busy_timeout = 0')
  db.pragma('wal_checkpoint(TRUNCATE)')
  db.pragma(`busy_timeout = ${BUSY_TIMEOUT_MS}`)
}

/** Opened, and looked at no further. */
function openLocked(file: string, lockFile: LockFile): Omit<ControlDatabase, 'box'> {
  attempt(path.dirname(file), () => ownFolder(path.dirname(file)))
  const unlock = lockFile(`${file}.lock`)
  if (unlock === undefined) {
    throw new LogpipeError(
      'LOCKED',
      `another control plane is using the database ${file}. ` +
        'Stop it, or set another CONTROL_DB_PATH.',
    )
  }
  let db: Database | undefined
  let closed = false
  try {
    checkFiles(file)
    db = new Database(file, { timeout: BUSY_TIMEOUT_MS })
    db.pragma('secure_delete = ON')
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

/** SQLite makes its own files with the mode of the database, but takes those that are there. */
function checkFiles(file: string): void {
  checkOwnFile(file, true)
  for (const suffix of ['-wal', '-shm', '-journal']) checkOwnFile(file + suffix)
}

/**
 * Copies a database that a running control plane may be writing to, consistently, into a new file
 * (mode 0600). The key is not in it.
 * @throws LogpipeError STORE when there is none, or the target exists.
 */
export async function backupDatabase(file: string, target: string): Promise<void> {
  if (!existsSync(file)) {
    const advice =
      'run it where the control plane was started, or name another with --control-db-path'
    throw new LogpipeError('STORE', `there is no database ${file}: ${advice}`)
  }
  if (existsSync(target)) {
    throw new LogpipeError(
      'STORE',
      `${target} already exists, and a backup never overwrites a file`,
    )
  }
  const partial = `${target}.partial`
  let db: Database | undefined
  try {
    rmSync(partial, { force: true })
    closeSync(openSync(partial, 'wx', 0o600))
    db = new Database(file, { readonly: true, fileMustExist: true, timeout: BUSY_TIMEOUT_MS })
    await db.backup(partial)
    nameWithoutReplacing(partial, target)
  } catch (error) {
    throw storeError(file, error)
  } finally {
    rmSync(partial, { force: true })
    db?.close()
  }
}

/** Unlike rename(2), link(2) fails where somebody has made the target meanwhile. */
function nameWithoutReplacing(partial: string, target: string): void {
  try {
    linkSync(partial, target)
  } catch (error) {
    const { code = '' } = error as NodeJS.ErrnoException
    // A file system without hard links: FAT, some network shares.
    if (!['EPERM', 'ENOSYS', 'ENOTSUP', 'EOPNOTSUPP'].includes(code)) throw error
    copyFileSync(partial, target, constants.COPYFILE_EXCL)
  }
}

/** @returns the box that the database's secrets are sealed in. */
function upToDate(db: Database, file: string): SecretBox {
  const found = versionOf(db, file)
  const box = boxOf(db, file, found)
  db.pragma('journal_mode = WAL')
  db.pragma('journal_size_limit = 0')
  db.pragma('synchronous = FULL')
  db.pragma('foreign_keys = ON')
  db.function('seal', (text) => box.seal(String(text)))
  const apply = db.transaction((sql: string, version: number) => {
    db.exec(sql)
    db.pragma(`user_version = ${version}`)
  })
  MIGRATIONS.forEach((sql, index) => {
    if (index >= found) apply.immediate(sql, index + 1)
  })
  if (found > 0 && found < SEALED_VERSION) {
    // What was deleted before secure_delete lies in free pages; what was sealed, in the log.
    db.exec('VACUUM')
    emptyLog(db)
  }
  db.prepare('INSERT OR REPLACE INTO secret_key (one, id) VALUES (1, ?)').run(box.keyId)
  return box
}

/** Read first, by itself: a newer database must not even be put in WAL mode. */
function versionOf(db: Database, file: string): number {
  const found = Number(db.pragma('user_version', { simple: true }))
  if (found <= MIGRATIONS.length) return found
  throw new LogpipeError(
    'STORE',
    `expected ${file} to have version ${MIGRATIONS.length} at most; it has version ` +
      `${found}, from a newer logpipe. Nothing was changed. Use that version, or a backup.`,
  )
}

/** The key that the database names, or, where it names none yet, that of the file or a new one. */
function boxOf(db: Database, file: string, version: number): SecretBox {
  const keyFile = keyFileOf(file)
  const boxes = readKeys(keyFile)
  const named =
    version < SEALED_VERSION
      ? undefined
      : db.prepare<{ readonly id: string }>('SELECT id FROM secret_key').get()
  const right = boxes.find(({ keyId }) => keyId === named?.id)
  if (right !== undefined) return right
  if (named !== undefined && holdsSecrets(db)) {
    throw new LogpipeError(
      'STORE',
      `expected ${keyFile} to contain the key of this database's secrets (key ${named.id}); ` +
        (boxes.length === 0 ? 'it has none' : 'it has another key') +
        '. Restore it from your backup, or run `logpipe control forget-secrets` and set the ' +
        'secrets of each pipeline again.',
    )
  }
  const box = boxes[0] ?? SecretBox.random()
  if (boxes.length === 0) writeKeys(keyFile, [box])
  return box
}

function holdsSecrets(db: Database): boolean {
  return SEALED_TABLES.some(
    (table) =>
      db.prepare(`SELECT 1 FROM ${table} WHERE secrets <> '{}' LIMIT 1`).get() !== undefined,
  )
}

function attempt(file: string, run: () => void): void {
  try {
    run()
  } catch (error) {
    throw storeError(file, error)
  }
}

function storeError(file: string, error: unknown): LogpipeError {
  if (error instanceof LogpipeError) return error
  return new LogpipeError('STORE', `cannot use the database ${file}: ${messageOf(error)}`, {
    cause: error,
  })
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
  // 5: secrets are sealed from now on; which key they are sealed with.
  `
  CREATE TABLE secret_key (
    one INTEGER NOT NULL PRIMARY KEY CHECK (one = 1),
    id  TEXT    NOT NULL
  ) STRICT;
  UPDATE pipelines SET secrets = seal(secrets) WHERE secrets <> '{}';
  UPDATE revisions SET secrets = seal(secrets) WHERE secrets <> '{}';
  `,
  // 6: who changed what.
  `
  CREATE TABLE audit (
    id          INTEGER PRIMARY KEY AUTOINCREMENT,
    at_ms       INTEGER NOT NULL,
    pipeline_id INTEGER NOT NULL,
    revision    INTEGER NOT NULL,
    who         TEXT    NOT NULL,
    what        TEXT    NOT NULL
  ) STRICT;
  CREATE INDEX audit_by_pipeline ON audit (pipeline_id);
  `,
  // 7: where the records of each pipeline went, by the home of a worker that counted them.
  `
  CREATE TABLE books (
    pipeline_id INTEGER NOT NULL REFERENCES pipelines (id) ON DELETE CASCADE,
    id          TEXT    NOT NULL,
    entries     TEXT    NOT NULL,
    updated_ms  INTEGER NOT NULL,
    PRIMARY KEY (pipeline_id, id)
  ) STRICT, WITHOUT ROWID;
  `,
  // 8: the oldest revision of a pipeline that each worker was given; 1: it was not noted.
  `
  ALTER TABLE worker_pipelines ADD COLUMN revision INTEGER NOT NULL DEFAULT 1;
  `,
]

/** From this version on secrets are sealed, in these tables; a row without any has {}. */
const SEALED_VERSION = 5
const SEALED_TABLES = ['pipelines', 'revisions'] as const
