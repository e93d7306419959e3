/**
 * What the control plane says this worker shall run, checked before it is believed.
 *
 * The worker does not trust the control plane with its machine: only variables that are remote
 * options are taken, so that no program and no file can be named from afar.
 */
import { isRemoteVariable } from '../options/remote-options.ts'
import { LogpipeError } from '../core/errors.ts'

export interface Assignment {
  readonly pipelineId: number
  readonly name: string
  readonly revision: number
  readonly variables: Readonly<Record<string, string>>
  readonly secrets: Readonly<Record<string, string>>
  /** The last revision that ran well anywhere, when that is another. */
  readonly fallback: Assignment | null
}

/** Kinds of order that this version knows; others are answered as failed. */
export interface Command {
  readonly id: string
  readonly kind: string
  readonly pipelineId: number
  readonly args: Readonly<Record<string, unknown>>
  readonly expiresMs: number
}

export interface Orders {
  readonly assignment: Assignment | null
  /**
   * Why what came is not taken, as when a control plane of a newer version sets an option that this
   * one does not know: what runs goes on, and the control plane is told.
   */
  readonly refusal: string | null
  /** Which pipeline it was about, where that could be read. */
  readonly refusedPipelineId: number | null
  /**
   * The secrets of the leftovers that were asked for; null: there is no such pipeline any more;
   * undefined: nothing was said.
   */
  readonly leftovers: Readonly<Pick<Assignment, 'pipelineId' | 'secrets'>> | null | undefined
  readonly commands: readonly Command[]
}

/** A heartbeat's answer. @throws LogpipeError CONTROL when it is not one. */
export function parseOrders(answer: unknown): Orders {
  const { assignment, leftovers, commands } = objectOf(answer, 'the answer')
  const orders = {
    assignment: null,
    refusal: null,
    refusedPipelineId: null,
    leftovers: parseLeftovers(leftovers),
    commands: Array.isArray(commands) ? commands.flatMap(parseCommand) : [],
  }
  if (assignment === null || assignment === undefined) return orders
  try {
    return { ...orders, assignment: parseAssignment(assignment) }
  } catch (error) {
    if (!(error instanceof LogpipeError)) throw error
    return { ...orders, refusal: error.message, refusedPipelineId: pipelineIdOf(assignment) }
  }
}

/** Null also for what this version may not take: it cannot be drained with that. */
function parseLeftovers(given: unknown): Orders['leftovers'] {
  if (given === undefined) return undefined
  return unlessRefused(() => {
    const fields = objectOf(given, 'leftovers')
    return {
      pipelineId: countOf(fields['pipeline_id'], 'pipeline_id'),
      secrets: variablesOf(fields['secrets'], 'secrets'),
    }
  })
}

function pipelineIdOf(assignment: unknown): number | null {
  return unlessRefused(() =>
    countOf(objectOf(assignment, 'the assignment')['pipeline_id'], 'pipeline_id'),
  )
}

/** Also from a file. Null where nothing shall run. */
export function parseAssignment(given: unknown): Assignment | null {
  const fields = objectOf(given, 'the assignment')
  if (fields['desired_state'] !== 'running') return null
  const variables = variablesOf(fields['variables'], 'variables')
  const secrets = variablesOf(fields['secrets'], 'secrets')
  const assignment = {
    // A folder is named after it: a number cannot lead out of the home.
    pipelineId: countOf(fields['pipeline_id'], 'pipeline_id'),
    name: typeof fields['name'] === 'string' ? fields['name'] : '',
    revision: countOf(fields['revision'], 'revision'),
    variables,
    secrets,
  }
  return { ...assignment, fallback: fallbackOf(fields['fallback'], assignment) }
}

/** None when it cannot be understood: it is not what shall run. */
function fallbackOf(given: unknown, of: Omit<Assignment, 'fallback'>): Assignment | null {
  if (given === null || given === undefined) return null
  const { pipelineId, name } = of
  const more = { pipeline_id: pipelineId, name, desired_state: 'running', fallback: null }
  return unlessRefused(() => parseAssignment({ ...objectOf(given, 'the fallback'), ...more }))
}

export function hasSecrets({ secrets }: Assignment): boolean {
  return Object.keys(secrets).length > 0
}

/** As parseAssignment reads it; secrets are left out. */
export function assignmentForFile(assignment: Assignment): Readonly<Record<string, unknown>> {
  return {
    desired_state: 'running',
    pipeline_id: assignment.pipelineId,
    name: assignment.name,
    revision: assignment.revision,
    variables: assignment.variables,
    secrets: {},
  }
}

/** Whether a child of the one would do exactly what a child of the other does. */
export function runsTheSame(left: Assignment, right: Assignment): boolean {
  return (
    left.pipelineId === right.pipelineId &&
    sameTexts(left.variables, right.variables) &&
    sameTexts(left.secrets, right.secrets)
  )
}

function sameTexts(
  left: Readonly<Record<string, string>>,
  right: Readonly<Record<string, string>>,
): boolean {
  const names = Object.keys(left)
  return (
    names.length === Object.keys(right).length && names.every((name) => left[name] === right[name])
  )
}

/** None for what cannot be understood: the control plane lets it expire. */
function parseCommand(given: unknown): Command[] {
  const command = unlessRefused(() => {
    const fields = objectOf(given, 'a command')
    return {
      id: String(fields['id']),
      kind: String(fields['kind']),
      pipelineId: countOf(fields['pipeline_id'], 'pipeline_id'),
      args: objectOf(fields['args'] ?? {}, 'args'),
      expiresMs: Date.parse(String(fields['expires_at'])),
    }
  })
  return command === null ? [] : [command]
}

/** Null for what is not as expected. */
function unlessRefused<Value>(parse: () => Value): Value | null {
  try {
    return parse()
  } catch (error) {
    if (error instanceof LogpipeError) return null
    throw error
  }
}

function objectOf(given: unknown, what: string): Readonly<Record<string, unknown>> {
  if (typeof given === 'object' && given !== null && !Array.isArray(given)) {
    return given as Readonly<Record<string, unknown>>
  }
  throw refused(`expected ${what} to be an object`)
}

/** Names of variables and their values, each of which a control plane may set. */
function variablesOf(given: unknown, what: string): Readonly<Record<string, string>> {
  const variables: Record<string, string> = {}
  for (const [name, value] of Object.entries(objectOf(given, what))) {
    if (typeof value !== 'string') throw refused(`expected ${what} to be texts`)
    if (!isRemoteVariable(name, value)) {
      throw refused(`the variable ${name} may not be set by a control plane`)
    }
    variables[name] = value
  }
  return variables
}

function countOf(given: unknown, what: string): number {
  if (typeof given === 'number' && Number.isSafeInteger(given) && given > 0) return given
  throw refused(`expected ${what} to be a whole number above 0`)
}

function refused(detail: string): LogpipeError {
  return new LogpipeError('CONTROL', `the control plane's answer is refused: ${detail}`)
}
