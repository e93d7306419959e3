/**
 * `logpipe bench consume` and `logpipe bench produce`.
 */
import { benchConsume, type ConsumePipeline, noRecords } from '../bench/consume.ts'
import { processUsage } from '../bench/process-usage.ts'
import { benchProduce } from '../bench/produce.ts'
import { type BenchReport, makeReport, reportJson, reportText } from '../bench/report.ts'
import { loadBridge } from '../bridge/load.ts'
import { systemClock } from '../core/clock.ts'
import { LogpipeError } from '../core/errors.ts'
import { openAdmin } from '../kafka/admin.ts'
import { consumerSettings, outsideOfGroup } from '../kafka/consumer-settings.ts'
import { openBulkProducer } from '../kafka/producer.ts'
import type { Config } from '../options/config.ts'
import { patternsOf } from '../options/filter.ts'
import { checkMemory } from '../options/memory.ts'
import { isTopicExpression } from '../options/topic-expression.ts'
import { resolve } from '../options/resolve.ts'
import { Pipeline } from '../run/pipeline.ts'
import { pipelineSettings } from '../run/settings-from-config.ts'
import { openLog, refuseOperands } from './context.ts'
import type { CommandContext } from './context.ts'
import { underLock } from './file-lock.ts'
import { memoryLimit, planMemory } from './run-plan.ts'

/** How long the brokers may take to answer the producer. */
const PRODUCE_TIMEOUT_MS = 10_000
/** Connecting, TLS, SASL and one request: whoever has to wait longer has no use for a benchmark. */
const ANSWER_TIMEOUT_MS = 3000
/** A day: the bridge wants an end. */
const PLAIN_SECONDS_MAX = 86_400

export async function consume(context: CommandContext): Promise<number> {
  const resolved = resolve({ command: 'bench consume', args: context.args, env: context.env })
  refuseOperands(resolved)
  const { config } = resolved
  checkMemory(planMemory(config, null), memoryLimit())
  const plain = config.benchReader === 'logpipe' ? null : plainTarget(config)
  await requireBrokers(config)
  if (plain !== null) {
    const report = await underLock(config, () => Promise.resolve(readPlainly(config, plain)))
    printReport(context, report, config.benchJson)
    return 0
  }
  const log = openLog(config, context)
  const base = pipelineSettings(config)
  const settings = {
    ...base,
    // A rebalance in the middle would be measured, too.
    kafka: { ...base.kafka, membership: 'static' as const },
    output: { kind: 'none' } as const,
    commits: false,
    runSeconds: 0,
  }
  const report = await underLock(config, () =>
    benchConsume(
      {
        topic: config.kafkaTopic.join(','),
        profile: config.benchProfile,
        runSeconds: config.runSeconds,
        recordsMax: config.benchRecords > 0 ? config.benchRecords : Infinity,
      },
      {
        clock: systemClock,
        usage: processUsage,
        signal: context.stopSignal(),
        startPipeline: async () => countingPipeline(await Pipeline.start(settings, { log })),
      },
    ),
  )
  printReport(context, report, config.benchJson)
  return 0
}

/**
 * One question to the cluster, so that a benchmark without brokers is one line.
 * @throws LogpipeError KAFKA_UNREACHABLE, KAFKA_AUTH, KAFKA_CONFIG
 */
export async function requireBrokers(
  config: Pick<Config, 'kafkaBrokers' | 'kafkaConfig' | 'kafkaTokenFile'>,
  timeoutMs = ANSWER_TIMEOUT_MS,
): Promise<void> {
  const brokers = config.kafkaBrokers.join(',')
  const { kafkaTokenFile: tokenFile } = config
  const admin = await openAdmin({ brokers, config: config.kafkaConfig, tokenFile, timeoutMs })
  try {
    await admin.listTopics()
  } catch (error) {
    if (!(error instanceof LogpipeError) || error.code !== 'KAFKA_UNREACHABLE') throw error
    const message = `no broker answered at ${brokers} within ${timeoutMs / 1000} s`
    const advice = 'start one, or correct KAFKA_BROKERS (--brokers)'
    const other = 'if it is unset, `logpipe bench` measures on a Kafka inside the process'
    throw new LogpipeError('KAFKA_UNREACHABLE', `${message}: ${advice}; ${other}`, { cause: error })
  } finally {
    admin.close()
  }
}

