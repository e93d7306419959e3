/**
 * The sync worker: calls the control plane, and keeps running what it was told.
 *
 * A heartbeat goes out every WORKER_POLL_MS; while the control plane is away the child runs on and
 * the calls go on. A restart of sync takes the saved assignment up again at once, unless it had
 * secrets, which are not on disk: then it waits for the control plane.
 */
import { randomUUID } from 'node:crypto'
import path from 'node:path'
import type { Clock } from '../core/clock.ts'
import { ERROR_CHARS_MAX, TAIL_ENTRIES_MAX } from '../core/control-api.ts'
import { LogpipeError, messageOf } from '../core/errors.ts'
import type { LogMetric } from '../core/log-metric.ts'
import { type MetricsSnapshot, readMetricsSnapshot } from '../core/metrics-snapshot.ts'
import type { LiveBooks } from '../core/live-books.ts'
import { type Trouble, troubleText, TROUBLES_MAX } from '../core/trouble.ts'
import { WORKER_ID } from '../core/worker-wire.ts'
import type { Fault } from '../metrics/metrics-server.ts'
import type { Assignment, Orders } from './assignment.ts'
import type { SpawnChild } from './child.ts'
import { CommandRunner } from './command-runner.ts'
import { ControlClient, type Fetch } from './control-client.ts'
import { Home, type LockFile } from './home.ts'
import { SNAPSHOT_NAME, spillOf, type LaunchSettings } from './launch.ts'
import type { Processes } from './processes.ts'
import { Programs, withFilter } from './programs.ts'
import { LetterCount } from './letter-count.ts'
import { Supervisor } from './supervisor.ts'
import { WorkerBooks } from './worker-books.ts'

export interface SyncSettings extends LaunchSettings {
  readonly controlPlaneUrl: string
  readonly workerId: string
  readonly workerToken: string | undefined
  readonly pollMs: number
  /** Holds WORKER_ID/; `data` by default. */
  readonly dataFolder: string
  /** How long a child may drain; a little more than its own deadline. */
  readonly drainMs: number
  readonly version: string
  /** Where the dead letters of a pipeline with this home are; null: not in a file. */
  readonly lettersOf: (folder: string) => string | null
}

export interface SyncDependencies {
  readonly clock: Clock
  readonly lockFile: LockFile
  readonly fetch: Fetch
  readonly spawn: SpawnChild
  readonly processes: Processes
  readonly log: (level: 'info' | 'warn' | 'error', message: string) => void
}

export interface RunningSync {
  /** The control plane's address, as it is called. */
  readonly address: string
  /** How it stands now, for probes and Prometheus. */
  view(): Promise<SyncView>
  /** What is down. A pipeline goes on while the control plane is away. */
  faults(): readonly Fault[]
  /** Calls with this token from now on; undefined: with none. */
  useToken(workerToken: string | undefined): void
  /** Drains and stops the child, and says goodbye. May be called again. */
  close(): Promise<void>
}

interface SyncView {
  readonly workerId: string
  /** Null: it has nothing to run. */
  readonly pipelineId: number | null
  /** The numbers of its child's snapshot; none without a fresh one. */
  readonly metrics: Readonly<Record<string, number>>
  /** What keeps its pipeline from its work. */
  readonly troubles: readonly Trouble[]
  /** What it counts from its records. */
  readonly logMetrics: readonly LogMetric[]
  /** Over all children that it has had of this pipeline; null: none has told any. */
  readonly books: LiveBooks | null
}

/** @throws LogpipeError USAGE for a wrong worker id, LOCKED or SYNC for its folder. */
export async function startSync(
  settings: SyncSettings,
  dependencies: SyncDependencies,
): Promise<RunningSync> {
  if (!WORKER_ID.test(settings.workerId)) {
    throw new LogpipeError(
      'USAGE',
      'WORKER_ID: expected letters, digits, dots, dashes and underscores, starting with a ' +
        `letter or digit; got ${JSON.stringify(settings.workerId)}`,
    )
  }
  const home = new Home(settings.dataFolder, settings.workerId, dependencies.lockFile)
  const agent = new Agent(settings, dependencies, home)
  let closing: Promise<void> | undefined
  return {
    address: settings.controlPlaneUrl,
    view: () => agent.view(),
    faults: () => agent.faults(),
    useToken: (workerToken) => agent.useToken(workerToken),
    close: async () => (closing ??= agent.close()),
  }
}

