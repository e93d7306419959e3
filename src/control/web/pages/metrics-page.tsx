/**
 * Charts of all pipelines together, or of one.
 */
import type { RuntimeEntry } from '../data/api-types.ts'
import { Charts } from '../charts/charts.tsx'
import { Figures } from '../pipeline/figures.tsx'
import { useLive, useRates } from '../data/live.tsx'
import { PageHead } from '../parts/page-head.tsx'

const NOTHING: RuntimeEntry = { workers: [], metrics: {}, rates: {} }

export function MetricsPage({ id }: { readonly id: number }) {
  const { pipelines = [], runtime } = useLive()
  const own = useRates(id)
  const entry = (id === 0 ? runtime?.fleet : own) ?? NOTHING
  return (
    <>
      <PageHead title="Metrics">
        <label class="inline-field">
          Of
          <select
            value={String(id)}
            onChange={(event) => {
              const chosen = event.currentTarget.value
              location.hash = chosen === '0' ? '#/metrics' : `#/metrics/${chosen}`
            }}
          >
            <option value="0">all pipelines</option>
            {pipelines.map((pipeline) => (
              <option key={pipeline.id} value={String(pipeline.id)}>
                {pipeline.name}
              </option>
            ))}
          </select>
        </label>
      </PageHead>
      <Figures entry={entry} />
      <Charts pipelineId={id} />
    </>
  )
}
