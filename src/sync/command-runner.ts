/**
 * Carries out the orders that come with a heartbeat's answer, each once, one after another.
 *
 * `tail` goes to the child, which answers with samples of its own accord. The others are
 * sub-commands of the same program, run beside the child in its home and environment.
 */
import type { Clock } from '../core/clock.ts'
import type { Command } from './assignment.ts'
import { exitText, type Exit } from './child.ts'

export interface CommandResult {
  readonly id: string
  readonly ok: boolean
  readonly result: unknown
}

/** Runs a sub-command of logpipe; what it printed comes line by line. */
export type RunTool = (
  pipelineId: number,
  args: readonly string[],
  onLine: (line: string) => void,
  timeoutMs: number,
) => Promise<Exit>

/** As many as a heartbeat may bring, and then some that came twice. */
const IDS_MAX = 1000
const WAITING_MAX = 32
const RESULTS_MAX = 32
/** The control plane keeps 64 KiB. */
const OUTPUT_CHARS_MAX = 60_000
/** A check asks Kafka and Elasticsearch; a replay sends many documents. */
const TOOL_MS_MAX = 600_000
/** How dead letters are named; nothing that could be read as a flag. */
const LETTER_ID = /^[A-Za-z0-9_][A-Za-z0-9_.:@/-]{0,255}$/

export class CommandRunner {
  readonly #clock: Clock
  readonly #runTool: RunTool
  readonly #sendToChild: (command: unknown) => boolean
  readonly #seen = new Set<string>()
  readonly #waiting: Command[] = []
  #results: CommandResult[] = []
  #busy = false

  constructor(clock: Clock, runTool: RunTool, sendToChild: (command: unknown) => boolean) {
    this.#clock = clock
    this.#runTool = runTool
    this.#sendToChild = sendToChild
  }

  /** Takes orders in; those known are ignored. */
  accept(commands: readonly Command[]): void {
    for (const command of commands) {
      if (this.#seen.has(command.id) || this.#waiting.length >= WAITING_MAX) continue
      this.#seen.add(command.id)
      const oldest = this.#seen.values().next()
      if (this.#seen.size > IDS_MAX && oldest.done !== true) this.#seen.delete(oldest.value)
      this.#waiting.push(command)
    }
    if (!this.#busy) void this.#work()
  }

  /** What is finished and not yet reported. */
  results(): readonly CommandResult[] {
    return this.#results
  }

  /** These have arrived at the control plane. */
  reported(results: readonly CommandResult[]): void {
    this.#results = this.#results.filter((result) => !results.includes(result))
  }

  async #work(): Promise<void> {
    this.#busy = true
    for (let command = this.#waiting.shift(); command; command = this.#waiting.shift()) {
      const leftMs = command.expiresMs - this.#clock.wallMs()
      if (!(leftMs > 0)) continue
      const done = await this.#perform(command, Math.min(leftMs, TOOL_MS_MAX))
      this.#results = [...this.#results, { id: command.id, ...done }].slice(-RESULTS_MAX)
    }
    this.#busy = false
  }

  async #perform(
    { kind, args, pipelineId, id }: Command,
    timeoutMs: number,
  ): Promise<Pick<CommandResult, 'ok' | 'result'>> {
    if (kind === 'tail') {
      const ok = this.#sendToChild({ id, kind, ...args })
      return { ok, result: ok ? {} : { message: 'no pipeline is running here' } }
    }
    const toolArgs = argumentsOf(kind, args)
    if (toolArgs === undefined) return { ok: false, result: { message: `unknown: ${kind}` } }
    const lines: string[] = []
    let room = OUTPUT_CHARS_MAX
    const onLine = (line: string): void => {
      if (line.length < room) lines.push(line)
      room -= line.length + 1
    }
    const exit = await this.#runTool(pipelineId, toolArgs, onLine, timeoutMs)
    const message = exit.error ?? (exit.signal === null ? undefined : exitText(exit))
    return {
      ok: exit.code === 0,
      result: {
        status: exit.code,
        ...(message === undefined ? {} : { message }),
        ...parsed(lines),
      },
    }
  }
}

function argumentsOf(kind: string, args: Readonly<Record<string, unknown>>): string[] | undefined {
  const { limit, ids } = args
  const limitArgs = typeof limit === 'number' ? ['--limit', String(Math.trunc(limit))] : []
  switch (kind) {
    case 'check':
      return ['check']
    case 'dlq-list':
      return ['dlq', 'ls', '--json', ...limitArgs]
    case 'dlq-replay': {
      const list = Array.isArray(ids) ? ids.map(String) : []
      return list.every((each) => LETTER_ID.test(each))
        ? ['dlq', 'replay', ...limitArgs, ...list]
        : undefined
    }
    default:
      return undefined
  }
}

/** One JSON value where the output is one; else its lines. */
function parsed(lines: readonly string[]): { readonly output: unknown } {
  try {
    return { output: JSON.parse(lines.join('\n')) as unknown }
  } catch {
    // Text for people, as errors are.
    return { output: lines }
  }
}
