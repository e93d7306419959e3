/**
 * `logpipe demo`: the pipeline on an embedded Kafka.
 */
import { loadBridge } from '../bridge/load.ts'
import { systemClock } from '../core/clock.ts'
import { DEMO_DEFAULTS, runDemo, type DemoPipeline } from '../demo/demo.ts'
import type { MatchedBatch } from '../filter/matches.ts'
import { openBulkProducer } from '../kafka/producer.ts'
import type { Config } from '../options/config.ts'
import { filterText, hasExpressions, patternsOf } from '../options/filter.ts'
import { resolve } from '../options/resolve.ts'
import type { Pipeline } from '../run/pipeline.ts'
import { runPipeline } from '../run/run-pipeline.ts'
import { embeddedSettings } from '../run/settings-from-config.ts'
import { openLog, refuseOperands } from './context.ts'
import type { CommandContext } from './context.ts'

export async function demo(context: CommandContext): Promise<number> {
  const resolved = resolve({ command: 'demo', args: context.args, env: context.env })
  refuseOperands(resolved)
  const { config } = resolved
  const log = openLog(config, context)
  let status = 0
  const settings = {
    ...DEMO_DEFAULTS,
    recordsPerSecond: config.demoRate,
    errorShare: config.demoErrorShare,
    runSeconds: config.runSeconds,
    patterns: patternsOf(config),
    patternText: hasExpressions(config) ? filterText(config) : config.matchPattern.join(' or '),
    isExact: !hasExpressions(config) && !config.matchIgnoreCase && !config.matchInvert,
  }
  await runDemo(settings, {
    bridge: loadBridge(config.bridgeLib ?? undefined),
    clock: systemClock,
    openProducer: openBulkProducer,
    signal: context.stopSignal(),
    say: (line) => (config.logQuiet ? undefined : context.stderr.write(`${line}\n`)),
    startPipeline: async ({ brokers, kafkaConfig }) => {
      const { pipeline, ended } = await start(config, brokers, kafkaConfig)
      void ended.then((code) => (status = code))
      return pipeline
    },
  })
  return status

  async function start(
    base: Config,
    brokers: string,
    kafkaConfig: readonly (readonly [string, string])[],
  ): Promise<{ pipeline: DemoPipeline; ended: Promise<number> }> {
    // The demo ends the pipeline itself, when it has read all that was made.
    const embedded = embeddedSettings(base, DEMO_DEFAULTS.topic, brokers, kafkaConfig)
    const pipelineSettings = { ...embedded, runSeconds: 0 }
    const never = new AbortController().signal
    let last: string | null = null
    const onMatched = ({ body, ends }: MatchedBatch) => {
      const text = Buffer.from(body.subarray(ends.at(-2) ?? 0, ends.at(-1) ?? 0)).toString('utf8')
      if (text !== '') last = text.trimEnd()
    }
    return new Promise((resolvePipeline, reject) => {
      const ended: Promise<number> = runPipeline(pipelineSettings, {
        log,
        signal: never,
        snapshotPath: null,
        metricsListen: null,
        onMatched,
        onStart: (pipeline) => {
          resolvePipeline({ pipeline: demoPipeline(pipeline, ended, () => last), ended })
        },
      })
      ended.catch(reject)
    })
  }
}

function demoPipeline(
  pipeline: Pipeline,
  ended: Promise<number>,
  lastKept: DemoPipeline['lastKept'],
): DemoPipeline {
  return {
    lastKept,
    stats: () => {
      const { records, matched } = pipeline.stats().counters
      return { fetched: records, matched }
    },
    stop: async () => {
      pipeline.stop()
      await ended
    },
    done: ended,
  }
}
