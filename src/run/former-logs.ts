/**
 * Assignments whose log is gone, made anew or cut off while it was read. What they had unsettled of
 * it nobody can read again, so it is sent and booked like any other; only nothing of it is
 * committed, for its offsets say nothing about the new log.
 *
 *   held --the log is gone--> retired --all settled--> closed
 *
 * That the partition is given away meanwhile changes nothing: its new owner has the new log.
 *
 * Used by the coordinator. Bound: one entry for each time that a log was made anew, until what its
 * slots and the output hold is settled.
 */
import type { Ledger } from '../offsets/ledger.ts'
import type { AssignmentState } from './assignments.ts'

export interface FormerLogsOptions {
  readonly ledger: Pick<Ledger, 'retire' | 'close' | 'watermark'>
  /** No slot has anything of these any more. */
  readonly ended: (assignmentIds: readonly number[]) => void
}

export class FormerLogs {
  readonly #options: FormerLogsOptions
  #states: readonly AssignmentState[] = []

  constructor(options: FormerLogsOptions) {
    this.#options = options
  }

  /** @param state an open assignment, its position known. */
  retire(state: AssignmentState): void {
    this.#options.ledger.retire(state.assignmentId)
    this.#states = [...this.#states, state]
    this.tick()
  }

  /** Lets go of those of which everything is settled. */
  tick(): void {
    this.#close((state) => this.#isSettled(state))
  }

  /** Whether all of them are settled; with a state, those of its partition. */
  isSettled(of?: Pick<AssignmentState, 'topic' | 'partition'>): boolean {
    return this.#states.every((state) => {
      const isMeant =
        of === undefined || (state.topic === of.topic && state.partition === of.partition)
      return !isMeant || this.#isSettled(state)
    })
  }

  #isSettled({ assignmentId, position }: AssignmentState): boolean {
    return this.#options.ledger.watermark(assignmentId) >= position
  }

  #close(isOver: (state: AssignmentState) => boolean): void {
    const over = this.#states.filter(isOver)
    if (over.length === 0) return
    this.#states = this.#states.filter((state) => !over.includes(state))
    const ids = over.map((state) => state.assignmentId)
    for (const id of ids) this.#options.ledger.close(id)
    this.#options.ended(ids)
  }
}
