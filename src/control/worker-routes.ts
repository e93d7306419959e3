/**
 * /api/workers: who is there, what each shall run, and the heartbeat by which workers call.
 *
 * The heartbeat is the only route whose answer holds secrets: those of the one pipeline that this
 * worker shall run, and of one that it was given before, whose spill it must send first.
 */
import { createRoute, type OpenAPIHono, z } from '@hono/zod-openapi'
import {
  heartbeatAnswerSchema,
  heartbeatSchema,
  workerIdSchema,
  workerSchema,
  workerSecretSchema,
  type HeartbeatBody,
  type WorkerView,
} from '../core/control-api.ts'
import { booksIn } from '../core/live-books.ts'
import { troublesIn } from '../core/trouble.ts'
import { WORKER_ID_CHARS_MAX, WORKER_SECRET_HEADER } from '../core/worker-wire.ts'
import { type Command, RESULT_BYTES_MAX } from './commands.ts'
import { type ControlContext, newRouter, pageLimit, problems } from './control-context.ts'
import { type Heartbeat, type WorkerNow, WORKERS_MAX } from './fleet.ts'
import type { Pipeline } from './pipeline-store.ts'
import { Problem } from './problem.ts'

const workerIdParam = z.object({
  id: workerIdSchema.meta({ param: { name: 'id', in: 'path' }, example: 'worker-1' }),
})

const workerSecretHeader = z.object({
  [WORKER_SECRET_HEADER]: workerSecretSchema.optional().meta({
    description:
      'Made by the worker at its first start. The first that comes binds the id; from then on ' +
      'a call without it is refused (403) until the worker is deleted.',
  }),
})

export function workerRoutes(context: ControlContext): OpenAPIHono {
  const router = newRouter()
  addList(router, context)
  addAssignment(router, context)
  addHeartbeat(router, context)
  return router
}

function addList(router: OpenAPIHono, context: ControlContext): void {
  router.openapi(
    createRoute({
      method: 'get',
      path: '/api/workers',
      tags: ['workers'],
      summary: `Workers that have called (${WORKERS_MAX} at most) by id, a page at a time.`,
      request: {
        query: z.object({
          limit: pageLimit,
          cursor: z
            .string()
            .max(WORKER_ID_CHARS_MAX)
            .default('')
            .openapi({ description: 'next_cursor of the page before.' }),
        }),
      },
      responses: {
        200: {
          description: 'A page; next_cursor is null on the last.',
          content: {
            'application/json': {
              schema: z.object({
                items: z.array(workerSchema),
                total: z.number().int(),
                next_cursor: z.string().nullable(),
              }),
            },
          },
        },
        ...problems(),
      },
    }),
    (c) => {
      const { limit, cursor } = c.req.valid('query')
      const all = context.fleet.all()
      const rest = all.filter(({ id }) => id > cursor)
      const items = rest.slice(0, limit).map((worker) => workerView(context, worker))
      const next_cursor = rest.length > limit ? (items.at(-1)?.id ?? null) : null
      return c.json({ items, total: all.length, next_cursor }, 200)
    },
  )
  router.openapi(
    createRoute({
      method: 'delete',
      path: '/api/workers/{id}',
      tags: ['workers'],
      summary: 'Forgets a worker that is lost, and the secret that it proves itself with.',
      request: {
        params: workerIdParam,
        query: z.object({
          force: z
            .enum(['true', 'false'])
            .default('false')
            .openapi({ description: 'true: although it is alive.' }),
        }),
      },
      responses: { 204: { description: 'Forgotten.' }, ...problems(404, 409) },
    }),
    (c) => {
      context.fleet.forget(c.req.valid('param').id, c.req.valid('query').force === 'true')
      return c.body(null, 204)
    },
  )
}

