/**
 * Elasticsearch as it says itself.
 */
import type { EsReport } from '../data/api-types.ts'
import { bytes, counted, wholeNumber } from '../parts/format.ts'
import type { Tone } from '../parts/states.ts'
import { StateBadge } from '../parts/state-badge.tsx'
import { useRequest } from '../data/use-request.ts'

/** The control plane itself asks Elasticsearch every five seconds at most. */
const ASK_MS = 6000

const HEALTH: ReadonlyMap<string, Tone> = new Map([
  ['green', 'good'],
  ['yellow', 'warn'],
  ['red', 'bad'],
])

export function EsCard({ pipelineId }: { readonly pipelineId: number }) {
  const path = `/api/metrics/es?pipeline_id=${pipelineId}`
  const { value, error } = useRequest<EsReport>(path, ASK_MS)
  const state = value?.elasticsearch
  return (
    <section class="card" aria-labelledby="es-title">
      <h2 id="es-title">Elasticsearch</h2>
      {error !== undefined && <p class="fault">{error}</p>}
      {state?.reachable === false && (
        <p class="muted">The control plane cannot reach it, but workers may.</p>
      )}
      {state?.reachable === true && <Facts state={state} />}
      {state !== undefined && state.errors.length > 0 && (
        <details>
          <summary>{counted(state.errors.length, 'request')} failed</summary>
          <ul class="plain small">
            {state.errors.map((line) => (
              <li key={line}>{line}</li>
            ))}
          </ul>
        </details>
      )}
    </section>
  )
}

function Facts({ state }: { readonly state: EsReport['elasticsearch'] }) {
  const { cluster, index, write_pool: pool } = state
  return (
    <dl class="facts">
      {cluster !== null && (
        <div>
          <dt>Cluster</dt>
          <dd>
            <StateBadge state={cluster.status} tone={HEALTH.get(cluster.status) ?? 'calm'} />{' '}
            {cluster.name}, {counted(cluster.nodes, 'node')}
          </dd>
        </div>
      )}
      <div>
        <dt>Index</dt>
        <dd>
          {index === null
            ? 'none yet'
            : `${counted(index.docs, 'document')}, ${bytes(index.bytes)}`}
        </dd>
      </div>
      {pool !== null && (
        <div>
          <dt>Writes</dt>
          <dd>
            {wholeNumber(pool.active)} active, {wholeNumber(pool.queue)} queued,{' '}
            {wholeNumber(pool.rejected)} rejected
          </dd>
        </div>
      )}
    </dl>
  )
}
