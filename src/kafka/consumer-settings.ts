/**
 * The properties of an ingress thread's librdkafka client, made from the Config.
 *
 * In this order, a later mention overriding an earlier one: logpipe's defaults, then the profile's
 * and the user's (config.kafkaConfig), then what logpipe must own. The resolver has refused the
 * owned ones already, so the last part contradicts nobody.
 */
import type { Config } from '../options/config.ts'
import { CLASSIC_PROTOCOL_ONLY, propertyOf } from '../options/kafka-properties.ts'
import { unreadable } from '../core/small-file.ts'

export type ConsumerProperties = readonly (readonly [name: string, value: string])[]

/** The fields that decide. */
export type ConsumerConfig = Pick<
  Config,
  'kafkaBrokers' | 'kafkaGroupId' | 'groupInstanceId' | 'kafkaConfig'
>

/** logpipe's own defaults in place of librdkafka's; a user may override each. */
const DEFAULTS: ConsumerProperties = [
  ['client.id', 'logpipe'],
  // A rebalance moves only what must move; the rest of the partitions keep flowing.
  ['partition.assignment.strategy', 'cooperative-sticky'],
  // A dead member's partitions move after 10 s rather than 45.
  ['session.timeout.ms', '10000'],
  // A member hears of a rebalance with a heartbeat's answer: at the default of 3 s each start and
  // each stop of a process would hold its group up for seconds.
  ['heartbeat.interval.ms', '1000'],
  // Records of aborted transactions are none.
  ['isolation.level', 'read_committed'],
  // A damaged batch is an error, as for the Java consumer: none of its records is delivered.
  ['check.crcs', 'true'],
  // Reading a topic that is not there is an error, not a reason to make it.
  ['allow.auto.create.topics', 'false'],
  // New partitions are read within a minute; one small request of each client in this time.
  ['topic.metadata.refresh.interval.ms', '20000'],
  // A broker across a NAT or a firewall that forgets idle connections.
  ['socket.keepalive.enable', 'true'],
]

/** Properties that name files or folders; ssl.ca.location=probe searches for one by itself. */
const FILE_PROPERTY = /\.(location|file)$/

/**
 * Why librdkafka refuses these properties, for people. It names the property at fault, but says of
 * a file only that it failed: this file checks that it can be read.
 * @param said librdkafka's text.
 */
export function configRefusal(
  said: string,
  properties: ConsumerProperties,
  whyUnreadable: (path: string) => string | null = unreadable,
): string {
  for (const [name, value] of properties) {
    if (!FILE_PROPERTY.test(name) || value === '' || value === 'probe') continue
    const why = whyUnreadable(value)
    if (why !== null) return `--kafka-config ${name}: cannot read ${value}: ${why}`
  }
  const isTls = /\bssl\./.test(said)
  const advice = isTls ? '; check the content of that certificate or key, and its password' : ''
  return `librdkafka refused its configuration: ${said}${advice} (--kafka-config)`
}

/** Properties that the pipeline depends on. */
const OWNED: ConsumerProperties = [
  // Only offsets that the ledger has resolved are stored and committed.
  ['enable.auto.commit', 'false'],
  ['enable.auto.offset.store', 'false'],
  // Start positions are resolved by logpipe; this is for an offset that expires in between, which
  // is then read from the earliest on and counted as lost(retention).
  ['auto.offset.reset', 'earliest'],
  // The end of a partition is an event: replay ends there, and compacted tails are accounted for.
  ['enable.partition.eof', 'true'],
  // The bridge keeps the last lines of the log itself: librdkafka's own queue has no bound.
  ['log.queue', 'false'],
]

const instanceIdOf = (id: string, threadIndex: number) => `${id}-${threadIndex}`

/** The names of a process's static members. @param id null: it has none. */
export function instanceIds(id: string | null, threadCount: number): string[] {
  if (id === null) return []
  return Array.from({ length: threadCount }, (_, index) => instanceIdOf(id, index))
}

/** Joined by nobody, and nothing is ever committed to it: librdkafka wants the name of a group. */
const OUTSIDE_GROUP_ID = 'logpipe-no-group'

/**
 * For a consumer that asks about the group and does not join it. A static member's name would be
 * taken from the member that runs.
 */
export function besideGroup(properties: ConsumerProperties): ConsumerProperties {
  return properties.filter(([name]) => name !== 'group.instance.id')
}

/** For a consumer that has nothing to do with the group. */
export function outsideOfGroup(properties: ConsumerProperties): ConsumerProperties {
  const others = besideGroup(properties).filter(([name]) => name !== 'group.id')
  return [...others, ['group.id', OUTSIDE_GROUP_ID]]
}

/**
 * @param threadIndex of the ingress thread, from 0: each is a member of its own.
 * @returns names and values, each name once.
 */
export function consumerSettings(config: ConsumerConfig, threadIndex: number): ConsumerProperties {
  const isClassic = propertyOf(config.kafkaConfig, 'group.protocol') !== 'consumer'
  const own: (readonly [string, string])[] = [
    ['bootstrap.servers', config.kafkaBrokers.join(',')],
    ['group.id', config.kafkaGroupId],
    ...OWNED,
  ]
  if (config.groupInstanceId !== null) {
    own.push(['group.instance.id', instanceIdOf(config.groupInstanceId, threadIndex)])
  }
  const merged = new Map<string, string>()
  for (const [name, value] of [...DEFAULTS, ...config.kafkaConfig, ...own]) {
    if (!isClassic && CLASSIC_PROTOCOL_ONLY.includes(name)) continue
    merged.set(name, value)
  }
  return [...merged]
}
