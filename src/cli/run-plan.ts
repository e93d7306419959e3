/**
 * Said and refused before a pipeline starts: the memory it may take, with the pool as it will be
 * laid out, against the limit, and the notices on what it will do.
 */
import os from 'node:os'
import { counted } from '../core/text-table.ts'
import type { Config } from '../options/config.ts'
import type { Resolved } from '../options/resolve.ts'
import { memorySum } from '../options/memory.ts'
import type { MemorySum } from '../options/memory.ts'
import { slotLayout } from '../pool/layout.ts'

/** @param brokerCount brokers of the cluster; null: not known, so those named. */
export function planMemory(config: Config, brokerCount: number | null): MemorySum {
  const { slotBytes } = slotLayout({
    bufferBytes: config.bufferBytes,
    recordsMax: config.batchMsgs,
  })
  return memorySum(config, config.poolSize * slotBytes, brokerCount ?? config.kafkaBrokers.length)
}

/**
 * As many filter threads as there are cores, unless somebody has chosen a number: the default is
 * for machines that have as many.
 * @param coreCount cores that this process may use
 */
export function fittedConfig({ config, sources }: Resolved, coreCount: number): Config {
  const isChosen = (sources.get('RUST_WORKERS') ?? { kind: 'default' }).kind !== 'default'
  const rustWorkers = isChosen ? config.rustWorkers : Math.min(config.rustWorkers, coreCount)
  return rustWorkers === config.rustWorkers ? config : { ...config, rustWorkers }
}

/** The cgroup's memory limit in bytes; null where there is none below the machine's memory. */
export function memoryLimit(): number | null {
  // 0 when it is not known, and beyond the machine's memory when there is no limit.
  const limit = process.constrainedMemory()
  return limit > 0 && limit < os.totalmem() ? limit : null
}

/**
 * What a user should know at the start although nothing is wrong.
 * @param coreCount cores that this process may use
 */
export function startNotices(config: Config, coreCount: number): readonly string[] {
  const notices: string[] = [endNotice(config)]
  const isParallel = config.pipelineMode === 'worker' && config.runMatches === 0
  if (isParallel && config.rustWorkers > coreCount) {
    const threads = `${config.rustWorkers} filter threads on ${coreCount} cores`
    notices.push(`${threads}: more threads than cores gain nothing (FILTER_THREADS)`)
  }
  if (config.pipelineOutput.kind === 'elasticsearch' && config.esDocumentId === 'key') {
    notices.push('document id key: the latest timestamp of a key wins; others count as superseded')
  }
  if (config.pipelineOutput.kind === 'none') notices.push('output none: commits nothing')
  return notices
}

function endNotice({ runSeconds, runUntil, runMatches }: Config): string {
  const ends = [
    ...(runUntil === null ? [] : ['at the end of what is there now (RUN_UNTIL)']),
    ...(runMatches === 0 ? [] : [`after ${counted(runMatches, 'match', 'matches')} (RUN_MATCHES)`]),
    ...(runSeconds === 0 ? [] : [`after ${runSeconds} s (RUN_SECONDS; 0 runs until stopped)`]),
  ]
  return ends.length === 0 ? 'runs until stopped' : `stops ${ends.join(', or ')}`
}