interface PlainTarget {
  readonly topic: string
  readonly pattern: Uint8Array
}

/** @throws LogpipeError USAGE */
function plainTarget(config: Config): PlainTarget {
  const [topic = ''] = config.kafkaTopic
  const [pattern, ...others] = patternsOf(config)
  const isOne = config.kafkaTopic.length === 1 && !isTopicExpression(topic)
  if (pattern !== undefined && others.length === 0 && isOne) return { topic, pattern }
  const message = `--reader ${config.benchReader} reads one topic for one pattern`
  throw new LogpipeError('USAGE', `${message}: give one --topic and one --pattern`)
}

/** @throws LogpipeError NO_RECORDS; what the bridge throws. */
function readPlainly(config: Config, { topic, pattern }: PlainTarget): BenchReport {
  const bridge = loadBridge(config.bridgeLib ?? undefined)
  const isRaw = config.benchReader === 'raw'
  // As the pipeline does; a plain program would not.
  if (isRaw) bridge.tuneAllocator()
  const { cpuSeconds, ...totals } = bridge.plainLoop({
    config: outsideOfGroup(consumerSettings(config, 0)),
    topic,
    pattern,
    isRaw,
    recordsMax: config.benchRecords > 0 ? config.benchRecords : Number.MAX_SAFE_INTEGER,
    secondsMax: config.runSeconds > 0 ? config.runSeconds : PLAIN_SECONDS_MAX,
    consumers: config.ingressThreads,
  })
  if (totals.records === 0) throw noRecords(topic)
  return makeReport({
    benchmark: 'consume',
    topic,
    profile: config.benchProfile,
    ...totals,
    cpu_seconds: cpuSeconds,
    peak_rss_bytes: processUsage().peakRssBytes,
  })
}

function countingPipeline(pipeline: Pipeline): ConsumePipeline {
  const done = pipeline.done.then(({ error }) => {
    if (error !== null) throw error
  })
  // Met by whoever awaits `done`; until then it is no unhandled rejection.
  done.catch(() => undefined)
  return {
    done,
    counters: () => {
      const { counters, first, lastCpuMicros } = pipeline.stats()
      return {
        records: counters.records,
        bytes: counters.bytes,
        matched: counters.matched,
        firstRecordMs: first === null ? null : Number(first.atNs) / 1e6,
        lastRecordMs: counters.lastNs === 0 ? null : counters.lastNs / 1e6,
        cpuSeconds: first === null ? 0 : (lastCpuMicros - first.cpuMicros) / 1e6,
      }
    },
    stop: async () => {
      pipeline.stop()
      await pipeline.done
    },
  }
}

export async function produce(context: CommandContext): Promise<number> {
  const resolved = resolve({ command: 'bench produce', args: context.args, env: context.env })
  refuseOperands(resolved)
  const { config } = resolved
  const properties = [...config.kafkaConfig, ['compression.type', config.benchCompression] as const]
  const report = await underLock(config, () =>
    benchProduce(
      {
        kafka: {
          brokers: config.broker.join(','),
          config: properties,
          tokenFile: config.kafkaTokenFile,
          timeoutMs: PRODUCE_TIMEOUT_MS,
        },
        topic: config.topic,
        partitions: config.benchPartitions,
        records: config.numRecords,
        recordBytes: config.recordSize,
        throughput: config.throughput,
        errorShare: config.benchMatchShare,
        seed: 1,
      },
      {
        openAdmin,
        openProducer: openBulkProducer,
        clock: systemClock,
        usage: processUsage,
        progress: (line) => context.stderr.write(`${line}\n`),
        signal: context.stopSignal(),
      },
    ),
  )
  printReport(context, report, config.benchJson)
  return 0
}

function printReport(context: CommandContext, report: BenchReport, asJson: boolean): void {
  context.print(`${asJson ? reportJson(report) : reportText(report)}\n`)
}
