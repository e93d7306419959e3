/**
 * Tracks whether requests succeed at all, and if none does, why.
 *
 * ```
 * UP --three failures in a row on every node--------> DOWN ---+
 * UP --a request is refused for who we are----------> HALTED -+--anything goes well--> UP
 * UP --three requests in a row refused as too many--> BUSY ---+
 * ```
 *
 * Failures count only while no other request succeeds: otherwise the documents are at fault
 * (retries.ts). Unless the state is UP, the writer probes with one small request at a time, at
 * growing intervals and with fewer documents each time, down to one: even if some documents make
 * their request fail, others show that the cluster works. A server that does not answer in time is
 * UP but slow (concurrency.ts); `trouble` says so from the first such request until an answer, and
 * the writer looks beside the requests that wait.
 *
 * A server may also ask for a pause (Retry-After).
 */
import { backoffMs, type BackoffTimes } from '../../core/backoff.ts'
import type { TroubleKind } from '../../core/trouble.ts'
import { PROBE_TIMES } from './settings.ts'

export type HealthState = 'up' | 'busy' | 'down' | 'halted'

/** Failures in a row after which a node counts as down, or all as busy. */
const FAILURES_MAX = 3
/** Documents of the first request that only asks whether the cluster is back. */
const PROBE_DOCUMENTS_MAX = 100

const KINDS = {
  busy: 'elasticsearch_busy',
  down: 'elasticsearch_down',
  halted: 'elasticsearch_refused',
} as const
const TROUBLES = { busy: 'is busy', down: 'is down', halted: 'rejects requests' } as const

export class Health {
  readonly #nodeCount: number
  readonly #random: () => number
  readonly #times: BackoffTimes
  readonly #failures = new Map<string, number>()
  #busyCount = 0
  #state: HealthState = 'up'
  #trouble: string | null = null
  #probes = 0
  #nextProbeMs = 0
  #pausedUntilMs = -Infinity
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

  /** Nobody takes documents: they go to the spill. A busy or slow server takes them later. */
  get isAway(): boolean {
    return this.#state === 'down' || this.#state === 'halted'
  }

  /** Up, but the last requests were not answered in time. */
  get isSlow(): boolean {
    return this.#state === 'up' && this.#timeoutCount > 0
  }

  /** The problem, in one line; null while it is up and answers. */
  get trouble(): string | null {
    if (this.#trouble !== null || this.#timeoutCount === 0) return this.#trouble
    const times = this.#timeoutCount === 1 ? '' : ` (${this.#timeoutCount} times in a row)`
    return `Elasticsearch is slow: ${this.#timeoutMessage}${times}`
  }

  /** Which kind of trouble that is. */
  get troubleKind(): TroubleKind {
    return this.#state === 'up' ? 'elasticsearch_slow' : KINDS[this.#state]
  }

  /** Before this nothing is sent: a pause that the server asked for, or until the next look. */
  get nextSendMs(): number {
    return this.#state === 'up'
      ? this.#pausedUntilMs
      : Math.max(this.#pausedUntilMs, this.#nextProbeMs)
  }

  /** How many documents the next look may hold. */
  get probeDocuments(): number {
    return Math.max(1, PROBE_DOCUMENTS_MAX >> Math.max(0, this.#probes - 1))
  }

  /** An answer that shows a working server. */
  succeeded(node: string): void {
    this.#failures.delete(node)
    this.#busyCount = 0
    this.#state = 'up'
    this.#trouble = null
    this.#probes = 0
    this.#timeoutCount = 0
  }

  /** The server asks to be left alone so long. */
  pause(untilMs: number): void {
    this.#pausedUntilMs = Math.max(this.#pausedUntilMs, untilMs)
  }

  /** No answer in time: the server may still do the work. */
  timedOut(message: string, nowMs: number): void {
    this.#timeoutCount++
    this.#timeoutMessage = message
    // A look that is not answered was one.
    if (this.#state !== 'up') this.#leave(this.#state, message, nowMs)
  }

  /** No usable answer from a node. */
  failed(node: string, message: string, nowMs: number): void {
    const count = (this.#failures.get(node) ?? 0) + 1
    this.#failures.set(node, count)
    const isDown =
      this.#failures.size >= this.#nodeCount &&
      [...this.#failures.values()].every((failures) => failures >= FAILURES_MAX)
    if (isDown || this.#state !== 'up') this.#leave('down', message, nowMs)
  }

  /** A request was refused as one too many. */
  busy(message: string, nowMs: number): void {
    this.#failures.clear()
    this.#busyCount++
    if (this.#busyCount >= FAILURES_MAX || this.#state !== 'up') this.#leave('busy', message, nowMs)
  }

  /** The request was rejected because of the credentials, or because of the request itself. */
  refused(node: string, message: string, nowMs: number): void {
    this.#failures.delete(node)
    this.#leave('halted', message, nowMs)
  }

  #leave(state: Exclude<HealthState, 'up'>, message: string, nowMs: number): void {
    // Requests in flight when it went down all fail now; only a probe counts as one.
    const isNew = this.#state === 'up' || nowMs >= this.#nextProbeMs
    this.#state = state
    this.#trouble = `Elasticsearch ${TROUBLES[state]}: ${message}`
    if (!isNew) return
    this.#probes++
    this.#nextProbeMs = nowMs + backoffMs(this.#times, this.#probes, this.#random())
  }
}
