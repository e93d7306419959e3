/**
 * Partitions that are being given back or begun anew: each waits until what was read of it is
 * settled, or its time is up. Used by the coordinator. Bound: one a partition held.
 */

interface Drain {
  readonly ingressIndex: number
  readonly assignmentIds: readonly number[]
  /** Monotonic ms. */
  readonly deadlineMs: number
}

export interface DrainsOptions {
  readonly nowMs: () => number
  readonly isSettled: (assignmentId: number) => boolean
  /** Once for each begin: all is settled, or the time is up. */
  readonly ended: (ingressIndex: number, assignmentIds: readonly number[]) => void
}

export class Drains {
  readonly #options: DrainsOptions
  readonly #drains = new Set<Drain>()

  constructor(options: DrainsOptions) {
    this.#options = options
  }

  begin(ingressIndex: number, assignmentIds: readonly number[], timeoutMs: number): void {
    const drain = { ingressIndex, assignmentIds, deadlineMs: this.#options.nowMs() + timeoutMs }
    this.#drains.add(drain)
    this.#look(drain)
  }

  tick(): void {
    for (const drain of this.#drains) this.#look(drain)
  }

  #look(drain: Drain): void {
    const { nowMs, isSettled, ended } = this.#options
    if (nowMs() < drain.deadlineMs && !drain.assignmentIds.every(isSettled)) return
    this.#drains.delete(drain)
    ended(drain.ingressIndex, drain.assignmentIds)
  }
}
