/**
 * The parts behind the routes, made and tied together: who orders what of whom, and who hears of a
 * heartbeat. control.ts puts them on a socket; tests do without.
 */
import { type Clock, onceIn } from '../core/clock.ts'
import { AuditLog } from './audit.ts'
import { workersOf } from './command-routes.ts'
import { CommandQueue } from './commands.ts'
import { BooksStore } from './books-store.ts'
import type { ControlContext } from './control-context.ts'
import type { ControlDatabase } from './database.ts'
import { EsCollector, type Fetch } from './es-collector.ts'
import { Fleet, SILENT_POLLS_MAX, WORKERS_MAX, type Heartbeat } from './fleet.ts'
import { History, HistoryStore } from './history.ts'
import { LogRates } from './log-rates.ts'
import { type FieldOption, PipelineFields } from './pipeline-fields.ts'
import { PipelineStore } from './pipeline-store.ts'
import { TAIL_RENEW_MS, TailHub } from './tail.ts'
import { WorkerStore } from './worker-store.ts'

export interface WiringDependencies {
  readonly clock: Clock
  /** Every option, with its parser. */
  readonly options: readonly FieldOption[]
  readonly fetch: Fetch
  readonly log: (level: 'info' | 'warn' | 'error', message: string) => void
}

const STRAY_LINE_MS = 60_000

/** @param report is told of what should not have happened. */
export function contextOf(
  settings: { readonly runtimeMetricsPath: string | undefined },
  { clock, options, fetch, log }: WiringDependencies,
  { db, box }: Pick<ControlDatabase, 'db' | 'box'>,
  report: (error: unknown) => void,
): ControlContext {
  const commands = new CommandQueue(clock)
  const pipelines = new PipelineStore(db, box)
  const books = new BooksStore(db, clock)
  const history = new History(new HistoryStore(db), clock)
  const logRates = new LogRates(clock)
  const order = (workerId: string, pipelineId: number, kind: 'check' | 'tail'): void => {
    const tailMs = 2 * TAIL_RENEW_MS
    const more =
      kind === 'tail' ? { args: { seconds: tailMs / 1000 }, expiryMs: tailMs } : { args: {} }
    commands.offer({ workerId, pipelineId, kind, ...more })
  }
  const fleet = new Fleet(pipelines, new WorkerStore(db), clock, {
    onAssigned: (workerId, pipelineId) => order(workerId, pipelineId, 'check'),
    // New ids cost a holder of the workers' token nothing, and must fill no log.
    onStray: onceIn(clock, STRAY_LINE_MS, (count, workerId: string, pipelineId: number) => {
      const more = count === 1 ? '' : `; ${count - 1} more workers since the last`
      const what = `worker ${workerId} reports pipeline ${pipelineId}, which it does not run`
      log('warn', `${what}; ignoring its reports${more}`)
    }),
  })
  const goodRevisions = new GoodRevisions(pipelines, fleet, clock)
  const tail = new TailHub(clock, (pipelineId) => {
    for (const id of workersOf({ fleet }, pipelineId)) order(id, pipelineId, 'tail')
  })
  return {
    clock,
    fields: new PipelineFields(options),
    pipelines,
    audit: new AuditLog({ db, clock, pipelines, log: (line) => log('info', line), report }),
    fleet,
    commands,
    tail,
    history,
    logRates,
    books,
    elasticsearch: new EsCollector(fetch, clock),
    runtimeMetricsPath: settings.runtimeMetricsPath,
    check(pipelineId) {
      for (const id of workersOf({ fleet }, pipelineId)) order(id, pipelineId, 'check')
    },
    pipelineDeleted(pipelineId) {
      fleet.pipelineDeleted(pipelineId)
      books.pipelineDeleted(pipelineId)
    },
    report,
    onHeartbeat(workerId, heartbeat, entries) {
      const { pipelineId, metrics, pollMs } = heartbeat
      try {
        goodRevisions.hear(workerId, heartbeat)
      } catch (error) {
        // A full disk, say: the worker must be heard all the same.
        report(error)
      }
      history.record(workerId, pipelineId, metrics, SILENT_POLLS_MAX * pollMs)
      logRates.record(workerId, pipelineId, metrics, SILENT_POLLS_MAX * pollMs)
      if (pipelineId !== null) tail.publish(pipelineId, workerId, entries)
    },
  }
}

/*
 * Which revision of each pipeline has run well last, by what its workers say: the one that a worker
 * goes back to when it has none of its own, because it is new to the pipeline or was restarted.
 *
 * A worker vouches for what it is sent just now, no more: by naming any other revision it could
 * have others go back to one that somebody had reason to leave.
 *
 * Bound: one entry for each worker that runs something, WORKERS_MAX at most.
 */

/** As long as sync itself wants to see a child alive. */
const RAN_WELL_MS = 30_000

interface Running {
  readonly pipelineId: number
  readonly revision: number
  readonly sinceMs: number
}

class GoodRevisions {
  readonly #pipelines: PipelineStore
  readonly #fleet: Fleet
  readonly #clock: Clock
  readonly #running = new Map<string, Running>()

  constructor(pipelines: PipelineStore, fleet: Fleet, clock: Clock) {
    this.#pipelines = pipelines
    this.#fleet = fleet
    this.#clock = clock
  }

  hear(workerId: string, { state, pipelineId, revision, error }: Heartbeat): void {
    const known = this.#running.get(workerId)
    const isSent =
      pipelineId !== null &&
      pipelineId === this.#fleet.assignment(workerId) &&
      revision === this.#pipelines.get(pipelineId)?.revision
    if (state !== 'running' || !isSent || revision === null || error !== null) {
      this.#running.delete(workerId)
      return
    }
    const nowMs = this.#clock.monotonicMs()
    if (known?.pipelineId !== pipelineId || known.revision !== revision) {
      this.#running.delete(workerId)
      this.#running.set(workerId, { pipelineId, revision, sinceMs: nowMs })
      const oldest = this.#running.keys().next()
      if (this.#running.size > WORKERS_MAX && oldest.done !== true) {
        this.#running.delete(oldest.value)
      }
    } else if (nowMs - known.sinceMs >= RAN_WELL_MS) this.#pipelines.setGood(pipelineId, revision)
  }
}
