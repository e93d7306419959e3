/**
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
]
