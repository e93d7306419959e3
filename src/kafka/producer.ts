/**
 * The producer whose every record is confirmed: for dead letters and their like.
 *
 * `produce` resolves when all in-sync replicas have the record (acks=all, idempotent: a retry makes
 * no copy), and rejects when it could not be delivered in the delivery time; it never stays open.
 *
 * Bound. At most `inFlightMax` records are on their way; `produce` waits its turn beyond that,
 * first come, first served, so a caller that awaits each call holds one record more and no others.
 */
import type { Producer as NativeProducer } from '@confluentinc/kafka-javascript'
import assert from 'node:assert/strict'
import { LogpipeError } from '../core/errors.ts'
import {
  bindingConfig,
  ConnectionTrouble,
  type KafkaClientSettings,
  kafkaCodeOf,
  kafkaConfigError,
  kafkaError,
  loadBinding,
  QUEUE_FULL,
} from './binding.ts'

interface Produced {
  readonly partition: number
  readonly offset: number
}

export interface Producer {
  /**
   * Sends one record; its buffers may be reused as soon as this has resolved.
   * @throws LogpipeError KAFKA_TOPIC (also: too large), KAFKA_AUTH, KAFKA_UNREACHABLE (not in time)
   */
  produce(record: ProducerRecord): Promise<Produced>
  /** Records on their way or waiting for their turn. */
  inFlight(): number
  /** Waits for records on their way, at most `timeoutMs`, then closes. Idempotent. */
  close(timeoutMs: number): Promise<void>
}

interface ProducerSettings extends KafkaClientSettings {
  /** Records on their way at one time. */
  readonly inFlightMax: number
  /** How long librdkafka tries to deliver a record, in ms. */
  readonly deliveryMs: number
}

interface Waiting {
  readonly resolve: (produced: Produced) => void
  readonly reject: (error: unknown) => void
}

/** How long close waits for reports at a time. */
const REPORT_WAIT_MS = 1

/** @throws LogpipeError KAFKA_UNREACHABLE, KAFKA_AUTH, KAFKA_CONFIG */
export async function openProducer(settings: ProducerSettings): Promise<Producer> {
  assert.ok(settings.inFlightMax >= 1, 'room for one record at least')
  const client = await openProducerClient(settings, {
    acks: 'all',
    'enable.idempotence': 'true',
    'linger.ms': '5',
    'message.timeout.ms': String(settings.deliveryMs),
    // The brokers' limit decides, not ours: a record that was read must be writable as it was.
    'message.max.bytes': String(128 * 1024 * 1024),
  })
  return new ConfirmedProducer(client, settings)
}

class ConfirmedProducer implements Producer {
  readonly #client: ProducerClient
  readonly #settings: ProducerSettings
  /** Records that librdkafka has and has not reported. At most inFlightMax. */
  readonly #sent = new Set<Waiting>()
  /** Callers waiting for room, in order; as many as calls are open. */
  readonly #queue: (() => void)[] = []
  #closing: Promise<void> | null = null
  /** Whether close ran out of time: whatever is not confirmed now has failed. */
  #gaveUp = false

  constructor(client: ProducerClient, settings: ProducerSettings) {
    this.#client = client
    this.#settings = settings
    client.native.on('delivery-report', (error, report) => {
      this.#settle(report.opaque as Waiting, error, report)
    })
  }

