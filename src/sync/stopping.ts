/**
 * How a child comes to its end, one's own and that of an earlier sync process: told to drain, given
 * its time, and killed when that is over. Nothing is started before it is gone.
 */
import type { Clock } from '../core/clock.ts'
import type { Child } from './child.ts'
import type { ChildIdentity } from './home.ts'
import { isRunning, type Processes } from './processes.ts'

const LOOK_EVERY_MS = 100
/** A killed process is gone at once, unless the kernel holds it in a call. */
const KILLED_MS = 5000

interface StopDependencies {
  readonly clock: Clock
  /** How long it may drain before it is killed. */
  readonly drainMs: number
  readonly log: (level: 'info' | 'warn' | 'error', message: string) => void
}

interface OrphanDependencies extends StopDependencies {
  readonly processes: Processes
  /** Told when there is one to wait for. */
  readonly onWait: () => void
}

export async function childGone(
  child: Child,
  { clock, drainMs, log }: StopDependencies,
): Promise<void> {
  child.terminate()
  const cancel = clock.after(drainMs, () => {
    log('warn', `the child did not drain within ${drainMs} ms and is killed`)
    child.kill()
  })
  await child.exited
  cancel()
}

/** The end of its stdin has told it to drain; it has as long as any other child. */
export async function orphanGone(
  orphan: ChildIdentity,
  { clock, processes, drainMs, log, onWait }: OrphanDependencies,
): Promise<void> {
  if (!isRunning(processes, orphan)) return
  log('info', `waiting for process ${orphan.pid}, the child of an earlier sync, to drain`)
  onWait()
  processes.signal(orphan, 'SIGTERM')
  const startMs = clock.monotonicMs()
  let killed = false
  while (isRunning(processes, orphan)) {
    const waitedMs = clock.monotonicMs() - startMs
    if (waitedMs > drainMs && !killed) {
      log('warn', `process ${orphan.pid} did not drain within ${drainMs} ms and is killed`)
      processes.signal(orphan, 'SIGKILL')
      killed = true
    }
    if (waitedMs > drainMs + KILLED_MS) return
    await new Promise<void>((resolve) => void clock.after(LOOK_EVERY_MS, resolve))
  }
}
