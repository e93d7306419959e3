/**
 * How to start a worker: the exact command.
 */
import { CopyCommand } from '../parts/copy-command.tsx'
import { useLive } from '../data/live.tsx'
import { useKnown } from '../form/options.tsx'
import { nextWorkerId, workerCommand } from './worker-command.ts'

export function StartWorker({ children }: { readonly children: string }) {
  const { about } = useKnown()
  const { workers } = useLive()
  if (about === undefined) return null
  const id = nextWorkerId(workers.map((worker) => worker.id))
  return (
    <div class="banner" data-test="start-worker">
      <p>{children}</p>
      <CopyCommand command={workerCommand(about, location.origin, id)} />
    </div>
  )
}
