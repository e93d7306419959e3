/**
 * Whether the cluster takes requests: up, down, or refusing us.
 *
 *   UP --three failures in a row on every node--> DOWN --any answer--> UP
 *   UP --the request is refused for who we are--> HALTED --an answer that is not that--> UP
 *
 * That it wants fewer requests (429) is an answer, too, and left to the backoff; a time-out that a
 * server tells (408) is none.
 *
 * Unless it is up, one small request at a time is sent to look, at growing intervals. A server that
 * does not answer in time is up, and slow (concurrency.ts); when that goes on, it is told.
 */
import { PROBE_TIMES, backoffMs, type BackoffTimes } from './backoff.ts'

export type HealthState = 'up' | 'down' | 'halted'

/** Failures in a row after which a node counts as down. */
const FAILURES_DOWN = 3
/** Requests in a row without an answer in time: some ten seconds with the default time-out. */
const TIMEOUTS_TOLD = 3

export class Health {
  readonly #nodeCount: number
  readonly #random: () => number
  readonly #times: BackoffTimes
  readonly #failures = new Map<string, number>()
  #state: HealthState = 'up'
  #trouble: string | null = null
  #probes = 0
  #nextProbeMs = 0
  /** Requests in a row that were not answered in time. */
  #timeoutCount = 0
  #timeoutMessage = ''

  constructor(nodeCount: number, random: () => number, times: BackoffTimes = PROBE_TIMES) {
    this.#nodeCount = nodeCount
    this.#random = random
    this.#times = times
  }

  get state(): HealthState {
    return this.#state
  }

  /** What is wrong, in one line; null while it is up and answers. */
  get trouble(): string | null {
    if (this.#trouble !== null || this.#timeoutCount < TIMEOUTS_TOLD) return this.#trouble
    return `Elasticsearch is slow: ${this.#timeoutMessage}, ${this.#timeoutCount} times in a row`
  }

  /** When the next look is due; only while it is not up. */
  get nextProbeMs(): number {
    return this.#nextProbeMs
  }

  /** An answer that shows a working server. */
  succeeded(node: string): void {
    this.#failures.delete(node)
    this.#state = 'up'
    this.#trouble = null
    this.#probes = 0
    this.#timeoutCount = 0
  }

  /** No answer in time: it may still do what it was asked. */
  timedOut(message: string): void {
    this.#timeoutCount++
    this.#timeoutMessage = message
  }

  /** No usable answer from a node. */
  failed(node: string, message: string, nowMs: number): void {
    const count = (this.#failures.get(node) ?? 0) + 1
    this.#failures.set(node, count)
    const isDown =
      this.#failures.size >= this.#nodeCount &&
      [...this.#failures.values()].every((failures) => failures >= FAILURES_DOWN)
    if (isDown || this.#state !== 'up') this.#leave('down', message, nowMs)
  }

  /** The request was refused for who we are, or for what was asked. */
  refused(node: string, message: string, nowMs: number): void {
    this.#failures.delete(node)
    this.#leave('halted', message, nowMs)
  }

  #leave(state: HealthState, message: string, nowMs: number): void {
    // Requests that were in flight when it went down all fail now; only a look counts as one.
    const isNew = this.#state === 'up' || nowMs >= this.#nextProbeMs
    this.#state = state
    this.#trouble =
      state === 'down' ? `Elasticsearch is down: ${message}` : `Elasticsearch refuses: ${message}`
    if (!isNew) return
    this.#probes++
    this.#nextProbeMs = nowMs + backoffMs(this.#times, this.#probes, this.#random())
  }
}
