/**
 * One pipeline in the list: name, state, and its rates as they are.
 */
import { useEffect, useState } from 'preact/hooks'
import { get } from '../data/api.ts'
import type { History, Pipeline } from '../data/api-types.ts'
import { effectiveText } from '../form/form-values.ts'
import { perSecond, shortNumber } from '../parts/format.ts'
import { useLive, useRates } from '../data/live.tsx'
import { useKnown } from '../form/options.tsx'
import { pipelineHref } from '../data/route.ts'
import { Sparkline } from '../charts/sparkline.tsx'
import { StartStop } from './start-stop.tsx'
import { StateBadge } from '../parts/state-badge.tsx'
import { pipelineTone } from '../parts/states.ts'

/** What the curve shows of the time before the page was opened. */
const SPARK_SECONDS = 180
/** The list asks every two seconds. */
const SPARK_STEP_SECONDS = 2

export function PipelineRow({ pipeline }: { readonly pipeline: Pipeline }) {
  const { sparks } = useLive()
  const { id, name, status } = pipeline
  const entry = useRates(id)
  const isRunning = entry !== undefined
  const [, setSeeded] = useState(false)
  useEffect(() => {
    if (!isRunning || sparks.of(id).length > 1) return
    const abort = new AbortController()
    const path = `/api/metrics/runtime/history?seconds=${SPARK_SECONDS}&pipeline_id=${id}`
    get<History>(path, abort.signal).then(
      ({ points }) => {
        const seen = points.filter((_, index) => index % SPARK_STEP_SECONDS === 0)
        sparks.seed(
          id,
          seen.map((point) => Number(point['polled_per_second'] ?? 0)),
        )
        setSeeded(true)
      },
      // The curve begins now, then.
      () => undefined,
    )
    return () => abort.abort()
  }, [id, isRunning, sparks])
  const rate = (metric: string) =>
    entry === undefined ? <span class="none">–</span> : perSecond(entry.rates[metric] ?? 0)
  const badge = <StateBadge state={status.state} tone={pipelineTone(status.state)} />
  const rows = useKnown().options?.items ?? []
  return (
    <tr data-test={`pipeline-${id}`}>
      <th scope="row" class="main-cell">
        <a href={pipelineHref(id)}>{name}</a>
        <span class="only-narrow">{badge}</span>
        <span class="sub">
          {effectiveText(pipeline, 'kafka_topic', rows)} →{' '}
          {effectiveText(pipeline, 'es_index', rows)}
        </span>
        {status.reason !== null && <span class="sub reason">{status.reason}</span>}
      </th>
      <td class="only-wide">{badge}</td>
      <td class="only-wide">{isRunning && <Sparkline values={sparks.of(id)} />}</td>
      <td class="number" data-test="polled">
        {rate('polled_per_second')}
      </td>
      <td class="number only-wide">{rate('matched_per_second')}</td>
      <td class="number only-wide">{rate('written_per_second')}</td>
      <td class="number only-wide">
        {entry === undefined ? (
          <span class="none">–</span>
        ) : (
          shortNumber(entry.metrics['kafka_lag'] ?? 0)
        )}
      </td>
      <td class="end-cell">
        <StartStop pipeline={pipeline} />
      </td>
    </tr>
  )
}
