/**
 * `logpipe replay`: the matches of a span of time once more, whatever the group has committed.
 *
 * It has a spill and a snapshot of its own where nobody said otherwise, so that it can run beside
 * the pipeline of the same folder.
 */
import { loadBridge } from '../bridge/load.ts'
import type { Config } from '../options/config.ts'
import { refuseRegexes } from '../options/filter.ts'
import { checkMemory } from '../options/memory.ts'
import { resolve, type Resolved } from '../options/resolve.ts'
import { replaySettings } from '../run/replay.ts'
import { runPipeline } from '../run/run-pipeline.ts'
import { pipelineSettings } from '../run/settings-from-config.ts'
import type { PipelineSettings } from '../run/settings.ts'
import { openLog, refuseOperands } from './context.ts'
import type { CommandContext } from './context.ts'
import { underLock } from './file-lock.ts'
import { memoryLimit, planMemory } from './run-plan.ts'
import { counted } from '../core/text-table.ts'

export async function replay(context: CommandContext): Promise<number> {
  const resolved = resolve({ command: 'replay', args: context.args, env: context.env })
  refuseOperands(resolved)
  const config = withOwnFiles(resolved)
  const bridge = loadBridge(config.bridgeLib ?? undefined)
  refuseRegexes(config, bridge)
  checkMemory(planMemory(config, null), memoryLimit())
  const log = openLog(config, context)
  return underLock(config, async () => {
    const span = {
      partitions: config.replayPartitions,
      fromMs: config.replayFrom ?? 0,
      toMs: config.replayTo,
    }
    const settings = replaySettings(pipelineSettings(config), span, bridge, (message) => {
      log.warn(message)
    })
    if (settings === null) {
      log.info(
        `nothing to replay: ${config.kafkaTopic.join(', ')} has no records in that time range`,
      )
      return 0
    }
    log.info(describe(settings))
    return runPipeline(settings, {
      log,
      signal: context.stopSignal(),
      snapshotPath: config.runtimeMetricsPath,
      metricsListen: config.metricsListen,
    })
  })
}

/** `replays 1200 offsets of 3 partitions, from 2026-09-01T00:00:00.000Z to ...`. */
function describe({ replay: plan }: PipelineSettings): string {
  const ranges = plan?.ranges ?? []
  const offsetCount = ranges.reduce((sum, { from, to }) => sum + to - from, 0)
  const from = new Date(plan?.fromMs ?? 0).toISOString()
  const to = plan?.toMs === null || plan === null ? 'the end' : new Date(plan.toMs).toISOString()
  const where = `${counted(offsetCount, 'offset')} of ${counted(ranges.length, 'partition')}`
  return `replays records from ${from} to ${to}: ${where}; commits nothing`
}

/** Files of the pipeline that it would meet are named anew; those that were named stay. */
function withOwnFiles({ config, sources }: Resolved): Config {
  const isDefault = (name: 'ES_SPILL_PATH' | 'RUNTIME_METRICS_PATH') =>
    sources.get(name)?.kind === 'default'
  return {
    ...config,
    ...(isDefault('ES_SPILL_PATH') ? { esSpillPath: 'data/es_spill-replay.bin' } : {}),
    ...(isDefault('RUNTIME_METRICS_PATH')
      ? { runtimeMetricsPath: 'data/runtime_metrics-replay.json' }
      : {}),
  }
}
