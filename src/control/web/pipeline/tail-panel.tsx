/**
 * The live tail: some of the matches as they come. A sample, since nobody reads a million lines.
 *
 * Bound: the newest LINES_MAX lines.
 */
import { useMemo, useState } from 'preact/hooks'
import type { Pipeline } from '../data/api-types.ts'
import { effectiveText } from '../form/form-values.ts'
import { counted } from '../parts/format.ts'
import { useKnown } from '../form/options.tsx'
import { TailLine } from './tail-line.tsx'
import { useTail } from './use-tail.ts'

export function TailPanel({ pipeline }: { readonly pipeline: Pipeline }) {
  const options = useKnown().options?.items ?? []
  const [isPaused, setIsPaused] = useState(false)
  const [filter, setFilter] = useState('')
  const tail = useTail(pipeline.id, isPaused)
  const patterns = useMemo(
    () => effectiveText(pipeline, 'match_pattern', options).split('\n'),
    [pipeline.revision, options],
  )
  const shown = tail.lines.filter(({ text }) => text.includes(filter))
  return (
    <section aria-label="Live tail">
      <div class="toolbar">
        <button type="button" class="button" onClick={() => setIsPaused(!isPaused)}>
          {isPaused ? 'Resume' : 'Pause'}
        </button>
        <button type="button" class="button" onClick={tail.clear}>
          Clear
        </button>
        <label class="inline-field">
          Only lines with
          <input
            type="search"
            value={filter}
            onInput={(event) => setFilter(event.currentTarget.value)}
          />
        </label>
        <span class="muted" role="status">
          {stateText(tail.state, isPaused)}
        </span>
      </div>
      {shown.length === 0 ? (
        <div class="empty">
          <p>
            {pipeline.status.state === 'running'
              ? 'No matches since this page was opened.'
              : 'The pipeline is not running: start it to see its matches.'}
          </p>
          <p class="muted">
            Shows up to five matches a second per worker, as they go to Elasticsearch.
          </p>
        </div>
      ) : (
        <ol class="tail" reversed aria-label="Matches, newest first" data-test="tail">
          {shown.map((line) => (
            <TailLine key={line.key} line={line} patterns={patterns} />
          ))}
        </ol>
      )}
      {tail.droppedCount > 0 && (
        <p class="muted">{counted(tail.droppedCount, 'match')} came too fast to be shown.</p>
      )}
    </section>
  )
}

function stateText(state: 'opening' | 'open' | 'lost', isPaused: boolean): string {
  if (isPaused) return 'Paused'
  return { opening: 'Connecting', open: 'Live sample', lost: 'Connection lost, retrying' }[state]
}
