/**
 * `logpipe bench` alone: the brokers or the embedded one, the readers as processes of this very
 * program, and the result on stdout and as a file.
 */
import { spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { open, writeFile } from 'node:fs/promises'
import os from 'node:os'
import { compare, type CompareDeps, loadsOf } from '../bench/compare.ts'
import { compareHtml } from '../bench/compare-html.ts'
import {
  compareReport,
  compareText,
  type CompareHead,
  type Load,
  type ReaderName,
  type ReaderRun,
} from '../bench/compare-report.ts'
import { processUsage } from '../bench/process-usage.ts'
import { benchProduce } from '../bench/produce.ts'
import type { Bridge } from '../bridge/bridge.ts'
import { loadBridge } from '../bridge/load.ts'
import { systemClock } from '../core/clock.ts'
import { LogpipeError, messageOf } from '../core/errors.ts'
import { EMBEDDED_KAFKA_CONFIG } from '../demo/embedded.ts'
import { openAdmin } from '../kafka/admin.ts'
import { openBulkProducer } from '../kafka/producer.ts'
import type { Config } from '../options/config.ts'
import { resolve, type Resolved } from '../options/resolve.ts'
import { clientProperties } from '../run/settings-from-config.ts'
import { requireBrokers } from './bench.ts'
import { type CommandContext, refuseOperands } from './context.ts'
import { underLock } from './file-lock.ts'
import { programVersion, thisProgram } from './this-program.ts'

const ADMIN_TIMEOUT_MS = 10_000
/** Where nobody named brokers: long enough for a Kafka on this machine. */
const LOOK_MS = 1500
const PARTITIONS = 4
/** Should this process be killed, Kafka itself forgets what it left. */
const TOPIC_CONFIG = { 'retention.ms': '3600000', 'segment.ms': '3600000' }
/** The embedded broker keeps 5 MiB of a partition, batches' heads and records' among them. */
const EMBEDDED_PARTITIONS = 16
const EMBEDDED_BYTES_MAX = EMBEDDED_PARTITIONS * 4 * 1024 * 1024
const MATCH_SHARE = 0.001

/** Where it measures. */
interface Cluster {
  readonly kind: CompareHead['broker']
  readonly brokers: string
  /** Properties for every client. */
  readonly config: Config['kafkaConfig']
  readonly partitions: number
  readonly bytes: number
  createTopic(topic: string): Promise<boolean>
  deleteTopic(topic: string): Promise<unknown>
  close(): void
}

/** What a test has less of, or another. */
interface Means {
  /** How many of the loads. */
  readonly loadsMax: number
  /** How to start logpipe. */
  readonly program: readonly string[]
}

const ALL: Means = { loadsMax: Infinity, program: thisProgram() }

export async function compareReaders(context: CommandContext, means = ALL): Promise<number> {
  const resolved = resolve({ command: 'bench compare', args: context.args, env: context.env })
  refuseOperands(resolved)
  const { config } = resolved
  const signal = context.stopSignal()
  if (config.benchHtml !== null) await writeHtml(config.benchHtml, null)
  const bridge = loadBridge(config.bridgeLib ?? undefined)
  return underLock(config, async () => {
    const loads = loadsOf(randomBytes(4).toString('hex')).slice(0, means.loadsMax)
    const say = (line: string) => context.stderr.write(`${line}\n`)
    const cluster = await openCluster(resolved, bridge, loads, say)
    try {
      const head = headOf(cluster, config, bridge)
      const results = await compare(
        loads,
        config.benchRounds,
        depsOf(cluster, resolved, context, { ...means, signal }),
      )
      const report = compareReport(head, results)
      context.print(`${config.benchJson ? JSON.stringify(report) : compareText(report)}\n`)
      if (config.benchHtml !== null) await writeHtml(config.benchHtml, compareHtml(report))
      return 0
    } finally {
      cluster.close()
    }
  })
}

async function openCluster(
  resolved: Resolved,
  bridge: Bridge,
  loads: readonly Load[],
  say: (line: string) => void,
): Promise<Cluster> {
  const { config, sources } = resolved
  if (config.kafkaEmbedded) {
    say('measuring on a Kafka inside this process; this takes about two minutes')
    return openEmbeddedCluster(config, bridge, loads)
  }
  const isNamed = sources.get('KAFKA_BROKERS')?.kind !== 'default'
  try {
    await requireBrokers(config, isNamed ? undefined : LOOK_MS)
  } catch (error) {
    const isAbsent = error instanceof LogpipeError && error.code === 'KAFKA_UNREACHABLE'
    if (isNamed || !isAbsent) throw error
    say(
      `KAFKA_BROKERS is unset and no broker listens at ${config.kafkaBrokers.join(',')}: measuring`,
    )
    say('on a Kafka inside this process. The figures show that logpipe works, not how fast it is.')
    return openEmbeddedCluster(config, bridge, loads)
  }
  const brokers = config.kafkaBrokers.join(',')
  say(`measuring at ${brokers}, with temporary topics; this takes two to three minutes`)
  const settings = { brokers, config: config.kafkaConfig, tokenFile: config.kafkaTokenFile }
  const admin = await openAdmin({ ...settings, timeoutMs: ADMIN_TIMEOUT_MS })
  return {
    kind: 'kafka',
    brokers,
    config: config.kafkaConfig,
    partitions: PARTITIONS,
    bytes: config.benchBytes,
    createTopic: (topic) =>
      admin.createTopic({
        topic,
        partitions: PARTITIONS,
        replicationFactor: 1,
        config: TOPIC_CONFIG,
      }),
    deleteTopic: (topic) => admin.deleteTopic(topic),
    close: () => admin.close(),
  }
}

function openEmbeddedCluster(config: Config, bridge: Bridge, loads: readonly Load[]): Cluster {
  const topics = loads.map(({ topic }) => ({ topic, partitions: EMBEDDED_PARTITIONS }))
  const mock = bridge.mockOpen({ brokerCount: 1, topics })
  return {
    kind: 'embedded',
    brokers: mock.bootstrapServers,
    config: [...EMBEDDED_KAFKA_CONFIG, ...config.kafkaConfig],
    partitions: EMBEDDED_PARTITIONS,
    bytes: Math.min(config.benchBytes, EMBEDDED_BYTES_MAX),
    // Made with the broker, and gone with it.
    createTopic: () => Promise.resolve(true),
    deleteTopic: () => Promise.resolve(true),
    close: () => bridge.mockClose(mock.id),
  }
}

function depsOf(
  cluster: Cluster,
  resolved: Resolved,
  context: CommandContext,
  { program, signal }: Means & { readonly signal: AbortSignal },
): CompareDeps {
  const { config } = resolved
  const env = envOf(cluster, resolved, context)
  return {
    createTopic: (topic) => cluster.createTopic(topic),
    deleteTopic: (topic) => cluster.deleteTopic(topic),
    async fill(load, fillSignal) {
      const report = await benchProduce(
        {
          kafka: {
            brokers: cluster.brokers,
            config: [...clientProperties(config), ['compression.type', load.compression]],
            tokenFile: config.kafkaTokenFile,
            timeoutMs: ADMIN_TIMEOUT_MS,
          },
          topic: load.topic,
          partitions: cluster.partitions,
          isMade: true,
          records: Math.max(1, Math.floor(cluster.bytes / load.recordBytes)),
          recordBytes: load.recordBytes,
          throughput: -1,
          errorShare: MATCH_SHARE,
          seed: 1,
        },
        {
          openAdmin,
          openProducer: openBulkProducer,
          clock: systemClock,
          usage: processUsage,
          progress: () => undefined,
          signal: fillSignal,
        },
      )
      return report.records
    },
    read: (reader, load, records, secondsMax) =>
      runReader([...program, ...readerArgs(reader, load, records, secondsMax)], env, signal),
    say: (line) => context.stderr.write(`${line}\n`),
    clock: systemClock,
    signal,
  }
}

function readerArgs(
  reader: ReaderName,
  load: Load,
  records: number,
  secondsMax: number,
): readonly string[] {
  const isOwn = reader === 'direct' || reader === 'worker'
  const how = isOwn ? ['--mode', reader] : ['--reader', reader]
  const until = ['--records', String(records), '--run-seconds', String(secondsMax)]
  return ['bench', 'consume', '--topic', load.topic, ...how, ...until, '--json', '--quiet']
}

/** Secrets do not stand on the command line: what was resolved travels in the environment. */
function envOf(
  cluster: Cluster,
  { config, sources }: Resolved,
  { env }: CommandContext,
): Readonly<Record<string, string | undefined>> {
  // More threads than cores only take longer to start.
  const isNamed = sources.get('RUST_WORKERS')?.kind !== 'default'
  const filterThreads = isNamed
    ? config.rustWorkers
    : Math.min(config.rustWorkers, os.availableParallelism())
  const kept = Object.entries(env).filter(
    ([name]) => !/^(KAFKA_CONFIG|BENCH_|LOCK_FILE$|NUM_RECORDS$)/.test(name),
  )
  const properties = cluster.config.map(
    ([name, value]) => [`KAFKA_CONFIG_${name.toUpperCase().replaceAll('.', '_')}`, value] as const,
  )
  return {
    ...Object.fromEntries(kept),
    ...Object.fromEntries(properties),
    ...(config.logpipeConfig === null ? {} : { LOGPIPE_CONFIG: config.logpipeConfig }),
    ...(config.kafkaTokenFile === null ? {} : { KAFKA_TOKEN_FILE: config.kafkaTokenFile }),
    KAFKA_BROKERS: cluster.brokers,
    KAFKA_GROUP_ID: `logpipe-bench-${process.pid}`,
    MATCH_PATTERN: 'ERROR',
    BENCH_PROFILE: config.benchProfile,
    INGRESS_THREADS: String(config.ingressThreads),
    FILTER_THREADS: String(filterThreads),
  }
}

/** @throws LogpipeError BENCH_READER with the reader's own line when it failed. */
async function runReader(
  [program = '', ...args]: readonly string[],
  env: Readonly<Record<string, string | undefined>>,
  signal: AbortSignal,
): Promise<ReaderRun> {
  const child = spawn(program, args, { env, stdio: ['ignore', 'pipe', 'pipe'] })
  const kill = () => child.kill('SIGKILL')
  signal.addEventListener('abort', kill, { once: true })
  try {
    const [stdout, stderr, status] = await Promise.all([
      textOf(child.stdout),
      textOf(child.stderr),
      new Promise<number | null>((done, fail) => child.once('error', fail).once('close', done)),
    ])
    if (status === 0) return runOf(stdout)
    const why = stderr.trim().split('\n').at(-1) ?? ''
    throw new LogpipeError('BENCH_READER', `a reader failed (${args.join(' ')}): ${why}`)
  } finally {
    signal.removeEventListener('abort', kill)
  }
}

async function textOf(stream: NodeJS.ReadableStream): Promise<string> {
  let text = ''
  for await (const part of stream) text += String(part)
  return text
}

function runOf(json: string): ReaderRun {
  const read = JSON.parse(json) as Readonly<Record<string, number>>
  return {
    records: Number(read['records']),
    recordsPerSecond: Number(read['records_per_second']),
    cpuSeconds: Number(read['cpu_seconds']),
    peakRssBytes: Number(read['peak_rss_bytes']),
  }
}

function headOf(cluster: Cluster, config: Config, bridge: Bridge): CompareHead {
  const cpus = os.cpus()
  return {
    logpipe: programVersion(),
    librdkafka: bridge.version().librdkafka,
    node: process.versions.node,
    machine: {
      cpu: cpus[0]?.model.trim() ?? 'unknown',
      cores: os.availableParallelism(),
      memory_bytes: os.totalmem(),
      system: `${os.type()} ${os.release()}`,
    },
    broker: cluster.kind,
    brokers: cluster.brokers,
    profile: config.benchProfile,
    time: new Date(systemClock.wallMs()).toISOString(),
  }
}

/** @param text null: only that it can be written is found out, before three minutes are spent. */
async function writeHtml(file: string, text: string | null): Promise<void> {
  try {
    if (text === null) await (await open(file, 'a')).close()
    else await writeFile(file, text)
  } catch (error) {
    throw new LogpipeError('OUTPUT_OPEN', `--html: cannot write ${file}: ${messageOf(error)}`)
  }
}
