/**
 * Changes a pipeline. What is saved is a new revision; nothing that somebody else saved meanwhile
 * is overwritten, because the change carries the ETag of what it was made from.
 */
import { useEffect, useMemo, useState } from 'preact/hooks'
import { ApiError, messageOf, request } from '../data/api.ts'
import type { Options, Pipeline } from '../data/api-types.ts'
import { ConflictNotice } from './conflict-notice.tsx'
import { DeletePipeline } from './delete-pipeline.tsx'
import type { FormFailure } from '../form/fault-summary.tsx'
import {
  bodyOf,
  changesBetween,
  formOf,
  rebase,
  type Change,
  type FormValues,
} from '../form/form-values.ts'
import { useLive } from '../data/live.tsx'
import { useNotices } from '../parts/notices.tsx'
import { useKnown } from '../form/options.tsx'
import { PipelineForm } from '../form/pipeline-form.tsx'
import { useUnsaved } from './use-unsaved.ts'

/** What the edit was made from. */
interface Base {
  readonly pipeline: Pipeline
  readonly etag: string | null
}

export function SettingsPanel({ id }: { readonly id: number }) {
  const { options } = useKnown()
  const [base, setBase] = useState<Base>()
  const [error, setError] = useState<string>()
  useEffect(() => {
    readPipeline(id).then(setBase, (failure: unknown) => setError(messageOf(failure)))
  }, [id])
  if (error !== undefined) return <p class="fault">{error}</p>
  if (base === undefined || options === undefined) return <p class="muted">Loading…</p>
  return (
    <>
      <Editor options={options} first={base} />
      <DeletePipeline pipeline={base.pipeline} />
    </>
  )
}

async function readPipeline(id: number): Promise<Base> {
  const { body, etag } = await request<Pipeline>('GET', pathOf(id))
  return { pipeline: body, etag }
}

async function writePipeline(from: Base, body: object): Promise<Base> {
  const { id } = from.pipeline
  const answer = await request<Pipeline>('PUT', pathOf(id), { body, ifMatch: from.etag })
  return { pipeline: answer.body, etag: answer.etag }
}

const pathOf = (id: number): string => `/api/pipelines/${id}`

function Editor({ options, first }: { readonly options: Options; readonly first: Base }) {
  const { refresh } = useLive()
  const { tell } = useNotices()
  const [base, setBase] = useState(first)
  const [values, setValues] = useState(() => formOf(first.pipeline, options.items))
  const [failure, setFailure] = useState<FormFailure>()
  const [conflict, setConflict] = useState<readonly Change[]>()
  const [busy, setBusy] = useState(false)
  const saved = useMemo(() => formOf(base.pipeline, options.items), [base, options])
  useUnsaved(JSON.stringify(values) !== JSON.stringify(saved))
  const take = (next: Base, shown: FormValues): void => {
    setBase(next)
    setValues(shown)
    setFailure(undefined)
  }
  const saveOver = async (theirs: Base): Promise<void> => {
    const made = await writePipeline(theirs, bodyOf(values, options.items))
    tell(`Saved as revision ${made.pipeline.revision}`)
    take(made, formOf(made.pipeline, options.items))
    await refresh()
  }
  const onConflict = async (): Promise<void> => {
    const theirs = await readPipeline(base.pipeline.id)
    // It was started or stopped: what was edited is still what is there.
    if (theirs.pipeline.revision === base.pipeline.revision) return saveOver(theirs)
    setConflict(changesBetween(base.pipeline, theirs.pipeline, options.items))
    const [was, is] = [base, theirs].map(({ pipeline }) => formOf(pipeline, options.items))
    if (was !== undefined && is !== undefined) take(theirs, rebase(was, values, is))
  }
  const save = async (): Promise<void> => {
    setBusy(true)
    setConflict(undefined)
    try {
      await saveOver(base)
    } catch (error) {
      if (error instanceof ApiError && error.status === 412) await onConflict().catch(showFailure)
      else showFailure(error)
    }
    setBusy(false)
  }
  const showFailure = (error: unknown): void =>
    setFailure({ message: messageOf(error), faults: error instanceof ApiError ? error.faults : [] })
  const discard = (): void => {
    setConflict(undefined)
    take(base, saved)
  }
  return (
    <>
      {conflict !== undefined && <ConflictNotice changes={conflict} onDiscard={discard} />}
      <PipelineForm
        pipelineId={base.pipeline.id}
        options={options}
        values={values}
        secrets={base.pipeline.secrets}
        failure={failure}
        onChange={setValues}
        onSubmit={() => void save()}
      >
        <button type="submit" class="button button-main" disabled={busy}>
          Save as a new revision
        </button>
        <button type="button" class="button" onClick={discard}>
          Undo changes
        </button>
        {base.pipeline.enabled && <RestartHint />}
      </PipelineForm>
    </>
  )
}

function RestartHint() {
  return <span class="muted">The workers drain and restart with the new revision.</span>
}
