/**
 * Backpressure of the pool on an ingress thread: whether it stalls or pauses its partitions.
 *
 *   flowing --no slot--> stalled --stallPauseMs--> paused
 *      ^--------- a slot ---'                        |
 *      '------------- a quarter of the slots free ---'
 *
 * Pausing throws away what librdkafka has fetched (up to 256 MiB), so a short stall must not pause;
 * yet a consumer that is not polled for max.poll.interval.ms loses its partitions, so a long one
 * must.
 */
import assert from 'node:assert/strict'
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
  check(): boolean {
    const { consumer, stallPauseMs, nowMs, send } = this.#options
    assert(!this.#paused || this.#sinceMs !== undefined, 'a pause is part of a stall')
    this.#sinceMs ??= nowMs()
    if (!this.#paused && nowMs() - this.#sinceMs >= stallPauseMs) {
      consumer.pause(this.#membership.assignmentIds())
      this.#paused = true
      send({ kind: 'paused' })
    }
    return this.#paused
  }

  /** There was a slot. */
  end(): void {
    assert(!this.#paused || this.#sinceMs !== undefined, 'a pause is part of a stall')
    this.#sinceMs = undefined
    if (!this.#paused) return
    const { consumer, send } = this.#options
    consumer.resume(this.#membership.resumable())
    this.#paused = false
    send({ kind: 'resumed' })
  }
}

/*
 * Whether any broker can be reached. librdkafka says when the last connection has gone, which is no
 * more than a hint, for one that was only lost is back at once; and it does not say when one is
 * back. So brokers are asked, once a second, until one answers.
 *
 * Bound. One request of PROBE_MS_MAX a second, while there is nothing to read anyway.
 */

const PROBE_MS_MAX = 200
/** Unanswered probes in a row after which brokers count as unreachable. */
const UNANSWERED_MAX = 2

type Options = Pick<IngressOptions, 'consumer' | 'send'>

export class Reachability {
  readonly #options: Options
  #isDown = false
  /** Probes without an answer since the last connection went; null: nothing is doubted. */
  #unanswered: number | null = null

  constructor(options: Options) {
    this.#options = options
  }

  /** @param code librdkafka's name of an error of the client. */
  recordError(code: string): void {
    if (code === '_ALL_BROKERS_DOWN') this.#unanswered ??= 0
  }

  /** Once a second. */
  check(): void {
    const before = this.#unanswered
    if (before === null) return
    try {
      this.#options.consumer.metadata(null, PROBE_MS_MAX)
      this.#unanswered = null
    } catch {
      // None answers yet; the client's events say why.
      this.#unanswered = before + 1
    }
    assert(this.#unanswered === null || this.#unanswered > 0, 'a broker was asked')
    const isDown = (this.#unanswered ?? 0) >= UNANSWERED_MAX
    if (isDown === this.#isDown) return
    this.#isDown = isDown
    this.#report()
  }

  #report(): void {
    const { send } = this.#options
    send({ kind: 'reachable', isReachable: !this.#isDown })
  }
}
