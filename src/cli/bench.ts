/**
 * `logpipe bench consume` and `logpipe bench produce`.
 */
import { benchConsume, type ConsumePipeline } from '../bench/consume.ts'
import { processUsage } from '../bench/process-usage.ts'
import { benchProduce } from '../bench/produce.ts'
import { type BenchReport, reportJson, reportText } from '../bench/report.ts'
import { systemClock } from '../core/clock.ts'
import { openAdmin } from '../kafka/admin.ts'
import { openBulkProducer } from '../kafka/producer.ts'
import { checkMemory } from '../options/memory.ts'
import { resolve } from '../options/resolve.ts'
import { Pipeline } from '../run/pipeline.ts'
import { pipelineSettings } from '../run/settings-from-config.ts'
import { openLog, refuseOperands } from './context.ts'
import type { CommandContext } from './context.ts'
import { underLock } from './file-lock.ts'
import { memoryLimit, planMemory } from './run-plan.ts'

/** How long the brokers may take to answer the producer. */
const PRODUCE_TIMEOUT_MS = 10_000

export async function consume(context: CommandContext): Promise<number> {
  const resolved = resolve({ command: 'bench consume', args: context.args, env: context.env })
  refuseOperands(resolved)
  const { config } = resolved
  checkMemory(planMemory(config, null), memoryLimit())
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
