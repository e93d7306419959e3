/**
 * The source: records of known kind, and what the producer was told about each.
 *
 * One record in two matches; one match in POISON_EVERY has a key that the mapping refuses, so that
 * it belongs to the dead letters. A record counts from the moment its acknowledgement (acks=all)
 * says which offset it has. One that was refused, or whose answer was lost, may be in Kafka all the
 * same, at an offset that nobody was told: nothing is said of those but their number.
 */
import { openProducer, type Producer } from '../../src/kafka/producer.ts'
import type { Random } from '../../src/core/random.ts'

export const PATTERN = 'ERROR'
const POISON_EVERY = 500
const TICK_MS = 50
/** On their way at most: while the brokers are away the feed waits. */
const IN_FLIGHT_MAX = 2000
/** Longer than any broker is away. */
const DELIVERY_MS = 120_000
const VALUE_BYTES_MAX = 1500

export type RecordKind = 'filtered' | 'match' | 'poison'

/** What is known of a partition: the kind of the record at each offset. */
export type Offsets = (RecordKind | undefined)[]

export interface FeedOptions {
  readonly brokers: string
  readonly topics: readonly string[]
  readonly partitions: number
  readonly perSecond: number
  readonly random: Random
}

export class Feed {
  /** By `topic/partition`. */
  readonly acknowledged = new Map<string, Offsets>()
  acknowledgedCount = 0
  refusedCount = 0
  perSecond: number
  readonly #options: FeedOptions
  readonly #producer: Producer
  readonly #loop: Promise<void>
  #sequence = 0
  #isEnding = false
  #onWay = 0

  private constructor(options: FeedOptions, producer: Producer) {
    this.#options = options
    this.#producer = producer
    this.perSecond = options.perSecond
    this.#loop = this.#run()
  }

  static async start(options: FeedOptions): Promise<Feed> {
    return new Feed(
      options,
      await openProducer({
        brokers: options.brokers,
        config: [],
        timeoutMs: 30_000,
        inFlightMax: IN_FLIGHT_MAX,
        deliveryMs: DELIVERY_MS,
      }),
    )
  }

  /** Ends when every record was acknowledged or refused. */
  async stop(): Promise<void> {
    this.#isEnding = true
    await this.#loop
    await this.#producer.close(DELIVERY_MS)
  }

  async #run(): Promise<void> {
    let due = 0
    while (!this.#isEnding) {
      due += (this.perSecond * TICK_MS) / 1000
      for (; due >= 1; due--) if (this.#onWay < IN_FLIGHT_MAX) void this.#send()
      await new Promise((resolve) => setTimeout(resolve, TICK_MS))
    }
  }

  async #send(): Promise<void> {
    const { topics, partitions, random } = this.#options
    const topic = topics[random.index(topics.length)]!
    const partition = random.index(partitions)
    const number = this.#sequence++
    const kind =
      random.index(2) === 0 ? 'filtered' : random.index(POISON_EVERY) === 0 ? 'poison' : 'match'
    const level = kind === 'filtered' ? 'INFO' : PATTERN
    const filler = '.'.repeat(random.index(VALUE_BYTES_MAX))
    this.#onWay++
    try {
      const { offset } = await this.#producer.produce({
        topic,
        partition,
        key: kind === 'poison' ? Buffer.from('no number') : null,
        value: Buffer.from(`${level} record ${number} ${filler}`),
        headers: [],
        timestampMs: null,
      })
      this.#offsetsOf(`${topic}/${partition}`)[offset] = kind
      this.acknowledgedCount++
    } catch {
      // Counted: how many the source cannot vouch for.
      this.refusedCount++
    } finally {
      this.#onWay--
    }
  }

  #offsetsOf(name: string): Offsets {
    const known = this.acknowledged.get(name)
    if (known !== undefined) return known
    const offsets: Offsets = []
    this.acknowledged.set(name, offsets)
    return offsets
  }
}
