/**
 * A connected producer of the binding: opening it with clear errors, flushing, closing in bounded
 * time.
 *
 * producer.ts and bulk-producer.ts put their own way of producing on top.
 */
import type { Producer as NativeProducer } from '@confluentinc/kafka-javascript'
import {
  bindingConfig,
  ConnectionTrouble,
  kafkaConfigError,
  kafkaError,
  type KafkaClientSettings,
  loadBinding,
} from './binding.ts'

export interface ProducerClient {
  readonly native: NativeProducer
  /**
   * Waits until all that was produced is acked or has failed; rejects with KAFKA_UNREACHABLE in
   * time.
   */
  flush(timeoutMs: number): Promise<void>
  /** Gives up what is not flushed. Idempotent. */
  close(): Promise<void>
}

/** A record as the binding takes it. */
export interface ProducerRecord {
  readonly topic: string
  /** null leaves the choice to librdkafka: by key, else in turns. */
  readonly partition: number | null
  readonly key: Uint8Array | null
  /** null is a tombstone. */
  readonly value: Uint8Array | null
  /** The binding knows no null header value: it is sent as empty. */
  readonly headers: readonly (readonly [name: string, value: Uint8Array | null])[]
  /** ms since 1970; null: now. */
  readonly timestampMs: number | null
}

/** How often events are asked for until the background thread does so. */
const CONNECT_POLL_MS = 20

/** Longest wait for librdkafka to end its threads; the process can end without. */
const DISCONNECT_MS = 5000

/**
 * Opens a client, having talked to a broker.
 * @throws LogpipeError KAFKA_UNREACHABLE, KAFKA_AUTH, KAFKA_CONFIG
 */
export async function openProducerClient(
  settings: KafkaClientSettings,
  defaults: Readonly<Record<string, string>>,
): Promise<ProducerClient> {
  const { Producer } = await loadBinding()
  const native = makeNative()
  const trouble = new ConnectionTrouble()
  native.on('event.error', (error) => trouble.noteError(error))
  native.on('event.log', (line: object) => trouble.noteLog(line))
  // Until it is connected nobody serves the client's events, and they say why it does not connect.
  const polling = setInterval(() => {
    if (native.isConnected()) native.poll()
  }, CONNECT_POLL_MS)
  try {
    await new Promise<void>((resolve, reject) => {
      native.connect({ timeout: settings.timeoutMs }, (error: unknown) => {
        if (error) reject(kafkaError(trouble.explain(error), 'connect to Kafka', settings.brokers))
        else resolve()
      })
    })
  } finally {
    clearInterval(polling)
  }
  native.setPollInBackground(true)

  let closing: Promise<void> | null = null
  return {
    native,
    flush: (timeoutMs) =>
      new Promise((resolve, reject) => {
        native.flush(timeoutMs, (error: unknown) => {
          if (error) reject(kafkaError(trouble.explain(error), 'flush', settings.brokers))
          else resolve()
        })
      }),
    close: () => (closing ??= disconnect(native)),
  }

  function makeNative(): NativeProducer {
    try {
      // dr_cb true makes `delivery-report` events; which of them come is up to the properties.
      return new Producer({ ...bindingConfig(settings, defaults), dr_cb: true })
    } catch (error) {
      throw kafkaConfigError(error)
    }
  }
}

function disconnect(native: NativeProducer): Promise<void> {
  return new Promise((resolve) => {
    const deadline = setTimeout(resolve, DISCONNECT_MS)
    // A flush of 0 ms: whoever wants to wait for the records has flushed before.
    native.disconnect(0, () => {
      clearTimeout(deadline)
      resolve()
    })
  })
}
