/**
 * What an ingress thread does while the pool has no slot to give.
 *
 *   flowing --no slot--> stalled --stallPauseMs--> paused
 *      ^--------- a slot ---'                        |
 *      '------------- a quarter of the slots free ---'
 *
 * Pausing throws away what librdkafka has fetched (up to 256 MiB), so a short stall must not pause;
 * yet a consumer that is not polled for max.poll.interval.ms loses its partitions, so a long one
 * must.
 */
import type { IngressOptions } from './ingress-options.ts'
import type { Membership } from './membership.ts'

export class Stall {
  readonly #options: IngressOptions
  readonly #membership: Membership
  /** Since when no slot has been free; undefined while there are some. */
  #sinceMs: number | undefined
  #paused = false

  constructor(options: IngressOptions, membership: Membership) {
    this.#options = options
    this.#membership = membership
  }

  get paused(): boolean {
    return this.#paused
  }

  /**
   * There was no slot. @returns whether the partitions are paused: polling then takes no records.
   */
  look(): boolean {
    const { bridge, consumer, stallPauseMs, ingressIndex, nowMs, send } = this.#options
    this.#sinceMs ??= nowMs()
    if (!this.#paused && nowMs() - this.#sinceMs >= stallPauseMs) {
      bridge.consumerPause(consumer, this.#membership.assignmentIds())
      this.#paused = true
      send({ kind: 'paused', ingressIndex })
    }
    return this.#paused
  }

  /** There was a slot. */
  end(): void {
    this.#sinceMs = undefined
    if (!this.#paused) return
    const { bridge, consumer, ingressIndex, send } = this.#options
    bridge.consumerResume(consumer, this.#membership.resumable())
    this.#paused = false
    send({ kind: 'resumed', ingressIndex })
  }
}
