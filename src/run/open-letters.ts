/**
 * Opens the dead letters where `--dlq` says: for the pipeline's output and for `spill drain`.
 */
import { systemClock } from '../core/clock.ts'
import { openProducer, type Producer } from '../kafka/producer.ts'
import type { DeadLetterTarget } from '../options/notations.ts'
import type { OpenDeadLetters } from '../sink/dead-letters/contract.ts'
import { openFileLetters } from '../sink/dead-letters/file-letters.ts'
import { openTopicLetters } from '../sink/dead-letters/topic-letters.ts'
import type { Locks } from '../core/disk.ts'
import type { KafkaSettings } from './settings.ts'

/**
 * Dead letters on their way to Kafka at one time: they are rare, and a burst of them must not wait.
 */
const LETTERS_IN_FLIGHT = 1000
/** librdkafka's own limit for the delivery of a record. */
const LETTER_DELIVERY_MS = 300_000
const LETTER_CONNECT_MS = 10_000
/** Dead letters in files, all together: as much as the spill may hold by default. */
const LETTER_FILES_BYTES_MAX = 4 * 1024 ** 3

export interface OpenLetters {
  readonly letters: OpenDeadLetters
  readonly close: () => Promise<void>
}

/** @throws LogpipeError when the file or the brokers cannot be used. */
export async function openLetters(
  target: DeadLetterTarget,
  kafka: Pick<KafkaSettings, 'brokers' | 'clientProperties' | 'tokenFile'>,
  locks: Locks,
): Promise<OpenLetters> {
  if (target.kind === 'file') {
    const letters = await openFileLetters({
      file: target.path,
      bytesMax: LETTER_FILES_BYTES_MAX,
      locks,
      clock: systemClock,
    })
    return { letters, close: async () => letters.close() }
  }
  const producer = await openProducer({
    brokers: kafka.brokers,
    config: kafka.clientProperties,
    tokenFile: kafka.tokenFile,
    timeoutMs: LETTER_CONNECT_MS,
    inFlightMax: LETTERS_IN_FLIGHT,
    deliveryMs: LETTER_DELIVERY_MS,
  })
  const letters = openTopicLetters(target.topic, produceWith(producer))
  return {
    letters,
    close: async () => {
      // What the brokers do not confirm in this time fails, and with it the wait for it.
      await Promise.all([producer.close(LETTER_CONNECT_MS), letters.close()])
    },
  }
}

function produceWith(producer: Producer): Parameters<typeof openTopicLetters>[1] {
  return async (topic, key, value, headers) => {
    await producer.produce({
      topic,
      partition: null,
      key: Buffer.from(key),
      value: Buffer.from(value),
      headers: headers.map(([name, text]) => [name, Buffer.from(text)] as const),
      timestampMs: null,
    })
  }
}