function addAssignment(router: OpenAPIHono, context: ControlContext): void {
  const body = z
    .object({
      pipeline_id: z.number().int().min(1).max(Number.MAX_SAFE_INTEGER).nullable(),
      desired_state: z.enum(['running', 'stopped']).default('running'),
    })
    .openapi('AssignmentBody')
  router.openapi(
    createRoute({
      method: 'put',
      path: '/api/workers/{id}/assignment',
      tags: ['workers'],
      summary: 'Gives a worker a pipeline by hand; pipeline_id null: the scheduler decides.',
      description:
        'running also starts the pipeline. stopped keeps the worker for it, standing ' +
        'still; the pipeline itself goes on elsewhere.',
      request: {
        params: workerIdParam,
        body: { required: true, content: { 'application/json': { schema: body } } },
      },
      responses: {
        200: {
          description: 'Assigned.',
          content: { 'application/json': { schema: workerSchema } },
        },
        ...problems(404, 503),
      },
    }),
    (c) => {
      const { id } = c.req.valid('param')
      const { pipeline_id: pipelineId, desired_state: desiredState } = c.req.valid('json')
      if (pipelineId === null) return c.json(workerView(context, context.fleet.pin(id, null)), 200)
      if (context.pipelines.get(pipelineId) === undefined) {
        const detail = `There is no pipeline ${pipelineId}.`
        throw new Problem(404, detail, { faults: [{ field: 'pipeline_id', detail }] })
      }
      context.fleet.pin(id, { pipelineId, desiredState })
      if (desiredState === 'running') {
        context.pipelines.setEnabled(pipelineId, true, context.clock.wallMs())
        context.fleet.reconcile()
      }
      const worker = context.fleet.get(id)
      if (worker === undefined) throw new Problem(404, `No worker ${id} has ever called.`)
      return c.json(workerView(context, worker), 200)
    },
  )
}

function addHeartbeat(router: OpenAPIHono, context: ControlContext): void {
  router.openapi(
    createRoute({
      method: 'post',
      path: '/api/workers/{id}/heartbeat',
      tags: ['workers'],
      summary: 'Called by sync: what the worker does, for what it shall do.',
      request: {
        params: workerIdParam,
        headers: workerSecretHeader,
        body: { required: true, content: { 'application/json': { schema: heartbeatSchema } } },
      },
      responses: {
        200: {
          description: 'What to do.',
          content: {
            'application/json': {
              schema: heartbeatAnswerSchema,
            },
          },
        },
        ...problems(409, 503),
      },
    }),
    (c) => {
      const { id } = c.req.valid('param')
      const body = c.req.valid('json')
      const secret = c.req.valid('header')[WORKER_SECRET_HEADER]
      const { heartbeat } = context.fleet.heartbeat(id, heartbeatOf(body), secret)
      for (const { id: commandId, ok, result } of body.results) {
        const fits = JSON.stringify(result ?? null).length <= RESULT_BYTES_MAX
        const kept = fits ? (result ?? null) : { message: 'The result was too large to keep.' }
        context.commands.finish(id, { id: commandId, ok: ok && fits, result: kept })
      }
      if (heartbeat !== null) context.onHeartbeat(id, heartbeat, body.tail)
      takeBooks(context, id, body)
      const commands = context.commands.take(id).map(commandView)
      const assignment = assignmentOf(context, id)
      const leftovers = leftoversOf(context, id, body)
      return c.json({ assignment, leftovers, commands }, 200)
    },
  )
}

/** Only about pipelines that this worker was given, as everything else that it says. */
function takeBooks(context: ControlContext, id: string, body: HeartbeatBody): void {
  for (const { pipeline_id: pipelineId, id: home, entries } of body.books) {
    const books = booksIn(entries)
    if (books === null || !context.fleet.wasGiven(id, pipelineId)) continue
    try {
      context.books.report(pipelineId, home, books, pipelineId !== body.pipeline_id)
    } catch (error) {
      // A full disk, say: the worker must be heard all the same, and what is in memory stays.
      context.report(error)
    }
  }
}

/** Of a worker's last words; with all it says it takes 64 KB at most, and the fleet 64 MB. */
const LAST_WORDS_CHARS_MAX = 16_384

/** The last lines that fit: how it ended stands there. */
function lastLines(lines: readonly string[]): string[] {
  let room = LAST_WORDS_CHARS_MAX
  const from = lines.findLastIndex((line) => (room -= line.length) < 0)
  return lines.slice(from + 1)
}

