/**
 * `logpipe run`: resolves the options, refuses what cannot fit, runs the pipeline.
 */
import os from 'node:os'
import { loadBridge } from '../bridge/load.ts'
import { systemClock } from '../core/clock.ts'
import type { Log } from '../core/log.ts'
import { DEMO_DEFAULTS } from '../demo/demo.ts'
import { EMBEDDED_KAFKA_CONFIG, openEmbedded } from '../demo/embedded.ts'
import { openBulkProducer } from '../kafka/producer.ts'
import type { Config } from '../options/config.ts'
import { checkMemory } from '../options/memory.ts'
import { patternsOf } from '../options/patterns.ts'
import { resolve } from '../options/resolve.ts'
import type { Pipeline } from '../run/pipeline.ts'
import { type RunDeps, runPipeline } from '../run/run-pipeline.ts'
import {
  embeddedSettings,
  pipelineSettings,
  type Surroundings,
} from '../run/settings-from-config.ts'
import { TailSampler } from '../run/tail-sampler.ts'
import { type CommandContext, refuseOperands } from './context.ts'
import { underLock } from './file-lock.ts'
import { memoryLimit, planMemory } from './memory-plan.ts'
import { controlledPipeline, openParentLink } from './parent-link.ts'
import { followHangups } from './reload.ts'
import { openLog } from './run-log.ts'
import { startNotices } from './start-notices.ts'

export async function run(context: CommandContext): Promise<number> {
  const resolved = resolve({ command: 'run', args: context.args, env: context.env })
  refuseOperands(resolved)
  const { config } = resolved
  checkMemory(planMemory(config, null), memoryLimit())
  const log = openLog(config, context)
  return underLock(config, async () => {
    const surroundings = surroundingsOf(context)
    const settings = pipelineSettings(config, surroundings)
    for (const notice of startNotices(config, os.availableParallelism())) log.info(notice)
    if (settings.kafka.membership === 'alone' && !config.kafkaEmbedded) log.info(ALONE)
    const parent = followParent(context, log)
    const onStart = followHangups(context, resolved, log)
    const signal = AbortSignal.any([context.stopSignal(), parent.gone])
    if (config.kafkaEmbedded) return runEmbedded(config, log, signal, onStart)
    return runPipeline(settings, {
      log,
      signal,
      snapshotPath: config.runtimeMetricsPath,
      metricsListen: config.metricsListen,
      onMatched: parent.onMatched,
      onStart,
    })
  })
}

const ALONE = 'matches go to the terminal: joins no group, commits nothing, begins at --start'

function surroundingsOf({ env, rows }: CommandContext): Surroundings {
  return { isTerminal: rows() !== null, controlled: controlledPipeline(env) }
}

/** What sync asks of its child: matches to show, and to end when sync has gone. */
function followParent(
  { env }: CommandContext,
  log: Log,
): { readonly gone: AbortSignal; readonly onMatched: RunDeps['onMatched'] } {
  const gone = new AbortController()
  const link = openParentLink(env, {
    onTail: (seconds) => tail.show(seconds),
    onGone: () => {
      log.warn('sync is gone: draining')
      gone.abort()
    },
  })
  const tail = new TailSampler(systemClock, (entries) => link?.sendTail(entries))
  return {
    gone: gone.signal,
    onMatched: link === null ? undefined : (batch) => tail.take(batch),
  }
}

/** `--embedded`: a Kafka in this process, fed while the pipeline runs. */
async function runEmbedded(
  config: Config,
  log: Log,
  signal: AbortSignal,
  started: (pipeline: Pipeline) => void,
): Promise<number> {
  const [topic = DEMO_DEFAULTS.topic] = config.kafkaTopic
  const embedded = await openEmbedded(
    {
      ...DEMO_DEFAULTS,
      topic,
      recordsPerSecond: config.demoRate,
      errorShare: config.demoErrorShare,
      patterns: patternsOf(config),
    },
    {
      bridge: loadBridge(config.bridgeLib ?? undefined),
      clock: systemClock,
      openProducer: openBulkProducer,
    },
  )
  log.info(`embedded broker at ${embedded.brokers}, topic ${topic}`)
  const feeding = new AbortController()
  let fed: Promise<void> = Promise.resolve()
  const onStart = (pipeline: Pipeline) => {
    started(pipeline)
    const fetched = () => pipeline.stats().counters.records
    fed = embedded.feed(fetched, feeding.signal)
    // An error of the generator ends the run; it is met again below.
    fed.catch(() => pipeline.stop())
  }
  try {
    const settings = embeddedSettings(config, topic, embedded.brokers, EMBEDDED_KAFKA_CONFIG)
    return await runPipeline(settings, {
      log,
      signal,
      snapshotPath: config.runtimeMetricsPath,
      metricsListen: config.metricsListen,
      onStart,
    })
  } finally {
    feeding.abort()
    try {
      await fed
    } finally {
      await embedded.close()
    }
  }
}
