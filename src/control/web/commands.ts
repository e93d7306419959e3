/**
 * Orders to the workers of a pipeline, waited for until all of them have an answer.
 *
 * Bound: an order expires on the control plane after EXPIRES_SECONDS; so does the waiting.
 */
import { get, post } from './api.ts'
import type { Command } from './api-types.ts'
import { isFinished } from './states.ts'

const EXPIRES_SECONDS = 60
const ASK_MS = 700

export async function order(
  pipelineId: number,
  body: Readonly<Record<string, unknown>>,
  signal: AbortSignal,
): Promise<readonly Command[]> {
  const { items } = await post<{ items: Command[] }>(`/api/pipelines/${pipelineId}/commands`, {
    ...body,
    expires_seconds: EXPIRES_SECONDS,
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
