/**
 * What the worker found when it checked Kafka, the topic, Elasticsearch and the index.
 */
import { useState } from 'preact/hooks'
import { messageOf, post } from '../data/api.ts'
import type { Pipeline } from '../data/api-types.ts'
import { findingsOf, outputLines } from './command-output.ts'
import { ago } from '../parts/format.ts'
import { useLive } from '../data/live.tsx'
import { useNotices } from '../parts/notices.tsx'
import { StateBadge } from '../parts/state-badge.tsx'
import type { Tone } from '../parts/states.ts'

/** The control plane keeps what was found only, or as many lines of what was said instead. */
const LINES_MAX = 500

const WORDS: ReadonlyMap<string, readonly [word: string, tone: Tone]> = new Map([
  ['queued', ['waiting', 'busy']],
  ['sent', ['running', 'busy']],
  ['done', ['no problems', 'good']],
  ['failed', ['problems found', 'bad']],
  ['expired', ['no answer', 'warn']],
])

const TONES: ReadonlyMap<string, Tone> = new Map([
  ['ok', 'good'],
  ['WRONG', 'bad'],
])

export function CheckResult({ pipeline }: { readonly pipeline: Pipeline }) {
  const { refresh } = useLive()
  const { tell } = useNotices()
  const [busy, setBusy] = useState(false)
  const { check, workers } = pipeline.status
  const [word, tone] = WORDS.get(check?.state ?? '') ?? ['', 'calm']
  const lines = check === null ? [] : outputLines(check.result, LINES_MAX)
  const findings = findingsOf(lines)
  const again = async (): Promise<void> => {
    setBusy(true)
    try {
      await post(`/api/pipelines/${pipeline.id}/commands`, { kind: 'check' })
      await refresh()
    } catch (error) {
      tell(messageOf(error), 'bad')
    }
    setBusy(false)
  }
  return (
    <section class="card" aria-labelledby="check-title">
      <div class="section-head">
        <h2 id="check-title">Check</h2>
        {word !== '' && <StateBadge state={word} tone={tone} />}
      </div>
      {check !== null && (
        <p class="muted">
          By {check.worker_id}, {ago(check.created_at, Date.now())}
        </p>
      )}
      {check === null && (
        <p class="muted">
          A worker checks Kafka, the topic and Elasticsearch when the pipeline starts.
        </p>
      )}
      {findings.length > 0 && (
        <ul class="plain findings">
          {findings.map(({ word: found, text }) => (
            <li key={text} class={found === 'WRONG' ? 'fault' : ''}>
              <span class={`finding tone-${TONES.get(found) ?? 'calm'}`}>
                {found === 'WRONG' ? 'wrong' : found}
              </span>{' '}
              {text}
            </li>
          ))}
        </ul>
      )}
      {findings.length === 0 && lines.length > 0 && (
        <pre tabIndex={0} aria-label="What the check said">
          {lines.join('\n')}
        </pre>
      )}
      <button
        type="button"
        class="button"
        disabled={busy || workers.length === 0}
        onClick={() => void again()}
      >
        Check now
      </button>
    </section>
  )
}
