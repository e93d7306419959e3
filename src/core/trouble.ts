/**
 * Trouble: what keeps a pipeline from doing its work now, in one form for everybody who shows it
 * (status line, snapshot, heartbeat, API, dashboard, top, tap, Prometheus).
 *
 * The kinds are a closed list, so that alerts can be written against them. The sentence is for
 * people: it may quote servers, so it is redacted and made printable here, and nowhere else.
 *
 * Bound. TROUBLES_MAX at a time, TROUBLE_CHARS_MAX each.
 */
import { printable } from './printable.ts'

/** By kind, what it means: also the help of the metric. */
export const TROUBLE_KINDS = {
  kafka_down: 'No broker of Kafka can be reached.',
  kafka_group: 'The consumer group does not let this process read.',
  partition_unread: 'A partition is not read, because its brokers do not answer for it.',
  partition_stuck: 'A partition stands still although its log goes on.',
  elasticsearch_down: 'No node of Elasticsearch answers.',
  elasticsearch_slow: 'Elasticsearch does not answer in time.',
  elasticsearch_busy: 'Elasticsearch refuses requests as too many.',
  elasticsearch_refused: 'Elasticsearch refuses the requests: credentials or rights.',
  index_waits: 'An index takes nothing: read-only, full, closed, or wrongly set up.',
  spill_full: 'The spill is full: reading waits, or new documents are dropped.',
  output_failed: 'The output cannot be written.',
  child_crashed: 'The process of the pipeline ended by itself, and has read nothing since.',
} as const

export type TroubleKind = keyof typeof TROUBLE_KINDS

/** Trouble as whoever meets it says it. */
export interface Sighting {
  readonly kind: TroubleKind
  /** Where: an index, `topic [partition]`; null: everywhere. */
  readonly place: string | null
  readonly text: string
}

export interface Trouble {
  /** One of TROUBLE_KINDS, or one that a newer version knows. */
  readonly kind: string
  readonly place: string | null
  /** One printable line. */
  readonly text: string
  /** ISO 8601. */
  readonly since: string
}

export const TROUBLES_MAX = 16
export const TROUBLE_CHARS_MAX = 500
export const TROUBLE_KIND = /^[a-z][a-z_]{0,31}$/

/** A server's words as they may be shown anywhere: one line, no secret, no control character. */
export function troubleText(text: string, redact: (text: string) => string): string {
  return printable(redact(text)).slice(0, TROUBLE_CHARS_MAX)
}

/** How many there are of each kind, those without any too: a mended gauge must say 0. */
export function countsByKind(troubles: readonly Trouble[]): Readonly<Record<TroubleKind, number>> {
  const counts = Object.fromEntries(Object.keys(TROUBLE_KINDS).map((kind) => [kind, 0]))
  for (const { kind } of troubles) if (Object.hasOwn(counts, kind)) counts[kind]! += 1
  return counts as Record<TroubleKind, number>
}

/** Trouble out of JSON that another process wrote; what is none is left out. */
export function troublesIn(value: unknown): readonly Trouble[] {
  if (!Array.isArray(value)) return []
  const whole = (text: string) => text
  return value.slice(0, TROUBLES_MAX).flatMap((each: unknown): Trouble[] => {
    const { kind, place, text, since } = Object(each) as Record<string, unknown>
    if (typeof kind !== 'string' || !TROUBLE_KIND.test(kind)) return []
    if (typeof text !== 'string' || typeof since !== 'string') return []
    if (Number.isNaN(Date.parse(since))) return []
    const where = typeof place === 'string' ? troubleText(place, whole) : null
    const at = new Date(since).toISOString()
    return [{ kind, place: where, text: troubleText(text, whole), since: at }]
  })
}

/** The first in words, and how many more there are; null: none. */
export function troubleSentence(troubles: readonly Pick<Trouble, 'text'>[]): string | null {
  const [first] = troubles
  if (first === undefined) return null
  return troubles.length === 1 ? first.text : `${first.text} (and ${troubles.length - 1} more)`
}
