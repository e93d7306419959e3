/**
 * Every worker that has called: what it does, what it was given, and by whom.
 */
import { useState } from 'preact/hooks'
import type { Worker } from '../data/api-types.ts'
import { AssignDialog } from '../workers/assign-dialog.tsx'
import { counted } from '../parts/format.ts'
import { ForgetWorker } from '../workers/forget-worker.tsx'
import { useLive } from '../data/live.tsx'
import { PageHead } from '../parts/page-head.tsx'
import { StartWorker } from '../workers/start-worker.tsx'
import { WorkerRow } from '../workers/worker-row.tsx'

export function WorkersPage() {
  const { workers, pipelines } = useLive()
  const [assigned, setAssigned] = useState<Worker>()
  const [forgotten, setForgotten] = useState<Worker>()
  if (pipelines === undefined) return <PageHead title="Workers" note="Loading…" />
  const liveCount = workers.filter(({ live }) => live).length
  return (
    <>
      <PageHead
        title="Workers"
        note={
          workers.length === 0
            ? 'A worker is a process that runs one pipeline. Several workers share its partitions.'
            : `${counted(liveCount, 'live worker')}, ${workers.length - liveCount} lost`
        }
      />
      {workers.length > 0 && (
        <div class="table-frame">
          <table class="table">
            <thead>
              <tr>
                <th scope="col">Worker</th>
                <th scope="col" class="only-wide">
                  State
                </th>
                <th scope="col">Pipeline</th>
                <th scope="col" class="number only-wide">
                  Polled
                </th>
                <th scope="col" class="only-wide">
                  Last contact
                </th>
                <th scope="col" class="only-wide">
                  Version
                </th>
                <th scope="col">
                  <span class="unseen">Assign</span>
                </th>
              </tr>
            </thead>
            <tbody>
              {workers.map((worker) => (
                <WorkerRow
                  key={worker.id}
                  worker={worker}
                  onAssign={() => setAssigned(worker)}
                  onForget={() => setForgotten(worker)}
                />
              ))}
            </tbody>
          </table>
        </div>
      )}
      <StartWorker>
        {workers.length === 0
          ? 'There is no worker yet. Start the first one with this command:'
          : 'To start another worker, on this machine or any that reaches this address:'}
      </StartWorker>
      {assigned !== undefined && (
        <AssignDialog worker={assigned} onClose={() => setAssigned(undefined)} />
      )}
      {forgotten !== undefined && (
        <ForgetWorker worker={forgotten} onClose={() => setForgotten(undefined)} />
      )}
    </>
  )
}
