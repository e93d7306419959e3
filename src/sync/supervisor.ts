/**
 * Keeps one child running: the one that was last asked for, or the one before if that will not run.
 *
 *   idle --want--> starting --> running --want another / want none--> stopping --> (again)
 *                     |            |
 *                     +--- exit ---+--> backoff --> starting
 *                                          \--> crash_loop (CRASHES_MAX in a row)
 *
 * One loop does everything, one step after another, so there are never two children: a new one is
 * started only after the exit of the old one was seen, its predecessor's across a restart of sync
 * included (by pid and start time; its stdin has ended, so it drains by itself).
 *
 * A revision that crashes CRASHES_MAX times without once running for HEALTHY_MS, or refuses its
 * options, has failed: the last one that ran healthily runs in its place until another is asked
 * for. Without one it is tried again for ever, at the longest pause.
 */
import { backoffMs, type BackoffTimes } from '../core/backoff.ts'
import { type Clock, sleep } from '../core/clock.ts'
import { messageOf } from '../core/errors.ts'
import type { MetricsSnapshot } from '../core/metrics-snapshot.ts'
import { runsTheSame, type Assignment } from './assignment.ts'
import { exitText, type Child, type ChildEvents, type Exit } from './child.ts'
import type { ChildIdentity, Home, SavedState } from './home.ts'
import { LeftoverSpill, type DrainSpill } from './leftovers.ts'
import { type Processes, isRunning } from './processes.ts'

type SupervisorState = 'idle' | 'starting' | 'running' | 'stopping' | 'backoff' | 'crash_loop'

interface SupervisorStatus {
  /** Between crashes one word, `backoff` or `crash_loop`, until a child has read something. */
  readonly state: SupervisorState
  readonly pid: number | null
  readonly pipelineId: number | null
  readonly revision: number | null
  readonly failedRevision: number | null
  readonly error: { readonly message: string; readonly lines: readonly string[] } | null
}

interface SupervisorDependencies {
  readonly clock: Clock
  readonly home: Home
  readonly processes: Processes
  readonly start: (assignment: Assignment, events: ChildEvents) => Child
  /** Names the spill in which documents of it may lie alone; null: there is none. */
  readonly spillOf: (assignment: Assignment) => string | null
  readonly drainLeftovers: DrainSpill
  readonly onReply: (reply: unknown) => void
  readonly log: (level: 'info' | 'warn' | 'error', message: string) => void
  /** How long a child may drain before it is killed. */
  readonly drainMs: number
}

interface Run {
  readonly child: Child
  /** Replaced by a later revision that is the same for the child. */
  assignment: Assignment
  exit: Exit | undefined
  readonly startedMs: number
}

/** Alive for so long, a child counts as running. */
const STARTED_MS = 2000
/** Of its time, and of how long the child had run then. */
const SNAPSHOT_ROUNDING_MS = 500
/** Alive for so long, its revision has shown that it works. */
export const HEALTHY_MS = 30_000
const CRASHES_MAX = 5
/** One child, on a machine of its own: nobody else comes back at the same moment. */
const AGAIN: BackoffTimes = { firstMs: 1000, maxMs: 60_000 }
const againMs = (failureCount: number): number => backoffMs(AGAIN, failureCount, 1)
/** logpipe's exit status for wrong options: trying again changes nothing. */
const EXIT_USAGE = 2

export class Supervisor {
  readonly leftovers: LeftoverSpill
  readonly #deps: SupervisorDependencies
  readonly #done: Promise<void>
  #wanted: Assignment | null = null
  /** Whether anybody has said what shall run: until then what was left is left alone. */
  #isTold = false
  /** Ran for HEALTHY_MS. */
  #good: Assignment | null = null
  /** Will not run; #good runs in its place. */
  #failed: Assignment | null = null
  #drainFailures = 0
  /** The child of an earlier sync process, until it is gone. */
  #orphan: ChildIdentity | null
  #state: SupervisorState = 'idle'
  #running: Run | null = null
  #crashCount = 0
  /** What it is between crashes; null: none, or a child has read something since. */
  #afterCrashes: 'backoff' | 'crash_loop' | null = null
  #crashedMs = 0
  #error: SupervisorStatus['error'] = null
  readonly #closing = new AbortController()
  #wake: (() => void) | undefined

  /** @param saved what an earlier sync process left: its child must end first. */
  constructor(
    dependencies: SupervisorDependencies,
    saved: Pick<SavedState, 'child' | 'leftovers'>,
  ) {
    this.#deps = dependencies
    this.leftovers = new LeftoverSpill(dependencies.drainLeftovers, saved.leftovers)
    this.#orphan = saved.child
    this.#done = this.#loop()
  }

