/**
 * What a user should know at the start although nothing is wrong.
 */
import type { Config } from '../options/config.ts'

/** @param coreCount cores that this process may use */
export function startNotices(config: Config, coreCount: number): readonly string[] {
  const notices: string[] = [
    config.runSeconds === 0
      ? 'runs until it is stopped'
      : `stops after ${config.runSeconds} s (RUN_SECONDS; 0 runs until it is stopped)`,
  ]
  if (config.pipelineMode === 'worker' && config.rustWorkers > coreCount) {
    const threads = `${config.rustWorkers} filter threads on ${coreCount} cores`
    notices.push(`${threads}: more than there are cores gain nothing (RUST_WORKERS)`)
  }
  if (config.pipelineOutput.kind === 'elasticsearch' && config.esDocumentId === 'key') {
    notices.push('document id key: the latest timestamp of a key wins; others count as superseded')
  }
  if (config.pipelineOutput.kind === 'none') notices.push('output none: commits nothing')
  return notices
}
