/**
 * Orders to the workers of a pipeline (check, dead letters), a filter to try on its topic, and the
 * live tail of its matches.
 */
import type { HttpBindings } from '@hono/node-server'
import { createRoute, z, type OpenAPIHono } from '@hono/zod-openapi'
import { streamSSE } from 'hono/streaming'
import { commandSchema, ORDER_KINDS, type CommandView } from '../core/control-api.ts'
import { WORKER_ID_CHARS_MAX } from '../core/worker-wire.ts'
import { FILTER_VARIABLES } from '../options/remote-options.ts'
import { EXPIRY_MS_MAX, type Command } from './commands.ts'
import {
  idParam,
  mustPipeline,
  newRouter,
  problems,
  type ControlContext,
} from './control-context.ts'
import { filterSchema } from './pipeline-view.ts'
import { Problem } from './problem.ts'

/** Proxies close what is silent for a minute or less. */
const SSE_SILENT_MS = 15_000

/** Somebody waits for it while typing: a worker that is busy for so long is asked again. */
const TRY_EXPIRES_MS = 30_000

const orderSchema = z
  .object({
    kind: z.enum(ORDER_KINDS),
    /** Of one worker; default: every worker of the pipeline. */
    worker_id: z.string().max(WORKER_ID_CHARS_MAX).optional(),
    limit: z.number().int().min(1).max(500).optional(),
    /** Which dead letters, as dlq-list names them; default: all. */
    ids: z.array(z.string().max(256)).max(500).optional(),
    expires_seconds: z
      .number()
      .int()
      .min(1)
      .max(EXPIRY_MS_MAX / 1000)
      .optional(),
  })
  .openapi('CommandBody')

const list = z.object({ items: z.array(commandSchema) })

export function commandRoutes(context: ControlContext): OpenAPIHono {
  const router = newRouter()
  addCommands(router, context)
  addTry(router, context)
  addTail(router, context)
  return router
}

function addCommands(router: OpenAPIHono, context: ControlContext): void {
  router.openapi(
    createRoute({
      method: 'post',
      path: '/api/pipelines/{id}/commands',
      tags: ['commands'],
      summary: 'Sends a command to the workers of a pipeline.',
      request: {
        params: idParam,
        body: { required: true, content: { 'application/json': { schema: orderSchema } } },
      },
      responses: {
        202: {
          description: 'One command per worker; get the result of each by its id.',
          content: { 'application/json': { schema: list } },
        },
        ...problems(404, 409),
      },
    }),
    (c) => {
      const { id } = mustPipeline(context, c.req.valid('param').id)
      const { kind, worker_id: workerId, expires_seconds: seconds, ...args } = c.req.valid('json')
      const workers = workersOf(context, id).filter((each) => !workerId || each === workerId)
      if (workers.length === 0) {
        throw new Problem(409, `No live worker runs pipeline ${id}: start it first.`)
      }
      const items = workers.map((each) =>
        commandView(
          context.commands.add({
            workerId: each,
            pipelineId: id,
            kind,
            args,
            ...(seconds === undefined ? {} : { expiryMs: seconds * 1000 }),
          }),
        ),
      )
      return c.json({ items }, 202)
    },
  )
  router.openapi(
    createRoute({
      method: 'get',
      path: '/api/commands/{id}',
      tags: ['commands'],
      summary: 'Returns a command, with its result once it is done.',
      request: { params: z.object({ id: z.string().max(64) }) },
      responses: {
        200: {
          description: 'The command.',
          content: { 'application/json': { schema: commandSchema } },
        },
        ...problems(404),
      },
    }),
    (c) => {
      const { id } = c.req.valid('param')
      const command = context.commands.get(id)
      if (command === undefined) throw new Problem(404, `There is no command ${id}.`)
      return c.json(commandView(command), 200)
    },
  )
}

