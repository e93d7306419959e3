/**
 * Requests to a cluster beside reading records: topics, offsets, lag. Thin, typed, with our errors.
 *
 * Every call is bounded by the settings' timeoutMs.
 */
import type {
  IAdminClient,
  LibrdKafkaError,
  TopicDescription as NativeDescription,
} from '@confluentinc/kafka-javascript'
import {
  bindingConfig,
  type Binding,
  ConnectionTrouble,
  kafkaCodeOf,
  kafkaConfigError,
  kafkaError,
  type KafkaClientSettings,
  loadBinding,
} from './binding.ts'

export interface TopicDescription {
  readonly topic: string
  /**
   * Kafka's id of the topic, base64; a recreated topic has another. Null where the broker gives
   * none.
   */
  readonly topicId: string | null
  /** Partition numbers, ascending. */
  readonly partitions: readonly number[]
}

export interface NewTopic {
  readonly topic: string
  readonly partitions: number
  /** null: the broker's default. */
  readonly replicationFactor: number | null
  /** Topic settings such as max.message.bytes. */
  readonly config: Readonly<Record<string, string>>
}

export interface PartitionLag {
  readonly topic: string
  readonly partition: number
  /** Offset of the next record to be written. */
  readonly endOffset: number
  /** The group's committed offset; null: none. */
  readonly committed: number | null
  /** Records between the two; null when nothing is committed. */
  readonly lag: number | null
}

export interface Admin {
  /**
   * Makes a topic. @returns false when it was there already. @throws LogpipeError KAFKA_TOPIC ...
   */
  createTopic(topic: NewTopic): Promise<boolean>
  /** @returns false when there was none. */
  deleteTopic(topic: string): Promise<boolean>
  /** All topics' names, internal ones too. */
  listTopics(): Promise<string[]>
  /** The topic, or null when there is none. Does not make it. */
  describeTopic(topic: string): Promise<TopicDescription | null>
  /**
   * Offset of the next record of each partition. @throws LogpipeError KAFKA_TOPIC when it is not
   * there
   */
  endOffsets(topic: string): Promise<ReadonlyMap<number, number>>
  /** The lag of a group on each partition of a topic. */
  groupLag(groupId: string, topic: string): Promise<PartitionLag[]>
  /** Ends the client. Idempotent. */
  close(): void
}

const UNKNOWN_TOPIC = 3
const TOPIC_EXISTS = 36
/** The cluster's default; understood by brokers from Kafka 2.4. */
const REPLICATION_DEFAULT = -1

/** Does not talk to a broker yet. @throws LogpipeError KAFKA_CONFIG */
export async function openAdmin(settings: KafkaClientSettings): Promise<Admin> {
  const binding = await loadBinding()
  const trouble = new ConnectionTrouble()
  try {
    const client = binding.AdminClient.create(bindingConfig(settings, {}), {
      'event.error': (error: unknown) => trouble.recordError(error),
      'event.log': (line: object) => trouble.recordLog(line),
    })
    return new BindingAdmin(binding, client, settings, trouble)
  } catch (error) {
    throw kafkaConfigError(error)
  }
}

class BindingAdmin implements Admin {
  readonly #binding: Binding
  readonly #client: IAdminClient
  readonly #settings: KafkaClientSettings
  readonly #trouble: ConnectionTrouble
  #isClosed = false

  constructor(
    binding: Binding,
    client: IAdminClient,
    settings: KafkaClientSettings,
    trouble: ConnectionTrouble,
  ) {
    this.#binding = binding
    this.#client = client
    this.#settings = settings
    this.#trouble = trouble
  }

