/**
 * Orders to the workers of a pipeline, waited for until all of them have an answer.
 *
 * Bound: an order expires on the control plane after its seconds; so does the waiting.
 */
import { get, post } from '../data/api.ts'
import type { Command } from '../data/api-types.ts'
import { isFinished } from '../parts/states.ts'

/** A check or a list takes seconds, after the worker's next call and what runs there. */
const EXPIRES_SECONDS = 60
/** Sending many dead letters again, as long as a worker lets a tool run. */
const REPLAY_EXPIRES_SECONDS = 600
const ASK_MS = 700

export async function order(
  pipelineId: number,
  body: { readonly kind: 'check' | 'dlq-list' | 'dlq-replay' } & Readonly<Record<string, unknown>>,
  signal: AbortSignal,
): Promise<readonly Command[]> {
  const { items } = await post<{ items: Command[] }>(`/api/pipelines/${pipelineId}/commands`, {
    ...body,
    expires_seconds: body.kind === 'dlq-replay' ? REPLAY_EXPIRES_SECONDS : EXPIRES_SECONDS,
  })
  let commands: readonly Command[] = items
  while (!commands.every(isFinished)) {
    await new Promise((resolve) => setTimeout(resolve, ASK_MS))
    commands = await Promise.all(
      commands.map(async (command) =>
        isFinished(command) ? command : await get<Command>(`/api/commands/${command.id}`, signal),
      ),
    )
  }
  return commands
}
