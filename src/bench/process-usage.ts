/**
 * What this process has used so far, for the reports of the benchmarks.
 */
import { readFileSync } from 'node:fs'

export interface ProcessUsage {
  /** User and system time of all threads. */
  readonly cpuSeconds: number
  /** The most memory that was resident at one time. */
  readonly peakRssBytes: number
}

export function processUsage(): ProcessUsage {
  const usage = process.resourceUsage()
  return {
    cpuSeconds: (usage.userCPUTime + usage.systemCPUTime) / 1e6,
    peakRssBytes: highWaterBytes() ?? usage.maxRSS * 1024,
  }
}

/** Linux's maxRSS begins with what the parent had when it started this process; this does not. */
function highWaterBytes(): number | null {
  try {
    const [, kib] = /^VmHWM:\s+(\d+) kB$/m.exec(readFileSync('/proc/self/status', 'utf8')) ?? []
    return kib === undefined ? null : Number(kib) * 1024
  } catch {
    return null
  }
}
