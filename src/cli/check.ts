/**
 * `logpipe check`: the resolved configuration with each value's source, the memory sum, and whether
 * what the configuration points at can be reached. Exits with 1 when something is wrong.
 *
 * The group is not joined and nothing is written.
 */
import os from 'node:os'
import type { Bridge } from '../bridge/bridge.ts'
import { loadBridge } from '../bridge/load.ts'
import { LogpipeError, messageOf } from '../core/errors.ts'
import { checkMemory } from '../options/memory.ts'
import { resolve } from '../options/resolve.ts'
import type { Config } from '../options/config.ts'
import { refuseIndexNames } from '../run/settings-from-config.ts'
import { describeConfig, describeMemory, describeProbes } from './check-report.ts'
import type { Probe } from './check-report.ts'
import { refuseOperands } from './context.ts'
import type { CommandContext } from './context.ts'
import { memoryLimit, planMemory } from './memory-plan.ts'
import { startNotices } from './start-notices.ts'
import { controlledPipeline } from './parent-link.ts'
import { probeElasticsearch } from './probe-elasticsearch.ts'
import { probeKafka } from './probe-kafka.ts'
import { probeOutput } from './probe-output.ts'

export interface CheckDeps {
  /** Loads the add-on; undefined: the one that was built. */
  readonly loadBridge: (file: string | undefined) => Bridge
  readonly memoryLimit: () => number | null
}

const DEPS: CheckDeps = { loadBridge, memoryLimit }

export async function check(context: CommandContext, deps: CheckDeps = DEPS): Promise<number> {
  const resolved = resolve({ command: 'check', args: context.args, env: context.env })
  refuseOperands(resolved)
  const { config } = resolved
  context.print(describeConfig(resolved))
  for (const notice of startNotices(config, os.availableParallelism())) {
    context.print(`note: ${notice}\n`)
  }
  const kafka = config.kafkaEmbedded
    ? EMBEDDED
    : await probeKafka(config, controlledPipeline(context.env), deps.loadBridge)
  const sum = planMemory(config, kafka.brokerCount)
  const limit = deps.memoryLimit()
  context.print(`\n${describeMemory(sum, limit)}`)
  const probes: readonly Probe[] = [
    ...probeOf('memory', () => checkMemory(sum, limit)),
    ...probeOf('index names', () => refuseIndexNames(config)),
    ...kafka.probes,
    ...(await outputProbes(config)),
  ]
  context.print(`\n${describeProbes(probes)}`)
  return probes.some(({ state }) => state === 'wrong') ? 1 : 0
}

const EMBEDDED = {
  brokerCount: 1,
  probes: [{ subject: 'kafka', state: 'untested', detail: 'embedded' }],
} as const

/** Nothing when it is well: that is shown elsewhere, or goes without saying. */
function probeOf(subject: string, verify: () => void): readonly Probe[] {
  try {
    verify()
    return []
  } catch (error) {
    if (!(error instanceof LogpipeError)) throw error
    return [{ subject, state: 'wrong', detail: messageOf(error) }]
  }
}

function outputProbes(config: Config): Promise<readonly Probe[]> | readonly Probe[] {
  return config.pipelineOutput.kind === 'elasticsearch'
    ? probeElasticsearch(config)
    : probeOutput(config.pipelineOutput)
}
