/**
 * Every pipeline with its state and what it does just now. Without any, the way to the first.
 */
import { useState } from 'preact/hooks'
import type { Pipeline } from '../data/api-types.ts'
import { counted } from '../parts/format.ts'
import { useLive } from '../data/live.tsx'
import { PageHead } from '../parts/page-head.tsx'
import { PipelineTable } from '../pipeline/pipeline-table.tsx'
import { FirstPipeline } from '../pipeline/first-pipeline.tsx'
import { StartWorker } from '../workers/start-worker.tsx'
import { STATE_ORDER, stateWord } from '../parts/states.ts'

/** Fewer are seen at a glance. */
const SEARCHED_FROM = 8
const ROWS_AT_A_TIME = 50

export function PipelinesPage() {
  const { pipelines, workers } = useLive()
  const [search, setSearch] = useState('')
  const [shownMax, setShownMax] = useState(ROWS_AT_A_TIME)
  if (pipelines === undefined) return <PageHead title="Pipelines" note="Loading…" />
  if (pipelines.length === 0) return <FirstPipeline />
  const found = pipelines.filter((pipeline) => matches(pipeline, search))
  const waits = pipelines.some(({ status }) => status.state === 'pending')
  return (
    <>
      <PageHead title="Pipelines" note={summary(pipelines)}>
        <a class="button button-main" href="#/new">
          New pipeline
        </a>
      </PageHead>
      {waits && !workers.some(({ live }) => live) && (
        <StartWorker>
          No worker is there yet. A worker runs pipelines; start one with this command:
        </StartWorker>
      )}
      {pipelines.length >= SEARCHED_FROM && (
        <div class="search">
          <label for="search">Find</label>
          <input
            id="search"
            type="search"
            placeholder="name, topic, index or state"
            value={search}
            onInput={(event) => setSearch(event.currentTarget.value)}
          />
          <span class="muted" role="status">
            {search === '' ? '' : `${counted(found.length, 'pipeline')} found`}
          </span>
        </div>
      )}
      <PipelineTable pipelines={found.slice(0, shownMax)} />
      {found.length === 0 && <p class="muted">No pipeline matches “{search}”.</p>}
      {found.length > shownMax && (
        <button type="button" class="button" onClick={() => setShownMax(shownMax + ROWS_AT_A_TIME)}>
          Show more of {counted(found.length, 'pipeline')}
        </button>
      )}
    </>
  )
}

function matches({ name, status, ...rest }: Pipeline, search: string): boolean {
  const fields: Readonly<Record<string, unknown>> = rest
  const text = [name, status.state, fields['kafka_topic'], fields['es_index']].join(' ')
  return text.toLowerCase().includes(search.trim().toLowerCase())
}

/** 3 pipelines: 1 failed, 2 running. */
function summary(pipelines: readonly Pipeline[]): string {
  const parts = STATE_ORDER.flatMap((state) => {
    const count = pipelines.filter(({ status }) => status.state === state).length
    return count === 0 ? [] : [`${count} ${stateWord(state)}`]
  })
  return `${counted(pipelines.length, 'pipeline')}: ${parts.join(', ')}`
}