function addTry(router: OpenAPIHono, context: ControlContext): void {
  router.openapi(
    createRoute({
      method: 'post',
      path: '/api/pipelines/{id}/try',
      tags: ['commands'],
      summary: 'Tries a filter, saved or not, on the latest 200 records of the topic.',
      description:
        'One worker of the pipeline reads them with its saved secrets, joins no group, and ' +
        'writes and commits nothing. kafka_brokers and kafka_topic are those that are saved ' +
        'where they are left out; with others, the try stands in the audit log. Get the command ' +
        'by its id until it is done; its result.output has the members records, kept, dropped, ' +
        'no_json, reasons, and each: a list of topic, partition, offset, time_ms, value (cut to ' +
        'fit 52,000 characters in all) and reason, which is a place in reasons, or null for a ' +
        'record that is kept.',
      request: {
        params: idParam,
        body: {
          required: true,
          content: { 'application/json': { schema: filterSchema(context.fields) } },
        },
      },
      responses: {
        202: {
          description: 'The command.',
          content: { 'application/json': { schema: commandSchema } },
        },
        ...problems(404, 409),
      },
    }),
    (c) => {
      const pipeline = mustPipeline(context, c.req.valid('param').id)
      const checked = context.fields.checkTry(c.req.valid('json'), pipeline)
      if ('faults' in checked) {
        throw new Problem(422, 'The filter cannot be tried.', { faults: checked.faults })
      }
      const [workerId] = workersOf(context, pipeline.id)
      if (workerId === undefined) {
        const detail = `No live worker runs pipeline ${pipeline.id}, and records are read by one`
        throw new Problem(409, `${detail}: start the pipeline, and a worker with \`logpipe sync\`.`)
      }
      const { variables } = checked
      const saved = context.fields.variables(pipeline.settings)
      const isElsewhere = (name: string) =>
        !FILTER_VARIABLES.has(name) && variables[name] !== saved[name]
      c.set('isAudited', Object.keys(variables).some(isElsewhere))
      const command = context.commands.add({
        workerId,
        pipelineId: pipeline.id,
        kind: 'try',
        args: { variables },
        expiryMs: TRY_EXPIRES_MS,
      })
      return c.json(commandView(command), 202)
    },
  )
}

/** Server-sent events, which OpenAPI has no words for: event `match`, data a TailBatch. */
function addTail(router: OpenAPIHono, context: ControlContext): void {
  router.openapi(
    createRoute({
      method: 'get',
      path: '/api/pipelines/{id}/tail',
      tags: ['commands'],
      summary: 'Streams the live tail: a sample of the matches, as server-sent events.',
      request: { params: idParam },
      responses: {
        200: { description: 'Events.', content: { 'text/event-stream': { schema: z.string() } } },
        ...problems(404, 503),
      },
    }),
    (c) => {
      const { id } = mustPipeline(context, c.req.valid('param').id)
      // HEAD comes here, too, and its stream is thrown away unread: it would be watched for ever.
      if (c.req.raw.method === 'HEAD') return c.body(null)
      // Its connection is full, so nothing said to it would arrive.
      const { outgoing } = Object(c.env) as Partial<HttpBindings>
      const watcher = context.tail.watch(id, () => outgoing?.destroy())
      const isStillLetIn = c.get('isStillLetIn')
      return streamSSE(c, async (stream) => {
        stream.onAbort(() => watcher.close())
        await stream.writeSSE({ event: 'open', data: '{}' })
        while (!watcher.closed) {
          const batches = await watcher.take(SSE_SILENT_MS)
          if (!isStillLetIn()) {
            watcher.close()
            return
          }
          if (batches.length === 0 && !watcher.closed) {
            await stream.writeSSE({ event: 'idle', data: '{}' })
          }
          for (const { workerId, entries, droppedCount } of batches) {
            const data = { worker_id: workerId, entries, dropped: droppedCount }
            await stream.writeSSE({ event: 'match', data: JSON.stringify(data) })
          }
        }
      })
    },
  )
}

/** Live workers that have the pipeline. */
export function workersOf(context: Pick<ControlContext, 'fleet'>, pipelineId: number): string[] {
  return context.fleet
    .assignedTo(pipelineId)
    .filter((worker) => worker.live)
    .map(({ id }) => id)
}

function commandView(command: Command): CommandView {
  return {
    id: command.id,
    worker_id: command.workerId,
    pipeline_id: command.pipelineId,
    kind: command.kind,
    state: command.state,
    created_at: new Date(command.createdMs).toISOString(),
    expires_at: new Date(command.expiresMs).toISOString(),
    result: command.result,
  }
}
