/**
 * Whether Kafka can be reached: a TCP connection to each broker named, then, through librdkafka,
 * what the cluster says of itself and of the topics, and a connection to each address that its
 * brokers advertise: partitions are read there. The group is not joined.
 */
import net from 'node:net'
import type { Bridge, BridgeId } from '../bridge/bridge.ts'
import { connectFault, messageOf } from '../core/errors.ts'
import { consumerSettings } from '../kafka/consumer-settings.ts'
import { whyUnreachable } from '../kafka/preflight.ts'
import { SignIn } from '../kafka/sign-in.ts'
import type { Config } from '../options/config.ts'
import { parseAddress } from '../options/notations.ts'
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
  loadBridge: (file: string | undefined) => Bridge,
): Promise<KafkaProbe> {
  const connections = await Promise.all(config.kafkaBrokers.map(probeBroker))
  if (connections.every(({ state }) => state === 'wrong')) {
    return { probes: connections, brokerCount: null }
  }
  try {
    const metadata = askMetadata(config, loadBridge(config.bridgeLib ?? undefined))
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

function askMetadata(
  config: Config,
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
      probes: [{ subject: 'kafka cluster', state: 'fine', detail: said }, ...topics],
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

function signIn({ kafkaTokenFile }: Config, bridge: Bridge, consumer: BridgeId): void {
  const warn = () => undefined
  const nowMs = () => Date.now()
  new SignIn({ bridge, consumer, tokenFile: kafkaTokenFile, nowMs, warn }).begin()
}

/** @param known every topic that the user may see */
export function probeTopic(wanted: string, known: Topics): Probe {
  const subject = `kafka topic ${wanted}`
  if (wanted.startsWith('^')) {
    const pattern = new RegExp(wanted)
    const count = known.filter(({ topic }) => pattern.test(topic)).length
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
