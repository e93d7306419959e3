/**
 * What keeps a pipeline from its work now, one by one, and since when.
 */
import type { PipelineStatus } from '../data/api-types.ts'
import { ago } from '../parts/format.ts'
import { stateWord } from '../parts/states.ts'

export function TroubleCard({ status }: { readonly status: PipelineStatus }) {
  const { reasons } = status
  if (reasons.length === 0) return null
  return (
    <section class="card card-warn" aria-labelledby="trouble-title" data-test="troubles">
      <h2 id="trouble-title">What keeps it from its work</h2>
      <ul class="plain troubles">
        {reasons.map(({ worker_id: worker, kind, place, text, since }) => (
          <li key={`${worker} ${kind} ${place ?? ''}`}>
            {text}
            <span class="sub">
              {stateWord(kind)} on {worker}, began {ago(since, Date.now())}
            </span>
          </li>
        ))}
      </ul>
    </section>
  )
}
