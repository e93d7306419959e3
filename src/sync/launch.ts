/**
 * How a child is started: program, arguments, environment, home.
 */
import path from 'node:path'
import { decidedBySync } from '../options/remote-options.ts'
import type { Assignment } from './assignment.ts'
import type { Launch } from './child.ts'

export interface LaunchSettings {
  /** The logpipe to run and its leading arguments: SYNC_BIN_PATH, or this very program. */
  readonly command: readonly string[]
  /** What a child inherits; the tokens of sync itself are left out. */
  readonly environment: Readonly<Record<string, string | undefined>>
  /** More variables that name files in the child's home, as dead letters do. */
  readonly homeVariables?: (folder: string) => Readonly<Record<string, string>>
}

/**
 * A child needs none of these, and they would let it act as the worker or the operator; the address
 * of METRICS_LISTEN is sync's own.
 */
const NOT_INHERITED =
  /^(WORKER_|CONTROL_|SYNC_|(METRICS_LISTEN|LOGPIPE_(SECRETS_FD|REPLY_FD|PARENT_STDIN|PIPELINE))$)/

/** The name of the snapshot in a child's home. */
export const SNAPSHOT_NAME = 'runtime_metrics.json'

/** @param args the sub-command, as `run`, and what belongs to it. */
export function launchOf(
  settings: LaunchSettings,
  assignment: Assignment,
  folder: string,
  args: readonly string[],
): Launch {
  const inherited: Record<string, string> = {}
  for (const [name, value] of Object.entries(settings.environment)) {
    // A pipeline's own secret comes by a pipe, over which the environment would win.
    const isOwn = Object.hasOwn(assignment.secrets, name)
    if (value !== undefined && !isOwn && !NOT_INHERITED.test(name)) inherited[name] = value
  }
  return {
    command: [...settings.command, ...args],
    environment: {
      ...inherited,
      ...assignment.variables,
      ...decidedBySync(assignment.variables['PRODUCT_LINE'] ?? inherited['PRODUCT_LINE']),
      LOGPIPE_PIPELINE: `${assignment.pipelineId} ${assignment.name}`,
      ES_SPILL_PATH: path.join(folder, 'es_spill.bin'),
      RUNTIME_METRICS_PATH: path.join(folder, SNAPSHOT_NAME),
      ...settings.homeVariables?.(folder),
    },
    secrets: assignment.secrets,
  }
}

/** What a spill belongs to; sink/spill/open.ts refuses one of anything else. */
const SPILL_VARIABLES = ['KAFKA_GROUP_ID', 'KAFKA_TOPIC', 'ES_URL', 'ES_INDEX'] as const

/**
 * Names the spill of a pipeline that commits on it: one revision can send what another has left
 * there when both names are the same. Null: no document lies in its spill alone. By the pipeline,
 * or where it says nothing by the environment that it inherits.
 */
export function spillOf(settings: LaunchSettings, assignment: Assignment): string | null {
  const { pipelineId, variables } = assignment
  const valueOf = (name: string) => variables[name] ?? settings.environment[name] ?? null
  if (valueOf('COMMIT_ON') !== 'spill') return null
  return JSON.stringify([pipelineId, ...SPILL_VARIABLES.map(valueOf)])
}
