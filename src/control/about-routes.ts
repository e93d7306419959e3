/**
 * What the dashboard must know: /api/about, how a worker is started, which names the file of the
 * workers' token and never the token; /api/options, the fields that a form has.
 */
import { createRoute, type OpenAPIHono } from '@hono/zod-openapi'
import { aboutSchema, optionsSchema } from '../core/control-api.ts'
import { isHiddenProperty } from '../options/kafka-properties.ts'
import { REMOTE_PROPERTIES } from '../options/remote-kafka-properties.ts'
import { GROUPS } from '../options/spec.ts'
import { newRouter, problems, type ControlContext } from './control-context.ts'
import { fieldName } from './pipeline-fields.ts'

export interface About {
  readonly version: string
  /** How this program is called on a command line: bin/logpipe in a checkout. */
  readonly program: string
  /** Where the workers' token is kept; null: the operator set WORKER_TOKEN. */
  readonly workerTokenFile: string | null
  /** Whether workers on this machine need it too. */
  readonly workerTokenBinds: boolean
}

export function aboutRoutes(about: About): OpenAPIHono {
  const router = newRouter()
  router.openapi(
    createRoute({
      method: 'get',
      path: '/api/about',
      tags: ['session'],
      summary: 'Returns the version, and the token file for starting a worker.',
      responses: {
        200: {
          description: 'The version and the token file.',
          content: {
            'application/json': {
              schema: aboutSchema,
            },
          },
        },
        ...problems(),
      },
    }),
    (c) =>
      c.json(
        {
          version: about.version,
          program: about.program,
          worker_token_file: about.workerTokenFile,
          worker_token_binds: about.workerTokenBinds,
        },
        200,
      ),
  )
  return router
}

/*
 * /api/options: the rows of the option table that are fields of a pipeline, for whoever draws a
 * form.
 */

const titles: Readonly<Record<string, string>> = GROUPS

export function optionRoutes(context: ControlContext): OpenAPIHono {
  const router = newRouter()
  const items = context.fields.rows.map((row) => ({
    field: fieldName(row),
    variable: row.env,
    group: row.group,
    group_title: titles[row.group] ?? row.group,
    kind: row.kind,
    choices: [...(row.choices ?? [])],
    min: row.min ?? null,
    max: row.max ?? null,
    default: row.default,
    secret: row.secret === true,
    repeatable: row.repeatable === true,
    description: row.short,
    help: row.long,
  }))
  const kafka_properties = REMOTE_PROPERTIES.map((name) => ({
    name,
    secret: isHiddenProperty(name),
  }))
  router.openapi(
    createRoute({
      method: 'get',
      path: '/api/options',
      tags: ['pipelines'],
      summary: 'Lists the fields that a pipeline may have.',
      responses: {
        200: {
          description: 'Fields, in the order of the table.',
          content: { 'application/json': { schema: optionsSchema } },
        },
        ...problems(),
      },
    }),
    (c) => c.json({ items, kafka_properties }, 200),
  )
  return router
}
