/**
 * What the control plane says this worker shall run, checked before it is believed.
 *
 * The worker does not trust the control plane with its machine: only variables that are remote
 * options are taken, so that no program and no file can be named from afar.
 */
import { z } from 'zod'
import { assignmentSchema, leftoversSchema, orderSchema } from '../core/control-api.ts'
import { LogpipeError } from '../core/errors.ts'
import { isRemoteSecret, isRemoteVariable } from '../options/remote-options.ts'

export interface Assignment {
  readonly pipelineId: number
  readonly name: string
  readonly revision: number
  readonly variables: Readonly<Record<string, string>>
  readonly secrets: Readonly<Record<string, string>>
  /** The last revision that ran well anywhere, when that is another. */
  readonly fallback: Assignment | null
}

/** An order of the control plane; one of a kind that is not known here is answered as failed. */
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

// What a folder is named after: a number cannot lead out of the home.
const idSchema = z.number().int().positive()
const ownSchema = assignmentSchema.pick({ variables: true, secrets: true }).extend({
  revision: idSchema,
})
/** As it comes, and as it is in a file: there without what an older version did not save. */
const wireSchema = ownSchema.extend({
  pipeline_id: idSchema,
  name: z.string().catch(''),
  desired_state: z.literal('running'),
  fallback: ownSchema.nullish().catch(null),
})
const answerSchema = z.object({
  assignment: z.unknown().optional(),
  leftovers: z.unknown().optional(),
  // None for what cannot be understood: the control plane lets it expire.
  commands: z.array(orderSchema.extend({ pipeline_id: idSchema }).nullable().catch(null)).catch([]),
})

/** A heartbeat's answer. @throws LogpipeError CONTROL when it is not one. */
export function parseOrders(answer: unknown): Orders {
  const { assignment, leftovers, commands } = believed(answerSchema, answer, 'the answer')
  const orders = {
    assignment: null,
    refusal: null,
    refusedPipelineId: null,
    leftovers: parseLeftovers(leftovers),
    commands: commands.flatMap((command) => (command === null ? [] : [commandOf(command)])),
  }
  if (assignment === null || assignment === undefined) return orders
  try {
    return { ...orders, assignment: parseAssignment(assignment) }
  } catch (error) {
    if (!(error instanceof LogpipeError)) throw error
    const { data } = wireSchema.pick({ pipeline_id: true }).safeParse(assignment)
    return { ...orders, refusal: error.message, refusedPipelineId: data?.pipeline_id ?? null }
  }
}

/** Null also for what this version may not take: it cannot be drained with that. */
function parseLeftovers(given: unknown): Orders['leftovers'] {
  if (given === undefined) return undefined
  const { data } = leftoversSchema.extend({ pipeline_id: idSchema }).safeParse(given)
  return data === undefined || refusedVariable({}, data.secrets) !== undefined
    ? null
    : { pipelineId: data.pipeline_id, secrets: data.secrets }
}

/** Also from a file. Null where nothing shall run. @throws LogpipeError CONTROL */
export function parseAssignment(given: unknown): Assignment | null {
  const { desired_state: wanted } = believed(wantedSchema, given, 'the assignment')
  if (wanted !== 'running') return null
  const wire = believed(wireSchema, given, 'the assignment')
  const { pipeline_id: pipelineId, name, revision, variables, secrets, fallback } = wire
  const wrong = refusedVariable(variables, secrets)
  if (wrong !== undefined) {
    throw refused(`a control plane must not set the variable ${wrong}`)
  }
  const assignment = { pipelineId, name, revision, variables, secrets }
  // None when it may not be taken: it is not what shall run.
  const isFallback =
    fallback !== null &&
    fallback !== undefined &&
    refusedVariable(fallback.variables, fallback.secrets) === undefined
  return {
    ...assignment,
    fallback: isFallback ? { ...assignment, ...fallback, fallback: null } : null,
  }
}

const wantedSchema = z.object({ desired_state: z.unknown() })

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

function commandOf(order: z.infer<typeof orderSchema>): Command {
  const { id, kind, pipeline_id: pipelineId, args, expires_at: expiresAt } = order
  return { id, kind, pipelineId, args, expiresMs: Date.parse(expiresAt) }
}

/** The first variable that a control plane may not set, or not by the way of secrets. */
function refusedVariable(
  variables: Assignment['variables'],
  secrets: Assignment['secrets'],
): string | undefined {
  const settings = Object.entries(variables).filter((pair) => !isRemoteVariable(...pair))
  const others = Object.entries(secrets).filter((pair) => !isRemoteSecret(...pair))
  return [...settings, ...others][0]?.[0]
}

/** @throws LogpipeError CONTROL for what is not of that shape. */
function believed<Schema extends z.ZodType>(
  schema: Schema,
  given: unknown,
  what: string,
): z.infer<Schema> {
  const parsed = schema.safeParse(given)
  if (parsed.success) return parsed.data
  const [issue] = parsed.error.issues
  throw refused([what, ...(issue?.path ?? [])].join(': ') + `: ${issue?.message ?? 'wrong'}`)
}

function refused(detail: string): LogpipeError {
  return new LogpipeError('CONTROL', `refusing the control plane's answer: ${detail}`)
}
