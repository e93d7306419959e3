/**
 * A pipeline as answers show it: flat, with its fields beside its state, and without a secret.
 *
 * The same object, edited, can be sent back by PUT: what is read-only is ignored there.
 */
import { z } from '@hono/zod-openapi'
import { PIPELINE_STATES, type PipelineStatus } from '../core/control-api.ts'
import type { AuditLine } from './audit.ts'
import {
  fieldName,
  type FieldRow,
  NAME_CHARS_MAX,
  type PipelineFields,
  REPLICAS_MAX,
} from './pipeline-fields.ts'
import type { Pipeline, Revision } from './pipeline-store.ts'

export type View = Record<string, unknown>

export function pipelineView(
  pipeline: Pipeline,
  status: PipelineStatus,
  fields: PipelineFields,
): View {
  return {
    id: pipeline.id,
    ...contentView(pipeline, fields),
    enabled: pipeline.enabled,
    desired_state: pipeline.enabled ? 'running' : 'stopped',
    revision: pipeline.revision,
    version: pipeline.version,
    good_revision: pipeline.goodRevision,
    created_at: new Date(pipeline.createdMs).toISOString(),
    updated_at: new Date(pipeline.updatedMs).toISOString(),
    status,
  }
}

/** Of a pipeline that is started and stopped all day the last ones are shown. */
const AUDIT_LINES_SHOWN = 20

export function revisionView(
  revision: Revision,
  fields: PipelineFields,
  audit: readonly AuditLine[],
): View {
  return {
    revision: revision.revision,
    created_at: new Date(revision.createdMs).toISOString(),
    audit: audit
      .filter((line) => line.revision === revision.revision)
      .slice(-AUDIT_LINES_SHOWN)
      .map(({ atMs, who, what }) => ({ at: new Date(atMs).toISOString(), who, what })),
    ...contentView(revision, fields),
  }
}

/** Strong, and changed by every change of the row. */
export function entityTag(pipeline: Pipeline): string {
  return `"${pipeline.id}-${pipeline.version}"`
}

/**
 * The body of POST and PUT. The schema only documents: the table of fields does the checking,
 * because it alone can say what is wrong with each field.
 */
export function bodySchema(fields: PipelineFields) {
  return z.record(z.string(), z.unknown()).openapi('PipelineBody', {
    type: 'object',
    required: ['name'],
    properties: {
      ...ownProperties,
      ...Object.fromEntries(fields.rows.map((row) => [fieldName(row), propertyOf(row, fields)])),
    },
    additionalProperties: false,
  })
}

/** A filter alone, as a pipeline has it; it documents, as bodySchema does. */
export function filterSchema(fields: PipelineFields) {
  return z.record(z.string(), z.unknown()).openapi('FilterBody', {
    type: 'object',
    properties: Object.fromEntries(
      fields.tryRows.map((row) => [fieldName(row), propertyOf(row, fields)]),
    ),
    additionalProperties: false,
  })
}

export function viewSchema(fields: PipelineFields) {
  return z.record(z.string(), z.unknown()).openapi('Pipeline', {
    type: 'object',
    required: ['id', 'name', 'enabled', 'desired_state', 'replicas', 'revision', 'status'],
    properties: {
      id: { type: 'integer' },
      revision: { type: 'integer', description: 'Counts changes of the configuration.' },
      version: { type: 'integer', description: 'Counts every change; shown by ETag.' },
      good_revision: {
        type: ['integer', 'null'],
        description: 'The last revision that ran well; workers roll back to it.',
      },
      created_at: { type: 'string', format: 'date-time' },
      updated_at: { type: 'string', format: 'date-time' },
      status: {
        type: 'object',
        properties: {
          state: { type: 'string', enum: [...PIPELINE_STATES] },
          reason: { type: ['string', 'null'] },
          reasons: {
            type: 'array',
            items: { type: 'object' },
            description: 'What keeps it from its work: worker_id, kind, place, text, since.',
          },
          workers: { type: 'array', items: { type: 'object' } },
          check: { type: ['object', 'null'] },
        },
      },
      secrets: {
        type: 'object',
        additionalProperties: { type: 'string', enum: ['set', 'unset'] },
        description: 'Which secrets are set. Their values are never returned.',
      },
      ...ownProperties,
      ...Object.fromEntries(
        fields.rows
          .filter((row) => row.secret !== true)
          .map((row) => [fieldName(row), propertyOf(row, fields)]),
      ),
    },
  })
}

const ownProperties: Record<string, SchemaObject> = {
  name: { type: 'string', minLength: 1, maxLength: NAME_CHARS_MAX, description: 'Unique.' },
  enabled: { type: 'boolean', description: 'The same as desired_state running.' },
  desired_state: {
    type: 'string',
    enum: ['running', 'stopped'],
    description: 'The same as enabled.',
  },
  replicas: {
    type: 'integer',
    minimum: 1,
    maximum: REPLICAS_MAX,
    default: 1,
    description: 'Workers that share the consumer group.',
  },
  kafka_config: {
    type: 'object',
    additionalProperties: { type: 'string' },
    description: 'librdkafka properties, from an allow-list.',
  },
}

type SchemaObject = {
  type: SchemaType | SchemaType[]
  description: string
  enum?: string[]
  minimum?: number
  maximum?: number
  minLength?: number
  maxLength?: number
  writeOnly?: boolean
  default?: number
  additionalProperties?: { type: SchemaType }
}
type SchemaType = 'boolean' | 'integer' | 'string' | 'object' | 'array'

function propertyOf(row: FieldRow, fields: PipelineFields): SchemaObject {
  const schema: SchemaObject = { type: 'string', description: row.short }
  if (row.kind === 'switch') schema.type = 'boolean'
  if (row.kind === 'count' || row.kind === 'number') schema.type = 'integer'
  if (row.kind === 'bytes' || row.kind === 'duration') schema.type = ['integer', 'string']
  if (row.repeatable === true) schema.type = ['string', 'array']
  if (row.choices !== undefined && row.kind === 'choice') schema.enum = [...row.choices]
  if (row.min !== undefined && schema.type !== 'string') schema.minimum = row.min
  if (row.max !== undefined && schema.type !== 'string') schema.maximum = row.max
  if (schema.type.includes('string') && !fields.takesEmpty(row)) schema.minLength = 1
  if (row.secret === true) schema.writeOnly = true
  if (row.default !== null) schema.description += ` Default: ${row.default || '(empty)'}.`
  return schema
}

function contentView(
  content: Pick<Pipeline, 'name' | 'replicas' | 'settings' | 'secrets'>,
  fields: PipelineFields,
): View {
  return {
    name: content.name,
    replicas: content.replicas,
    ...content.settings.fields,
    kafka_config: content.settings.kafkaConfig,
    secrets: fields.secretStates(content.secrets),
  }
}
