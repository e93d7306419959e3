/**
 * /api/pipelines: make, read, change, delete; start and stop; revisions and the way back.
 *
 * A change may carry If-Match with the ETag of what it was made from; when somebody else was
 * faster, it is refused (412) instead of undoing theirs.
 */
import { createRoute, type OpenAPIHono, z } from '@hono/zod-openapi'
import {
  type ControlContext,
  digits,
  idParam,
  mustPipeline,
  newRouter,
  NUMBER_MAX,
  pageLimit,
  problems,
  tagHeader,
  viewOf,
} from './control-context.ts'
import { type Draft, faultsTogether } from './pipeline-fields.ts'
import type { Pipeline, PipelineStore, Revision } from './pipeline-store.ts'
import { bodySchema, entityTag, revisionView, viewSchema } from './pipeline-view.ts'
import { type FieldFault, Problem } from './problem.ts'

/** Ten times what one control plane is measured for. */
const PIPELINES_MAX = 10_000

const json = <Schema>(schema: Schema, description: string) => ({
  description,
  content: { 'application/json': { schema } },
})

export function pipelineRoutes(context: ControlContext): OpenAPIHono {
  const router = newRouter()
  addCollection(router, context)
  addItem(router, context)
  addStartStop(router, context)
  addRevisions(router, context)
  return router
}

function addCollection(router: OpenAPIHono, context: ControlContext): void {
  const { fields, pipelines } = context
  const view = viewSchema(fields)
  router.openapi(
    createRoute({
      method: 'get',
      path: '/api/pipelines',
      tags: ['pipelines'],
      summary: 'Lists pipelines by id, a page at a time.',
      request: {
        query: z.object({
          limit: pageLimit,
          cursor: digits(0, NUMBER_MAX).default(0),
        }),
      },
      responses: {
        200: json(
          z.object({
            items: z.array(view),
            total: z.number().int(),
            next_cursor: z.number().int().nullable(),
          }),
          'A page; next_cursor is null on the last.',
        ),
        ...problems(),
      },
    }),
    (c) => {
      const { limit, cursor } = c.req.valid('query')
      const page = pipelines.page(cursor, limit + 1)
      const shown = page.slice(0, limit)
      const items = shown.map((pipeline) => viewOf(context, pipeline))
      const next_cursor = page.length > limit ? (shown.at(-1)?.id ?? null) : null
      return c.json({ items, total: pipelines.count(), next_cursor }, 200)
    },
  )
  router.openapi(
    createRoute({
      method: 'post',
      path: '/api/pipelines',
      tags: ['pipelines'],
      summary: 'Creates a pipeline; `enabled: true` starts it.',
      request: { body: { required: true, ...json(bodySchema(fields), 'The pipeline.') } },
      responses: { 201: json(view, 'Made.'), ...problems(409) },
    }),
    (c) => {
      const draft = checked(context, c.req.valid('json'))
      if (pipelines.count() >= PIPELINES_MAX) {
        throw new Problem(409, `The limit of ${PIPELINES_MAX} pipelines is reached: delete one.`)
      }
      refuseTakenName(context, draft.name, null)
      const made = pipelines.insert(draft, draft.enabled ?? false, context.clock.wallMs())
      context.fleet.reconcile()
      return c.json(viewOf(context, made), 201, {
        location: `/api/pipelines/${made.id}`,
        ...tagHeader(made),
      })
    },
  )
}

