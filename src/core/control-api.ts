/**
 * The schemas of the control plane's API: the control plane validates and documents requests with
 * them, sync validates answers with them, and the dashboard uses their types.
 *
 * Plain zod; the routes add details that only OpenAPI needs. `meta.id` is a schema's name in the
 * document. The fields of a pipeline come from the option table instead (pipeline-fields.ts).
 *
 * Different versions. Parsing drops members that are not listed here. Members that a heartbeat may
 * omit have a default.
 */
import { z } from 'zod'
import { type Trouble, TROUBLE_CHARS_MAX, TROUBLE_KIND, TROUBLES_MAX } from './trouble.ts'
import {
  METRIC_NAME,
  METRICS_MAX,
  SNAPSHOT_METRICS_MAX,
  WORKER_ID,
  WORKER_POLL_MS_MAX,
  WORKER_POLL_MS_MIN,
} from './worker-wire.ts'

export const workerIdSchema = z
  .string()
  .regex(WORKER_ID, 'expected letters, digits, dot, dash, underscore')

export const workerSecretSchema = z
  .string()
  .regex(/^[\w-]{32,128}$/, 'expected 32 to 128 letters, digits, dashes and underscores')

/** Limits per item of a worker's report; more is refused, so sync must cut first. */
export const TAIL_ENTRIES_MAX = 200
const TAIL_CHARS_MAX = 16_384
const ERROR_LINES_MAX = 50
/** Of an error's message and of each of its lines. */
export const ERROR_CHARS_MAX = 4096

const count = z.number().int().min(0).max(Number.MAX_SAFE_INTEGER)
const texts = z.record(z.string(), z.string())
const numbers = z.record(z.string(), z.number())
const faultSchema = z.object({ message: z.string(), lines: z.array(z.string()) })

/** Pipelines whose books one heartbeat reports, and entries of each. */
const BOOKS_MAX = 32
const BOOK_ENTRIES_MAX = 64

/** What keeps a pipeline from its work (trouble.ts). */
const troubleShape = {
  kind: z.string().regex(TROUBLE_KIND).meta({
    description: 'As in the label `kind` of the metric pipeline_trouble.',
  }),
  place: z.string().max(TROUBLE_CHARS_MAX).nullable().meta({
    description: 'An index, or a topic with its partition; null: everywhere.',
  }),
  text: z.string().max(TROUBLE_CHARS_MAX),
  since: z.string().max(40),
}

/** The heartbeat of a worker. */
export const heartbeatSchema = z
  .object({
    // Any word: a worker of the next version may have one more, and must be heard all the same.
    state: z
      .string()
      .regex(/^[a-z_]{1,32}$/)
      .meta({
        description:
          'idle, starting, running, stopping, backoff, crash_loop; ' +
          'exiting is the last heartbeat of a worker that shuts down.',
      }),
    pid: count.nullable().default(null),
    pipeline_id: count.nullable().default(null),
    revision: count.nullable().default(null),
    failed_revision: count.nullable().default(null),
    error: z
      .object({
        message: z.string().max(ERROR_CHARS_MAX),
        lines: z.array(z.string().max(ERROR_CHARS_MAX)).max(ERROR_LINES_MAX).default([]),
      })
      .nullable()
      .default(null),
    metrics: z
      .record(z.string().regex(METRIC_NAME), z.number())
      .refine((metrics) => Object.keys(metrics).length <= SNAPSHOT_METRICS_MAX, 'too many metrics')
      .default({}),
    troubles: z.array(z.object(troubleShape)).max(TROUBLES_MAX).default([]).meta({
      description: 'What keeps the pipeline from its work now.',
    }),
    log_metrics: z
      .array(z.record(z.string(), z.unknown()))
      .max(METRICS_MAX)
      .default([])
      .meta({ description: 'What the pipeline counts from its records, by label set.' }),
    tail: z.array(z.string().max(TAIL_CHARS_MAX)).max(TAIL_ENTRIES_MAX).default([]),
    dead_letters: count.default(0).meta({ description: 'In the files of its pipeline now.' }),
    books: z
      .array(
        z.object({
          pipeline_id: count,
          id: z.string().regex(/^[\w-]{1,64}$/),
          entries: z
            .record(z.string().regex(METRIC_NAME), count)
            .refine((entries) => Object.keys(entries).length <= BOOK_ENTRIES_MAX, 'too many'),
        }),
      )
      .max(BOOKS_MAX)
      .default([])
      .meta({
        description:
          'Sums over all children that the worker has had, of what runs and what ended lately. ' +
          'Each replaces the report of the same id.',
      }),
    leftovers: count.nullable().default(null).meta({
      description: 'The pipeline whose spill waits for secrets since sync restarted.',
    }),
    leftovers_revision: count.nullable().default(null).meta({
      description:
        'The revision that wrote the spill: it determines which address the secrets go to.',
    }),
    results: z
      .array(z.object({ id: z.string().max(64), ok: z.boolean(), result: z.unknown().optional() }))
      .max(32)
      .default([]),
    poll_ms: z.number().int().min(WORKER_POLL_MS_MIN).max(WORKER_POLL_MS_MAX).default(1000),
    instance: z.string().max(64).nullable().default(null),
    version: z.string().max(64).nullable().default(null),
  })
  .meta({ id: 'Heartbeat' })
