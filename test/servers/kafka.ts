/**
 * A real Kafka for tests: its own brokers (startKafka), or those the runner started (connectKafka).
 */
import binding from '@confluentinc/kafka-javascript'
import { closeSync, openSync, readFileSync, writeSync } from 'node:fs'
import path from 'node:path'
import { makeFolder, onFreePorts, removeFolder, runScript } from './stack.ts'

/** Of a topic that the broker compacts within a second. */
export const COMPACTED = {
  'cleanup.policy': 'compact',
  'segment.ms': '100',
  'segment.bytes': '1048576',
  'min.cleanable.dirty.ratio': '0.001',
  'min.compaction.lag.ms': '0',
  'max.compaction.lag.ms': '100',
} as const

const { Kafka, logLevel } = binding.KafkaJS

/** What tests ask of a Kafka, wherever it runs. */
export interface KafkaClient {
  readonly bootstrapServers: string
  /**
   * Waits until every partition has a leader. Replicated to every broker, and kept for ever unless
   * `config` says otherwise: tests date their records in the past, which retention by time deletes.
   */
  createTopic(
    topic: string,
    partitions: number,
    config?: Readonly<Record<string, string>>,
  ): Promise<void>
  /** Does nothing where it is gone: a request without an answer may have arrived. */
  deleteTopic(topic: string): Promise<void>
  /** The next offset of each partition, by partition index. */
  endOffsets(topic: string): Promise<number[]>
  /** What the group has committed for each partition, by index; -1: nothing. */
  groupOffsets(group: string, topic: string): Promise<number[]>
  /** Sends these values (null: a tombstone) and waits until all are acknowledged. */
  produce(topic: string, values: readonly (string | Buffer | null)[]): Promise<void>
  /** As `produce`, the first to partition 0, the next to 1, and so on in turns. */
  produceInTurns(topic: string, values: readonly string[], partitionCount: number): Promise<void>
  /** Forgets what lies below these offsets, by partition index, as retention would. */
  deleteBelow(topic: string, offsets: readonly number[]): Promise<void>
  close(): Promise<void>
}

export interface ReadRecord {
  readonly partition: number
  readonly offset: number
  readonly value: string
}

export interface KafkaServer extends KafkaClient {
  readonly logs: string
  /** SIGKILL. Its partitions have no leader for about 10 s. Brokers count from 1. */
  killBroker(broker: number): Promise<void>
  /** Starts it again, and waits until it answers. */
  startBroker(broker: number): Promise<void>
  /** Changes a byte of the batch that holds this record, on the disk of broker 1. */
  damage(topic: string, partition: number, offset: number): void
  /** SIGTERM: its partitions are led by others before it ends. */
  stopBroker(broker: number): Promise<void>
  /** Starts it again with an advertised address where nobody listens. */
  misplaceBroker(broker: number): Promise<void>
  /** Gives partition 0 to a replica that is alive, in sync or not. */
  electUnclean(topic: string): Promise<void>
  /**
   * Does nothing where the topic exists.
   *
   * @param replicas a partition each, its brokers by colons: `1,2:3`
   */
  createPlacedTopic(
    topic: string,
    replicas: string,
    config?: Readonly<Record<string, string>>,
  ): Promise<void>
  /** @param partitions how many it has afterwards; does nothing where it has them */
  addPartitions(topic: string, partitions: number): Promise<void>
  /** Kafka's id of it, as 32 hex digits. */
  topicId(topic: string): Promise<string>
  /** Every record that can be read, as the Java client sees it. Keys are left out. */
  readAll(topic: string): Promise<ReadRecord[]>
  /** Closes the client, ends the brokers and removes their data. */
  stop(): Promise<void>
}

const QUIET = { logLevel: logLevel.NOTHING }

