/**
 * What Kafka holds of a partition, asked of its brokers: its offsets, and what the group committed.
 *
 * Owns how long an answer is asked for, and when one is believed: that records are gone is said for
 * good, so one broker's word is not enough for it.
 */
import type { Bridge, BridgeId } from '../bridge/bridge.ts'
import type { Clock } from '../core/clock.ts'
import { LogpipeError, messageOf } from '../core/errors.ts'
import { askMarks } from '../kafka/broker-queries.ts'
import type { OffsetRange } from '../sink/elasticsearch/moved-out.ts'

export interface HeldOffsetsParts {
  readonly bridge: Bridge
  readonly consumer: BridgeId
  readonly clock: Clock
  readonly warn: (message: string) => void
}

/** The offsets [low, high) of a partition; equal when it has none. */
export interface Watermarks {
  readonly low: number
  readonly high: number
}

/** Of one request. */
export const REQUEST_MS = 2000
/** A topic that is just being made known is unknown for a moment. */
const ATTEMPTS_MAX = 5
const ATTEMPT_PAUSE_MS = 1000
/**
 * So long Kafka must say that a partition ends below what was read from it before, or is not there:
 * a broker that is starting, or that does not know yet that it leads no more, says so too. It is
 * more than `broker.session.timeout.ms` (9 s) and an election. A partition's start only moves up,
 * so that is believed at once.
 */
const BELIEVED_MS = 60_000
const TOPIC_IS_GONE = /UNKNOWN_TOPIC|UNKNOWN_PARTITION|UNKNOWN_TOPIC_OR_PART/

export class HeldOffsets {
  readonly #parts: HeldOffsetsParts
  /** Since when Kafka tells of too little, by partition: its next range need not wait again. */
  readonly #shortSinceMs = new Map<string, number>()
  #isClosed = false

  constructor(parts: HeldOffsetsParts) {
    this.#parts = parts
  }

  /** What is being asked ends with DEADLINE. */
  close(): void {
    this.#isClosed = true
  }

  /**
   * The offsets that Kafka has: with the range's end, or BELIEVED_MS long without it.
   * @throws LogpipeError KAFKA_UNREACHABLE when no broker answers for long; DEADLINE after close.
   */
  async believed({ topic, partition, to }: OffsetRange): Promise<Watermarks> {
    const { clock } = this.#parts
    const key = `${topic}/${partition}`
    for (;;) {
      const held = await this.#told(topic, partition)
      const isShort = held.high < to
      if (!isShort) this.#shortSinceMs.delete(key)
      const sinceMs = this.#shortSinceMs.get(key) ?? clock.monotonicMs()
      if (!isShort || clock.monotonicMs() - sinceMs >= BELIEVED_MS) return held
      if (!this.#shortSinceMs.has(key)) this.#tellShort(topic, partition, held, to)
      this.#shortSinceMs.set(key, sinceMs)
      await this.#pause()
    }
  }

  /** What the group has committed; null: nothing. Throws as `believed` does. */
  async committed(topic: string, partition: number): Promise<number | null> {
    const { bridge, consumer } = this.#parts
    const asked = { topic, partition, offset: 0 }
    const [answer] = await this.ask(() => {
      const answers = bridge.consumerCommitted(consumer, [asked], REQUEST_MS)
      const error = answers[0]?.error ?? null
      if (error !== null) throw new LogpipeError('KAFKA_UNREACHABLE', error)
      return answers
    })
    return answer === undefined || answer.offset < 0 ? null : answer.offset
  }

  /** From which leader epoch on the group marks the records; -1: the log was never cut off. */
  async markFrom(topic: string, partition: number): Promise<number> {
    const { bridge, consumer } = this.#parts
    return this.ask(() => {
      const [markFrom] = askMarks(bridge, consumer, [{ topic, partition }], REQUEST_MS)
      if (typeof markFrom === 'number') return markFrom
      throw new LogpipeError('KAFKA_UNREACHABLE', `no answer about ${topic} [${partition}]`)
    })
  }

  /** Calls until it does not throw, ATTEMPTS_MAX times. Throws as `believed` does. */
  async ask<Answer>(call: () => Answer): Promise<Answer> {
    for (let attempt = 1; ; attempt++) {
      this.#assertOpen()
      try {
        return call()
      } catch (cause) {
        if (attempt === ATTEMPTS_MAX) {
          const message = `no broker told what it has of the spill's offsets: ${messageOf(cause)}`
          throw new LogpipeError('KAFKA_UNREACHABLE', message, { cause })
        }
      }
      await this.#pause()
    }
  }

  #tellShort(topic: string, partition: number, { high }: Watermarks, to: number): void {
    const told = high === 0 ? 'no offsets' : `offsets up to ${high - 1}`
    this.#parts.warn(
      `${topic} [${partition}]: Kafka tells of ${told}, but ${to - 1} was read before: ` +
        `believed when it says so for ${BELIEVED_MS / 1000} s`,
    )
  }

  /** The offsets that a broker tells of: none of a topic that it does not know. */
  async #told(topic: string, partition: number): Promise<Watermarks> {
    const { bridge, consumer } = this.#parts
    const asked = { topic, partition, offset: 0 }
    try {
      return await this.ask(() => bridge.consumerWatermarks(consumer, asked, REQUEST_MS))
    } catch (thrown) {
      const cause = thrown instanceof Error ? thrown.cause : null
      if (!TOPIC_IS_GONE.test(`${codeOf(cause)} ${messageOf(cause)}`)) throw thrown
      return { low: 0, high: 0 }
    }
  }

  #pause(): Promise<void> {
    return new Promise((resolve) => this.#parts.clock.after(ATTEMPT_PAUSE_MS, resolve))
  }

  #assertOpen(): void {
    if (this.#isClosed) throw new LogpipeError('DEADLINE', 'stopped before all was read again')
  }
}

function codeOf(thrown: unknown): string {
  const code: unknown = thrown instanceof Error && 'code' in thrown ? thrown.code : ''
  return typeof code === 'string' ? code : ''
}
