/**
 * Whether Kafka can be reached: a TCP connection to each broker named, then, through librdkafka,
 * what the cluster says of itself and of the topics. The group is not joined.
 */
import net from 'node:net'
import { OFFSET_END, type Bridge, type BridgeId, type PartitionOffset } from '../bridge/bridge.ts'
import { messageOf } from '../core/errors.ts'
import { consumerSettings, instanceIds } from '../kafka/consumer-settings.ts'
import { askReaders, atEndText } from '../kafka/group-check.ts'
import { identityOf, type ControlledPipeline } from '../kafka/pipeline-identity.ts'
import { SignIn } from '../kafka/sign-in.ts'
import type { Config } from '../options/config.ts'
import { parseAddress } from '../options/notations.ts'
import { isTopicExpression, topicsMeant } from '../options/topic-expression.ts'
import type { Probe } from './check-report.ts'

export interface KafkaProbe {
  readonly probes: readonly Probe[]
  /** Brokers of the cluster, or null when they were not told. */
  readonly brokerCount: number | null
}

/** Patience with a broker that does not answer; a healthy one answers in milliseconds. */
const CONNECT_MS_MAX = 3000
const METADATA_MS_MAX = 5000

type Topics = ReturnType<Bridge['consumerMetadata']>['topics']

/** @param loadBridge is called when a broker answers */
export async function probeKafka(
  config: Config,
  controlled: ControlledPipeline | null,
  loadBridge: (file: string | undefined) => Bridge,
): Promise<KafkaProbe> {
  const connections = await Promise.all(config.kafkaBrokers.map(probeBroker))
  if (connections.every(({ state }) => state === 'wrong')) {
    return { probes: connections, brokerCount: null }
  }
  try {
    const metadata = askCluster(config, controlled, loadBridge(config.bridgeLib ?? undefined))
    return { ...metadata, probes: [...connections, ...metadata.probes] }
  } catch (error) {
    const wrong: Probe = { subject: 'kafka', state: 'wrong', detail: messageOf(error) }
    return { probes: [...connections, wrong], brokerCount: null }
  }
}

/** Connects and closes again. Never rejects. */
export function probeBroker(broker: string): Promise<Probe> {
  const address = parseAddress(broker)
  const subject = `kafka broker ${broker}`
  return new Promise((resolve) => {
    const socket = net.connect({ host: address?.host ?? '', port: address?.port ?? 0 })
    const end = (state: Probe['state'], detail: string) => {
      socket.destroy()
      resolve({ subject, state, detail })
    }
    socket.setTimeout(CONNECT_MS_MAX, () => {
      end('wrong', `no answer in ${CONNECT_MS_MAX / 1000} s; is a firewall between?`)
    })
    socket.once('connect', () => end('fine', 'accepts connections'))
    socket.once('error', (error: NodeJS.ErrnoException) => end('wrong', connectFault(error)))
  })
}

const CONNECT_FAULTS: ReadonlyMap<string, string> = new Map([
  ['ECONNREFUSED', 'connection refused: nothing listens there'],
  ['ENOTFOUND', 'this host name is not known'],
  ['EAI_AGAIN', 'the name server does not answer'],
  ['EHOSTUNREACH', 'there is no way to this host'],
  ['ENETUNREACH', 'there is no way to this host'],
])

/** What a failed connection means, in words. */
export function connectFault(error: NodeJS.ErrnoException): string {
  const code = error.code ?? ''
  return CONNECT_FAULTS.get(code) ?? (error.message === '' ? code : error.message)
}

function askCluster(
  config: Config,
  controlled: ControlledPipeline | null,
  bridge: Bridge,
): KafkaProbe {
  // Without a subscription no group is joined; static membership must not be disturbed either.
  const settings = { ...config, groupInstanceId: null }
  const consumer = bridge.consumerOpen({ config: consumerSettings(settings, 0), topics: [] })
  try {
    signIn(config, bridge, consumer)
    const brokers = bridge.consumerMetadata(consumer, null, METADATA_MS_MAX)
    const said = `${brokers.brokers.length} brokers, ${brokers.topics.length} topics`
    const topics = config.kafkaTopic.map((topic) => probeTopic(topic, brokers.topics))
    return {
      brokerCount: brokers.brokers.length,
      probes: [
        { subject: 'kafka cluster', state: 'fine', detail: said },
        ...topics,
        ...probeGroup(config, controlled, bridge, consumer, brokers.topics),
      ],
    }
  } catch (error) {
    const detail = lastError(bridge, consumer) ?? messageOf(error)
    return { brokerCount: null, probes: [{ subject: 'kafka cluster', state: 'wrong', detail }] }
  } finally {
    bridge.consumerClose(consumer, METADATA_MS_MAX)
  }
}

