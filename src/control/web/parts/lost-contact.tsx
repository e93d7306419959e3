/**
 * Says that what is shown is old, and how old.
 */
import { useLive } from '../data/live.tsx'
import { clockTime } from './format.ts'

export function LostContact() {
  const { failure, pipelines, refresh } = useLive()
  if (failure === undefined) return null
  const age =
    pipelines === undefined
      ? ''
      : ` This page is as of ${clockTime(new Date(failure.sinceMs).toISOString()).slice(11)}.`
  return (
    <div class="banner banner-bad" role="alert" data-test="lost-contact">
      <p>
        <strong>{failure.message}</strong>
        {age} Pipelines keep running. Retrying every two seconds.
      </p>
      <button type="button" class="button" onClick={() => void refresh()}>
        Try now
      </button>
    </div>
  )
}
