/**
 * The source: records of known kind, and what the producer was told about each.
 *
 * One record in two matches; one match in POISON_EVERY has a key that the mapping refuses, so that
 * it belongs to the dead letters. A record counts from the moment its acknowledgement (acks=all)
 * says which offset it has. One that was refused, or whose answer was lost, may be in Kafka all the
 * same, at an offset that nobody was told: nothing is said of those but their number.
 *
 * Each topic has a producer of its own: one whose log is cut off or made anew may take its producer
 * with it.
 */
import assert from 'node:assert/strict'
import { openProducer, type Producer } from '../../src/kafka/producer.ts'
import type { Random } from '../../src/core/random.ts'
import { untilDone } from './pause.ts'

export const PATTERN = 'ERROR'
const POISON_EVERY = 500
const TICK_MS = 50
/** On their way at most, of each topic: while its brokers are away the feed waits. */
const IN_FLIGHT_MAX = 1000
/** Longer than any broker is away. */
const DELIVERY_MS = 120_000
const VALUE_BYTES_MAX = 1500

export type RecordKind = 'filtered' | 'match' | 'poison'

/** What is known of a partition: the kind of the record at each offset. */
export type Offsets = (RecordKind | undefined)[]

export interface FedTopic {
  readonly name: string
  readonly partitions: number
  /** How often it is chosen, beside the others. */
  readonly weight: number
  /** Whether some of its records belong to the dead letters. */
  readonly hasPoison: boolean
}

export interface FeedOptions {
  readonly brokers: string
  readonly topics: readonly FedTopic[]
  readonly perSecond: number
  readonly random: Random
}

/** A topic as it is fed just now. */
interface Source extends FedTopic {
  partitions: number
  producer: Producer
  isPaused: boolean
  onWay: number
}

export class Feed {
  /** By `topic/partition`. */
  readonly acknowledged = new Map<string, Offsets>()
  acknowledgedCount = 0
  refusedCount = 0
  /** Acknowledged by a log that was deleted since. */
  goneCount = 0
  perSecond: number
  readonly #options: FeedOptions
  readonly #sources: readonly Source[]
  /** Each source as often as its weight says. */
  readonly #weighted: readonly Source[]
  readonly #loop: Promise<void>
  #sequence = 0
  #isEnding = false

  private constructor(options: FeedOptions, sources: readonly Source[]) {
    this.#options = options
    this.#sources = sources
    this.#weighted = sources.flatMap((one) => Array.from({ length: one.weight }, () => one))
    this.perSecond = options.perSecond
    this.#loop = this.#run()
  }

  static async start(options: FeedOptions): Promise<Feed> {
    const sources: Source[] = []
    for (const topic of options.topics) {
      const producer = await newProducer(options.brokers)
      sources.push({ ...topic, producer, isPaused: false, onWay: 0 })
    }
    return new Feed(options, sources)
  }

  /** Ends when every record was acknowledged or refused. */
  async stop(): Promise<void> {
    this.#isEnding = true
    await this.#loop
    for (const { producer } of this.#sources) await producer.close(DELIVERY_MS)
  }

  /** Feeds a partition that was added to a topic. */
  addPartition(topic: string): void {
    this.#source(topic).partitions++
  }

  partitionsOf(topic: string): number {
    return this.#source(topic).partitions
  }

  /** Ends when nothing of this topic is on its way. */
  async pause(topic: string): Promise<void> {
    const source = this.#source(topic)
    source.isPaused = true
    await untilDone(`the last answer about ${topic}`, 2 * DELIVERY_MS, () =>
      Promise.resolve(source.onWay === 0),
    )
  }

  /** Goes on with a producer that knows nothing of the log before. */
  async resume(topic: string): Promise<void> {
    const source = this.#source(topic)
    assert.equal(source.onWay, 0, 'nothing is on its way while it is paused')
    await source.producer.close(DELIVERY_MS)
    source.producer = await newProducer(this.#options.brokers)
    source.isPaused = false
  }

  /** The topic was deleted: its log is gone with all that was acknowledged. */
  forget(topic: string): void {
    for (const [name, offsets] of this.acknowledged) {
      if (!name.startsWith(`${topic}/`)) continue
      this.goneCount += offsets.filter((kind) => kind !== undefined).length
      this.acknowledged.delete(name)
    }
  }

  /** A document that makes its request fail in this way: it belongs to the dead letters. */
  sendToxic(topic: string, way: string): void {
    void this.#send(this.#source(topic), 'poison', `toxic-${way} `)
  }

  #source(topic: string): Source {
    const found = this.#sources.find(({ name }) => name === topic)
    assert.ok(found !== undefined, `a topic that is fed, not ${topic}`)
    return found
  }

  async #run(): Promise<void> {
    const { random } = this.#options
    let due = 0
    while (!this.#isEnding || this.#sources.some(({ onWay }) => onWay > 0)) {
      due += this.#isEnding ? 0 : (this.perSecond * TICK_MS) / 1000
      for (; due >= 1; due--) {
        const source = this.#weighted[random.index(this.#weighted.length)]!
        if (!source.isPaused && source.onWay < IN_FLIGHT_MAX) void this.#sendNext(source)
      }
      await new Promise((resolve) => setTimeout(resolve, TICK_MS))
    }
  }

  async #sendNext(source: Source): Promise<void> {
    const { random } = this.#options
    if (random.index(2) === 0) return await this.#send(source, 'filtered', '')
    const isPoison = source.hasPoison && random.index(POISON_EVERY) === 0
    const key = isPoison ? Buffer.from('no number') : null
    await this.#send(source, isPoison ? 'poison' : 'match', '', key)
  }

  async #send(
    source: Source,
    kind: RecordKind,
    mark: string,
    key: Buffer | null = null,
  ): Promise<void> {
    const { random } = this.#options
    const { name: topic, producer } = source
    const partition = random.index(source.partitions)
    const number = this.#sequence++
    const level = kind === 'filtered' ? 'INFO' : PATTERN
    const filler = '.'.repeat(random.index(VALUE_BYTES_MAX))
    const value = Buffer.from(`${level} record ${number} ${mark}${filler}`)
    source.onWay++
    try {
      const record = { topic, partition, key, value, headers: [], timestampMs: null }
      const { offset } = await producer.produce(record)
      this.#offsetsOf(`${topic}/${partition}`)[offset] = kind
      this.acknowledgedCount++
    } catch {
      // Counted: how many the source cannot vouch for.
      this.refusedCount++
    } finally {
      source.onWay--
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

async function newProducer(brokers: string): Promise<Producer> {
  return await openProducer({
    brokers,
    config: [],
    timeoutMs: 60_000,
    inFlightMax: IN_FLIGHT_MAX,
    deliveryMs: DELIVERY_MS,
  })
}
