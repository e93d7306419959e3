/**
 * What somebody sees who has nothing yet: what a pipeline does, and the one button.
 */
import { useLive } from '../data/live.tsx'
import { PageHead } from '../parts/page-head.tsx'
import { StartWorker } from '../workers/start-worker.tsx'

export function FirstPipeline() {
  const { workers } = useLive()
  return (
    <>
      <PageHead title="Pipelines" />
      <div class="card first">
        <h2>Start your first pipeline</h2>
        <p>
          A pipeline reads records from a Kafka topic, keeps those that contain a text, and writes
          them to Elasticsearch. It takes a topic and an index; the rest has a default.
        </p>
        <ol class="way" aria-label="What a pipeline does">
          <li>
            <strong>Kafka topic</strong>
            <span>read from the group's offsets</span>
          </li>
          <li>
            <strong>Match</strong>
            <span>keep records with ERROR</span>
          </li>
          <li>
            <strong>Elasticsearch</strong>
            <span>each match once, none lost</span>
          </li>
        </ol>
        <a class="button button-main" href="#/new">
          New pipeline
        </a>
      </div>
      {!workers.some(({ live }) => live) && (
        <StartWorker>
          Pipelines run on workers, and there is none yet. Start one now or later with this command:
        </StartWorker>
      )}
    </>
  )
}