export function connectKafka(bootstrapServers: string, brokerCount = 1): KafkaClient {
  const brokers = bootstrapServers.split(',')
  const client = new Kafka({ kafkaJS: { brokers, ...QUIET } })
  const admin = once(async () => {
    const made = client.admin()
    await made.connect()
    return made
  })
  const producer = once(async () => {
    const made = client.producer({ kafkaJS: { acks: -1 }, 'linger.ms': 5 })
    await made.connect()
    return made
  })
  return {
    bootstrapServers,
    async createTopic(topic, partitions, config = {}) {
      const entries = Object.entries({ 'retention.ms': '-1', ...config })
      const configEntries = entries.map(([name, value]) => ({ name, value }))
      const spec = { topic, numPartitions: partitions, replicationFactor: brokerCount }
      await (await admin.get()).createTopics({ topics: [{ ...spec, configEntries }] })
      await untilLed(topic, partitions)
    },
    async deleteTopic(topic) {
      try {
        await (await admin.get()).deleteTopics({ topics: [topic] })
      } catch (error) {
        if ((error as { type?: string }).type !== 'ERR_UNKNOWN_TOPIC_OR_PART') throw error
      }
    },
    endOffsets,
    async groupOffsets(group, topic) {
      const partitions = (await endOffsets(topic)).map((_, partition) => ({ topic, partition }))
      return await committedOffsets(bootstrapServers, group, partitions)
    },
    async produce(topic, values) {
      await (await producer.get()).send({ topic, messages: values.map((value) => ({ value })) })
    },
    async produceInTurns(topic, values, partitionCount) {
      const messages = values.map((value, index) => ({ value, partition: index % partitionCount }))
      await (await producer.get()).send({ topic, messages })
    },
    async deleteBelow(topic, offsets) {
      const partitions = offsets.map((offset, partition) => ({
        partition,
        offset: String(offset),
      }))
      await (await admin.get()).deleteTopicRecords({ topic, partitions })
    },
    async close() {
      await producer.ifMade((made) => made.disconnect())
      await admin.ifMade((made) => made.disconnect())
    },
  }

  async function endOffsets(topic: string): Promise<number[]> {
    return await until(`the end offsets of ${topic}`, async () => {
      const found = await (await admin.get()).fetchTopicOffsets(topic)
      const ends = byPartition(found.map(({ partition, high }) => [partition, Number(high)]))
      // The binding answers -1 for a partition whose leader does not answer yet.
      return ends.every((end) => end >= 0) ? ends : undefined
    })
  }

  async function untilLed(topic: string, partitions: number): Promise<void> {
    await until(`leaders for ${topic}`, async () => {
      const found = await (await admin.get()).fetchTopicMetadata({ topics: [topic] })
      const led = found[0]?.partitions.filter((partition) => partition.leader >= 0) ?? []
      return led.length === partitions ? led : undefined
    })
    await endOffsets(topic)
  }
}

/**
 * By a consumer that never joins its group: the admin client's fetchOffsets crashes the process
 * while the group has no coordinator yet (https://github.com/confluentinc/librdkafka/issues/5040).
 */
async function committedOffsets(
  bootstrapServers: string,
  group: string,
  partitions: { topic: string; partition: number }[],
): Promise<number[]> {
  const consumer = new binding.KafkaConsumer(
    { 'bootstrap.servers': bootstrapServers, 'group.id': group },
    {},
  )
  await new Promise<void>((resolve, reject) => {
    consumer.connect({ timeout: 30_000 }, (error) => (error ? reject(asError(error)) : resolve()))
  })
  try {
    return await until(`what ${group} has committed`, async () => {
      const found = await new Promise<{ partition: number; offset?: number }[]>(
        (resolve, reject) => {
          consumer.committed(partitions, 5000, (error, offsets) => {
            // Logical offsets and a missing one all mean that nothing was committed.
            if (error) reject(asError(error))
            else resolve(offsets)
          })
        },
      )
      return byPartition(
        found.map(({ partition, offset }) => [partition, Math.max(-1, offset ?? -1)]),
      )
    })
  } finally {
    await new Promise<void>((resolve) => consumer.disconnect(() => resolve()))
  }
}

/** The binding's own errors are plain objects. */
function asError(error: unknown): Error {
  return error instanceof Error ? error : new Error(JSON.stringify(error), { cause: error })
}

/** Asks again until there is an answer; errors count as none, and the last one is told. */
async function until<T>(what: string, ask: () => Promise<T | undefined>): Promise<T> {
  const deadline = performance.now() + 30_000
  let cause: unknown
  while (performance.now() < deadline) {
    try {
      const answer = await ask()
      if (answer !== undefined) return answer
    } catch (error) {
      cause = error
    }
    await new Promise((resolve) => setTimeout(resolve, 50))
  }
  throw new Error(`no answer in 30 s: ${what}`, { cause })
}

/** The SASL listener of broker 1 lies this far above its first port. */
const SASL_PORT_OFFSET = 200

export interface KafkaOptions {
  readonly brokers?: 1 | 3
  /** Broker 1 gets a second listener, for SASL PLAIN, that knows this one user. */
  readonly user?: { readonly name: string; readonly password: string }
  /** The same for OAUTHBEARER: any unsigned JWT will do that names a `sub` and has not ended. */
  readonly bearer?: true
  /** More lines for the brokers' properties. */
  readonly properties?: readonly string[]
}

/** Where a broker started with `user` or `bearer` listens for it. */
export function saslServers(kafka: KafkaClient): string {
  return kafka.bootstrapServers.replace(/\d+$/, (port) => String(Number(port) + SASL_PORT_OFFSET))
}

/** The broker's login wants a token of its own, though it signs in to nobody here. */
const BROKER_CLAIM = 'unsecuredLoginStringClaim_sub="broker"'

function saslProperties(port: number, user: KafkaOptions['user']): string {
  const [mechanism, login] =
    user === undefined
      ? (['OAUTHBEARER', `oauthbearer.OAuthBearerLoginModule required ${BROKER_CLAIM}`] as const)
      : (['PLAIN', `plain.PlainLoginModule required user_${user.name}="${user.password}"`] as const)
  return [
    `listeners=PLAINTEXT://127.0.0.1:${port},CONTROLLER://127.0.0.1:${port + 100},` +
      `SASL_PLAINTEXT://127.0.0.1:${port + SASL_PORT_OFFSET}`,
    // With a listener of another kind the controller's has to be named, too.
    'listener.security.protocol.map=' +
      'CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT,SASL_PLAINTEXT:SASL_PLAINTEXT',
    `sasl.enabled.mechanisms=${mechanism}`,
    // A semicolon ends a login; the script takes those of the variable for the ends of lines.
    `listener.name.sasl_plaintext.${mechanism.toLowerCase()}.sasl.jaas.config=` +
      `org.apache.kafka.common.security.${login}\\u003b`,
  ].join(';')
}

