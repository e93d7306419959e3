/**
 * Which revision of each pipeline has run well last, by what its workers say: the one that a worker
 * goes back to when it has none of its own, because it is new to the pipeline or was restarted.
 *
 * Bound: one entry for each worker that runs something, WORKERS_MAX at most.
 */
import type { Clock } from '../core/clock.ts'
import { WORKERS_MAX } from './fleet.ts'
import type { PipelineStore } from './pipeline-store.ts'
import type { Heartbeat } from './worker-schemas.ts'

/** As long as sync itself wants to see a child alive. */
const RAN_WELL_MS = 30_000

interface Running {
  readonly pipelineId: number
  readonly revision: number
  readonly sinceMs: number
}

export class GoodRevisions {
  readonly #pipelines: PipelineStore
  readonly #clock: Clock
  readonly #running = new Map<string, Running>()

  constructor(pipelines: PipelineStore, clock: Clock) {
    this.#pipelines = pipelines
    this.#clock = clock
  }

  hear(workerId: string, heartbeat: Heartbeat): void {
    const { state, pipelineId, revision, error } = heartbeat
    const known = this.#running.get(workerId)
    if (state !== 'running' || pipelineId === null || revision === null || error !== null) {
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