  async produce(record: ProducerRecord): Promise<Produced> {
    assert.equal(this.#closing, null, 'produce after close')
    for (;;) {
      if (this.#gaveUp) throw this.#tooLate()
      // Whoever waits already goes first; a freed place wakes one, who checks again.
      if (this.#sent.size >= this.#settings.inFlightMax) {
        await new Promise<void>((resolve) => this.#queue.push(resolve))
        continue
      }
      const delivery = this.#send(record)
      if (delivery !== null) return await delivery
      // librdkafka's queue is full of bytes: room comes with the next report.
      await new Promise<void>((resolve) => this.#queue.push(resolve))
    }
  }

  inFlight(): number {
    return this.#sent.size + this.#queue.length
  }

  close(timeoutMs: number): Promise<void> {
    this.#closing ??= this.#drain(timeoutMs).then(() => this.#client.close())
    return this.#closing
  }

  /** Hands the record to librdkafka, which copies it; null when it has no room. */
  #send(record: ProducerRecord): Promise<Produced> | null {
    const { promise, resolve, reject } = Promise.withResolvers<Produced>()
    const waiting: Waiting = { resolve, reject }
    try {
      this.#client.native.produce(
        record.topic,
        record.partition,
        record.value === null ? null : asBuffer(record.value),
        record.key === null ? null : asBuffer(record.key),
        record.timestampMs,
        waiting,
        record.headers.map(([name, value]) => ({ [name]: asBuffer(value ?? EMPTY) })),
      )
    } catch (error) {
      if (kafkaCodeOf(error) === QUEUE_FULL && this.#sent.size > 0) return null
      throw this.#error(error, record.topic)
    }
    this.#sent.add(waiting)
    assert(this.#sent.size <= this.#settings.inFlightMax, 'records on their way are bounded')
    return promise
  }

  #settle(waiting: Waiting, error: unknown, report: Produced & { readonly topic: string }): void {
    // After close gave up, reports of rejected records may still come.
    if (!this.#sent.delete(waiting)) return
    if (error) waiting.reject(this.#error(error, report.topic))
    else waiting.resolve({ partition: report.partition, offset: report.offset })
    this.#queue.shift()?.()
  }

  #error(error: unknown, topic: string): LogpipeError {
    return kafkaError(error, `produce to topic "${topic}"`, this.#settings.brokers)
  }

  async #drain(timeoutMs: number): Promise<void> {
    const deadlineMs = performance.now() + timeoutMs
    // A report reaches us moments after the flush that waited for it, and lets the next caller
    // send.
    while (this.inFlight() > 0 && performance.now() < deadlineMs) {
      await this.#client.flush(Math.ceil(deadlineMs - performance.now())).catch(() => {
        // Records not flushed in time are rejected below, one by one.
      })
      await new Promise((resolve) => setTimeout(resolve, REPORT_WAIT_MS))
    }
    this.#gaveUp = true
    for (const waiting of this.#sent) waiting.reject(this.#tooLate())
    this.#sent.clear()
    for (const wake of this.#queue.splice(0)) wake()
    assert.equal(this.inFlight(), 0, 'every record was confirmed or rejected')
  }

  #tooLate(): LogpipeError {
    const message = `the producer was closed before ${this.#settings.brokers} confirmed the record`
    return new LogpipeError('KAFKA_UNREACHABLE', message)
  }
}

const EMPTY = new Uint8Array(0)

/** The same memory as the Buffer that the binding's types ask for. */
function asBuffer(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
}

/*
 * A connected producer of the binding: opening it with clear errors, flushing, closing in bounded
 * time.
 */

interface ProducerClient {
  readonly native: NativeProducer
  /**
   * Waits until all that was produced is acked or has failed; rejects with KAFKA_UNREACHABLE in
   * time.
   */
  flush(timeoutMs: number): Promise<void>
  /** Gives up records that are not flushed. Idempotent. */
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
async function openProducerClient(
  settings: KafkaClientSettings,
  defaults: Readonly<Record<string, string>>,
): Promise<ProducerClient> {
  const { Producer } = await loadBinding()
  const native = makeNative()
  const trouble = new ConnectionTrouble()
  native.on('event.error', (error) => trouble.recordError(error))
  native.on('event.log', (line: object) => trouble.recordLog(line))
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
      // dr_cb true makes `delivery-report` events; the properties decide which.
      return new Producer({ ...bindingConfig(settings, defaults), dr_cb: true })
    } catch (error) {
      throw kafkaConfigError(error)
    }
  }
}

function disconnect(native: NativeProducer): Promise<void> {
  return new Promise((resolve) => {
    const deadline = setTimeout(resolve, DISCONNECT_MS)
    // A flush of 0 ms: a caller that waits for its records has flushed before.
    native.disconnect(0, () => {
      clearTimeout(deadline)
      resolve()
    })
  })
}

/*
 * The producer for many records: benchmarks and the demo. As fast as the binding allows.
 *
 * librdkafka reports failures only (`delivery.report.only.error`): an object per acked record would
 * cost more than sending it. So `flush` returning without failures is what confirms the records
 * before it.
 *
 * Bound. librdkafka's queue: QUEUE_RECORDS_MAX records or QUEUE_KBYTES_MAX, whichever comes first.
 * `send` says false when it is full; the caller waits and sends the same record again.
 */

export interface BulkProducer {
  /**
   * Queues a record; its bytes are copied.
   * @returns false when the queue is full.
   * @throws LogpipeError when librdkafka refuses the record, or when an earlier one failed.
   */
  send(topic: string, partition: number | null, key: string | null, value: Uint8Array): boolean
  /** Waits until all records are acked. @throws LogpipeError when one was not, or not in time. */
  flush(timeoutMs: number): Promise<void>
  /** Gives up records that are not flushed. Idempotent. */
  close(): Promise<void>
}

/** Twice the records of 100 B that a fast broker takes in 100 ms. */
const QUEUE_RECORDS_MAX = 200_000
/**
 * Some 0.2 s at the speed of a fast disk; with the copy in flight, a benchmark's added memory.
 */
const QUEUE_KBYTES_MAX = 128 * 1024

/** @throws LogpipeError KAFKA_UNREACHABLE, KAFKA_AUTH, KAFKA_CONFIG */
export async function openBulkProducer(settings: KafkaClientSettings): Promise<BulkProducer> {
  const client = await openProducerClient(settings, {
    acks: 'all',
    'delivery.report.only.error': 'true',
    'queue.buffering.max.messages': String(QUEUE_RECORDS_MAX),
    'queue.buffering.max.kbytes': String(QUEUE_KBYTES_MAX),
    // Full batches: a busy topic holds such, and a broker is fast with them.
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
