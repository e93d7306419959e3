/**
 * Who runs a pipeline, and what went wrong there.
 */
import type { Pipeline } from '../data/api-types.ts'
import { StateBadge } from '../parts/state-badge.tsx'
import { workerTone } from '../parts/states.ts'

export function PipelineWorkers({ pipeline }: { readonly pipeline: Pipeline }) {
  const { workers } = pipeline.status
  return (
    <section class="card" aria-labelledby="workers-title">
      <h2 id="workers-title">Workers</h2>
      {workers.length === 0 && <p class="muted">No worker runs it.</p>}
      <ul class="plain rows">
        {workers.map((worker) => (
          <li key={worker.id}>
            <a href="#/workers">{worker.id}</a>{' '}
            <StateBadge state={worker.state} tone={workerTone(worker)} />
            {worker.revision !== null && worker.revision !== pipeline.revision && (
              <span class="muted"> runs revision {worker.revision}</span>
            )}
            {worker.error !== null && (
              <>
                <p class="fault">{worker.error.message}</p>
                {worker.error.lines.length > 0 && (
                  <pre tabIndex={0} aria-label={`Last lines of ${worker.id}`}>
                    {worker.error.lines.join('\n')}
                  </pre>
                )}
              </>
            )}
          </li>
        ))}
      </ul>
    </section>
  )
}
