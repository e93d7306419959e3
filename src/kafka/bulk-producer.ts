/**
 * The producer for many records: benchmarks and the demo. As fast as the binding allows.
 *
 * librdkafka reports failures only (`delivery.report.only.error`): an object per acked record would
 * cost more than sending it. So `flush` returning without failures is what confirms the records
 * before it.
 *
 * Bound. librdkafka's queue: QUEUE_RECORDS_MAX records or QUEUE_KBYTES_MAX, whichever comes first.
 * `send` says false when it is full; the caller waits and sends the same record again.
 */
import { type KafkaClientSettings, kafkaError, QUEUE_FULL } from './binding.ts'
import { openProducerClient } from './producer-client.ts'

export interface BulkProducer {
  /**
   * Queues a record; its bytes are copied.
   * @returns false when the queue is full.
   * @throws LogpipeError when librdkafka refuses the record, or when an earlier one failed.
   */
  send(topic: string, partition: number | null, key: string | null, value: Uint8Array): boolean
  /** Waits until all records are acked. @throws LogpipeError when one was not, or not in time. */
  flush(timeoutMs: number): Promise<void>
  /** Gives up what is not flushed. Idempotent. */
  close(): Promise<void>
}

/** Twice what a fast broker takes in 100 ms at 100 B a record. */
const QUEUE_RECORDS_MAX = 200_000
/**
 * Some 0.2 s at the speed of a fast disk; with the copy in flight, what a benchmark adds to memory.
 */
const QUEUE_KBYTES_MAX = 128 * 1024

/** @throws LogpipeError KAFKA_UNREACHABLE, KAFKA_AUTH, KAFKA_CONFIG */
export async function openBulkProducer(settings: KafkaClientSettings): Promise<BulkProducer> {
  const client = await openProducerClient(settings, {
    acks: 'all',
    'delivery.report.only.error': 'true',
    'queue.buffering.max.messages': String(QUEUE_RECORDS_MAX),
    'queue.buffering.max.kbytes': String(QUEUE_KBYTES_MAX),
    // Full batches: they are what a busy topic holds, and what makes a broker fast.
    'linger.ms': '20',
    'batch.size': String(1024 * 1024),
    'batch.num.messages': '100000',
    // The broker's limit decides about large records.
    'message.max.bytes': String(128 * 1024 * 1024),
  })
  // The wrapper's `produce` throws when the queue is full, and a throw costs more than a record.
  const native = client.native.getClient() as NativeProduce
  let failure: unknown = null
  client.native.on('delivery-report', (error, report) => {
    if (error) failure ??= kafkaError(error, `produce to topic "${report.topic}"`, settings.brokers)
  })

  return {
    send(topic, partition, key, value) {
      if (failure !== null) throw failure
      const code = native.produce(topic, partition ?? -1, value, key)
      if (code === 0) return true
      if (code === QUEUE_FULL) return false
      const error = Object.assign(new RangeError(`librdkafka error ${code}`), { code })
      throw kafkaError(error, `produce to topic "${topic}"`, settings.brokers)
    },
    async flush(timeoutMs) {
      await client.flush(timeoutMs)
      // Reports of failures reach the event loop after the flush that they ended.
      await new Promise((resolve) => setImmediate(resolve))
      if (failure !== null) throw failure
    },
    close: () => client.close(),
  }
}

/** The binding's native method: librdkafka's error code, 0 for none. */
interface NativeProduce {
  produce(topic: string, partition: number, value: Uint8Array, key: string | null): number
}
