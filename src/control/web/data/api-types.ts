/**
 * The answers of the API, as the dashboard reads them. test/control/web/data/api-types.test.ts
 * holds these shapes against real answers.
 */

export type PipelineState =
  'stopped' | 'stopping' | 'pending' | 'starting' | 'running' | 'degraded' | 'failed'

export interface PipelineWorker {
  readonly id: string
  readonly state: string
  readonly revision: number | null
  readonly error: { readonly message: string; readonly lines: readonly string[] } | null
}

export interface PipelineStatus {
  readonly state: PipelineState
  readonly reason: string | null
  readonly workers: readonly PipelineWorker[]
  readonly check: {
    readonly state: string
    readonly worker_id: string
    readonly created_at: string
    readonly result: unknown
  } | null
}

export type FieldValue = string | number | boolean | readonly string[]

/** What a pipeline and each of its revisions have in common, beside one member for each field. */
export interface PipelineContent {
  readonly name: string
  readonly replicas: number
  readonly kafka_config: Readonly<Record<string, string>>
  readonly secrets: Readonly<Record<string, 'set' | 'unset'>>
}

export interface Pipeline extends PipelineContent {
  readonly id: number
  readonly enabled: boolean
  readonly revision: number
  readonly version: number
  readonly created_at: string
  readonly updated_at: string
  readonly status: PipelineStatus
}

export interface Revision extends PipelineContent {
  readonly revision: number
  readonly created_at: string
}

export interface Worker {
  readonly id: string
  readonly state: string
  readonly live: boolean
  readonly pid: number | null
  readonly pipeline_id: number | null
  readonly revision: number | null
  readonly failed_revision: number | null
  readonly error: { readonly message: string; readonly lines: readonly string[] } | null
  readonly assignment: {
    readonly pipeline_id: number
    readonly desired_state: 'running' | 'stopped'
    readonly pinned: boolean
  } | null
  readonly metrics: Readonly<Record<string, number>>
  readonly dead_letters: number
  readonly version: string | null
  readonly last_seen_at: string
}

export interface RuntimeEntry {
  readonly workers: readonly string[]
  readonly metrics: Readonly<Record<string, number>>
  readonly rates: Readonly<Record<string, number>>
}

export interface Runtime {
  readonly at: string
  readonly fleet: RuntimeEntry
  readonly pipelines: readonly (RuntimeEntry & { readonly pipeline_id: number })[]
}

export interface History {
  readonly step_seconds: number
  readonly points: readonly Readonly<Record<string, number | string>>[]
}

export interface Option {
  readonly field: string
  readonly variable: string
  readonly group: string
  readonly group_title: string
  readonly kind: string
  readonly choices: readonly string[]
  readonly min: number | null
  readonly max: number | null
  readonly default: string | null
  readonly secret: boolean
  readonly repeatable: boolean
  readonly description: string
  readonly help: string
}

export interface Options {
  readonly items: readonly Option[]
  readonly kafka_properties: readonly { readonly name: string; readonly secret: boolean }[]
}

export interface About {
  readonly version: string
  readonly program: string
  readonly worker_token_file: string | null
  readonly worker_token_binds: boolean
}

export interface Session {
  readonly signed_in: boolean
  readonly token_needed: boolean
}

export interface Command {
  readonly id: string
  readonly worker_id: string
  readonly kind: string
  readonly state: 'queued' | 'sent' | 'done' | 'failed' | 'expired'
  readonly result: unknown
}

/** Elasticsearch as /api/metrics/es tells it. */
export interface EsReport {
  readonly elasticsearch: {
    readonly reachable: boolean
    readonly errors: readonly string[]
    readonly cluster: { name: string; status: string; nodes: number } | null
    readonly index: { docs: number; bytes: number } | null
    readonly write_pool: { active: number; queue: number; rejected: number } | null
  }
}

/** RFC 9457, with an entry for each wrong field. */
export interface ProblemBody {
  readonly title: string
  readonly status: number
  readonly detail: string
  readonly errors?: readonly { readonly field: string; readonly detail: string }[]
}