function addItem(router: OpenAPIHono, context: ControlContext): void {
  const { fields, pipelines } = context
  const view = viewSchema(fields)
  const item = { path: '/api/pipelines/{id}' as const, tags: ['pipelines'] }
  router.openapi(
    createRoute({
      ...item,
      method: 'get',
      summary: 'Returns a pipeline, with its ETag.',
      request: { params: idParam },
      responses: { 200: json(view, 'The pipeline.'), ...problems(404) },
    }),
    (c) => {
      const pipeline = mustPipeline(context, c.req.valid('param').id)
      return c.json(viewOf(context, pipeline), 200, tagHeader(pipeline))
    },
  )
  router.openapi(
    createRoute({
      ...item,
      method: 'put',
      summary: 'Replaces the configuration, as a new revision.',
      description:
        'A missing field gets its default; a missing `enabled` stays as it is. A missing secret ' +
        'stays; null removes it, from earlier revisions too. Set it again when its address or ' +
        'TLS changes.',
      request: {
        params: idParam,
        body: { required: true, ...json(bodySchema(fields), 'The pipeline.') },
      },
      responses: { 200: json(view, 'Changed.'), ...problems(404, 409, 412) },
    }),
    (c) => {
      const before = mustPipeline(context, c.req.valid('param').id)
      checkMatch(c.req.header('if-match'), before)
      const draft = checked(context, c.req.valid('json'), before)
      refuseTakenName(context, draft.name, before.id)
      const enabled = draft.enabled ?? before.enabled
      const removed = Object.keys(before.secrets).filter((key) => !(key in draft.secrets))
      const nowMs = context.clock.wallMs()
      const after = pipelines.update(before.id, draft, enabled, nowMs, removed)
      if (enabled !== before.enabled || after.replicas !== before.replicas) {
        context.fleet.reconcile()
      }
      context.check(after.id)
      return c.json(viewOf(context, after), 200, tagHeader(after))
    },
  )
  router.openapi(
    createRoute({
      ...item,
      method: 'delete',
      summary: 'Deletes a stopped pipeline.',
      request: { params: idParam },
      responses: { 204: { description: 'Deleted.' }, ...problems(404, 409, 412) },
    }),
    (c) => {
      const pipeline = mustPipeline(context, c.req.valid('param').id)
      checkMatch(c.req.header('if-match'), pipeline)
      const running = context.fleet.running(pipeline.id).map(({ id }) => id)
      if (pipeline.enabled || running.length > 0) {
        const who = running.length > 0 ? ` (on ${running.join(', ')})` : ''
        throw new Problem(409, `Pipeline ${pipeline.id} is running${who}: stop it first.`)
      }
      pipelines.delete(pipeline.id)
      context.pipelineDeleted(pipeline.id)
      return c.body(null, 204)
    },
  )
}

function addStartStop(router: OpenAPIHono, context: ControlContext): void {
  const view = viewSchema(context.fields)
  for (const verb of ['start', 'stop'] as const) {
    router.openapi(
      createRoute({
        method: 'post',
        path: `/api/pipelines/{id}/${verb}`,
        tags: ['pipelines'],
        summary:
          verb === 'start'
            ? 'Starts the pipeline; its status names the worker, or why it does not run yet.'
            : 'Drains and stops the pipeline.',
        request: { params: idParam },
        responses: { 200: json(view, 'Desired state accepted.'), ...problems(404, 412) },
      }),
      (c) => {
        const pipeline = mustPipeline(context, c.req.valid('param').id)
        checkMatch(c.req.header('if-match'), pipeline)
        const nowMs = context.clock.wallMs()
        const after = context.pipelines.setEnabled(pipeline.id, verb === 'start', nowMs)
        context.fleet.reconcile()
        return c.json(viewOf(context, after), 200, tagHeader(after))
      },
    )
  }
}

