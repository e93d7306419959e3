/**
 * The answers of the API, as the dashboard reads them: core/control-api.ts has their shapes. No
 * schema has those of a pipeline, whose members come from the option table, and of Elasticsearch.
 */
import type {
  AboutView,
  BooksView,
  CommandView,
  History as WholeHistory,
  OptionsView,
  OptionView,
  PipelineStatus,
  ProblemBody as WholeProblem,
  Runtime as WholeRuntime,
  SessionView,
  WorkerView,
} from '../../../core/control-api.ts'

export type { PipelineState, PipelineStatus } from '../../../core/control-api.ts'
export type About = AboutView
export type Books = BooksView
export type Command = CommandView
export type Option = OptionView
export type Options = OptionsView
export type Session = SessionView
export type Runtime = Pick<WholeRuntime, 'at' | 'fleet' | 'pipelines'>
export type RuntimeEntry = WholeRuntime['fleet']
export type History = Pick<WholeHistory, 'step_seconds' | 'points'>
export type ProblemBody = Pick<WholeProblem, 'title' | 'status' | 'detail'> & {
  readonly errors?: readonly FieldFault[] | undefined
}

export interface FieldFault {
  readonly field: string
  readonly detail: string
  /** Two lines: the part of the value that is wrong, and a caret below the column. */
  readonly place?: string | undefined
}
export type Worker = WorkerView

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
  /** Who did what while it was in force, the oldest first. */
  readonly audit: readonly { readonly at: string; readonly who: string; readonly what: string }[]
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

