/**
 * The kept revisions, what each changed and who did it, and the way back to one.
 */
import { useState } from 'preact/hooks'
import { request } from '../data/api.ts'
import type { Pipeline, Revision } from '../data/api-types.ts'
import { ChangeList } from './change-list.tsx'
import { ConfirmDialog } from '../parts/confirm-dialog.tsx'
import { clockTime } from '../parts/format.ts'
import { changesBetween } from '../form/form-values.ts'
import { useLive } from '../data/live.tsx'
import { useNotices } from '../parts/notices.tsx'
import { useKnown } from '../form/options.tsx'
import { useRequest } from '../data/use-request.ts'

export function RevisionsPanel({ pipeline }: { readonly pipeline: Pipeline }) {
  const { refresh } = useLive()
  const { tell } = useNotices()
  const options = useKnown().options?.items ?? []
  // A new revision, made here or elsewhere, has another address, and is asked for.
  const path = `/api/pipelines/${pipeline.id}/revisions?of=${pipeline.revision}`
  const { value, error } = useRequest<{ items: Revision[] }>(path)
  const [target, setTarget] = useState<Revision>()
  const revisions = value?.items ?? []
  const [current] = revisions
  const rollBack = async (): Promise<void> => {
    const { body } = await request<Pipeline>('POST', `/api/pipelines/${pipeline.id}/rollback`, {
      body: { revision: target?.revision },
      ifMatch: `"${pipeline.id}-${pipeline.version}"`,
    })
    tell(`Rolled back to revision ${target?.revision}, as revision ${body.revision}`)
    await refresh()
  }
  return (
    <section aria-label="Revisions">
      {error !== undefined && <p class="fault">{error}</p>}
      <ol class="plain revisions" data-test="revisions">
        {revisions.map((revision, index) => {
          const before = revisions[index + 1]
          return (
            <li key={revision.revision} class="card">
              <div class="section-head">
                <h2>
                  Revision {revision.revision}{' '}
                  {index === 0 && <span class="badge tone-good">active</span>}
                </h2>
                {index > 0 && (
                  <button type="button" class="button" onClick={() => setTarget(revision)}>
                    Roll back to this
                    <span class="unseen"> (revision {revision.revision})</span>
                  </button>
                )}
              </div>
              <p class="muted">
                <time dateTime={revision.created_at}>{clockTime(revision.created_at)}</time>
              </p>
              <AuditLines lines={revision.audit} />
              {before === undefined ? (
                <p class="muted">The oldest revision kept.</p>
              ) : (
                <ChangeList changes={changesBetween(before, revision, options)} />
              )}
            </li>
          )
        })}
      </ol>
      {target !== undefined && current !== undefined && (
        <ConfirmDialog
          title={`Roll back to revision ${target.revision}?`}
          confirm="Roll back"
          onConfirm={rollBack}
          onClose={() => setTarget(undefined)}
        >
          <p>It becomes a new revision, and the workers restart with it. This will change:</p>
          <ChangeList changes={changesBetween(current, target, options)} />
        </ConfirmDialog>
      )}
    </section>
  )
}

function AuditLines({ lines }: { readonly lines: Revision['audit'] }) {
  return (
    <ul class="plain muted" data-test="audit">
      {lines.map(({ at, who, what }) => (
        <li key={`${at} ${what}`}>
          <time dateTime={at}>{clockTime(at)}</time> {what} by {who}
        </li>
      ))}
    </ul>
  )
}