class Agent {
  readonly #settings: SyncSettings
  readonly #deps: SyncDependencies
  readonly #home: Home
  readonly #client: ControlClient
  readonly #supervisor: Supervisor
  readonly #commands: CommandRunner
  readonly #tail = new TailBuffer()
  readonly #books: WorkerBooks
  #letters: { readonly pipelineId: number; readonly count: LetterCount } | null = null
  readonly #instance = randomUUID()
  readonly #abort = new AbortController()
  readonly #done: Promise<void>
  #token: string | undefined
  #assignment: Assignment | null = null
  /** Why the last orders were not taken. */
  #refusal: string | null = null
  /** The control plane does not answer. */
  #isAway = false
  #wake: (() => void) | undefined

  constructor(settings: SyncSettings, dependencies: SyncDependencies, home: Home) {
    this.#settings = settings
    this.#deps = dependencies
    this.#home = home
    this.#token = settings.workerToken
    const { clock, fetch, spawn, processes, log } = dependencies
    this.#client = new ControlClient(
      {
        url: settings.controlPlaneUrl,
        workerId: settings.workerId,
        token: () => this.#token,
        secret: home.secret(),
        // Silent for five polls is lost: a call must not take longer than that.
        timeoutMs: Math.max(1000, Math.min(5 * settings.pollMs, 10_000)),
      },
      fetch,
    )
    this.#books = new WorkerBooks((pipelineId) => home.pathOf(pipelineId))
    const saved = home.read()
    // What its last child counted last may be unheard.
    if (saved.assignment !== null) this.#beginBooks(saved.assignment.pipelineId)
    const folderOf = (pipelineId: number): string => home.pipelineFolder(pipelineId)
    const warn = (message: string): void => log('warn', message)
    const programs = new Programs(settings, { clock, spawn, folderOf, warn })
    this.#supervisor = new Supervisor(
      {
        clock,
        home,
        processes,
        log,
        drainMs: settings.drainMs,
        start: (assignment, events) => {
          this.#beginBooks(assignment.pipelineId)
          return programs.start(assignment, ['run'], events)
        },
        spillOf: (assignment) => spillOf(settings, assignment),
        drainLeftovers: async (assignment, stop, report) =>
          programs.drainSpill(assignment, stop, report),
        onReply: (reply) => this.#tail.accept(reply),
      },
      saved,
    )
    this.#commands = new CommandRunner(
      clock,
      async (pipelineId, { args, filter }, onLine, timeoutMs) => {
        const own = this.#assignment
        if (own?.pipelineId !== pipelineId) {
          return { code: null, signal: null, error: 'this worker now runs another pipeline' }
        }
        const given = filter === null ? own : withFilter(own, filter)
        return await programs.runTool(given, { args, onLine, timeoutMs })
      },
      (command) => this.#supervisor.send(command),
      () => this.#wake?.(),
    )
    if (saved.assignment !== null && !saved.hadSecrets) this.#accept(saved.assignment)
    this.#done = this.#poll()
  }

  async view(): Promise<SyncView> {
    const { pipelineId } = this.#supervisor.status()
    const { metrics, troubles, logMetrics } = await this.#snapshot(pipelineId)
    const shown = pipelineId ?? this.#assignment?.pipelineId ?? null
    const { workerId } = this.#settings
    const reports = this.#books.reports(pipelineId)
    const books = reports.find(({ pipeline_id: id }) => id === shown)?.entries ?? null
    return { workerId, pipelineId: shown, metrics, troubles, logMetrics, books }
  }

  useToken(workerToken: string | undefined): void {
    this.#token = workerToken
  }

  faults(): readonly Fault[] {
    const isWrong = this.#supervisor.status().error !== null
    return [
      ...(this.#isAway ? (['control'] as const) : []),
      ...(isWrong ? (['pipeline'] as const) : []),
    ]
  }

  async close(): Promise<void> {
    // Calls go on while it drains: a silent worker would be taken for lost.
    await this.#supervisor.close()
    this.#abort.abort()
    this.#wake?.()
    await this.#done
    try {
      // The control plane need not wait for silence to give the pipeline to another worker.
      await this.#client.heartbeat(await this.#body('exiting'), new AbortController().signal)
    } catch (error) {
      this.#deps.log(
        'warn',
        `cannot tell the control plane that this worker ends: ${messageOf(error)}`,
      )
    }
    this.#home.close()
  }

  async #poll(): Promise<void> {
    while (!this.#abort.signal.aborted) {
      await this.#beat()
      if (this.#abort.signal.aborted) return
      await new Promise<void>((resolve) => {
        const cancel = this.#deps.clock.after(this.#settings.pollMs, resolve)
        this.#wake = () => {
          cancel()
          resolve()
        }
      })
    }
  }

  async #beat(): Promise<void> {
    const results = this.#commands.results()
    const heard = this.#books.hearing()
    try {
      const body = await this.#body(null)
      const orders = await this.#client.heartbeat({ ...body, results }, this.#abort.signal)
      heard(body.books, body.pipeline_id)
      this.#commands.reported(results)
      this.#follow(orders)
      this.#commands.accept(orders.commands)
      if (this.#isAway) this.#deps.log('info', 'the control plane answers again')
      this.#isAway = false
    } catch (error) {
      // Once for each absence; what runs goes on running.
      if (!this.#isAway && !this.#abort.signal.aborted) this.#deps.log('warn', messageOf(error))
      this.#isAway = true
    }
  }

  #follow({ assignment, refusal, refusedPipelineId, leftovers }: Orders): void {
    const asked = this.#supervisor.leftovers.asksSecretsOf
    // An older version never says a word.
    if (asked !== null) this.#giveSecrets(asked, leftovers)
    if (refusal === null) this.#accept(assignment)
    else {
      if (refusal !== this.#refusal) this.#deps.log('error', refusal)
      // What runs is not wanted here any more, though its successor cannot be taken.
      const runs = this.#assignment?.pipelineId
      if (refusedPipelineId !== null && refusedPipelineId !== runs) this.#accept(null)
    }
    this.#refusal = refusal
  }

  #giveSecrets(pipelineId: number, given: Orders['leftovers']): void {
    const isKnown = given?.pipelineId === pipelineId
    if (!isKnown && this.#supervisor.leftovers.lacksSecretsOf !== null) {
      const message =
        `cannot drain the spill of pipeline ${pipelineId} in ` +
        `${this.#home.pathOf(pipelineId)}: the control plane has no passwords for it, because ` +
        'the pipeline was deleted or this worker is new there; send it with ' +
        '`logpipe spill drain`'
      this.#deps.log('error', message)
    }
    this.#supervisor.giveSecrets(isKnown ? given.secrets : null)
  }

  #accept(assignment: Assignment | null): void {
    this.#assignment = assignment
    this.#supervisor.want(assignment)
  }

  /** @param state null: that of the child, by what its snapshot says. */
  async #body(state: string | null) {
    const { pipelineId } = this.#supervisor.status()
    const { metrics, troubles, logMetrics } = await this.#snapshot(pipelineId)
    const status = this.#supervisor.status()
    const reports = this.#books.reports(status.pipelineId)
    const error = this.#refusal === null ? status.error : { message: this.#refusal, lines: [] }
    return {
      state: state ?? status.state,
      pid: status.pid,
      pipeline_id: status.pipelineId,
      revision: status.revision,
      failed_revision: status.failedRevision,
      error: error === null ? null : { ...error, message: error.message.slice(0, ERROR_CHARS_MAX) },
      metrics,
      troubles,
      log_metrics: logMetrics,
      leftovers: this.#supervisor.leftovers.asksSecretsOf,
      leftovers_revision: this.#supervisor.leftovers.asksRevision,
      dead_letters: metrics['dead_letters'] ?? 0,
      books: reports,
      tail: this.#tail.drain(),
      poll_ms: this.#settings.pollMs,
      instance: this.#instance,
      version: this.#settings.version,
    }
  }

  /** Before a child takes the place of the one before. What cannot be kept is said, and no more. */
  #beginBooks(pipelineId: number): void {
    try {
      this.#home.pipelineFolder(pipelineId)
      this.#books.begin(pipelineId)
    } catch (error) {
      this.#deps.log('warn', `the books of pipeline ${pipelineId}: ${messageOf(error)}`)
    }
  }

  /** The metric of the dead letters that lie in the files now; empty: they go elsewhere. */
  async #countLetters(
    pipelineId: number | null,
    folder: string,
  ): Promise<Readonly<Record<string, number>>> {
    const file = this.#settings.lettersOf(folder)
    if (file === null || pipelineId === null) return {}
    if (this.#letters?.pipelineId !== pipelineId) {
      this.#letters = { pipelineId, count: new LetterCount(file) }
    }
    return { dead_letters: await this.#letters.count.look() }
  }

  /** What the child says of itself, and that it has crashed, which it cannot say. */
  async #snapshot(
    pipelineId: number | null,
  ): Promise<Pick<MetricsSnapshot, 'metrics' | 'troubles' | 'logMetrics'>> {
    const folder = pipelineId === null ? null : this.#home.pathOf(pipelineId)
    const take = pipelineId === null ? null : this.#books.reading(pipelineId)
    const found =
      folder === null
        ? undefined
        : await readMetricsSnapshot(path.join(folder, SNAPSHOT_NAME), this.#deps.clock.wallMs())
    if (found !== undefined) this.#supervisor.noteSnapshot(found)
    take?.(found?.books ?? null)
    const letters = folder === null ? {} : await this.#countLetters(pipelineId, folder)
    const metrics = { ...found?.metrics, ...letters }
    const { crashedMs } = this.#supervisor
    const { error } = this.#supervisor.status()
    const own = found?.troubles ?? []
    const logMetrics = found?.logMetrics ?? []
    if (crashedMs === null || error === null) return { metrics, troubles: own, logMetrics }
    const crash: Trouble = {
      kind: 'child_crashed',
      place: null,
      text: troubleText(error.message, (text) => text),
      since: new Date(crashedMs).toISOString(),
    }
    return { metrics, troubles: [crash, ...own].slice(0, TROUBLES_MAX), logMetrics }
  }
}

/*
 * Samples of matches on their way from the child to the next heartbeat. Beyond its bound the oldest
 * go: a tail shows what is new, and is a sample anyway.
 */

/** Somewhat below what the control plane takes. */
const ENTRY_CHARS_MAX = 16_000
/** All of a heartbeat together stays far below its 4 MiB, in UTF-8 too. */
const ALL_CHARS_MAX = 1_000_000

export class TailBuffer {
  #entries: string[] = []

  /** Takes a reply of the child: {"kind": "tail", "entries": [text, ...]}. */
  accept(reply: unknown): void {
    if (typeof reply !== 'object' || reply === null) return
    const { kind, entries } = reply as { readonly kind?: unknown; readonly entries?: unknown }
    if (kind !== 'tail' || !Array.isArray(entries)) return
    for (const entry of entries) {
      if (typeof entry === 'string') this.#entries.push(entry.slice(0, ENTRY_CHARS_MAX))
    }
    this.#entries = this.#entries.slice(-TAIL_ENTRIES_MAX)
  }

  /** What there is, once. */
  drain(): readonly string[] {
    let room = ALL_CHARS_MAX
    const entries = this.#entries.filter((entry) => (room -= entry.length) >= 0)
    this.#entries = []
    return entries
  }
}
