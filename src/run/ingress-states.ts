/**
 * How far each ingress thread has come on its way to the end, from what it says to main.
 *
 *   reading --all of a replay was read--> finished --phase DRAIN--> stopped --finish--> closed
 *      '-------------------------- phase DRAIN -----------------------^
 *
 * Used by pipeline.ts, which waits until all of them have come so far.
 */
import type { FromIngress, WaitingPartition } from '../kafka/ingress-messages.ts'

export class IngressStates {
  readonly #count: number
  readonly #finished = new Set<number>()
  readonly #stopped = new Set<number>()
  readonly #closed = new Set<number>()
  readonly #unreachable = new Set<number>()
  readonly #waiting = new Map<number, readonly WaitingPartition[]>()
  #isMember = false

  constructor(count: number) {
    this.#count = count
  }

  note(message: FromIngress): void {
    const { kind, ingressIndex } = message
    if (kind === 'reachable') {
      if (message.isReachable) this.#unreachable.delete(ingressIndex)
      else this.#unreachable.add(ingressIndex)
    } else if (kind === 'waiting') {
      this.#isMember = true
      this.#waiting.set(ingressIndex, message.partitions)
    } else if (kind === 'assign' || kind === 'standby') this.#isMember = true
    else if (kind === 'finished') this.#finished.add(ingressIndex)
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

  /**
   * Whether the group has answered, and a broker answers all of them, as far as they know; and the
   * partitions of which brokers have not said enough to read them.
   */
  kafka(): {
    readonly isMember: boolean
    readonly canReachKafka: boolean
    readonly waiting: readonly WaitingPartition[]
  } {
    const waiting = [...this.#waiting.values()].flat().filter(({ problem }) => problem !== null)
    return { isMember: this.#isMember, canReachKafka: this.#unreachable.size === 0, waiting }
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
