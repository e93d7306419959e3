/**
 * The dead letters of a pipeline, as its workers list them, and sending them again.
 *
 * Bound: the oldest LIST_MAX of each worker.
 */
import { useCallback, useEffect, useRef, useState } from 'preact/hooks'
import { messageOf } from '../data/api.ts'
import type { Command } from '../data/api-types.ts'
import { outputLines } from './command-output.ts'
import { order } from './commands.ts'
import { lettersOf, type Letter } from './letters.ts'
import { useNotices } from '../parts/notices.tsx'

/** What fits into a result of 60 KB. */
export const LIST_MAX = 100
/** Of what a replay says, the end. */
const LINES_TOLD = 3

export type Listed =
  | { readonly state: 'asking' }
  | { readonly state: 'failed'; readonly message: string }
  | { readonly state: 'listed'; readonly letters: readonly Letter[] }

interface Letters {
  readonly listed: Listed
  readonly list: () => Promise<void>
  /** These, or all when there are none. */
  readonly replay: (ids: readonly string[]) => Promise<void>
}

/** @param hasWorker there is nobody to ask without one. */
export function useLetters(pipelineId: number, hasWorker: boolean): Letters {
  const { tell } = useNotices()
  const [listed, setListed] = useState<Listed>({ state: 'asking' })
  const abort = useRef(new AbortController())
  const list = useCallback(async () => {
    setListed({ state: 'asking' })
    const { signal } = abort.current
    try {
      const commands = await order(pipelineId, { kind: 'dlq-list', limit: LIST_MAX }, signal)
      if (!signal.aborted) setListed(listOf(commands))
    } catch (error) {
      if (!signal.aborted) setListed({ state: 'failed', message: messageOf(error) })
    }
  }, [pipelineId])
  useEffect(() => {
    if (!hasWorker) return
    abort.current = new AbortController()
    void list()
    return () => abort.current.abort()
  }, [hasWorker, list])
  const replay = async (ids: readonly string[]): Promise<void> => {
    const which = ids.length === 0 ? {} : { ids }
    const commands = await order(pipelineId, { kind: 'dlq-replay', ...which }, abort.current.signal)
    for (const command of commands) {
      const lines = outputLines(command.result, LINES_TOLD).join(' ') || command.state
      tell(`${command.worker_id}: ${lines}`, command.state === 'done' ? 'good' : 'bad')
    }
  }
  return { listed, list, replay }
}

function listOf(commands: readonly Command[]): Listed {
  const letters = commands.flatMap(({ worker_id: worker, result }) => lettersOf(worker, result))
  const failed = commands.find(({ state }) => state !== 'done')
  if (letters.length > 0 || failed === undefined) return { state: 'listed', letters }
  const why = outputLines(failed.result, LINES_TOLD).join(' ')
  return { state: 'failed', message: `${failed.worker_id}: ${why || 'it did not answer in time'}` }
}
