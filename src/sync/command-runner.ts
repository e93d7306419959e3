/**
 * Carries out the orders that come with a heartbeat's answer, each once, one after another.
 *
 * `tail` goes to the child, which answers with samples of its own accord. The others are
 * sub-commands of the same program, run beside the child in its home and environment.
 */
import type { Clock } from '../core/clock.ts'
import { isRemoteVariable, TRY_VARIABLES } from '../options/remote-options.ts'
import type { Command } from './assignment.ts'
import { exitText, type Exit } from './child.ts'

export interface CommandResult {
  readonly id: string
  readonly ok: boolean
  readonly result: unknown
}

export interface Tool {
  readonly args: readonly string[]
  /** In place of the pipeline's own filter; null: with that. */
  readonly filter: Readonly<Record<string, string>> | null
}

/** Runs a sub-command of logpipe; what it printed comes line by line. */
export type RunTool = (
  pipelineId: number,
  tool: Tool,
  onLine: (line: string) => void,
  timeoutMs: number,
) => Promise<Exit>

/** As many as a heartbeat may bring, and then some that came twice. */
const IDS_MAX = 1000
const WAITING_MAX = 32
const RESULTS_MAX = 32
/** Of one heartbeat, which the control plane refuses where it holds too much. */
const REPORT_CHARS_MAX = 2 * 65_536
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
  readonly #onResult: () => void
  readonly #seen = new Set<string>()
  readonly #waiting: Command[] = []
  #results: CommandResult[] = []
  #busy = false

  /** @param onResult there is something to report. */
  constructor(
    clock: Clock,
    runTool: RunTool,
    sendToChild: (command: unknown) => boolean,
    onResult: () => void = () => undefined,
  ) {
    this.#onResult = onResult
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

  /** What is finished and not yet reported, as much as one heartbeat carries. */
  results(): readonly CommandResult[] {
    let room = REPORT_CHARS_MAX
    const isFull = (result: CommandResult) => (room -= JSON.stringify(result).length) < 0
    const end = this.#results.findIndex(isFull)
    return end === -1 ? this.#results : this.#results.slice(0, Math.max(1, end))
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
      // Somebody waits for the result of a tool; that of a tail is what the child sends.
      if (command.kind !== 'tail') this.#onResult()
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
    const tool = toolOf(kind, args)
    if (tool === undefined) return { ok: false, result: { message: `unknown: ${kind}` } }
    const lines: string[] = []
    let room = OUTPUT_CHARS_MAX
    const onLine = (line: string): void => {
      if (line.length < room) lines.push(line)
      room -= line.length + 1
    }
    const exit = await this.#runTool(pipelineId, tool, onLine, timeoutMs)
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

function toolOf(kind: string, args: Readonly<Record<string, unknown>>): Tool | undefined {
  const { limit, ids, variables } = args
  const limitArgs = typeof limit === 'number' ? ['--limit', String(Math.trunc(limit))] : []
  const plain = (...words: readonly string[]): Tool => ({ args: words, filter: null })
  switch (kind) {
    case 'check':
      return plain('check')
    case 'dlq-list':
      return plain('dlq', 'ls', '--json', ...limitArgs)
    case 'dlq-replay': {
      const list = Array.isArray(ids) ? ids.map(String) : []
      return list.every((each) => LETTER_ID.test(each))
        ? plain('dlq', 'replay', ...limitArgs, ...list)
        : undefined
    }
    case 'try': {
      const filter = filterIn(variables)
      return filter === null ? undefined : { args: TRY_ARGUMENTS, filter }
    }
    default:
      return undefined
  }
}

/** Nothing but the result on its output, where warnings would come between. */
const TRY_ARGUMENTS = ['try', '--each', '--json', '--log-level', 'error']

/** Null: there is something in it that does not belong to a try. */
function filterIn(variables: unknown): Tool['filter'] {
  const pairs = Object.entries(Object(variables) as Readonly<Record<string, unknown>>)
  const filter = pairs.filter(
    (pair): pair is [string, string] =>
      typeof pair[1] === 'string' &&
      TRY_VARIABLES.has(pair[0]) &&
      isRemoteVariable(pair[0], pair[1]),
  )
  return filter.length === pairs.length ? Object.fromEntries(filter) : null
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
