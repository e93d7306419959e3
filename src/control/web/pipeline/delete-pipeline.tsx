/**
 * Deletes a pipeline that is stopped.
 */
import { useState } from 'preact/hooks'
import { request } from '../data/api.ts'
import type { Pipeline } from '../data/api-types.ts'
import { ConfirmDialog } from '../parts/confirm-dialog.tsx'
import { useLive } from '../data/live.tsx'
import { useNotices } from '../parts/notices.tsx'

export function DeletePipeline({ pipeline }: { readonly pipeline: Pipeline }) {
  const { refresh, pipelines } = useLive()
  const { tell } = useNotices()
  const [asks, setAsks] = useState(false)
  const now = pipelines?.find(({ id }) => id === pipeline.id)
  const isStopped = now?.status.state === 'stopped'
  const remove = async (): Promise<void> => {
    await request('DELETE', `/api/pipelines/${pipeline.id}`)
    tell(`${pipeline.name} deleted`)
    location.hash = '#/'
    await refresh()
  }
  return (
    <section class="card danger" aria-labelledby="delete-title">
      <h2 id="delete-title">Delete</h2>
      <p>
        Its settings, revisions and metrics go. What is in Elasticsearch and Kafka stays, and so do
        the files on its workers.
      </p>
      <button
        type="button"
        class="button button-danger"
        disabled={!isStopped}
        aria-describedby="delete-why"
        onClick={() => setAsks(true)}
      >
        Delete this pipeline
      </button>
      <p class="help" id="delete-why">
        {isStopped ? '' : 'Stop it first.'}
      </p>
      {asks && (
        <ConfirmDialog
          title={`Delete ${pipeline.name}?`}
          confirm="Delete"
          isDangerous
          onConfirm={remove}
          onClose={() => setAsks(false)}
        >
          <p>Settings and revisions cannot be restored.</p>
        </ConfirmDialog>
      )}
    </section>
  )
}