function heartbeatOf(body: HeartbeatBody): Heartbeat {
  return {
    state: body.state,
    pid: body.pid,
    pipelineId: body.pipeline_id,
    revision: body.revision,
    failedRevision: body.failed_revision,
    error: body.error && { ...body.error, lines: lastLines(body.error.lines) },
    metrics: body.metrics,
    troubles: troublesIn(body.troubles),
    deadLetters: body.dead_letters,
    pollMs: body.poll_ms,
    instance: body.instance,
    version: body.version,
  }
}

function assignmentOf(context: ControlContext, id: string) {
  const pipelineId = context.fleet.assignment(id)
  if (pipelineId === null) return null
  const pipeline = context.pipelines.get(pipelineId)
  if (pipeline === undefined) return null
  return {
    pipeline_id: pipeline.id,
    name: pipeline.name,
    desired_state: 'running' as const,
    revision: pipeline.revision,
    ...childOf(context, pipeline),
    fallback: fallbackOf(context, pipeline),
  }
}

/** Of a spill that goes to another address than now, the secrets are those of its own revision. */
function leftoversOf(
  context: ControlContext,
  workerId: string,
  { leftovers: pipelineId, leftovers_revision: number }: HeartbeatBody,
) {
  const wasGiven = pipelineId !== null && context.fleet.wasGiven(workerId, pipelineId)
  const pipeline = wasGiven ? context.pipelines.get(pipelineId) : undefined
  if (pipeline === undefined) return null
  const revision = number === null ? undefined : context.pipelines.revision(pipeline.id, number)
  const goesElsewhere =
    revision !== undefined && context.fields.movedSecrets(pipeline, revision.settings).length > 0
  const { secrets } = goesElsewhere ? revision : pipeline
  return { pipeline_id: pipeline.id, secrets: context.fields.secretVariables(secrets) }
}

function fallbackOf(context: ControlContext, { id, revision, goodRevision }: Pipeline) {
  if (goodRevision === null || goodRevision === revision) return null
  const good = context.pipelines.revision(id, goodRevision)
  return good === undefined ? null : { revision: goodRevision, ...childOf(context, good) }
}

function childOf(
  { fields }: ControlContext,
  { settings, secrets }: Pick<Pipeline, 'settings' | 'secrets'>,
) {
  return {
    variables: fields.variables(settings),
    secrets: fields.secretVariables(secrets),
  }
}

export function commandView(command: Command) {
  return {
    id: command.id,
    kind: command.kind,
    pipeline_id: command.pipelineId,
    args: { ...command.args },
    expires_at: new Date(command.expiresMs).toISOString(),
  }
}

function workerView(context: ControlContext, worker: WorkerNow): WorkerView {
  const { heartbeat } = worker
  const given = context.fleet.assignment(worker.id)
  const pipelineId = worker.pinned ? worker.pipelineId : given
  return {
    id: worker.id,
    state: worker.live ? (heartbeat?.state ?? 'unknown') : 'lost',
    live: worker.live,
    pid: heartbeat?.pid ?? null,
    pipeline_id: heartbeat?.pipelineId ?? null,
    revision: heartbeat?.revision ?? null,
    failed_revision: heartbeat?.failedRevision ?? null,
    error: heartbeat?.error
      ? { message: heartbeat.error.message, lines: [...heartbeat.error.lines] }
      : null,
    assignment:
      pipelineId === null
        ? null
        : {
            pipeline_id: pipelineId,
            desired_state: given === null ? 'stopped' : 'running',
            pinned: worker.pinned,
          },
    metrics: { ...heartbeat?.metrics },
    troubles: [...(heartbeat?.troubles ?? [])],
    dead_letters: heartbeat?.deadLetters ?? 0,
    poll_ms: worker.pollMs,
    version: heartbeat?.version ?? null,
    first_seen_at: new Date(worker.firstSeenMs).toISOString(),
    last_seen_at: new Date(worker.lastSeenMs).toISOString(),
  }
}
