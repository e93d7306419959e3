/**
 * Who changed what: a line in the log for every change that was made through the API, and for a
 * pipeline's a row beside the revision that was in force afterwards.
 *
 * Who is how the caller proved itself, and from where: there are no names behind a token. What is
 * the route. Refused calls are told of elsewhere (tokens.ts).
 *
 * Bound: KEPT_MAX rows, the newest; the log has all.
 */
import type Database from 'better-sqlite3'
import type { Statement } from 'better-sqlite3'
import type { Context } from 'hono'
import type { Clock } from '../core/clock.ts'
import type { Pipeline } from './pipeline-store.ts'

export interface AuditLine {
  readonly revision: number
  readonly atMs: number
  readonly who: string
  readonly what: string
}

interface AuditRow {
  readonly revision: number
  readonly at_ms: number
  readonly who: string
  readonly what: string
}

interface AuditParts {
  readonly db: Database
  readonly clock: Clock
  readonly pipelines: { get(id: number): Pipeline | undefined }
  readonly log: (line: string) => void
  /** Told of what should not have happened. */
  readonly report: (error: unknown) => void
}

/** Some 100 bytes each: years of changes by people. */
const KEPT_MAX = 100_000

export class AuditLog {
  readonly #parts: AuditParts
  readonly #insert: Statement
  readonly #trim: Statement
  readonly #of: Statement<AuditRow>

  constructor(parts: AuditParts) {
    this.#parts = parts
    const { db } = parts
    this.#insert = db.prepare(
      'INSERT INTO audit (at_ms, pipeline_id, revision, who, what) VALUES (?, ?, ?, ?, ?)',
    )
    this.#trim = db.prepare('DELETE FROM audit WHERE id <= ?')
    this.#of = db.prepare(
      'SELECT revision, at_ms, who, what FROM audit WHERE pipeline_id = ? ORDER BY id',
    )
  }

  /** Runs a request, and notes what it changed. */
  async around(c: Context, who: string, run: () => Promise<void>): Promise<void> {
    const before = this.#pipelineOf(c.req.path)
    await run()
    if (c.res.status >= 400) return
    if (CHANGES_NOTHING.test(c.req.path) && c.get('isAudited') !== true) return
    const pipeline = this.#changedBy(c) ?? before
    const what = whatOf(c.req.method, c.req.path)
    const of = pipeline === undefined ? '' : ` pipeline ${pipeline.id} (${pipeline.name})`
    const at = pipeline === undefined ? '' : `, revision ${pipeline.revision}`
    this.#parts.log(`audit: ${who}: ${what}${of}${at}`)
    if (pipeline === undefined) return
    const atMs = this.#parts.clock.wallMs()
    try {
      const { lastInsertRowid } = this.#insert.run(atMs, pipeline.id, pipeline.revision, who, what)
      this.#trim.run(Number(lastInsertRowid) - KEPT_MAX)
    } catch (error) {
      // The change is made, and the log has the line.
      this.#parts.report(error)
    }
  }

  /** Of a pipeline, the oldest first. */
  of(pipelineId: number): AuditLine[] {
    return this.#of
      .all(pipelineId)
      .map(({ revision, at_ms: atMs, who, what }) => ({ revision, atMs, who, what }))
  }

  /** As it is now. The change is made, whether or not the database says more of it. */
  #changedBy(c: Context): Pipeline | undefined {
    try {
      return this.#pipelineOf(c.res.headers.get('location') ?? c.req.path)
    } catch (error) {
      this.#parts.report(error)
      return undefined
    }
  }

  #pipelineOf(path: string): Pipeline | undefined {
    const id = /^\/api\/pipelines\/([0-9]{1,15})(\/|$)/.exec(path)?.[1]
    return id === undefined ? undefined : this.#parts.pipelines.get(Number(id))
  }
}

/** A filter is tried with every few letters that somebody types; elsewhere by a button. */
const CHANGES_NOTHING = /^(?:POST )?\/api\/pipelines\/\d+\/try$/

const WORDS: readonly (readonly [route: RegExp, what: string])[] = [
  [/^POST \/api\/pipelines$/, 'made'],
  [/^PUT \/api\/pipelines\/\d+$/, 'changed'],
  [/^DELETE \/api\/pipelines\/\d+$/, 'deleted'],
  [/^POST \/api\/pipelines\/\d+\/start$/, 'started'],
  [/^POST \/api\/pipelines\/\d+\/stop$/, 'stopped'],
  [/^POST \/api\/pipelines\/\d+\/rollback$/, 'rolled back'],
  [/^POST \/api\/pipelines\/\d+\/commands$/, 'commanded'],
  [CHANGES_NOTHING, 'tried on other brokers or another topic'],
  [/^POST \/api\/session$/, 'signed in'],
  [/^DELETE \/api\/session$/, 'signed out'],
]

/** The route itself where there are no words for it: it names what it is about. */
function whatOf(method: string, path: string): string {
  const route = `${method} ${path}`
  return WORDS.find(([pattern]) => pattern.test(route))?.[1] ?? route
}
