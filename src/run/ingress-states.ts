/**
 * How far each ingress thread has come on its way to the end, from what it says to main.
 *
 *   reading --all of a replay was read--> finished --phase DRAIN--> stopped --finish--> closed
 *      '-------------------------- phase DRAIN -----------------------^
 *
 * Used by pipeline.ts, which waits until all of them have come so far.
 */
import type { FromIngress, StuckPartition, WaitingPartition } from '../kafka/ingress-messages.ts'

/**
 * A refusal is repeated every second while it lasts, and a member that the group no longer counts
 * loses its partitions after session.timeout.ms: one that is older than this is over.
 */
const REFUSAL_MS = 60_000

/** Why a thread reads nothing of its group, or not for long. */
interface GroupFault {
  readonly text: string
  readonly untilMs: number
}

export class IngressStates {
  readonly #count: number
  readonly #nowMs: () => number
  readonly #finished = new Set<number>()
  readonly #stopped = new Set<number>()
  readonly #closed = new Set<number>()
  readonly #unreachable = new Set<number>()
  readonly #stuck = new Map<number, readonly StuckPartition[]>()
  readonly #groupFaults = new Map<number, GroupFault>()
  readonly #waiting = new Map<number, readonly WaitingPartition[]>()
  #hasJoined = false

  constructor(count: number, nowMs: () => number) {
    this.#count = count
    this.#nowMs = nowMs
  }

  note(message: FromIngress): void {
    const { kind, ingressIndex } = message
    this.#noteGroup(message)
    if (kind === 'reachable') {
      if (message.isReachable) this.#unreachable.delete(ingressIndex)
      else this.#unreachable.add(ingressIndex)
    } else if (kind === 'awaitingBroker') this.#unreachable.add(ingressIndex)
    else if (kind === 'opened') this.#unreachable.delete(ingressIndex)
    else if (kind === 'waiting') this.#waiting.set(ingressIndex, message.partitions)
    else if (kind === 'stuck') this.#stuck.set(ingressIndex, message.partitions)
    else if (kind === 'finished') this.#finished.add(ingressIndex)
    else if (kind === 'stopped') this.#stopped.add(ingressIndex)
    else if (kind === 'closed') this.#closed.add(ingressIndex)
  }

  #noteGroup(message: FromIngress): void {
    const { kind, ingressIndex } = message
    if (kind === 'assign' || kind === 'standby' || kind === 'waiting') {
      this.#hasJoined = true
      this.#groupFaults.delete(ingressIndex)
    } else if (kind === 'refused') {
      const text = `the group refuses this process: ${message.code}: ${message.message}`
      this.#groupFaults.set(ingressIndex, { text, untilMs: this.#nowMs() + REFUSAL_MS })
    } else if (kind === 'revoke' && message.lost) {
      const text = 'the group gave the partitions of this process away; it is joining again'
      this.#groupFaults.set(ingressIndex, { text, untilMs: Infinity })
    }
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
   * Whether the group lets all of them read, whether a broker answers, as far as they know, the
   * partitions of which brokers have not said enough to read them, and those that stand still
   * although their log goes on.
   */
  kafka(): {
    readonly groupFault: string | null
    readonly canReachKafka: boolean
    readonly waiting: readonly WaitingPartition[]
    readonly stuck: readonly StuckPartition[]
  } {
    const waiting = [...this.#waiting.values()].flat().filter(({ problem }) => problem !== null)
    return {
      groupFault: this.#groupFault(),
      canReachKafka: this.#unreachable.size === 0,
      waiting,
      stuck: [...this.#stuck.values()].flat(),
    }
  }

  #groupFault(): string | null {
    const faults = [...this.#groupFaults.values()]
    const fault = faults.find(({ untilMs }) => this.#nowMs() < untilMs)
    if (fault !== undefined) return fault.text
    return this.#hasJoined ? null : 'the group has not given this process its partitions yet'
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
