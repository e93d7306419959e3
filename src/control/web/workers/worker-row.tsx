/**
 * One worker in the list.
 */
import type { Worker } from '../data/api-types.ts'
import { ago, wholeNumber } from '../parts/format.ts'
import { useLive } from '../data/live.tsx'
import { pipelineHref } from '../data/route.ts'
import { StateBadge } from '../parts/state-badge.tsx'
import { workerTone } from '../parts/states.ts'

interface Props {
  readonly worker: Worker
  readonly onAssign: () => void
  readonly onForget: () => void
}

export function WorkerRow({ worker, onAssign, onForget }: Props) {
  const { pipelines } = useLive()
  const badge = <StateBadge state={worker.state} tone={workerTone(worker)} />
  const { assignment } = worker
  const pipeline = pipelines?.find(({ id }) => id === assignment?.pipeline_id)
  const polled = worker.metrics['polled_total']
  return (
    <tr data-test={`worker-${worker.id}`}>
      <th scope="row" class="main-cell">
        <span>{worker.id}</span>
        <span class="only-narrow">{badge}</span>
        {worker.error !== null && <span class="sub reason">{worker.error.message}</span>}
      </th>
      <td class="only-wide">{badge}</td>
      <td>
        {pipeline === undefined ? (
          <span class="none">none</span>
        ) : (
          <a href={pipelineHref(pipeline.id)}>{pipeline.name}</a>
        )}
        <span class="sub">{assignedBy(assignment)}</span>
      </td>
      <td class="number only-wide">
        {polled === undefined ? <span class="none">–</span> : wholeNumber(polled)}
      </td>
      <td class="only-wide">{ago(worker.last_seen_at, Date.now())}</td>
      <td class="only-wide">{worker.version ?? '–'}</td>
      <td class="end-cell">
        <button type="button" class="button" aria-label={`Assign ${worker.id}`} onClick={onAssign}>
          Assign
        </button>
        {!worker.live && (
          <button
            type="button"
            class="button"
            aria-label={`Forget ${worker.id}`}
            onClick={onForget}
          >
            Forget
          </button>
        )}
      </td>
    </tr>
  )
}

function assignedBy(assignment: Worker['assignment']): string {
  if (assignment === null) return 'waiting'
  if (!assignment.pinned) return 'by the scheduler'
  return assignment.desired_state === 'running' ? 'manual' : 'manual, idle'
}
