/**
 * A worker's folder: data/WORKER_ID/, with a lock, the state that outlives sync, and a folder for
 * each pipeline it has run.
 *
 *   lock          flock: one sync process for each worker id on a machine
 *   secret        proves to the control plane that a call is this worker's
 *   state.json    what was assigned (without secrets), which process is its child, and what an
 *                 earlier pipeline may have left
 *   PIPELINE_ID/  home of a child: spill, dead letters, snapshot of metrics
 */
import path from 'node:path'
import { LogpipeError, messageOf } from '../core/errors.ts'
import { ownFolder, ownSecret, readOwnFile, writeOwnFile } from '../core/own-file.ts'
import { assignmentForFile, hasSecrets, parseAssignment, type Assignment } from './assignment.ts'

export type LockFile = (file: string) => (() => void) | undefined

export interface SavedState {
  /** The last orders; secrets are missing. */
  readonly assignment: Assignment | null
  /** Whether it had secrets: then only the control plane can give it again. */
  readonly hadSecrets: boolean
  readonly child: ChildIdentity | null
  readonly leftovers: Leftovers | null
}

/** A pipeline whose spill may hold documents that are committed. */
export interface Leftovers {
  readonly assignment: Assignment
  /** It had secrets, which are not on disk: only the control plane can give them again. */
  readonly lacksSecrets: boolean
}

export interface ChildIdentity {
  readonly pid: number
  /** Tells a process from a later one of the same pid. */
  readonly startTime: string
}

const STATE_BYTES_MAX = 1024 * 1024
const NOTHING: SavedState = {
  assignment: null,
  hadSecrets: false,
  child: null,
  leftovers: null,
}

export class Home {
  readonly #folder: string
  readonly #unlock: () => void

  /**
   * Takes the folder.
   * @throws LogpipeError LOCKED when another process has it; SYNC when it cannot be used.
   */
  constructor(dataFolder: string, workerId: string, lockFile: LockFile) {
    this.#folder = path.join(dataFolder, workerId)
    makeFolder(dataFolder)
    makeFolder(this.#folder)
    const unlock = lockFile(path.join(this.#folder, 'lock'))
    if (unlock === undefined) {
      throw new LogpipeError(
        'LOCKED',
        `${this.#folder} is in use: another sync with WORKER_ID ${workerId} runs on this machine`,
      )
    }
    this.#unlock = unlock
  }

  /** Proves that a call is this worker's; made at its first start. @throws LogpipeError SYNC */
  secret(): string {
    const file = path.join(this.#folder, 'secret')
    try {
      return ownSecret(file).trim()
    } catch (error) {
      throw homeError(this.#folder, error)
    }
  }

  /** Where the folder of a pipeline is, or will be. */
  pathOf(pipelineId: number): string {
    return path.join(this.#folder, String(pipelineId))
  }

  /** The folder of a pipeline, made if need be. @throws LogpipeError SYNC when it cannot be. */
  pipelineFolder(pipelineId: number): string {
    const folder = this.pathOf(pipelineId)
    makeFolder(folder)
    return folder
  }

  /**
   * What was saved last; nothing when there is none or it cannot be understood.
   * @throws LogpipeError SYNC for a file that is not ours: it would say what runs here.
   */
  read(): SavedState {
    const text = this.#stateText()
    if (text === null || text.length > STATE_BYTES_MAX) return NOTHING
    try {
      const saved = JSON.parse(text) as Readonly<Record<string, unknown>>
      const assignmentIn = (name: string) =>
        // An older version saved fewer.
        saved[name] === null || saved[name] === undefined ? null : parseAssignment(saved[name])
      return {
        assignment: assignmentIn('assignment'),
        hadSecrets: saved['had_secrets'] === true,
        child: identityOf(saved['child']),
        leftovers: leftoversOf(assignmentIn('leftovers'), saved['leftovers_had_secrets'] === true),
      }
    } catch {
      // A first start, or a file of another version: the control plane says again what to run.
      return NOTHING
    }
  }

  /** Saves, atomically and durably. @throws LogpipeError SYNC when the disk does not take it. */
  save(state: Omit<SavedState, 'hadSecrets'>): void {
    const { assignment, child, leftovers } = state
    const text = JSON.stringify({
      assignment: assignment === null ? null : assignmentForFile(assignment),
      had_secrets: assignment !== null && hasSecrets(assignment),
      child,
      leftovers: leftovers === null ? null : assignmentForFile(leftovers.assignment),
      leftovers_had_secrets:
        leftovers !== null && (leftovers.lacksSecrets || hasSecrets(leftovers.assignment)),
    })
    try {
      writeOwnFile(this.#stateFile, text)
    } catch (error) {
      throw homeError(this.#folder, error)
    }
  }

  close(): void {
    this.#unlock()
  }

  #stateText(): string | null {
    try {
      return readOwnFile(this.#stateFile)
    } catch (error) {
      throw homeError(this.#folder, error)
    }
  }

  get #stateFile(): string {
    return path.join(this.#folder, 'state.json')
  }
}

function leftoversOf(assignment: Assignment | null, lacksSecrets: boolean): Leftovers | null {
  return assignment === null ? null : { assignment, lacksSecrets }
}

function identityOf(given: unknown): ChildIdentity | null {
  if (typeof given !== 'object' || given === null) return null
  const { pid, startTime } = given as Partial<ChildIdentity>
  const isPid = typeof pid === 'number' && Number.isSafeInteger(pid) && pid > 1
  return isPid && typeof startTime === 'string' ? { pid, startTime } : null
}

function makeFolder(folder: string): void {
  try {
    ownFolder(folder)
  } catch (error) {
    throw homeError(folder, error)
  }
}

function homeError(folder: string, error: unknown): LogpipeError {
  return new LogpipeError('SYNC', `cannot use the directory ${folder}: ${messageOf(error)}`, {
    cause: error,
  })
}
