/**
 * The shapes that workers and the control plane exchange, and their bounds.
 */
import { z } from '@hono/zod-openapi'
import { METRIC_NAME, SNAPSHOT_METRICS_MAX } from '../core/metrics-snapshot.ts'
import {
  WORKER_ID,
  WORKER_POLL_MS_MAX,
  WORKER_POLL_MS_MIN,
  WORKER_SECRET_HEADER,
} from '../core/worker-wire.ts'

export const workerIdParam = z.object({
  id: z
    .string()
    .regex(WORKER_ID, 'expected letters, digits, dot, dash, underscore')
    .openapi({ param: { name: 'id', in: 'path' }, example: 'worker-1' }),
})

export const workerSecretHeader = z.object({
  [WORKER_SECRET_HEADER]: z
    .string()
    .regex(/^[\w-]{32,128}$/, 'expected 32 to 128 letters, digits, dashes and underscores')
    .optional()
    .openapi({
      description:
        'Made by the worker at its first start. The first that comes binds the id; from then on ' +
        'a call without it is refused (403) until the worker is deleted.',
    }),
})

/** What a worker may send of each; more is refused, so sync must cut first. */
const TAIL_ENTRIES_MAX = 200
const TAIL_CHARS_MAX = 16_384
const ERROR_LINES_MAX = 50

const count = z.number().int().min(0).max(Number.MAX_SAFE_INTEGER)

export const heartbeatSchema = z
  .object({
    // Any word: a worker of the next version may have one more, and must be heard all the same.
    state: z
      .string()
      .regex(/^[a-z_]{1,32}$/)
      .openapi({
        description:
          'idle, starting, running, stopping, backoff, crash_loop; ' +
          'exiting is the last heartbeat of a worker that stops in order.',
      }),
    pid: count.nullable().default(null),
    pipeline_id: count.nullable().default(null),
    revision: count.nullable().default(null),
    failed_revision: count.nullable().default(null),
    error: z
      .object({
        message: z.string().max(4096),
        lines: z.array(z.string().max(4096)).max(ERROR_LINES_MAX).default([]),
      })
      .nullable()
      .default(null),
    metrics: z
      .record(z.string().regex(METRIC_NAME), z.number())
      .refine((metrics) => Object.keys(metrics).length <= SNAPSHOT_METRICS_MAX, 'too many metrics')
      .default({}),
    tail: z.array(z.string().max(TAIL_CHARS_MAX)).max(TAIL_ENTRIES_MAX).default([]),
    dead_letters: count.default(0),
    leftovers: count.nullable().default(null).openapi({
      description:
        'The pipeline whose spill waits, since a restart of sync, for secrets to be sent with.',
    }),
    leftovers_revision: count.nullable().default(null).openapi({
      description: 'The revision that the spill is of: it says which address the secrets go to.',
    }),
    results: z
      .array(z.object({ id: z.string().max(64), ok: z.boolean(), result: z.unknown().optional() }))
      .max(32)
      .default([]),
    poll_ms: z.number().int().min(WORKER_POLL_MS_MIN).max(WORKER_POLL_MS_MAX).default(1000),
    instance: z.string().max(64).nullable().default(null),
    version: z.string().max(64).nullable().default(null),
  })
  .openapi('Heartbeat')

export const assignmentSchema = z
  .object({
    pipeline_id: z.number().int(),
    name: z.string(),
    desired_state: z.enum(['running', 'stopped']),
    revision: z.number().int(),
    variables: z.record(z.string(), z.string()),
    secrets: z.record(z.string(), z.string()),
    fallback: z
      .object({
        revision: z.number().int(),
        variables: z.record(z.string(), z.string()),
        secrets: z.record(z.string(), z.string()),
      })
      .nullable()
      .openapi({ description: 'The last revision that ran well, when that is another.' }),
  })
  .openapi('Assignment')

export const leftoversSchema = z
  .object({ pipeline_id: z.number().int(), secrets: z.record(z.string(), z.string()) })
  .openapi('Leftovers', {
    description:
      'What was asked for; null when it was not, when there is no such pipeline, or when this ' +
      'worker was never given it.',
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
    error: z.object({ message: z.string(), lines: z.array(z.string()) }).nullable(),
    assignment: z
      .object({
        pipeline_id: z.number().int(),
        desired_state: z.enum(['running', 'stopped']),
        pinned: z.boolean(),
      })
      .nullable(),
    metrics: z.record(z.string(), z.number()),
    dead_letters: z.number().int(),
    poll_ms: z.number().int(),
    version: z.string().nullable(),
    first_seen_at: z.string(),
    last_seen_at: z.string(),
  })
  .openapi('Worker')

export type WorkerView = z.infer<typeof workerSchema>

/*
 * What a worker says when it calls, once it was checked.
 */

export interface Heartbeat {
  readonly state: string
  readonly pid: number | null
  /** Which pipeline and revision the child runs; null: none. */
  readonly pipelineId: number | null
  readonly revision: number | null
  /** Revision that would not run, when an older one runs in its place. */
  readonly failedRevision: number | null
  readonly error: { readonly message: string; readonly lines: readonly string[] } | null
  readonly metrics: Readonly<Record<string, number>>
  readonly deadLetters: number
  readonly pollMs: number
  /** Made anew at each start of sync: tells two processes of one name apart. */
  readonly instance: string | null
  readonly version: string | null
}
