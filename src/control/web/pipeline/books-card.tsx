/**
 * Where the records of a pipeline went, over all its workers, revisions and restarts; what is lost
 * is named.
 */
import type { Books } from '../data/api-types.ts'
import { wholeNumber } from '../parts/format.ts'
import { useRequest } from '../data/use-request.ts'

/** Workers report once a second. */
const ASK_MS = 2000

const LABELS: readonly (readonly [entry: string, label: string])[] = [
  ['filtered', 'Did not match, or left out'],
  ['indexed', 'Indexed'],
  ['duplicate', 'In the index before'],
  ['superseded', 'Older than the index has'],
  ['failure_store', 'In the failure store'],
  ['pipeline_dropped', 'Dropped by the ingest pipeline'],
  ['dead_lettered', 'Stored as dead letters'],
  ['dropped', 'Dropped, queue full'],
  ['fenced', 'Given to another worker'],
  ['written', 'Written'],
  ['counted', 'Counted'],
  ['spilled', 'In the spill'],
  ['pending', 'Under way'],
  ['handed_on', 'Read again after a restart'],
]

const LOSSES: readonly (readonly [entry: string, label: string])[] = [
  ['lost_retention', 'Lost: expired before it was read'],
  ['lost_unreadable', 'Lost: Kafka could not give it'],
  ['lost_spill', 'Lost: damaged in the spill'],
]

/** Shown though they are nought: a missing line would be taken for a missing answer. */
const ALWAYS: ReadonlySet<string> = new Set(['filtered', 'indexed', 'pending'])

export function BooksCard({ pipelineId }: { readonly pipelineId: number }) {
  const { value, error } = useRequest<Books>(`/api/pipelines/${pipelineId}/books`, ASK_MS)
  return (
    <section class="card" aria-labelledby="books-title" data-test="books">
      <h2 id="books-title">Where the records went</h2>
      {error !== undefined && <p class="fault">{error}</p>}
      {value?.processes === 0 && <p class="muted">No worker has reported any yet.</p>}
      {value !== undefined && value.processes > 0 && <Sums books={value} />}
    </section>
  )
}

function Sums({ books }: { readonly books: Books }) {
  const { entries, sources, ends, lost } = books
  const count = (entry: string) => entries[entry] ?? 0
  const isShown = ([entry]: readonly [string, string]) => ALWAYS.has(entry) || count(entry) > 0
  const [carried, copied] = [count('carried_in'), count('copied')]
  return (
    <>
      <dl class="facts sums">
        <Line label="Read from Kafka" count={count('fetched')} />
        {carried > 0 && <Line label="From the spill of before" count={carried} />}
        {copied > 0 && <Line label="Further documents, by rules" count={copied} entry="copied" />}
        {LABELS.filter(isShown).map(([entry, label]) => (
          <Line key={entry} label={label} count={count(entry)} isPart entry={entry} />
        ))}
        {LOSSES.filter(isShown).map(([entry, label]) => (
          <Line key={entry} label={label} count={count(entry)} isLoss entry={entry} />
        ))}
      </dl>
      <p class={sources === ends && lost === 0 ? 'muted' : 'fault'} data-test="books-verdict">
        {verdict(books)}
      </p>
    </>
  )
}

interface LineProps {
  readonly label: string
  readonly count: number
  readonly entry?: string
  readonly isPart?: boolean
  readonly isLoss?: boolean
}

function Line({ label, count, entry = 'fetched', isPart = false, isLoss = false }: LineProps) {
  return (
    <div class={isLoss ? 'sum-loss' : isPart ? 'sum-part' : ''}>
      <dt>{label}</dt>
      <dd data-test={`books-${entry}`}>{wholeNumber(count)}</dd>
    </div>
  )
}

function verdict({ sources, ends, lost }: Books): string {
  if (sources !== ends) {
    const missing = wholeNumber(Math.abs(sources - ends))
    return `The books do not balance: ${missing} have no entry.`
  }
  const over = 'Over all workers, revisions and restarts.'
  return lost === 0
    ? `Nothing is missing. ${over}`
    : `${wholeNumber(lost)} are lost; of the rest nothing is missing. ${over}`
}
