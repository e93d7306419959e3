/**
 * Dead letters: documents that Elasticsearch refused for good. They lie on the workers' machines,
 * so they are asked for, and sent again, by orders.
 */
import { useState } from 'preact/hooks'
import type { Pipeline } from '../data/api-types.ts'
import { ConfirmDialog } from '../parts/confirm-dialog.tsx'
import { counted } from '../parts/format.ts'
import { LetterTable } from './letter-table.tsx'
import { LIST_MAX, useLetters } from './use-letters.ts'

export function LettersPanel({ pipeline }: { readonly pipeline: Pipeline }) {
  const { id, status } = pipeline
  const [chosen, setChosen] = useState<ReadonlySet<string>>(new Set())
  const [asks, setAsks] = useState(false)
  const hasWorker = status.workers.some(({ state }) => state !== 'lost')
  const { listed, list, replay } = useLetters(id, hasWorker)
  const look = (): void => {
    setChosen(new Set())
    void list()
  }
  const onConfirm = async (): Promise<void> => {
    await replay([...chosen])
    look()
  }
  if (!hasWorker) return <NoWorker />
  const letters = listed.state === 'listed' ? listed.letters : []
  const what = chosen.size === 0 ? 'all dead letters' : counted(chosen.size, 'dead letter')
  return (
    <section aria-label="Dead letters">
      <div class="toolbar">
        <button
          type="button"
          class="button button-main"
          disabled={letters.length === 0}
          onClick={() => setAsks(true)}
        >
          {chosen.size === 0 ? 'Replay all' : `Replay ${chosen.size} selected`}
        </button>
        <button type="button" class="button" onClick={look}>
          Refresh
        </button>
        <span class="muted" role="status">
          {listed.state === 'asking' ? 'Asking the workers…' : ''}
          {letters.length >= LIST_MAX ? `The oldest ${LIST_MAX} of each worker` : ''}
        </span>
      </div>
      {listed.state === 'failed' && <p class="fault">{listed.message}</p>}
      {listed.state === 'listed' && letters.length === 0 && (
        <div class="empty">
          <p>There are no dead letters.</p>
          <p class="muted">
            A document that Elasticsearch refuses for good is kept on its worker and listed here.
          </p>
        </div>
      )}
      {letters.length > 0 && <LetterTable letters={letters} chosen={chosen} onChoose={setChosen} />}
      {asks && (
        <ConfirmDialog
          title={`Send ${what} to Elasticsearch again?`}
          confirm="Replay"
          onConfirm={onConfirm}
          onClose={() => setAsks(false)}
        >
          <p>
            Each keeps its _id, so nothing is indexed twice. One that is rejected again stays a dead
            letter.
          </p>
        </ConfirmDialog>
      )}
    </section>
  )
}

function NoWorker() {
  return (
    <div class="empty">
      <p>No worker runs this pipeline now.</p>
      <p class="muted">
        Dead letters are on the machine of the worker that ran it: start the pipeline to see them.
      </p>
    </div>
  )
}
