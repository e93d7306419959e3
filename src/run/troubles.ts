/**
 * What is wrong with a running pipeline: the one place that knows, out of what the ingress threads
 * and the output say at a moment, and since when.
 *
 * Bound. TROUBLES_MAX, the first ones: whatever keeps everything from working stands first.
 */
import type { Clock } from '../core/clock.ts'
import { type Sighting, type Trouble, troubleText, TROUBLES_MAX } from '../core/trouble.ts'
import type { StuckPartition, WaitingPartition } from '../kafka/ingress-messages.ts'
import type { SinkGauges } from '../sink/sink.ts'

/** A start joins the group in seconds; with a session to time out first it takes ten. */
const JOINING_MS = 15_000

interface Seen extends Sighting {
  readonly sinceMs: number
}

interface PipelineParts {
  readonly groupFault: string | null
  readonly canReachKafka: boolean
  readonly waiting: readonly WaitingPartition[]
  readonly stuck: readonly StuckPartition[]
  readonly sink: Pick<SinkGauges, 'troubles'>
}

/** All of it, as it is now. */
function sightings(parts: PipelineParts): readonly Sighting[] {
  const { groupFault, canReachKafka, waiting, stuck, sink } = parts
  const nameOf = (one: { topic: string; partition: number }) => `${one.topic} [${one.partition}]`
  const groups: Sighting[] =
    groupFault === null ? [] : [{ kind: 'kafka_group', place: null, text: groupFault }]
  const brokers: Sighting[] = canReachKafka
    ? []
    : [{ kind: 'kafka_down', place: null, text: 'no broker can be reached' }]
  return [
    ...groups,
    ...brokers,
    ...waiting.map((one): Sighting => {
      const text = `${nameOf(one)} is not read: ${one.problem}`
      return { kind: 'partition_unread', place: nameOf(one), text }
    }),
    ...sink.troubles,
    ...stuck.map((one): Sighting => {
      const text = `${nameOf(one)} is stuck at offset ${one.offset}: ${one.reason}`
      return { kind: 'partition_stuck', place: nameOf(one), text }
    }),
  ]
}

export class Troubles {
  readonly #clock: Clock
  readonly #redact: (text: string) => string
  #seen = new Map<string, Seen>()
  #firstMs: number

  constructor(clock: Clock, redact: (text: string) => string) {
    this.#clock = clock
    this.#redact = redact
    this.#firstMs = clock.monotonicMs()
  }

  /** Takes in how things stand. @returns what is wrong, with the moment since which it is. */
  look(parts: PipelineParts): readonly Trouble[] {
    const nowMs = this.#clock.monotonicMs()
    const isJoining = nowMs - this.#firstMs < JOINING_MS
    const now = sightings(parts)
      // At the start there is no group yet, and nothing is wrong with that.
      .filter(({ kind }) => !(isJoining && kind === 'kafka_group'))
      .slice(0, TROUBLES_MAX)
    const seen = new Map<string, Seen>()
    for (const one of now) {
      const key = `${one.kind} ${one.place ?? ''}`
      seen.set(key, { ...one, sinceMs: this.#seen.get(key)?.sinceMs ?? nowMs })
    }
    this.#seen = seen
    const wallMs = this.#clock.wallMs() - nowMs
    return [...seen.values()].map(({ kind, place, text, sinceMs }) => ({
      kind,
      place: place === null ? null : troubleText(place, this.#redact),
      text: troubleText(text, this.#redact),
      since: new Date(wallMs + sinceMs).toISOString(),
    }))
  }
}