export type HeartbeatBody = z.infer<typeof heartbeatSchema>

const contentShape = { revision: z.number().int(), variables: texts, secrets: texts }

export const assignmentSchema = z
  .object({
    pipeline_id: z.number().int(),
    name: z.string(),
    desired_state: z.enum(['running', 'stopped']),
    ...contentShape,
    fallback: z
      .object(contentShape)
      .nullable()
      .meta({ description: 'The last revision that ran well, when that is another.' }),
  })
  .meta({ id: 'Assignment' })

export const leftoversSchema = z.object({ pipeline_id: z.number().int(), secrets: texts }).meta({
  id: 'Leftovers',
  description:
    'The secrets asked for; null if none were, if there is no such pipeline, or if this ' +
    'worker never ran it.',
})

/** An order as a worker gets it. Any kind: one of the next version is answered as failed. */
export const orderSchema = z.object({
  id: z.string(),
  kind: z.string(),
  pipeline_id: z.number().int(),
  args: z.record(z.string(), z.unknown()),
  expires_at: z.string(),
})

export const heartbeatAnswerSchema = z.object({
  assignment: assignmentSchema.nullable(),
  leftovers: leftoversSchema.nullable(),
  commands: z.array(orderSchema),
})

export const workerSchema = z
  .object({
    id: z.string(),
    state: z.string(),
    live: z.boolean(),
    pid: z.number().int().nullable(),
    pipeline_id: z.number().int().nullable(),
    revision: z.number().int().nullable(),
    failed_revision: z.number().int().nullable(),
    error: faultSchema.nullable(),
    assignment: z
      .object({
        pipeline_id: z.number().int(),
        desired_state: z.enum(['running', 'stopped']),
        pinned: z.boolean(),
      })
      .nullable(),
    metrics: numbers,
    troubles: z.array(z.object(troubleShape)),
    dead_letters: z.number().int(),
    poll_ms: z.number().int(),
    version: z.string().nullable(),
    first_seen_at: z.string(),
    last_seen_at: z.string(),
  })
  .meta({ id: 'Worker' })
export type WorkerView = z.infer<typeof workerSchema>

/** Those that a client sends as they are; `try` has a route of its own. */
export const ORDER_KINDS = ['tail', 'dlq-list', 'dlq-replay', 'check'] as const
const COMMAND_KINDS = [...ORDER_KINDS, 'try'] as const
export type CommandKind = (typeof COMMAND_KINDS)[number]

/** A command, as the client that sent it sees it. */
export const commandSchema = z
  .object({
    id: z.string(),
    worker_id: z.string(),
    pipeline_id: z.number().int(),
    kind: z.enum(COMMAND_KINDS),
    state: z.enum(['queued', 'sent', 'done', 'failed', 'expired']),
    created_at: z.string(),
    expires_at: z.string(),
    result: z.unknown(),
  })
  .meta({ id: 'Command' })
export type CommandView = z.infer<typeof commandSchema>