  createTopic(topic: NewTopic): Promise<boolean> {
    const request = {
      topic: topic.topic,
      num_partitions: topic.partitions,
      replication_factor: topic.replicationFactor ?? REPLICATION_DEFAULT,
      config: topic.config,
    }
    return this.#unless(TOPIC_EXISTS, `create topic "${topic.topic}"`, (done) =>
      this.#client.createTopic(request, this.#settings.timeoutMs, done),
    )
  }

  deleteTopic(topic: string): Promise<boolean> {
    return this.#unless(UNKNOWN_TOPIC, `delete topic "${topic}"`, (done) =>
      this.#client.deleteTopic(topic, this.#settings.timeoutMs, done),
    )
  }

  listTopics(): Promise<string[]> {
    const options = { timeout: this.#settings.timeoutMs }
    return this.#call('list topics', (done) => this.#client.listTopics(options, done))
  }

  async describeTopic(topic: string): Promise<TopicDescription | null> {
    const doing = `describe topic "${topic}"`
    const found = await this.#call<NativeDescription[]>(doing, (done) =>
      this.#client.describeTopics([topic], { timeout: this.#settings.timeoutMs }, done),
    )
    const description = found[0]
    if (description === undefined) return null
    if (kafkaCodeOf(description.error) === UNKNOWN_TOPIC) return null
    if (description.error) throw kafkaError(description.error, doing, this.#settings.brokers)
    return {
      topic,
      topicId: topicIdOf(description),
      partitions: description.partitions.map((each) => each.partition).sort((a, b) => a - b),
    }
  }

  async endOffsets(topic: string): Promise<ReadonlyMap<number, number>> {
    const description = await this.describeTopic(topic)
    const doing = `read the end offsets of topic "${topic}"`
    if (description === null) {
      const error = Object.assign(new RangeError('there is no such topic'), { code: UNKNOWN_TOPIC })
      throw kafkaError(error, doing, this.#settings.brokers)
    }
    const offset = this.#binding.OffsetSpec.LATEST
    const asked = description.partitions.map((partition) => ({ topic, partition, offset }))
    const found = await this.#call<Found[]>(doing, (done) =>
      this.#client.listOffsets(asked, { timeout: this.#settings.timeoutMs }, done),
    )
    return new Map(
      found.map((each) => {
        if (each.error) throw kafkaError(each.error, doing, this.#settings.brokers)
        return [each.partition, each.offset]
      }),
    )
  }

  async groupLag(groupId: string, topic: string): Promise<PartitionLag[]> {
    const ends = await this.endOffsets(topic)
    const partitions = [...ends.keys()].map((partition) => ({ topic, partition }))
    const committed = await this.#committed(groupId, partitions)
    return [...ends].map(([partition, endOffset]) => {
      // librdkafka leaves out the offset, or gives a negative one, where nothing was committed.
      const offset = committed.get(partition) ?? -1
      const known = offset >= 0 ? offset : null
      const lag = known === null ? null : Math.max(0, endOffset - known)
      return { topic, partition, endOffset, committed: known, lag }
    })
  }

  /**
   * Asked by a consumer that never subscribes, so the group does not notice. The admin client's own
   * listConsumerGroupOffsets reads through a null pointer when the broker answers with an error for
   * the group, which Kafka 4 does for a group that does not exist: the process would crash.
   */
  async #committed(
    groupId: string,
    partitions: readonly { readonly topic: string; readonly partition: number }[],
  ): Promise<ReadonlyMap<number, number>> {
    const { timeoutMs } = this.#settings
    const consumer = new this.#binding.KafkaConsumer({
      ...bindingConfig(this.#settings, {}),
      'group.id': groupId,
      'enable.auto.commit': false,
    })
    try {
      const doing = `read the offsets of group "${groupId}"`
      await this.#call(doing, (done) => consumer.connect({ timeout: timeoutMs }, done))
      const found = await this.#call<Found[]>(doing, (done) =>
        consumer.committed([...partitions], timeoutMs, done),
      )
      return new Map(found.map((each) => [each.partition, each.offset]))
    } finally {
      await new Promise<void>((resolve) => {
        if (consumer.isConnected()) consumer.disconnect(() => resolve())
        else resolve()
      })
    }
  }

  close(): void {
    if (this.#isClosed) return
    this.#isClosed = true
    this.#client.disconnect()
  }

  /** A call whose failure with `code` is no failure but the answer false. */
  async #unless(
    code: number,
    doing: string,
    start: (done: (error: LibrdKafkaError) => void) => void,
  ): Promise<boolean> {
    try {
      await this.#call<undefined>(doing, start)
      return true
    } catch (error) {
      if (kafkaCodeOf((error as { cause?: unknown }).cause) === code) return false
      throw error
    }
  }

  #call<Result>(
    doing: string,
    start: (done: (error: LibrdKafkaError, result?: Result) => void) => void,
  ): Promise<Result> {
    return new Promise((resolve, reject) => {
      const fail = (error: unknown) =>
        reject(kafkaError(this.#trouble.explain(error), doing, this.#settings.brokers))
      try {
        // The binding says "no error" with undefined or null, whatever its types say.
        start((error: unknown, result) => (error ? fail(error) : resolve(result as Result)))
      } catch (error) {
        fail(error)
      }
    })
  }
}

interface Found {
  readonly partition: number
  readonly offset: number
  readonly error?: LibrdKafkaError
}

/** Brokers before 2.8 answer with an id of zeros. */
function topicIdOf(description: NativeDescription): string | null {
  // The binding's types call it base64str, its code base64.
  const { base64 } = description.topicId as { readonly base64?: unknown }
  return typeof base64 !== 'string' || /^A*(==?)?$/.test(base64) ? null : base64
}
