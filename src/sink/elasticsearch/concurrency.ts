/**
 * Limits the number and size of requests in flight: additive increase, multiplicative decrease.
 *
 *   up      one more after each full round of answers that were neither rejected nor slow, and only
 *           if the limit was in use: idleness proves nothing
 *   down    rejected documents (429): to 3/4, or to half if most were rejected;
 *           no answer in time: half, and half the bytes;
 *           slow (the round trip, or the server's own time in it, above twice its long-term mean):
 *           no increase. Above 60 % of the timeout: to 3/4, before it becomes a timeout
 *
 * The timeout grows, up to ES_TIMEOUT_MAX_MS: to twice the time of an answer, and to twice itself
 * if documents of a timed-out request turn out to be written when they are sent again. It shrinks
 * slowly. While no request at all is answered in time, it doubles as well, in case patience helps;
 * the first answer ends that.
 *
 * A round of requests causes only one decrease, because the requests in flight at a decrease
 * reflect the state before it. The size recovers by a sixteenth of ES_BULK_BYTES per good answer,
 * up to the limit learnt from a 413; that limit doubles after each LEARNT_MS without another 413.
 */
import assert from 'node:assert/strict'

export interface ConcurrencyBounds {
  readonly requestsMax: number
  readonly bytesMax: number
  readonly timeoutMs: number
  readonly timeoutMaxMs: number
}

export interface Observation {
  readonly startedMs: number
  readonly endedMs: number
  /** The server's own time; 0 when it did not say. */
  readonly tookMs: number
  readonly documentCount: number
  readonly byteCount: number
  /** Documents refused with 429, of documentCount. */
  readonly rejectedCount: number
  /** All that the limit allowed was in flight when it was sent. */
  readonly wasAtLimit: boolean
}

/** A request smaller than this is not worth its overhead. */
const BYTES_MIN = 64 * 1024
/** Requests to start with: enough to use one node, few enough to harm none. */
const REQUESTS_START = 2
/** Weight of one round trip in the long-term mean: some fifty requests. */
const MEAN_WEIGHT = 0.02
const SLOW_RATIO = 2
const TIMEOUT_SHARE = 0.6
/** The share of a raised timeout that remains after each answer: half after some 140. */
const TIMEOUT_DECAY = 0.995
/** A server's or a proxy's limit is changed by people: one request a minute finds out. */
const LEARNT_MS = 60_000
/** Milliseconds below which a round trip is never called slow: a timer's grain. */
const SLOW_MS_MIN = 20

export class Concurrency {
  readonly #bounds: ConcurrencyBounds
  #limit: number
  #bytes: number
  /** What 413 has taught: bytes that are too many. */
  #bytesLearnt = Infinity
  readonly #roundTrip = new Mean()
  readonly #took = new Mean()
  /** The time-out that answers have taught, and the one that is in use. */
  #timeoutLearntMs: number
  #timeoutMs: number
  #tooLargeMs = -Infinity
  /** Requests that started before this saw the state before the last cut. */
  #cutMs = -1

  constructor(bounds: ConcurrencyBounds) {
    assert(bounds.requestsMax >= 1)
    this.#bounds = bounds
    this.#limit = Math.min(REQUESTS_START, bounds.requestsMax)
    this.#bytes = bounds.bytesMax
    this.#timeoutLearntMs = bounds.timeoutMs
    this.#timeoutMs = bounds.timeoutMs
  }

  /** Requests that may be in flight now. */
  get limit(): number {
    return Math.max(1, Math.floor(this.#limit))
  }

  /** How long to wait for the next answer. */
  get timeoutMs(): number {
    return this.#timeoutMs
  }

  /** Bytes that a request may hold now; a single larger document goes alone. */
  get bytes(): number {
    return Math.min(this.#bytes, this.#bytesLearnt)
  }

  answered(seen: Observation): void {
    const roundTripMs = seen.endedMs - seen.startedMs
    const isSlowTrip = this.#roundTrip.isSlow(roundTripMs)
    const isSlow = this.#took.isSlow(seen.tookMs) || isSlowTrip
    const nearTimeout = roundTripMs > this.#timeoutMs * TIMEOUT_SHARE
    this.#learnTimeout(Math.max(this.#timeoutLearntMs * TIMEOUT_DECAY, roundTripMs * 2))
    if (seen.byteCount > this.#bytesLearnt) this.#bytesLearnt = seen.byteCount
    if (seen.endedMs - this.#tooLargeMs > LEARNT_MS) {
      this.#bytesLearnt *= 2
      this.#tooLargeMs = seen.endedMs
    }
    if (seen.rejectedCount > 0) {
      const most = seen.rejectedCount * 2 > seen.documentCount
      this.#cut(seen.startedMs, seen.endedMs, most ? 0.5 : 0.75)
      return
    }
    this.#bytes = Math.min(this.#bounds.bytesMax, this.#bytes + this.#bounds.bytesMax / 16)
    if (nearTimeout) this.#cut(seen.startedMs, seen.endedMs, 0.75)
    else if (seen.wasAtLimit && !isSlow) {
      this.#limit = Math.min(this.#bounds.requestsMax, this.#limit + 1 / this.#limit)
    }
  }

  /** A whole request was refused with 429. */
  refused(startedMs: number, nowMs: number): void {
    this.#cut(startedMs, nowMs, 0.5)
    this.#bytes = Math.max(BYTES_MIN, this.#bytes / 2)
  }

  /** Documents that were sent with that time-out and got no answer are there all the same. */
  arrivedLate(timeoutMs: number): void {
    this.#learnTimeout(Math.max(this.#timeoutLearntMs, timeoutMs * 2))
  }

  #learnTimeout(wantedMs: number): void {
    const { timeoutMs, timeoutMaxMs } = this.#bounds
    this.#timeoutLearntMs = Math.max(timeoutMs, Math.min(timeoutMaxMs, wantedMs))
    this.#timeoutMs = this.#timeoutLearntMs
  }

  /** Nothing was answered in time since then: wait longer for the next. */
  beMorePatient(): void {
    const { timeoutMs, timeoutMaxMs } = this.#bounds
    this.#timeoutMs = Math.max(timeoutMs, Math.min(timeoutMaxMs, this.#timeoutMs * 2))
  }

  /** No answer in time. */
  timedOut(startedMs: number, nowMs: number): void {
    if (startedMs > this.#cutMs) this.#bytes = Math.max(BYTES_MIN, this.#bytes / 2)
    this.#cut(startedMs, nowMs, 0.5)
  }

  /** The connection broke: perhaps because a proxy hangs up on large requests. */
  broken(): void {
    this.#bytes = Math.max(BYTES_MIN, this.#bytes / 2)
  }

  /** A request of this size was too large. */
  tooLarge(byteCount: number, nowMs: number): void {
    this.#tooLargeMs = nowMs
    this.#bytesLearnt = Math.min(this.#bytesLearnt, Math.max(1, Math.floor(byteCount / 2)))
  }

  #cut(startedMs: number, nowMs: number, factor: number): void {
    if (startedMs <= this.#cutMs) return
    this.#limit = Math.max(1, this.#limit * factor)
    this.#cutMs = nowMs
  }
}

/** A long-term mean of milliseconds. */
class Mean {
  #meanMs = 0

  /** Whether a value is far above the mean of those before it; takes it in. */
  isSlow(valueMs: number): boolean {
    const before = this.#meanMs
    this.#meanMs = before === 0 ? valueMs : before + (valueMs - before) * MEAN_WEIGHT
    return before > 0 && valueMs > Math.max(SLOW_MS_MIN, before * SLOW_RATIO)
  }
}
