/**
 * `--dlq topic:NAME`: dead letters as records of a Kafka topic, with what is known of them in
 * headers. `produce` comes from whoever owns the producer, and waits for acks=all.
 *
 * Bound. PRODUCE_MAX records under way.
 */
import type { DeadLetter, DeadLetters } from './contract.ts'
import { lettersError } from './letter-files.ts'

/** Enough to fill the producer's batches; the rest of a put waits. */
const PRODUCE_MAX = 1000

/** Resolves when all in-sync replicas have the record; rejects when that failed for good. */
export type Produce = (
  topic: string,
  key: Uint8Array,
  value: Uint8Array,
  headers: readonly (readonly [name: string, value: string])[],
) => Promise<void>

/** @param topic the topic that letters go to. */
export function openTopicLetters(topic: string, produce: Produce): DeadLetters {
  return new TopicLetters(topic, produce)
}

class TopicLetters implements DeadLetters {
  readonly #topic: string
  readonly #produce: Produce
  readonly #underWay = new Set<Promise<void>>()

  constructor(topic: string, produce: Produce) {
    this.#topic = topic
    this.#produce = produce
  }

  async put(letters: readonly DeadLetter[]): Promise<void> {
    for (let from = 0; from < letters.length; from += PRODUCE_MAX) {
      const some = letters.slice(from, from + PRODUCE_MAX).map((letter) => this.#send(letter))
      // All have ended before an error is told, so that no record is under way unseen.
      const failed = (await Promise.allSettled(some)).find((one) => one.status === 'rejected')
      if (failed !== undefined) {
        throw lettersError(`topic ${this.#topic}`, 'be written', failed.reason)
      }
    }
  }

  async close(): Promise<void> {
    await Promise.allSettled(this.#underWay)
  }

  #send(letter: DeadLetter): Promise<void> {
    const key = Buffer.from(`${letter.topic}-${letter.partition}-${letter.offset}`, 'utf8')
    const sent = this.#produce(this.#topic, key, letter.payload, headersOf(letter))
    this.#underWay.add(sent)
    const forget = () => this.#underWay.delete(sent)
    sent.then(forget, forget)
    return sent
  }
}

/** Names are prefixed, as other programs add theirs. */
function headersOf(letter: DeadLetter): (readonly [string, string])[] {
  return [
    ['logpipe.reason', letter.reason],
    ['logpipe.error_type', letter.errorType],
    ['logpipe.status', String(letter.status)],
    ['logpipe.index', letter.index],
    ['logpipe.topic', letter.topic],
    ['logpipe.partition', String(letter.partition)],
    ['logpipe.offset', String(letter.offset)],
    ['logpipe.timestamp_ms', String(letter.timestampMs)],
    ['logpipe.timestamp_type', letter.timestampType],
  ]
}
