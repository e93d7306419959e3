/**
 * What the filter makes of the latest records, beside the fields that say it.
 */
import { counted } from '../parts/format.ts'
import type { Tried, TriedRecord } from './try-result.ts'
import type { TryState } from './use-try.ts'

interface Props {
  readonly trial: TryState
  readonly isMade: boolean
}

/** Of the terms that said no; the records have the rest. */
const REASONS_SHOWN = 5

export function TryPanel({ trial, isMade }: Props) {
  const { tried, problem, faults, isBusy, start } = trial
  const isStale = faults.length > 0 || problem !== undefined
  return (
    <section class="try wide" aria-labelledby="try-title" data-test="try">
      <div class="section-head">
        <h2 id="try-title">Try it</h2>
        {isMade && (
          <button type="button" class="button" disabled={isBusy} onClick={start}>
            {isBusy ? 'Trying…' : 'Try now'}
          </button>
        )}
      </div>
      <p class="muted">
        {isMade
          ? 'Shows what is kept of the latest 200 records, while you type. A worker of the ' +
            'pipeline reads them; nothing is written. Try now takes the brokers and the topic of ' +
            'the form, with the saved credentials.'
          : 'Once the pipeline is created and a worker runs it, its settings show here what the ' +
            'filter keeps of the latest 200 records.'}
      </p>
      <div role="status">
        {faults.map(({ field, detail }) => (
          <p key={field} class="fault">
            {field === '' ? detail : 'The filter has a fault, see its field.'}
          </p>
        ))}
        {problem !== undefined && <p class="try-problem">{problem}</p>}
        {tried !== undefined && !isStale && <Sums tried={tried} />}
      </div>
      {tried !== undefined && tried.records.length > 0 && (
        <ol
          class={`tail tried ${isStale || isBusy ? 'tried-stale' : ''}`}
          reversed
          tabIndex={0}
          aria-label="Records, newest first"
        >
          {tried.records.toReversed().map((record) => (
            <Row key={record.at} record={record} />
          ))}
        </ol>
      )}
    </section>
  )
}

function Sums({ tried }: { readonly tried: Tried }) {
  const { kept, dropped, noJson, reasons } = tried
  const all = kept + dropped
  if (all === 0) return <p>Nothing is there: the topics hold no records.</p>
  const share = `${((kept / all) * 100).toFixed(1)} %`
  return (
    <>
      <p>
        <strong>
          {kept} of {counted(all, 'record')} kept
        </strong>{' '}
        ({share}), {dropped} dropped{noJson > 0 ? `; ${noJson} are no JSON objects` : ''}
      </p>
      {reasons.length > 0 && (
        <ul class="plain try-reasons">
          {reasons.slice(0, REASONS_SHOWN).map(({ reason, records }) => (
            <li key={reason}>
              <code>{reason}</code> {records}
            </li>
          ))}
        </ul>
      )}
    </>
  )
}

function Row({ record: { at, value, reason } }: { readonly record: TriedRecord }) {
  return (
    <li class={reason === null ? 'tried-kept' : 'tried-dropped'}>
      <span class="tail-head">
        {reason === null ? 'kept' : 'dropped'} <span class="try-at">{at}</span>
      </span>
      <span>
        <code>{value ?? 'no value'}</code>
        {reason !== null && <span class="try-reason">{reason}</span>}
      </span>
    </li>
  )
}
