/**
 * The producer whose every record is confirmed: for dead letters and their like.
 *
 * `produce` resolves when all in-sync replicas have the record (acks=all, idempotent: no copy by a
 * retry)
 * and rejects when it could not be delivered within the delivery time; it never stays open.
 *
 * Bound. At most `inFlightMax` records are on their way; `produce` waits its turn beyond that,
 * first come, first served, so a caller that awaits each call holds one record more and no others.
 */
import assert from 'node:assert/strict'
import { LogpipeError } from '../core/errors.ts'
import { type KafkaClientSettings, kafkaCodeOf, kafkaError, QUEUE_FULL } from './binding.ts'
import { openProducerClient, type ProducerClient, type ProducerRecord } from './producer-client.ts'

export interface Produced {
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
  /** Waits for what is on its way, at most `timeoutMs`, then closes. Idempotent. */
  close(timeoutMs: number): Promise<void>
}

export interface ProducerSettings extends KafkaClientSettings {
  /** Records on their way at one time. */
  readonly inFlightMax: number
  /** How long librdkafka tries to deliver a record, in ms. */
  readonly deliveryMs: number
}

interface Waiting {
  readonly resolve: (produced: Produced) => void
  readonly reject: (error: unknown) => void
}

/** How long close waits for reports between two looks. */
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
      // Whoever waits already goes first; a freed place wakes one, who looks again.
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
    return promise
  }

  #settle(waiting: Waiting, error: unknown, report: Produced & { readonly topic: string }): void {
    // After close gave up, reports of what was rejected then may still come.
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
        // What was not flushed in time is rejected below, record by record.
      })
      await new Promise((resolve) => setTimeout(resolve, REPORT_WAIT_MS))
    }
    this.#gaveUp = true
    for (const waiting of this.#sent) waiting.reject(this.#tooLate())
    this.#sent.clear()
    for (const wake of this.#queue.splice(0)) wake()
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
