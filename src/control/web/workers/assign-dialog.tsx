/**
 * Gives a worker a pipeline by hand, or back to the scheduler.
 */
import { useState } from 'preact/hooks'
import { request } from '../data/api.ts'
import type { Worker } from '../data/api-types.ts'
import { ConfirmDialog } from '../parts/confirm-dialog.tsx'
import { useLive } from '../data/live.tsx'
import { useNotices } from '../parts/notices.tsx'

interface Props {
  readonly worker: Worker
  readonly onClose: () => void
}

export function AssignDialog({ worker, onClose }: Props) {
  const { pipelines = [], refresh } = useLive()
  const { tell } = useNotices()
  const pinned = worker.assignment?.pinned === true ? worker.assignment : undefined
  const [choice, setChoice] = useState(pinned === undefined ? '' : String(pinned.pipeline_id))
  const [isStill, setIsStill] = useState(pinned?.desired_state === 'stopped')
  const assign = async (): Promise<void> => {
    const body =
      choice === ''
        ? { pipeline_id: null }
        : { pipeline_id: Number(choice), desired_state: isStill ? 'stopped' : 'running' }
    await request('PUT', `/api/workers/${encodeURIComponent(worker.id)}/assignment`, { body })
    tell(choice === '' ? `${worker.id} is back with the scheduler` : `${worker.id} assigned`)
    await refresh()
  }
  return (
    <ConfirmDialog
      title={`Assign ${worker.id}`}
      confirm="Assign"
      onConfirm={assign}
      onClose={onClose}
    >
      <div class="field">
        <label for="assign-pipeline">Pipeline</label>
        <select
          id="assign-pipeline"
          value={choice}
          aria-describedby="assign-help"
          onChange={(event) => setChoice(event.currentTarget.value)}
        >
          <option value="">The scheduler decides</option>
          {pipelines.map(({ id, name }) => (
            <option key={id} value={String(id)}>
              {name}
            </option>
          ))}
        </select>
        <p class="help" id="assign-help">
          A manual assignment overrides the scheduler's, and starts the pipeline.
        </p>
      </div>
      {choice !== '' && (
        <label class="check">
          <input
            type="checkbox"
            checked={isStill}
            onChange={(event) => setIsStill(event.currentTarget.checked)}
          />
          Reserve it for this pipeline, but keep it idle
        </label>
      )}
    </ConfirmDialog>
  )
}