export const PIPELINE_STATES = [
  'stopped',
  'stopping',
  'pending',
  'starting',
  'running',
  'degraded',
  'failed',
] as const
export type PipelineState = (typeof PIPELINE_STATES)[number]

export interface PipelineStatus {
  readonly state: PipelineState
  /** A message for people; null if there is nothing to report. */
  readonly reason: string | null
  /** What keeps it from its work now, by worker; REASONS_MAX at most. */
  readonly reasons: readonly ({ readonly worker_id: string } & Trouble)[]
  readonly workers: readonly {
    readonly id: string
    readonly state: string
    readonly revision: number | null
    readonly error: { readonly message: string; readonly lines: readonly string[] } | null
  }[]
  /** The latest check of Kafka, Elasticsearch and the rest, made on a worker. */
  readonly check: {
    /** Of the command, whose result is the whole of it. */
    readonly id: string
    readonly state: string
    readonly worker_id: string
    readonly created_at: string
    /** One line for each thing that is wrong. */
    readonly wrong: readonly string[]
    /** The findings, without the configuration. */
    readonly result: unknown
  } | null
}

const runtimeEntrySchema = z.object({
  workers: z.array(z.string()),
  metrics: numbers.meta({ description: 'Summed over the workers; for times, the longest.' }),
  rates: numbers.meta({ description: 'Per second, over the last three seconds.' }),
})

export const runtimeSchema = z.object({
  at: z.string(),
  fleet: runtimeEntrySchema,
  pipelines: z.array(runtimeEntrySchema.extend({ pipeline_id: z.number().int() })),
  local: z
    .object({ at: z.string(), metrics: numbers })
    .nullable()
    .meta({ description: 'A pipeline on this machine without a worker.' }),
})
export type Runtime = z.infer<typeof runtimeSchema>

export const booksSchema = z
  .object({
    pipeline_id: z.number().int(),
    entries: numbers.meta({ description: 'Records and documents by what became of them.' }),
    sources: z.number().int().meta({ description: 'carried_in + fetched + copied.' }),
    ends: z.number().int().meta({ description: 'The sum of all entries but these and the lost.' }),
    lost: z.number().int(),
    processes: z.number().int().meta({ description: 'Homes of workers that the sum is over.' }),
  })
  .meta({ id: 'Books' })
export type BooksView = z.infer<typeof booksSchema>

export const historySchema = z.object({
  pipeline_id: z.number().int(),
  seconds: z.number().int(),
  step_seconds: z.number(),
  points: z.array(z.object({ at: z.string() }).catchall(z.union([z.number(), z.string()]))),
})
export type History = z.infer<typeof historySchema>

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
    help: z.string().meta({ description: 'When to change it, and what that costs.' }),
  })
  .meta({ id: 'Option' })
export type OptionView = z.infer<typeof optionSchema>

const propertySchema = z
  .object({ name: z.string(), secret: z.boolean() })
  .meta({ id: 'KafkaProperty' })

export const optionsSchema = z.object({
  items: z.array(optionSchema),
  kafka_properties: z
    .array(propertySchema)
    .meta({ description: 'The librdkafka properties that kafka_config may have.' }),
})
export type OptionsView = z.infer<typeof optionsSchema>

export const aboutSchema = z.object({
  version: z.string(),
  program: z.string(),
  worker_token_file: z.string().nullable(),
  worker_token_binds: z.boolean(),
})
export type AboutView = z.infer<typeof aboutSchema>

export const sessionSchema = z.object({ signed_in: z.boolean(), token_needed: z.boolean() })
export type SessionView = z.infer<typeof sessionSchema>

/** RFC 9457, with an entry for each wrong field. */
export const problemSchema = z
  .object({
    type: z.string(),
    title: z.string(),
    status: z.number().int(),
    detail: z.string(),
    errors: z
      .array(
        z.object({
          field: z.string(),
          pointer: z.string(),
          detail: z.string(),
          place: z.string().optional().meta({
            description:
              'Two lines: the part of the value that is wrong, and a caret below the column.',
          }),
        }),
      )
      .optional(),
  })
  .meta({ id: 'Problem' })
export type ProblemBody = z.infer<typeof problemSchema>
