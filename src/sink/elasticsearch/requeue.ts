/**
 * What becomes of documents that were not written: they wait and are sent again, wait in a lane,
 * are sent in halves, or are dead-lettered.
 */
import assert from 'node:assert/strict'
import type { Clock } from '../../core/clock.ts'
import { LogpipeError } from '../../core/errors.ts'
import { RETRY_TIMES, backoffMs } from './backoff.ts'
import type { DeadLetter, DeadLetters } from './outlets.ts'
import type { Lane } from './lane.ts'
import { countOf, detached, partOf, type Parcel } from './parcel.ts'
import { halvesOf, requestOf, type BulkRequest } from './request.ts'
import type { Schedule } from './schedule.ts'
import type { Refusal, VerdictActions } from './verdicts.ts'

export interface RequeueParts {
  readonly clock: Clock
  readonly random: () => number
  readonly schedule: Schedule
  readonly deadLetters: DeadLetters | null
  readonly fail: (error: Error) => void
}

export class Requeue implements VerdictActions {
  readonly #parts: RequeueParts
  readonly #schedule: Schedule
  #isStopped = false
  retryCount = 0

  constructor(parts: RequeueParts) {
    this.#parts = parts
    this.#schedule = parts.schedule
  }

  /** Dead letters that become durable after this settle nothing: they are read again. */
  stop(): void {
    this.#isStopped = true
  }

  /** Sends these documents again, later each time. */
  retry(parcel: Parcel): void {
    const tries = parcel.tries + 1
    this.retryCount += countOf(parcel)
    const delayMs = backoffMs(RETRY_TIMES, tries, this.#parts.random())
    // Once is chance and soon over; who is refused again may wait for minutes.
    const waiting = tries > 1 ? detached(parcel) : parcel
    this.#schedule.retryAt({ ...waiting, tries }, this.#nowMs + delayMs)
  }

  /** Sends a request's documents again; those of a look at a lane go back to their lane. */
  again(request: BulkRequest): void {
    const { lane } = request
    if (lane === null) {
      for (const parcel of request.parcels) this.retry(parcel)
      return
    }
    for (const parcel of request.parcels) lane.line.unshift(parcel)
    this.#schedule.lanes.postpone(lane, this.#nowMs)
  }

  /** Sends the same request again, alone, with what is suspected of it. */
  suspect(request: BulkRequest, goodCount: number): void {
    if (request.documentCount > 1 || request.lane !== null) return this.again(request)
    this.retryCount++
    const parcels = request.parcels.map((parcel) => ({ ...parcel, tries: parcel.tries + 1 }))
    const tries = parcels[0]?.tries ?? 1
    const dueMs = this.#nowMs + backoffMs(RETRY_TIMES, tries, this.#parts.random())
    this.#schedule.sendExactly(requestOf(parcels, null, request.suspectSince ?? goodCount), dueMs)
  }

  /** Sends both halves of a request, each by itself. */
  split(request: BulkRequest, suspectSince: number | null): void {
    const { lane } = request
    if (lane !== null) {
      // A look at a lane is small; its documents find out by themselves who is to blame.
      this.#schedule.lanes.postpone(lane, this.#nowMs)
    }
    this.retryCount += request.documentCount
    for (const parcels of halvesOf(request)) {
      this.#schedule.sendExactly(requestOf(parcels, null, suspectSince), this.#nowMs)
    }
  }

  hold(parcel: Parcel, refusal: Refusal): void {
    const { lanes } = this.#schedule
    // The items of a range have one reason, but may ask for several indices.
    for (let from = parcel.from; from < parcel.to;) {
      const index = parcel.load.indexOf(from)
      let to = from + 1
      while (to < parcel.to && parcel.load.indexOf(to) === index) to++
      const part = { ...partOf(parcel, from, to), tries: parcel.tries + 1 }
      const reason = `${refusal.status} ${refusal.errorType}: ${refusal.reason}`.slice(0, 200)
      if (!lanes.hold(index, part, reason, this.#nowMs)) this.retry(part)
      from = to
    }
  }

  /** What waited in a lane goes back to the queue. */
  releaseLane(lane: Lane): void {
    for (const parcel of this.#schedule.lanes.release(lane)) {
      this.#schedule.retryAt(parcel, this.#nowMs)
    }
  }

  deadLetterAll(request: BulkRequest, refusal: Refusal): void {
    for (const parcel of request.parcels) this.deadLetter(parcel, refusal)
    if (request.lane !== null) this.#schedule.lanes.postpone(request.lane, this.#nowMs)
  }

  deadLetter(parcel: Parcel, refusal: Refusal): void {
    const { deadLetters, fail } = this.#parts
    const letters = lettersOf(parcel, refusal)
    if (deadLetters === null) {
      fail(refusedError(letters[0]!))
      return
    }
    deadLetters.put(letters).then(
      () => {
        if (!this.#isStopped) parcel.load.settle(parcel.from, parcel.to, 'dead_lettered')
      },
      // It names the store, the letter's size and the cause.
      (error: unknown) => fail(error instanceof Error ? error : assert.fail(String(error))),
    )
  }

  get #nowMs(): number {
    return this.#parts.clock.monotonicMs()
  }
}

function lettersOf(parcel: Parcel, refusal: Refusal): DeadLetter[] {
  const letters: DeadLetter[] = []
  for (let index = parcel.from; index < parcel.to; index++) {
    letters.push({
      reason: refusal.reason,
      errorType: refusal.errorType,
      status: refusal.status,
      index: parcel.load.indexOf(index),
      ...parcel.load.originOf(index),
      payload: parcel.load.documentOf(index),
    })
  }
  return letters
}

function refusedError(letter: DeadLetter): LogpipeError {
  const { topic, partition, offset, status, errorType, reason, index } = letter
  return new LogpipeError(
    'ES_REFUSED',
    `Elasticsearch refused the record at ${topic}-${partition} offset ${offset} for the index ` +
      `${index}, and will again (${status} ${errorType}: ${reason.slice(0, 300)}). ` +
      'Give it a place with --dlq, or mend the mapping or the pipeline',
  )
}