/** Who else reads with the group, and whether there is anything to read; empty: all is well. */
function probeGroup(
  config: Config,
  controlled: ControlledPipeline | null,
  bridge: Bridge,
  consumer: BridgeId,
  known: Topics,
): readonly Probe[] {
  const { kafkaGroupId: groupId, groupInstanceId, ingressThreads, takeOver } = config
  const topics = topicsMeant(config.kafkaTopic, known)
  const { conflict, notices, committed } = askReaders(bridge, consumer, {
    groupId,
    identity: identityOf(config, controlled),
    instanceIds: instanceIds(groupInstanceId, ingressThreads),
    topics,
  })
  const subject = `kafka group ${groupId}`
  const warning = (detail: string): Probe => ({ subject, state: 'warning', detail })
  const ends = endsOf(bridge, consumer, committed)
  return [
    ...(conflict === null
      ? []
      : [{ subject, state: takeOver ? 'warning' : 'wrong', detail: conflict } as const]),
    ...notices.map(warning),
    ...(isAtEnd(committed, ends) ? [warning(atEndText(groupId, ends))] : []),
  ]
}

/** Empty where a broker did not tell all of them: then nothing is said of it. */
function endsOf(
  bridge: Bridge,
  consumer: BridgeId,
  committed: readonly PartitionOffset[],
): readonly PartitionOffset[] {
  if (committed.length === 0 || committed.some(({ offset }) => offset < 0)) return []
  const asked = committed.map(({ topic, partition }) => ({ topic, partition, offset: OFFSET_END }))
  try {
    const ends = bridge.consumerOffsetsForTimes(consumer, asked, METADATA_MS_MAX)
    return ends.some(({ error }) => error !== null) ? [] : ends
  } catch {
    return []
  }
}

function isAtEnd(committed: readonly PartitionOffset[], ends: readonly PartitionOffset[]): boolean {
  if (ends.length === 0) return false
  return committed.every(({ topic, partition, offset }) =>
    ends.some((end) => {
      const isSame = end.topic === topic && end.partition === partition
      return isSame && end.offset <= offset
    }),
  )
}

function signIn({ kafkaTokenFile }: Config, bridge: Bridge, consumer: BridgeId): void {
  const warn = () => undefined
  const nowMs = () => Date.now()
  new SignIn({ bridge, consumer, tokenFile: kafkaTokenFile, nowMs, warn }).begin()
}

/** librdkafka tells why a connection failed (credentials, TLS) as an event, not as the answer. */
function lastError(bridge: Bridge, consumer: BridgeId): string | undefined {
  const errors = bridge.consumerEvents(consumer).filter((event) => event.kind === 'error')
  const telling = errors.findLast(({ code }) => code !== '_ALL_BROKERS_DOWN') ?? errors.at(-1)
  return telling === undefined ? undefined : `${telling.message} (${telling.code})`
}

/** @param known every topic that the user may see */
export function probeTopic(wanted: string, known: Topics): Probe {
  const subject = `kafka topic ${wanted}`
  if (isTopicExpression(wanted)) {
    const count = topicsMeant([wanted], known).length
    return count === 0
      ? { subject, state: 'wrong', detail: 'no topic matches now' }
      : { subject, state: 'fine', detail: `${count} topics match` }
  }
  const found = known.find(({ topic }) => topic === wanted)
  if (found === undefined || found.error === 'UNKNOWN_TOPIC_OR_PART') {
    return { subject, state: 'wrong', detail: 'does not exist, or may not be read' }
  }
  if (found.error !== null) return { subject, state: 'wrong', detail: found.error }
  return { subject, state: 'fine', detail: `${found.partitions} partitions` }
}
