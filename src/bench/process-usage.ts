/**
 * What this process has used so far, for the reports of the benchmarks.
 */
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
    peakRssBytes: usage.maxRSS * 1024,
  }
}