export async function startKafka(options: KafkaOptions = {}): Promise<KafkaServer> {
  const count = options.brokers ?? 1
  const { user, bearer, properties = [] } = options
  const hasSasl = user !== undefined || bearer === true
  const numbers = Array.from({ length: count }, (_, index) => index)
  const folder = makeFolder('kafka')
  const logs = path.join(folder, `cluster-${count}/broker-*/server.log`)
  const offsets = numbers.flatMap((index) => [index, index + 100])
  if (hasSasl) offsets.push(SASL_PORT_OFFSET)
  try {
    return await onFreePorts(offsets, async (port) => {
      const env = {
        KAFKA_PORT: String(port),
        KAFKA_DATA: folder,
        KAFKA_HEAP: '512m',
        KAFKA_PROPERTIES: [...properties, ...(hasSasl ? [saslProperties(port, user)] : [])].join(
          ';',
        ),
      }
      const script = async (...args: string[]) => void (await runScript('kafka', args, env, folder))
      await script('up', '--brokers', String(count))
      const addresses = numbers.map((index) => `127.0.0.1:${port + index}`).join(',')
      const client = connectKafka(addresses, count)
      return {
        ...client,
        logs,
        killBroker: (broker) => script('kill-broker', String(broker)),
        startBroker: (broker) => script('start-broker', String(broker)),
        damage: (topic, partition, offset) => {
          const data = path.join(folder, `cluster-${count}/broker-1/log/${topic}-${partition}`)
          damageBatch(path.join(data, '00000000000000000000.log'), offset)
        },
        stopBroker: (broker) => script('stop-broker', String(broker)),
        misplaceBroker: (broker) => script('misplace-broker', String(broker)),
        electUnclean: (topic) => script('elect-unclean', topic),
        async createPlacedTopic(topic, replicas, config = {}) {
          const settings = Object.entries(config).flatMap(([k, v]) => ['--config', `${k}=${v}`])
          const placed = ['--topic', topic, '--replica-assignment', replicas]
          await script('topics', '--create', '--if-not-exists', ...placed, ...settings)
        },
        async addPartitions(topic, partitions) {
          if ((await client.endOffsets(topic)).length >= partitions) return
          await script('topics', '--alter', '--topic', topic, '--partitions', String(partitions))
        },
        topicId: async (topic) => {
          const about = await runScript(
            'kafka',
            ['topics', '--describe', '--topic', topic],
            env,
            folder,
          )
          const id = /TopicId: (\S+)/.exec(about)?.[1] ?? ''
          return Buffer.from(id, 'base64url').toString('hex')
        },
        readAll: async (topic) => recordsOf(await runScript('kafka', ['read', topic], env, folder)),
        async stop() {
          await client.close()
          removeFolder(folder)
        },
      }
    })
  } catch (error) {
    // The error carries the end of the log; the folder itself goes.
    removeFolder(folder)
    throw error
  }
}

/** A segment is batches one behind the other: base offset i64, length i32, and that many bytes. */
function damageBatch(segment: string, offset: number): void {
  const bytes = readFileSync(segment)
  for (let at = 0; at < bytes.length; at += 12 + bytes.readInt32BE(at + 8)) {
    const base = Number(bytes.readBigInt64BE(at))
    const end = at + 12 + bytes.readInt32BE(at + 8)
    if (offset < base || offset > base + bytes.readInt32BE(at + 23)) continue
    const file = openSync(segment, 'r+')
    writeSync(file, Uint8Array.of((bytes[end - 20] ?? 0) ^ 0xff), 0, 1, end - 20)
    closeSync(file)
    return
  }
  throw new Error(`no batch of ${segment} holds ${offset}`)
}

/** `Partition:0<TAB>Offset:12<TAB>value` a line; whatever else the tool says is left out. */
function recordsOf(output: string): ReadRecord[] {
  return [...output.matchAll(/^Partition:(\d+)\tOffset:(\d+)\t(.*)$/gm)].map((found) => ({
    partition: Number(found[1]),
    offset: Number(found[2]),
    value: found[3] ?? '',
  }))
}

function byPartition(pairs: readonly (readonly [partition: number, offset: number])[]): number[] {
  return pairs.toSorted(([a], [b]) => a - b).map(([, offset]) => offset)
}

/** Makes a thing at the first call, and knows at the end whether there is one to close. */
function once<T>(make: () => Promise<T>): {
  get(): Promise<T>
  ifMade(close: (made: T) => Promise<void>): Promise<void>
} {
  let made: Promise<T> | undefined
  return {
    get: () => (made ??= make()),
    async ifMade(close) {
      const last = made
      made = undefined
      if (last !== undefined) await close(await last)
    },
  }
}
