/**
 * Processes by pid, told from later ones that were given the same number.
 */
import { readFileSync } from 'node:fs'
import type { ChildIdentity } from './home.ts'

export interface Processes {
  /** Of a process that runs; undefined when it does not, or the system does not tell. */
  identify(pid: number): ChildIdentity | undefined
  signal(identity: ChildIdentity, signal: 'SIGTERM' | 'SIGKILL'): void
}

/** By /proc (Linux). Elsewhere nothing is identified, and the end of its stdin must do. */
export const systemProcesses: Processes = {
  identify(pid) {
    try {
      const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
      // The name in brackets may hold anything; behind it field 22 is the start, in clock ticks.
      const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
      const [state, startTime] = [fields[0], fields[19]]
      // A zombie has ended; its parent has only not asked yet.
      return startTime === undefined || state === 'Z' ? undefined : { pid, startTime }
    } catch {
      // No such process.
      return undefined
    }
  },
  signal(identity, signal) {
    if (!isRunning(systemProcesses, identity)) return
    try {
      process.kill(identity.pid, signal)
    } catch {
      // It ended in between.
    }
  },
}

export function isRunning(processes: Processes, { pid, startTime }: ChildIdentity): boolean {
  return processes.identify(pid)?.startTime === startTime
}
