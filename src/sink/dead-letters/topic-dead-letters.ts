/**
 * `--dlq topic:NAME`: dead letters as records of a Kafka topic, with reason and source in headers.
 * The owner of the producer passes `produce` in, which waits for acks=all.
 *
 * A dead letter that fails is sent again alone, because one that is too large fails its whole
 * batch. If it fails again, it is sent without its payload; if that fails too, the topic cannot be
 * written.
 *
 * Bound. PRODUCE_MAX records in flight.
 */
import { LogpipeError, messageOf } from '../../core/errors.ts'
import { formatBytes } from '../../core/units.ts'
import {
  PAYLOAD_BYTES_MAX,
  withoutPayload,
  type DeadLetter,
  type OpenDeadLetters,
} from './contract.ts'

/** Enough to fill the producer's batches; the rest of a put waits. */
const PRODUCE_MAX = 1000
/**
 * Every broker takes as much in one request, so a smaller letter that nobody confirms in time is
 * not to blame. A larger one may be: a broker ends the connection above socket.request.max.bytes.
 */
const BLAMELESS_BYTES = 1_000_000

/** Resolves when all in-sync replicas have the record; rejects when that failed for good. */
export type Produce = (
  topic: string,
  key: Uint8Array,
  value: Uint8Array,
  headers: readonly (readonly [name: string, value: string])[],
) => Promise<void>

/** @param topic the topic that letters go to. */
export function openTopicDeadLetters(topic: string, produce: Produce): OpenDeadLetters {
  return new TopicDeadLetters(topic, produce)
}

class TopicDeadLetters implements OpenDeadLetters {
  readonly #topic: string
  readonly #produce: Produce
  readonly #underWay = new Set<Promise<void>>()

  constructor(topic: string, produce: Produce) {
    this.#topic = topic
    this.#produce = produce
  }

  async put(letters: readonly DeadLetter[]): Promise<void> {
    for (let from = 0; from < letters.length; from += PRODUCE_MAX) {
      const some = letters.slice(from, from + PRODUCE_MAX)
      // All have ended before an error is reported, so that no record in flight is forgotten.
      const ends = await Promise.allSettled(some.map((letter) => this.#send(fitting(letter))))
      for (const [index, end] of ends.entries()) {
        if (end.status === 'rejected') await this.#sendAgain(some[index]!, end.reason)
      }
    }
  }

  async close(): Promise<void> {
    await Promise.allSettled(this.#underWay)
  }

  async #sendAgain(letter: DeadLetter, failure: unknown): Promise<void> {
    const { payload } = letter
    const isUnconfirmed = failure instanceof LogpipeError && failure.code === 'KAFKA_UNREACHABLE'
    if (isUnconfirmed && payload.length <= BLAMELESS_BYTES) throw this.#error(letter, failure)
    try {
      // Waiting for a broker a second time would take long, and give no new information.
      if (isUnconfirmed) await this.#send(withoutPayload(letter))
      else await this.#send(letter).catch(() => this.#send(withoutPayload(letter)))
    } catch (error) {
      throw this.#error(letter, error)
    }
  }

  #error({ topic, partition, offset, payload }: DeadLetter, cause: unknown): LogpipeError {
    const which = `the dead letter of ${topic}-${partition}-${offset}`
    const message = `${which} (${formatBytes(payload.length)}) cannot be written to the topic `
    return new LogpipeError('DEAD_LETTERS', `${message}${this.#topic}: ${messageOf(cause)}`, {
      cause,
    })
  }

  async #send(letter: DeadLetter): Promise<void> {
    const key = Buffer.from(`${letter.topic}-${letter.partition}-${letter.offset}`, 'utf8')
    const sent = this.#produce(this.#topic, key, letter.payload, headersOf(letter))
    this.#underWay.add(sent)
    const forget = () => this.#underWay.delete(sent)
    sent.then(forget, forget)
    return sent
  }
}

function fitting(letter: DeadLetter): DeadLetter {
  return letter.payload.length > PAYLOAD_BYTES_MAX ? withoutPayload(letter) : letter
}

/**
 * Names are prefixed, as other programs add theirs. With payload_bytes the value is only the head
 * of a document of this size.
 */
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
    ...(letter.payloadBytes === undefined
      ? []
      : [['logpipe.payload_bytes', String(letter.payloadBytes)] as const]),
  ]
}
