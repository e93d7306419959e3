/**
 * What a pipeline does now: trouble, figures, charts, its workers and books, the last check, and
 * Elasticsearch.
 */
import type { Pipeline, RuntimeEntry } from '../data/api-types.ts'
import { BooksCard } from './books-card.tsx'
import { Charts } from '../charts/charts.tsx'
import { CheckResult } from './check-result.tsx'
import { EsCard } from './es-card.tsx'
import { Figures } from './figures.tsx'
import { effectiveText } from '../form/form-values.ts'
import { useRates } from '../data/live.tsx'
import { useKnown } from '../form/options.tsx'
import { PipelineWorkers } from './pipeline-workers.tsx'
import { TroubleCard } from './trouble-card.tsx'

const NOTHING: RuntimeEntry = { workers: [], metrics: {}, rates: {} }

export function OverviewPanel({ pipeline }: { readonly pipeline: Pipeline }) {
  const entry = useRates(pipeline.id) ?? NOTHING
  return (
    <>
      <TroubleCard status={pipeline.status} />
      <Figures entry={entry} />
      <Charts pipelineId={pipeline.id} />
      <div class="columns">
        <div class="column">
          <Way pipeline={pipeline} />
          <PipelineWorkers pipeline={pipeline} />
        </div>
        <div class="column">
          <BooksCard pipelineId={pipeline.id} />
          <EsCard pipelineId={pipeline.id} />
          <CheckResult pipeline={pipeline} />
        </div>
      </div>
    </>
  )
}

/** From where to where, in five lines. */
function Way({ pipeline }: { readonly pipeline: Pipeline }) {
  const options = useKnown().options?.items ?? []
  const text = (field: string) => effectiveText(pipeline, field, options)
  const lines = [
    ['Brokers', text('kafka_brokers')],
    ['Topic', text('kafka_topic')],
    ['Group', text('kafka_group_id')],
    ['Keeps', text('match_pattern').split('\n').join(', ')],
    ['Elasticsearch', text('es_url')],
    ['Index', text('es_index')],
    ['Replicas', String(pipeline.replicas)],
    ['Revision', String(pipeline.revision)],
  ] as const
  return (
    <section class="card" aria-labelledby="way-title">
      <h2 id="way-title">From Kafka to Elasticsearch</h2>
      <dl class="facts">
        {lines.map(([name, value]) => (
          <div key={name}>
            <dt>{name}</dt>
            <dd>{value}</dd>
          </div>
        ))}
      </dl>
    </section>
  )
}
