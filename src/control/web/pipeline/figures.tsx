/**
 * The figures of a pipeline, or of all together, as they are now.
 */
import type { RuntimeEntry } from '../data/api-types.ts'
import { bytes, duration, perSecond, shortNumber } from '../parts/format.ts'

export function Figures({ entry }: { readonly entry: RuntimeEntry }) {
  const { rates, metrics } = entry
  const rate = (name: string) => rates[`${name}_per_second`] ?? 0
  const now = (name: string) => metrics[name] ?? 0
  const rejected = now('es_429_proxy_rejected_total')
  const isInFiles = metrics['dead_letters'] !== undefined
  const letters = now(isInFiles ? 'dead_letters' : 'dead_letters_total')
  const figures = [
    ['Polled', perSecond(rate('polled')), `${bytes(rate('polled_bytes'))}/s`, false],
    // Sums are the books' (books-card.tsx): those of a process begin anew with each revision, and
    // what is under way between the two would be taken for lost.
    ['Matched', perSecond(rate('matched')), 'records', false],
    ['Written', perSecond(rate('written')), 'documents', false],
    ['Lag', shortNumber(now('kafka_lag')), lagNote(metrics), false],
    ['Queued', shortNumber(now('es_mem_queue_len')), 'in memory', false],
    [
      'Spill',
      bytes(now('es_spill_queue_bytes')),
      'waiting on disk',
      now('es_spill_queue_bytes') > 0,
    ],
    ['429', shortNumber(rejected), 'too busy', rejected > 0],
    [
      'Dead letters',
      shortNumber(letters),
      isInFiles ? 'in files' : 'rejected for good',
      letters > 0,
    ],
  ] as const
  return (
    <dl class="figures">
      {figures.map(([name, value, note, isOdd]) => (
        <div key={name} class={isOdd ? 'figure figure-odd' : 'figure'}>
          <dt>{name}</dt>
          <dd data-test={`figure-${name.toLowerCase().replace(' ', '-')}`}>{value}</dd>
          <dd class="figure-note">{note}</dd>
        </div>
      ))}
    </dl>
  )
}

/** In time where the worker tells it. */
function lagNote(metrics: RuntimeEntry['metrics']): string {
  const seconds = metrics['kafka_lag_seconds'] ?? 0
  return (metrics['kafka_lag'] ?? 0) > 0 && seconds >= 1
    ? `records, ${duration(seconds)} behind`
    : 'records behind'
}
