/**
 * Makes a pipeline, and starts it.
 *
 * Name and consumer group follow the topic until somebody types one: two pipelines on one group
 * would share the records between them.
 */
import { useMemo, useState } from 'preact/hooks'
import { ApiError, messageOf, post } from '../data/api.ts'
import type { Option, Options, Pipeline } from '../data/api-types.ts'
import type { FormFailure } from '../form/fault-summary.tsx'
import { bodyOf, formOf, suggestedName, type FormValues } from '../form/form-values.ts'
import { useLive } from '../data/live.tsx'
import { useNotices } from '../parts/notices.tsx'
import { FIRST_FIELDS } from '../form/option-labels.ts'
import { useKnown } from '../form/options.tsx'
import { PageHead } from '../parts/page-head.tsx'
import { PipelineForm } from '../form/pipeline-form.tsx'
import { pipelineHref } from '../data/route.ts'
import { useUnsaved } from '../pipeline/use-unsaved.ts'

export function NewPipelinePage() {
  const { options } = useKnown()
  const { pipelines } = useLive()
  if (options === undefined || pipelines === undefined) {
    return <PageHead title="New pipeline" note="Loading…" />
  }
  return <NewPipeline options={options} taken={new Set(pipelines.map(({ name }) => name))} />
}

interface Props {
  readonly options: Options
  readonly taken: ReadonlySet<string>
}

function NewPipeline({ options, taken }: Props) {
  const { refresh } = useLive()
  const { tell } = useNotices()
  const blank = useMemo(() => follow(blankForm(options.items), undefined, taken), [options])
  const [values, setValues] = useState(blank)
  const [failure, setFailure] = useState<FormFailure>()
  const [busy, setBusy] = useState(false)
  useUnsaved(JSON.stringify(values) !== JSON.stringify(blank))
  const save = async (enabled: boolean): Promise<void> => {
    setBusy(true)
    try {
      const made = await post<Pipeline>('/api/pipelines', {
        ...bodyOf(values, options.items),
        enabled,
      })
      tell(`${made.name} created${enabled ? ', starting' : ''}`)
      await refresh()
      location.hash = pipelineHref(made.id)
    } catch (error) {
      setFailure({
        message: messageOf(error),
        faults: error instanceof ApiError ? error.faults : [],
      })
      setBusy(false)
    }
  }
  return (
    <>
      <PageHead
        title="New pipeline"
        note="Say where the records come from, what to keep, and where to write it."
      />
      <PipelineForm
        pipelineId={null}
        options={options}
        values={values}
        secrets={{}}
        failure={failure}
        onChange={(next) => setValues(follow(next, values, taken))}
        onSubmit={() => void save(true)}
      >
        <button type="submit" class="button button-main" disabled={busy}>
          Create and start
        </button>
        <button type="button" class="button" disabled={busy} onClick={() => void save(false)}>
          Create only
        </button>
        <a class="button button-quiet" href="#/">
          Cancel
        </a>
      </PipelineForm>
    </>
  )
}

/** The first fields hold their defaults, to be seen and typed over. */
function blankForm(options: readonly Option[]): FormValues {
  const blank = formOf({ name: '', replicas: 1, kafka_config: {}, secrets: {} }, options)
  const fields = Object.fromEntries(
    FIRST_FIELDS.map((name) => [name, options.find(({ field }) => field === name)?.default ?? '']),
  )
  return { ...blank, fields: { ...blank.fields, ...fields } }
}

/** Name and group as suggested, unless they were typed. */
function follow(
  next: FormValues,
  before: FormValues | undefined,
  taken: ReadonlySet<string>,
): FormValues {
  const nameOf = ({ fields }: FormValues): string =>
    suggestedName(fields['kafka_topic'] ?? '', fields['es_index'] ?? '', taken)
  const name = before === undefined || next.name === nameOf(before) ? nameOf(next) : next.name
  const group = next.fields['kafka_group_id'] ?? ''
  const isOurs = before === undefined || group === groupOf(before.name)
  return {
    ...next,
    name,
    fields: { ...next.fields, kafka_group_id: isOurs ? groupOf(name) : group },
  }
}

function groupOf(name: string): string {
  return `logpipe-${name.trim().replaceAll(/[^A-Za-z0-9._-]+/g, '-')}`
}