  /** Says what shall run from now on; null: nothing. */
  want(assignment: Assignment | null): void {
    const before = this.#wanted
    const isFirst = !this.#isTold
    this.#isTold = true
    if (before === null && assignment === null) {
      if (isFirst) this.#wake?.()
      return
    }
    const same = before !== null && assignment !== null && runsTheSame(before, assignment)
    if (same && before.revision === assignment.revision) return
    this.#wanted = assignment
    // A revision that changes nothing for the child is taken over, with what is known of it.
    if (!same) {
      this.#crashCount = 0
      this.#afterCrashes = null
      this.#failed = null
      this.#error = null
    } else if (this.#failed !== null) this.#failed = assignment
    this.#save()
    if (this.#takesOver(assignment)) this.leftovers.interrupt()
    this.#wake?.()
  }

  /** Answers what the leftovers ask for; null: nobody has them any more. */
  giveSecrets(secrets: Assignment['secrets'] | null): void {
    if (!this.leftovers.giveSecrets(secrets)) return
    this.#save()
    this.#wake?.()
  }

  status(): SupervisorStatus {
    const shown = this.#running?.assignment ?? null
    return {
      state: this.#shownState,
      pid: this.#running?.child.pid ?? null,
      pipelineId: shown?.pipelineId ?? null,
      revision: shown?.revision ?? null,
      failedRevision: this.#failed?.revision ?? null,
      error: this.#error,
    }
  }

  /**
   * Takes in a snapshot of metrics: a child that has read something has left its crashes behind.
   * One of an earlier child, which may lie there still, began before this one.
   */
  noteSnapshot({ atMs, metrics }: Pick<MetricsSnapshot, 'atMs' | 'metrics'>): void {
    if (this.#running === null || !((metrics['polled_total'] ?? 0) > 0)) return
    const beganMs = atMs - (metrics['uptime_seconds'] ?? 0) * 1000
    if (beganMs >= this.#running.startedMs - SNAPSHOT_ROUNDING_MS) this.#afterCrashes = null
  }

  /** When the last child crashed, as long as none has read anything since; null: none did. */
  get crashedMs(): number | null {
    return this.#afterCrashes === null ? null : this.#crashedMs
  }

  get #shownState(): SupervisorState {
    const isTrying = this.#state === 'starting' || this.#state === 'running'
    return isTrying ? (this.#afterCrashes ?? this.#state) : this.#state
  }

  /** Passes a command on to the child; false when none can take it. */
  send(command: unknown): boolean {
    return this.#running?.child.send(command) ?? false
  }

  /** Stops the child, draining it. Afterwards nothing runs. */
  async close(): Promise<void> {
    this.#closing.abort()
    this.#wake?.()
    await this.#done
  }

  async #loop(): Promise<void> {
    if (this.#orphan !== null) {
      await orphanGone(this.#orphan, { ...this.#deps, onWait: () => (this.#state = 'stopping') })
      this.#orphan = null
    }
    while (!this.#closed) {
      const target = this.#target()
      const leftId = this.leftovers.pipelineId
      if (!this.#isTold || (target === null && leftId === null)) {
        this.#state = 'idle'
        await this.#woken()
      } else if (leftId !== null && !this.#takesOver(target)) {
        await this.#drain()
      } else if (target !== null) {
        const exit = await this.#runOnce(target)
        if (exit !== undefined) await this.#afterCrash(target, exit)
      }
    }
    this.#state = 'idle'
  }

  /** What shall run now. */
  #target(): Assignment | null {
    return this.#failed !== null && this.#good !== null ? this.#good : this.#wanted
  }

  /** Whether a child of this would send what is left, rather than refuse it. */
  #takesOver(target: Assignment | null): boolean {
    const left = this.leftovers.held?.assignment
    const spill = target === null ? null : this.#deps.spillOf(target)
    return left !== undefined && spill !== null && spill === this.#deps.spillOf(left)
  }

  /** Runs a child until it exits (its exit) or is not wanted any more (undefined). */
  async #runOnce(target: Assignment): Promise<Exit | undefined> {
    const { clock, start, onReply, log } = this.#deps
    this.#state = 'starting'
    log('info', `starting pipeline ${target.pipelineId}, revision ${target.revision}`)
    const onLine = (line: string): void => log('info', `child: ${line.replace(/^logpipe: /, '')}`)
    const child = start(target, { onLine, onReply })
    const run: Run = { child, assignment: target, exit: undefined, startedMs: clock.wallMs() }
    this.#running = run
    this.leftovers.hold(this.#deps.spillOf(target) === null ? null : target)
    this.#save()
    const cancels = [
      clock.after(STARTED_MS, () => (this.#state = 'running')),
      clock.after(HEALTHY_MS, () => this.#isHealthy(run.assignment)),
    ]
    const exited = child.exited.then((exit) => (run.exit = exit))
    while (run.exit === undefined && !this.#closed) {
      const now = this.#target()
      if (now === null || !runsTheSame(now, run.assignment)) break
      run.assignment = now
      await Promise.race([exited, this.#woken()])
    }
    for (const cancel of cancels) cancel()
    const { exit } = run
    if (exit === undefined) {
      this.#state = 'stopping'
      await childGone(child, this.#deps)
    } else this.#error = { message: exitText(exit), lines: child.lastLines() }
    this.#running = null
    this.#save()
    return exit
  }

  #isHealthy(assignment: Assignment): void {
    this.#good = assignment
    this.#crashCount = 0
    this.#afterCrashes = null
    if (this.#failed === null) this.#error = null
  }

  async #afterCrash(target: Assignment, exit: Exit): Promise<void> {
    this.#deps.log('error', `pipeline ${target.pipelineId}: ${exitText(exit)}`)
    const now = this.#target()
    if (now === null || !runsTheSame(now, target)) return
    this.#crashCount = exit.code === EXIT_USAGE ? CRASHES_MAX : this.#crashCount + 1
    const isLoop = this.#crashCount >= CRASHES_MAX
    const good = this.#good?.pipelineId === now.pipelineId ? this.#good : now.fallback
    if (isLoop && good !== null && !runsTheSame(good, now)) {
      const { log } = this.#deps
      log('error', `revision ${now.revision} keeps failing; rolling back to ${good.revision}`)
      this.#good = good
      this.#failed = now
      this.#crashCount = 0
      this.#afterCrashes = null
      return
    }
    const delayMs = isLoop ? AGAIN.maxMs : againMs(this.#crashCount)
    this.#crashedMs = this.#deps.clock.wallMs()
    this.#afterCrashes = isLoop ? 'crash_loop' : 'backoff'
    await this.#pause(this.#afterCrashes, delayMs)
  }

  /** Waits, or until something else is wanted. */
  async #pause(state: SupervisorState, delayMs: number): Promise<void> {
    this.#state = state
    const woken = this.#woken()
    const cancel = this.#deps.clock.after(delayMs, () => this.#wake?.())
    await woken
    cancel()
  }

  async #drain(): Promise<void> {
    this.#state = 'stopping'
    const report = (message: string): void => void (this.#error = { message, lines: [] })
    const lacking = this.leftovers.lacksSecretsOf
    if (lacking !== null) {
      report(`the spill of pipeline ${lacking} waits for its passwords from the control plane`)
      await this.#woken()
      this.#error = null
      return
    }
    const outcome = await this.leftovers.send(this.#closing.signal, report)
    if (outcome === 'failed') return this.#pause('stopping', againMs(++this.#drainFailures))
    this.#error = null
    this.#drainFailures = 0
    this.#save()
  }

  get #closed(): boolean {
    return this.#closing.signal.aborted
  }

  #identity(): ChildIdentity | null {
    if (this.#orphan !== null) return this.#orphan
    const pid = this.#running?.child.pid
    return pid === undefined ? null : (this.#deps.processes.identify(pid) ?? null)
  }

  /** Without it a restart of sync knows less, but the child need not suffer. */
  #save(): void {
    try {
      const child = this.#identity()
      this.#deps.home.save({ assignment: this.#wanted, child, leftovers: this.leftovers.held })
    } catch (error) {
      this.#deps.log('error', messageOf(error))
    }
  }

  async #woken(): Promise<void> {
    if (this.#closed) return
    await new Promise<void>((resolve) => {
      this.#wake = resolve
    })
    this.#wake = undefined
  }
}

/*
 * How a child comes to its end, one's own and that of an earlier sync process: told to drain, given
 * its time, and killed when that is over. Nothing is started before it is gone.
 */

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

async function childGone(child: Child, { clock, drainMs, log }: StopDependencies): Promise<void> {
  child.terminate()
  const cancel = clock.after(drainMs, () => {
    log('warn', `the child did not drain within ${drainMs} ms; killing it`)
    child.kill()
  })
  await child.exited
  cancel()
}

/** The end of its stdin has told it to drain; it has as long as any other child. */
async function orphanGone(
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
      log('warn', `process ${orphan.pid} did not drain within ${drainMs} ms; killing it`)
      processes.signal(orphan, 'SIGKILL')
      killed = true
    }
    if (waitedMs > drainMs + KILLED_MS) return
    await sleep(clock, LOOK_EVERY_MS)
  }
}
