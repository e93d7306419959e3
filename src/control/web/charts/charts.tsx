/**
 * Charts over time: six curves with one time axis, over a span that one picks, and one for each
 * metric that the pipeline counts from its records.
 */
import { useState } from 'preact/hooks'
import type { History } from '../data/api-types.ts'
import { Chart } from './chart.tsx'
import { columnsOf, countedNames } from './chart-data.ts'
import { bytes, perSecond, shortNumber } from '../parts/format.ts'
import { useRequest } from '../data/use-request.ts'

const SPANS = [
  [300, '5 min'],
  [3600, '1 hour'],
  [21_600, '6 hours'],
  [86_400, '1 day'],
  [604_800, '7 days'],
] as const

const SERIES = [
  { name: 'polled_per_second', title: 'Polled', format: perSecond, color: '--curve-1' },
  { name: 'matched_per_second', title: 'Matched', format: perSecond, color: '--curve-1' },
  { name: 'written_per_second', title: 'Written', format: perSecond, color: '--curve-1' },
  { name: 'kafka_lag', title: 'Lag', format: shortNumber, color: '--curve-2' },
  { name: 'es_spill_queue_bytes', title: 'Spill', format: bytes, color: '--curve-3' },
  {
    name: 'es_429_proxy_rejected_per_second',
    title: '429 from Elasticsearch',
    format: perSecond,
    color: '--curve-3',
  },
]
/** Of what a pipeline counts from its records. */
const COUNTED = { format: perSecond, color: '--curve-2' }

/** The last five minutes come second by second; what is coarser changes less often. */
const LIVE_MS = 2000
const COARSE_MS = 10_000

export function Charts({ pipelineId }: { readonly pipelineId: number }) {
  const [span, setSpan] = useState<number>(SPANS[0][0])
  const path = `/api/metrics/runtime/history?seconds=${span}&pipeline_id=${pipelineId}`
  const { value, error } = useRequest<History>(path, span <= 300 ? LIVE_MS : COARSE_MS)
  const counted = value === undefined ? [] : countedNames(value)
  const series = [...SERIES, ...counted.map((one) => ({ ...one, ...COUNTED }))]
  const names = series.map(({ name }) => name)
  const columns = value === undefined ? undefined : columnsOf(value, names)
  return (
    <section aria-labelledby="charts-title">
      <div class="section-head">
        <h2 id="charts-title">Over time</h2>
        <fieldset class="segments">
          <legend class="unseen">Span</legend>
          {SPANS.map(([seconds, text]) => (
            <label key={seconds}>
              <input
                type="radio"
                name="span"
                checked={span === seconds}
                onChange={() => setSpan(seconds)}
              />
              <span>{text}</span>
            </label>
          ))}
        </fieldset>
      </div>
      {error !== undefined && <p class="fault">{error}</p>}
      {columns?.times.length === 0 && (
        <p class="muted">No pipeline ran in this period. Charts appear with the first records.</p>
      )}
      <div class="charts">
        {series.map(({ name, title, format, color }) => (
          <Chart
            key={name}
            title={title}
            times={columns?.times ?? []}
            values={columns?.values.get(name) ?? []}
            spanSeconds={span}
            format={format}
            color={color}
          />
        ))}
      </div>
    </section>
  )
}
