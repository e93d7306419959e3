/**
 * Pipelines as a table; at phone width it keeps the name with the state, the rate and the button.
 */
import type { Pipeline } from '../data/api-types.ts'
import { PipelineRow } from './pipeline-row.tsx'

export function PipelineTable({ pipelines }: { readonly pipelines: readonly Pipeline[] }) {
  return (
    <div class="table-frame">
      <table class="table">
        <thead>
          <tr>
            <th scope="col">Pipeline</th>
            <th scope="col" class="only-wide">
              State
            </th>
            <th scope="col" class="only-wide">
              <span class="unseen">Polled over time</span>
            </th>
            <th scope="col" class="number">
              Polled
            </th>
            <th scope="col" class="number only-wide">
              Matched
            </th>
            <th scope="col" class="number only-wide">
              Written
            </th>
            <th scope="col" class="number only-wide">
              Lag
            </th>
            <th scope="col">
              <span class="unseen">Start or stop</span>
            </th>
          </tr>
        </thead>
        <tbody>
          {pipelines.map((pipeline) => (
            <PipelineRow key={pipeline.id} pipeline={pipeline} />
          ))}
        </tbody>
      </table>
    </div>
  )
}
