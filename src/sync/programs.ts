/**
 * The program in a pipeline's home: its child, and beside that the sub-commands for check, for dead
 * letters, for a filter to try and for the drain of a spill.
 *
 * A sub-command has its time. When that is over, or when nobody waits for it any more, it is told
 * to end, which it does after the request it is in; killed is only what does not.
 */
import type { Clock } from '../core/clock.ts'
import { FILTER_VARIABLES } from '../options/remote-options.ts'
import type { Assignment } from './assignment.ts'
import { startedBy, type Child, type ChildEvents, type Exit, type SpawnChild } from './child.ts'
import { launchOf, type LaunchSettings } from './launch.ts'

export interface ProgramDependencies {
  readonly clock: Clock
  readonly spawn: SpawnChild
  /** The home of a pipeline. @throws LogpipeError SYNC when there can be none. */
  readonly folderOf: (pipelineId: number) => string
  readonly warn: (message: string) => void
}

export interface ToolCall {
  readonly args: readonly string[]
  /** Told each line that it prints. */
  readonly onLine: (line: string) => void
  readonly timeoutMs: number
  readonly stop?: AbortSignal
}

/** The same pipeline with another filter, and maybe on another topic (TRY_VARIABLES). */
export function withFilter(
  assignment: Assignment,
  filter: Readonly<Record<string, string>>,
): Assignment {
  const others = Object.entries(assignment.variables).filter(
    ([name]) => !FILTER_VARIABLES.has(name),
  )
  return { ...assignment, variables: { ...Object.fromEntries(others), ...filter } }
}

/** Between being told to end and being killed. */
const END_MS = 10_000
/** Of a failed drain, in the heartbeat. */
const FAILURE_LINES_MAX = 5
const SPILL_DRAIN_MS = 300_000

export class Programs {
  readonly #settings: LaunchSettings
  readonly #deps: ProgramDependencies
  #warned: string | null = null

  constructor(settings: LaunchSettings, dependencies: ProgramDependencies) {
    this.#settings = settings
    this.#deps = dependencies
  }

  /** Starts it with these arguments. */
  start(assignment: Assignment, args: readonly string[], events: ChildEvents): Child {
    const { spawn, folderOf, warn } = this.#deps
    return startedBy(() => {
      const folder = folderOf(assignment.pipelineId)
      const launch = launchOf(this.#settings, assignment, folder, args)
      // Once, and not again by each check of the same.
      if (launch.withheld !== null && launch.withheld !== this.#warned) warn(launch.withheld)
      this.#warned = launch.withheld
      return spawn(launch, events)
    })
  }

  /** Runs a sub-command to its end. */
  async runTool(assignment: Assignment, call: ToolCall): Promise<Exit> {
    const { clock } = this.#deps
    const { args, onLine, timeoutMs, stop } = call
    const tool = this.start(assignment, args, { onLine, onReply: () => undefined })
    let why: string | undefined
    let cancelKill = (): void => undefined
    const end = (reason: string): void => {
      if (why !== undefined) return
      why = reason
      tool.terminate()
      cancelKill = clock.after(END_MS, () => tool.kill())
    }
    const cancelEnd = clock.after(timeoutMs, () => end(`it did not exit within ${timeoutMs} ms`))
    const onStop = (): void => end('it was stopped')
    stop?.addEventListener('abort', onStop, { once: true })
    if (stop?.aborted === true) onStop()
    const exit = await tool.exited
    cancelEnd()
    cancelKill()
    stop?.removeEventListener('abort', onStop)
    return exit.code === 0 ? exit : { ...exit, error: exit.error ?? why ?? null }
  }

  /** Drains the spill of a pipeline, reporting progress; false: not everything was sent. */
  async drainSpill(
    assignment: Assignment,
    stop: AbortSignal,
    report: (message: string) => void,
  ): Promise<boolean> {
    const spill = `the spill of pipeline ${assignment.pipelineId}`
    const lines: string[] = []
    // The last ones say why it failed; what comes before is progress.
    const onLine = (line: string): void => {
      lines.push(line)
      if (lines.length > FAILURE_LINES_MAX) lines.shift()
      report(`sending ${spill} first: ${line}`)
    }
    const call = { args: ['spill', 'drain'], onLine, timeoutMs: SPILL_DRAIN_MS, stop }
    const exit = await this.runTool(assignment, call)
    if (exit.code === 0) return true
    report(`cannot drain ${spill}: ${lines.join('; ') || (exit.error ?? 'it failed')}`)
    return false
  }
}
