/**
 * Where files go that nobody has named a place for: `data/` here, or, where there is none to be,
 * the user's folder for state (XDG_STATE_HOME, else ~/.local/state), in `logpipe/`.
 *
 * What only prints makes no folder: matches to standard output leave nothing behind where they were
 * run. Documents for Elasticsearch make `data/`, for their spill.
 */
import { accessSync, constants, existsSync } from 'node:fs'
import path from 'node:path'
import type { Resolved } from '../options/resolve.ts'
import type { OptionName } from '../options/table.ts'

type Environment = Readonly<Record<string, string | undefined>>

/** Of the options that name a file below it by default. */
const DATA_FOLDER = 'data'

/** Where the files of a run go; a null snapshot is not written. */
interface StatePaths {
  readonly snapshot: string | null
  readonly spill: string
}

/** @param here the folder that paths are relative to. */
export function statePaths(
  { config, sources }: Pick<Resolved, 'config' | 'sources'>,
  env: Environment,
  here: string = process.cwd(),
): StatePaths {
  const { runtimeMetricsPath: snapshot, esSpillPath: spill, pipelineOutput } = config
  const needsSpill = pipelineOutput.kind === 'elasticsearch'
  if (isUsable(path.join(here, DATA_FOLDER), needsSpill)) return { snapshot, spill }
  const state = stateFolder(env)
  const isDefault = (name: OptionName) =>
    (sources.get(name) ?? { kind: 'default' }).kind === 'default'
  const placed = (name: OptionName, file: string) => {
    if (!isDefault(name)) return file
    return state === null ? null : path.join(state, path.basename(file))
  }
  const placedSnapshot = placed('RUNTIME_METRICS_PATH', snapshot)
  return {
    // Whoever writes documents has to be watched: then what cannot be written is an error.
    snapshot: placedSnapshot ?? (needsSpill ? snapshot : null),
    spill: placed('ES_SPILL_PATH', spill) ?? spill,
  }
}

/** Null: the user has none, or it cannot be written. */
export function stateFolder(env: Environment): string | null {
  const home = env['HOME'] ?? ''
  const given = env['XDG_STATE_HOME'] ?? ''
  // As the specification says, a relative path counts as none.
  const base = path.isAbsolute(given) ? given : home === '' ? '' : path.join(home, '.local/state')
  if (base === '') return null
  const folder = path.join(base, 'logpipe')
  return isUsable(folder, true) ? folder : null
}

/** @param mayMake whether one that is not there would be made. */
function isUsable(folder: string, mayMake: boolean): boolean {
  if (existsSync(folder)) return isWritable(folder)
  if (!mayMake) return false
  let above = path.dirname(folder)
  while (!existsSync(above) && path.dirname(above) !== above) above = path.dirname(above)
  return isWritable(above)
}

function isWritable(folder: string): boolean {
  try {
    accessSync(folder, constants.W_OK | constants.X_OK)
    return true
  } catch {
    // Read-only, or another user's.
    return false
  }
}
