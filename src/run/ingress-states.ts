/**
 * How far each ingress thread has come on its way to the end, from what it says to main.
 *
 *   reading --all of a replay was read--> finished --phase DRAIN--> stopped --finish--> closed
 *      '-------------------------- phase DRAIN -----------------------^
 *
 * Used by pipeline.ts, which waits until all of them have come so far.
 */
import type { FromIngress } from '../kafka/ingress-messages.ts'

export class IngressStates {
  readonly #count: number
  readonly #finished = new Set<number>()
  readonly #stopped = new Set<number>()
  readonly #closed = new Set<number>()

  constructor(count: number) {
    this.#count = count
  }

  note({ kind, ingressIndex }: FromIngress): void {
    if (kind === 'finished') this.#finished.add(ingressIndex)
    else if (kind === 'stopped') this.#stopped.add(ingressIndex)
    else if (kind === 'closed') this.#closed.add(ingressIndex)
  }

  /** Nobody waits for an answer of the dead. */
  noteDeath(ingressIndex: number): void {
    this.#stopped.add(ingressIndex)
    this.#closed.add(ingressIndex)
  }

  /** Of a replay: everything that was asked for went into slots. */
  get haveFinished(): boolean {
    return this.#finished.size === this.#count
  }

  /** They fetch no more. */
  get haveStopped(): boolean {
    return this.#stopped.size === this.#count
  }

  /** They have left their group. */
  get haveClosed(): boolean {
    return this.#closed.size === this.#count
  }
}
