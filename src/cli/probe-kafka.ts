/**
 * Whether Kafka can be reached: a TCP connection to each broker named, then, through librdkafka,
 * what the cluster says of itself and of the topics, and a connection to each address that its
 * brokers advertise: partitions are read there. The group is not joined.
 */
import net from 'node:net'
import type { Bridge, BridgeId, CommittedOffset } from '../bridge/bridge.ts'
import { connectFault, messageOf } from '../core/errors.ts'
import { awaitAnswers } from '../kafka/broker-queries.ts'
import { consumerSettings, instanceIds } from '../kafka/consumer-settings.ts'
import { askReaders, atEndText, type GroupReaders } from '../kafka/group-check.ts'
import { identityOf, type ControlledPipeline } from '../kafka/pipeline-identity.ts'
import { whyUnreachable } from '../kafka/preflight.ts'
import { SignIn } from '../kafka/sign-in.ts'
import type { Config } from '../options/config.ts'
import { parseAddress } from '../options/notations.ts'
import { isTopicExpression, topicsMeant } from '../options/topic-expression.ts'
import type { Probe } from './check-report.ts'
import { keyOf } from '../core/topic-partition.ts'

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
    const { brokerCount, advertised } = metadata
    const others = advertised.filter(({ address }) => !config.kafkaBrokers.includes(address))
    const unreachable = await Promise.all(others.map(probeAdvertised))
    const wrong = unreachable.filter((probe) => probe.state === 'wrong')
    return { brokerCount, probes: [...connections, ...metadata.probes, ...wrong] }
  } catch (error) {
    const wrong: Probe = { subject: 'kafka', state: 'wrong', detail: messageOf(error) }
    return { probes: [...connections, wrong], brokerCount: null }
  }
}

interface Advertised {
  readonly id: number
  readonly address: string
}

/** @returns what is wrong with an address that a broker advertises, or that it is fine. */
async function probeAdvertised({ id, address }: Advertised): Promise<Probe> {
  const probe = await probeBroker(address)
  const advice = 'partitions that it leads cannot be read; see its advertised.listeners'
  return {
    ...probe,
    subject: `kafka broker ${id} at ${address}`,
    detail: `${probe.detail}; ${advice}`,
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
    socket.once('error', (error) => end('wrong', connectFault(error)))
  })
}

function askCluster(
  config: Config,
  controlled: ControlledPipeline | null,
  bridge: Bridge,
): KafkaProbe & { readonly advertised: readonly Advertised[] } {
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
      advertised: brokers.brokers.map(({ id, host, port }) => ({
        id,
        address: host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`,
      })),
      probes: [
        { subject: 'kafka cluster', state: 'fine', detail: said },
        ...topics,
        ...probeGroup(config, controlled, bridge, consumer, brokers.topics),
      ],
    }
  } catch (error) {
    bridge.consumerPoll(consumer, 0)
    const events = bridge.consumerEvents(consumer)
    const logs = bridge.consumerLogs(consumer)
    const detail = whyUnreachable({ events, logs }) ?? messageOf(error)
    const probes: Probe[] = [{ subject: 'kafka cluster', state: 'wrong', detail }]
    return { brokerCount: null, advertised: [], probes }
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
  const { kafkaGroupId: groupId, groupInstanceId, ingressThreads, kafkaTopic } = config
  const question = {
    groupId,
    identity: identityOf(config, controlled),
    instanceIds: instanceIds(groupInstanceId, ingressThreads),
    topics: kafkaTopic,
  }
  let probes: readonly Probe[] = []
  awaitAnswers(bridge, consumer, (queries) => {
    askReaders(queries, question, (readers) => {
      probes = groupProbes(config, readers)
      const partitions = committedPartitions(topicsMeant(kafkaTopic, known), readers.committed)
      if (partitions.length === 0) return
      queries.ask(partitions, { end: true }, METADATA_MS_MAX, (facts) => {
        const ends = partitions.map((one, index) => ({ ...one, end: facts[index]?.end?.offset }))
        if (ends.some(({ end, offset }) => end === undefined || end > offset)) return
        const text = atEndText(groupId, partitions)
        probes = [...probes, { subject: `kafka group ${groupId}`, state: 'warning', detail: text }]
      })
    })
  })
  return probes
}

/** @returns what to say of those who read with the group. */
export function groupProbes(
  { kafkaGroupId, takeOver }: Pick<Config, 'kafkaGroupId' | 'takeOver'>,
  { conflict, notices }: GroupReaders,
): readonly Probe[] {
  const subject = `kafka group ${kafkaGroupId}`
  const state = takeOver ? 'warning' : 'wrong'
  return [
    ...(conflict === null ? [] : [{ subject, state, detail: conflict } as const]),
    ...notices.map((detail) => ({ subject, state: 'warning', detail }) as const),
  ]
}

/** What the group has committed of all partitions; empty where it has not of one. */
export function committedPartitions(
  topics: Topics,
  committed: readonly CommittedOffset[],
): readonly CommittedOffset[] {
  const offsets = new Map(committed.map((row) => [keyOf(row), row]))
  const rows = topics.flatMap(({ topic, partitions }) =>
    Array.from({ length: partitions }, (_, partition) => offsets.get(keyOf({ topic, partition }))),
  )
  const found = rows.filter((row) => row !== undefined && row.offset >= 0)
  return found.length === rows.length ? found.filter((row) => row !== undefined) : []
}

function signIn({ kafkaTokenFile }: Config, bridge: Bridge, consumer: BridgeId): void {
  const warn = () => undefined
  const nowMs = () => Date.now()
  new SignIn({ bridge, consumer, tokenFile: kafkaTokenFile, nowMs, warn }).begin()
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
