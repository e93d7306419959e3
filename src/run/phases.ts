/**
 * Which phase a pipeline is in, in words: told in one line when it changes, and first on a
 * terminal, above the two lines of each second (status.ts).
 *
 *   connecting --a broker answers--> joining --the group gives partitions--> catching up
 *       ^                               |                                     |      ^
 *       '--no broker answers-- (any)    '--there are none for it--> standby   v      |
 *                                                                         up to date
 *
 * Up to date is who reads what came within UP_TO_DATE_SECONDS; behind again is who has been
 * BEHIND_SECONDS behind for LASTING_MS: between the two it stays what it was, so that a burst is
 * no news, and a record a day neither.
 *
 * Used by run-pipeline.ts, once a second.
 */
import { type Trouble, troubleSentence } from '../core/trouble.ts'
import { formatBytes, formatDuration } from '../core/units.ts'
import type { LagEstimate } from '../metrics/lag-meter.ts'
import type { Status } from './status.ts'
import type { Reading } from './threads.ts'

export type Phase = Exclude<Reading, 'reading'> | 'catching_up' | 'up_to_date'

export interface PhaseInput {
  readonly reading: Reading
  /** Null: no end of a partition is known yet. */
  readonly lag: LagEstimate | null
  readonly recordsPerSecond: number
}

const UP_TO_DATE_SECONDS = 10
const BEHIND_SECONDS = 60
const LASTING_MS = 5000

const COUNT = new Intl.NumberFormat('en-US')
const records = (count: number) => `${COUNT.format(count)} ${count === 1 ? 'record' : 'records'}`

const WORDS: Readonly<Record<Phase, string>> = {
  connecting: 'connecting to the brokers',
  joining: 'joining the group',
  standby: 'standing by: other members have all partitions',
  catching_up: 'catching up',
  up_to_date: 'up to date',
}

export class Phases {
  #phase: Phase | null = null
  #behindSinceMs: number | null = null

  /** @returns the phase, and whether it is another than at the last look; null: not known yet. */
  look(
    input: PhaseInput,
    nowMs: number,
  ): { readonly phase: Phase; readonly isNew: boolean } | null {
    const before = this.#phase
    const phase = this.#phaseOf(input, nowMs)
    this.#phase = phase
    return phase === null ? null : { phase, isNew: phase !== before }
  }

  #phaseOf({ reading, lag, recordsPerSecond }: PhaseInput, nowMs: number): Phase | null {
    const before = this.#phase
    if (reading === 'connecting' || reading === 'joining') return reading
    // What a rebalance gives nothing more may have partitions from before.
    if (lag === null) return reading === 'standby' ? reading : before
    // Without timestamps by how long it takes to read what is left.
    const { lagRecords, lagSeconds } = lag
    const behind = lagRecords === 0 ? 0 : (lagSeconds ?? lagRecords / recordsPerSecond)
    if (behind <= BEHIND_SECONDS) this.#behindSinceMs = null
    else this.#behindSinceMs ??= nowMs
    if (behind <= UP_TO_DATE_SECONDS) return 'up_to_date'
    if (before !== 'up_to_date') return 'catching_up'
    const isLasting = this.#behindSinceMs !== null && nowMs - this.#behindSinceMs >= LASTING_MS
    return isLasting ? 'catching_up' : 'up_to_date'
  }
}

/** The line of a change: `catching up: 1200000 records behind, 1.0 GiB, 5m 3s`. */
export function phaseText(phase: Phase, status: Status): string {
  const facts = phase === 'catching_up' ? lagFacts(status) : []
  return facts.length === 0 ? WORDS[phase] : `${WORDS[phase]}: ${facts.join(', ')}`
}

/** The line of a second: `up to date | 85000 records/s, 82.3 MiB/s | nothing left to read`. */
export function headline(
  phase: Phase | null,
  status: Status,
  troubles: readonly Trouble[],
): string {
  const bytes = `${formatBytes(status.polled_bytes_per_second)}/s`
  const rate = `${records(status.polled_per_second)}/s, ${bytes}`
  const facts = lagFacts(status).slice(0, phase === 'up_to_date' ? 1 : undefined)
  const lag = status.lag === 0 ? 'nothing left to read' : facts.join(', ')
  return [phase === null ? 'starting' : WORDS[phase], troubleSentence(troubles), rate, lag]
    .filter((part) => part !== null && part !== '')
    .join(' | ')
}

function lagFacts(status: Status): string[] {
  const { lag, lag_bytes: bytes, lag_seconds: behind, lag_drain_seconds: drain } = status
  if (lag === null) return []
  const duration = (seconds: number) => formatDuration(seconds * 1000)
  return [
    `${records(lag)} behind`,
    ...(bytes === null ? [] : [formatBytes(bytes)]),
    ...(behind === null ? [] : [`reading what is ${duration(behind)} old`]),
    ...(drain === null ? [] : [`done in ${duration(drain)}`]),
  ]
}
