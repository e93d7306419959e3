/**
 * The button that starts a pipeline, or stops it.
 */
import { useState } from 'preact/hooks'
import { messageOf, post } from '../data/api.ts'
import type { Pipeline } from '../data/api-types.ts'
import { useLive } from '../data/live.tsx'
import { useNotices } from '../parts/notices.tsx'

interface Props {
  readonly pipeline: Pick<Pipeline, 'id' | 'name' | 'enabled'>
  /** Starting is what the page is for. */
  readonly isMain?: boolean
}

export function StartStop({ pipeline, isMain = false }: Props) {
  const { refresh } = useLive()
  const { tell } = useNotices()
  const [busy, setBusy] = useState(false)
  const verb = pipeline.enabled ? 'stop' : 'start'
  const act = async (): Promise<void> => {
    setBusy(true)
    try {
      await post(`/api/pipelines/${pipeline.id}/${verb}`)
      tell(`${pipeline.name} ${verb === 'start' ? 'is starting' : 'is draining'}`)
      await refresh()
    } catch (error) {
      tell(`${pipeline.name}: ${messageOf(error)}`, 'bad')
    }
    setBusy(false)
  }
  return (
    <button
      type="button"
      class={`button ${isMain && verb === 'start' ? 'button-main' : ''}`}
      disabled={busy}
      aria-label={`${verb === 'start' ? 'Start' : 'Stop'} ${pipeline.name}`}
      onClick={() => void act()}
    >
      {verb === 'start' ? 'Start' : 'Stop'}
    </button>
  )
}
