/**
 * What every route works with: made once by control.ts, handed to each file of routes.
 */
import { OpenAPIHono, z } from '@hono/zod-openapi'
import type { Clock } from '../core/clock.ts'
import { problemSchema } from '../core/control-api.ts'
import type { AuditLog } from './audit.ts'
import type { BooksStore } from './books-store.ts'
import type { CommandQueue } from './commands.ts'
import type { EsCollector } from './es-collector.ts'
import type { Fleet, Heartbeat } from './fleet.ts'
import type { History } from './history.ts'
import type { LogRates } from './log-rates.ts'
import type { PipelineFields } from './pipeline-fields.ts'
import { pipelineStatus } from './pipeline-status.ts'
import type { Pipeline, PipelineStore } from './pipeline-store.ts'
import { entityTag, pipelineView, type View } from './pipeline-view.ts'
import { Problem } from './problem.ts'
import type { TailHub } from './tail.ts'

export interface ControlContext {
  readonly clock: Clock
  readonly fields: PipelineFields
  readonly pipelines: PipelineStore
  readonly audit: AuditLog
  readonly fleet: Fleet
  readonly commands: CommandQueue
  readonly tail: TailHub
  readonly history: History
  readonly logRates: LogRates
  readonly books: BooksStore
  readonly elasticsearch: EsCollector
  /** Snapshot of a pipeline on this machine; undefined: not looked for. */
  readonly runtimeMetricsPath: string | undefined
  /** Has the workers of a pipeline check what its new revision points at. */
  readonly check: (pipelineId: number) => void
  /** A pipeline is gone from the database: nobody runs or counts it any more. */
  readonly pipelineDeleted: (pipelineId: number) => void
  /** Told of what should not have happened. */
  readonly report: (error: unknown) => void
  /** Hears of every heartbeat, with the matches it brought: for metrics and the live tail. */
  readonly onHeartbeat: (workerId: string, heartbeat: Heartbeat, tail: readonly string[]) => void
}

/** More than a form shows at once. */
const FAULTS_MAX = 100

/** A router whose wrong parameters are answered as problems, field by field. */
export function newRouter(): OpenAPIHono {
  return new OpenAPIHono({
    defaultHook: (result) => {
      if (result.success) return
      const { issues } = result.error
      const faults = issues.slice(0, FAULTS_MAX).map((issue) => ({
        field: issue.path.join('.') || '(body)',
        detail: issue.message,
      }))
      throw new Problem(422, `The ${result.target} has ${issues.length} wrong field(s).`, {
        faults,
      })
    },
  })
}

/** Row ids, revisions and the like: SQLite's are 64 bits, JavaScript's whole numbers 53. */
export const NUMBER_MAX = Number.MAX_SAFE_INTEGER

/**
 * A whole number in a path or a query: digits, where Number() would take "" and "1e1". `7.0` is the
 * whole number 7 to JSON Schema, and so it is here.
 */
export function digits(min: number, max: number) {
  return z
    .string()
    .regex(/^(0|[1-9][0-9]{0,15})(\.0+)?$/, `expected a whole number from ${min} to ${max}`)
    .transform(Number)
    .pipe(z.number().int().min(min).max(max))
    .openapi({ type: 'integer', minimum: min, maximum: max })
}

export const rowId = digits(1, NUMBER_MAX)

/** Of a list: a page that a browser shows without pain. */
export const pageLimit = digits(1, 500).default(100)

export const idParam = z.object({
  id: rowId.openapi({ param: { name: 'id', in: 'path' }, example: 1 }),
})

/** The documented answers of a route, besides its good one. */
export function problems(...statuses: readonly number[]) {
  return Object.fromEntries(
    [400, 401, 403, 422, 429, ...statuses].map((status) => [
      status,
      {
        description: 'An error, as problem+json.',
        content: { 'application/problem+json': { schema: problemSchema } },
      },
    ]),
  )
}

export function mustPipeline(context: ControlContext, id: number): Pipeline {
  const pipeline = context.pipelines.get(id)
  if (pipeline === undefined) throw new Problem(404, `There is no pipeline ${id}.`)
  return pipeline
}

export function viewOf(context: ControlContext, pipeline: Pipeline): View {
  const status = pipelineStatus(pipeline, context.fleet, context.commands)
  return pipelineView(pipeline, status, context.fields)
}

export function tagHeader(pipeline: Pipeline): { etag: string } {
  return { etag: entityTag(pipeline) }
}