function addRevisions(router: OpenAPIHono, context: ControlContext): void {
  const { fields, pipelines } = context
  router.openapi(
    createRoute({
      method: 'get',
      path: '/api/pipelines/{id}/revisions',
      tags: ['pipelines'],
      summary:
        'Lists the kept revisions, newest first, with who changed what; the first is active.',
      request: { params: idParam },
      responses: {
        200: json(z.object({ items: z.array(z.record(z.string(), z.unknown())) }), 'Revisions.'),
        ...problems(404),
      },
    }),
    (c) => {
      const { id } = mustPipeline(context, c.req.valid('param').id)
      const lines = context.audit.of(id)
      const items = pipelines.revisions(id).map((revision) => revisionView(revision, fields, lines))
      return c.json({ items }, 200)
    },
  )
  router.openapi(
    createRoute({
      method: 'post',
      path: '/api/pipelines/{id}/rollback',
      tags: ['pipelines'],
      summary: 'Rolls back to an earlier revision, by default the previous one, as a new revision.',
      request: {
        params: idParam,
        body: {
          required: false,
          ...json(
            z.object({ revision: z.number().int().min(1).max(NUMBER_MAX).optional() }),
            'The revision to roll back to.',
          ),
        },
      },
      responses: { 200: json(viewSchema(fields), 'In force.'), ...problems(404, 409, 412) },
    }),
    (c) => {
      const before = mustPipeline(context, c.req.valid('param').id)
      checkMatch(c.req.header('if-match'), before)
      // Without a body there is nothing to validate.
      const asked = c.req.valid('json') as { readonly revision?: number } | undefined
      const revision = keptRevision(pipelines, before, asked?.revision)
      refuseTakenName(context, revision.name, before.id)
      refuseMovedSecrets(context, before, revision)
      const after = pipelines.update(before.id, revision, before.enabled, context.clock.wallMs())
      context.fleet.reconcile()
      context.check(after.id)
      return c.json(viewOf(context, after), 200, tagHeader(after))
    },
  )
}

/** An address that was left is not trusted with a secret again because it once was. */
function refuseMovedSecrets({ fields }: ControlContext, now: Pipeline, then: Revision): void {
  const kept = { settings: now.settings, secrets: then.secrets }
  const faults = fields.movedSecrets(kept, then.settings)
  if (faults.length === 0) return
  const detail =
    `Revision ${then.revision} has secrets for another address or TLS than the active one: ` +
    'change the pipeline with PUT, and set the secrets again.'
  throw new Problem(422, detail, { faults })
}

/** The one that is asked for, or the last before the one in force. */
function keptRevision(pipelines: PipelineStore, pipeline: Pipeline, asked?: number): Revision {
  const number = asked ?? pipeline.revision - 1
  const revision = pipelines.revision(pipeline.id, number)
  if (revision !== undefined) return revision
  if (asked === undefined) throw new Problem(409, 'There is no earlier revision.')
  const detail = `Revision ${number} of pipeline ${pipeline.id} is not (or no longer) kept.`
  throw new Problem(422, detail, { faults: [{ field: 'revision', detail }] })
}

function checked(
  context: ControlContext,
  body: Readonly<Record<string, unknown>>,
  before?: Pipeline,
): Draft {
  const { fields } = context
  const result = fields.check(body, before)
  if ('faults' in result) throw notSaved(result.faults)
  const { draft } = result
  const faults = faultsTogether({
    ...fields.variables(draft.settings),
    ...fields.secretVariables(draft.secrets),
  })
  if (faults.length === 0) return draft
  throw new Problem(422, 'The fields contradict each other.', { faults })
}

function notSaved(faults: readonly FieldFault[]): Problem {
  const names = faults.map(({ field }) => field).join(', ')
  return new Problem(422, `The pipeline was not saved. Wrong fields: ${names}.`, { faults })
}

function refuseTakenName(context: ControlContext, name: string, ownId: number | null): void {
  const other = context.pipelines.getByName(name)
  if (other === undefined || other.id === ownId) return
  const detail = `Pipeline ${other.id} is already called ${name}.`
  throw new Problem(409, detail, { faults: [{ field: 'name', detail }] })
}

/** If-Match as RFC 9110 has it: a list of tags, or * for whatever is there. */
function checkMatch(header: string | undefined, pipeline: Pipeline): void {
  if (header === undefined || header.trim() === '*') return
  const tag = entityTag(pipeline)
  if (header.split(',').some((given) => given.trim() === tag)) return
  const detail = `Pipeline ${pipeline.id} has changed since you read it: its ETag is now ${tag}.`
  throw new Problem(412, detail, { headers: { etag: tag } })
}
