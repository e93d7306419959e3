/**
 * The memory sum with the pool as it will be laid out, and the limit that it must fit.
 */
import os from 'node:os'
import type { Config } from '../options/config.ts'
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

/** The cgroup's memory limit in bytes; null where there is none below the machine's memory. */
export function memoryLimit(): number | null {
  // 0 when it is not known, and beyond the machine's memory when there is no limit.
  const limit = process.constrainedMemory()
  return limit > 0 && limit < os.totalmem() ? limit : null
}
