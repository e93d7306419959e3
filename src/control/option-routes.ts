/**
 * /api/options: the rows of the option table that are fields of a pipeline, for whoever draws a
 * form.
 */
import { createRoute, z, type OpenAPIHono } from '@hono/zod-openapi'
import { propertyIsSecret, REMOTE_PROPERTIES } from '../options/remote-kafka-properties.ts'
import { GROUPS } from '../options/spec.ts'
import { newRouter, problems, type ControlContext } from './control-context.ts'
import { fieldName } from './pipeline-fields.ts'

const optionSchema = z
  .object({
    field: z.string(),
    variable: z.string(),
    group: z.string(),
    group_title: z.string(),
    kind: z.string(),
    choices: z.array(z.string()),
    min: z.number().nullable(),
    max: z.number().nullable(),
    default: z.string().nullable(),
    secret: z.boolean(),
    repeatable: z.boolean(),
    description: z.string(),
    help: z.string().openapi({ description: 'What it costs, and when to change it.' }),
  })
  .openapi('Option')

const propertySchema = z.object({ name: z.string(), secret: z.boolean() }).openapi('KafkaProperty')

const answerSchema = z.object({
  items: z.array(optionSchema),
  kafka_properties: z
    .array(propertySchema)
    .openapi({ description: 'The librdkafka properties that kafka_config may have.' }),
})

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
    secret: propertyIsSecret(name),
  }))
  router.openapi(
    createRoute({
      method: 'get',
      path: '/api/options',
      tags: ['pipelines'],
      summary: 'The fields that a pipeline may have.',
      responses: {
        200: {
          description: 'Fields, in the order of the table.',
          content: { 'application/json': { schema: answerSchema } },
        },
        ...problems(),
      },
    }),
    (c) => c.json({ items, kafka_properties }, 200),
  )
  return router
}
