/**
 * Sends what waits and does what the answers say, until every document is settled.
 *
 *             +------------------- again, after a backoff -------------+
 *             v                                                      |
 *   add --> Schedule --next--> request --transport--> reply --answers--> settle, hold, ...
 *
 * Requests in flight and their size follow Concurrency; whether to send at all follows Health. One
 * timer wakes it for whatever is due first; everything else happens when a batch or an answer
 * comes.
 *
 * Bound. What it holds is bounded by the sink; requests in flight by ES_CONCURRENCY_MAX. Tries are
 * not bounded in number, only in rate (backoff.ts).
 */
import assert from 'node:assert/strict'
import type { Clock } from '../../core/clock.ts'
import { BodyBuffers } from './body-buffers.ts'
import { readBulkAnswer, type BulkAnswer } from './bulk-answer.ts'
import type { BulkReply, BulkTransport } from './bulk-transport.ts'
import { Concurrency } from './concurrency.ts'
import { Health } from './health.ts'
import { judge } from './judge.ts'
import { Lanes } from './lane.ts'
import type { LoadBooks } from './load.ts'
import type { Parcel } from './parcel.ts'
import type { DeadLetters, Overflow } from './outlets.ts'
import { Overspill } from './overspill.ts'
import { Requeue } from './requeue.ts'
import { bodyOf, indicesOf, type BulkRequest } from './request.ts'
import { Schedule } from './schedule.ts'
import type { ElasticsearchSettings } from './settings.ts'
import { Targets } from './targets.ts'
import { applyItems, type Refusal } from './verdicts.ts'
import type { Outcome } from '../sink.ts'

export interface WriterParts {
  readonly settings: ElasticsearchSettings
  readonly clock: Clock
  readonly transport: BulkTransport
  /** From 0 up to 1, for jitter. */
  readonly random: () => number
  /** Null: a document that is refused for good ends the run. */
  readonly deadLetters: DeadLetters | null
  /** The spill; null: what does not fit into the queue waits in Kafka. */
  readonly overflow: Overflow | null
  readonly books: LoadBooks
  /** How a document ended that was settled when it went to the spill. */
  readonly leftSpill: (topic: string, partition: number, outcome: Outcome) => void
  /** Whether the memory holds more than this share of its bounds. */
  readonly isAbove: (share: number) => boolean
  /** The writer cannot go on. Called once. */
  readonly fail: (error: Error) => void
}

/** A request under way, and what was true when it left. */
interface Flight {
  readonly request: BulkRequest
  readonly startedMs: number
  readonly wasAtLimit: boolean
}

export class BulkWriter {
  readonly schedule: Schedule
  readonly health: Health
  readonly concurrency: Concurrency
  readonly overspill: Overspill | null
  readonly #parts: WriterParts
  readonly #clock: Clock
  readonly #requeue: Requeue
  readonly #buffers: BodyBuffers
  readonly #targets: Targets
  #inFlight = 0
  /** Requests that a working server has answered. */
  #goodCount = 0
  #isFlushing = false
  #isStopped = false
  #cancelTimer: () => void = () => undefined
  /** Documents refused with 429, and those of whole requests. */
  rejectedCount = 0

  constructor(parts: WriterParts) {
    const { settings, random } = parts
    this.#parts = parts
    this.#clock = parts.clock
    this.#buffers = new BodyBuffers(settings.bulkBytes, settings.concurrencyMax)
    this.#targets = new Targets(parts.transport, parts.clock)
    this.schedule = new Schedule(settings, new Lanes(random))
    this.health = new Health(parts.transport.nodeCount, random)
    this.concurrency = new Concurrency({
      requestsMax: settings.concurrencyMax,
      bytesMax: settings.bulkBytes,
      timeoutMs: settings.timeoutMs,
    })
    this.overspill =
      parts.overflow === null
        ? null
        : new Overspill({
            ...parts,
            overflow: parts.overflow,
            schedule: this.schedule,
            health: this.health,
            wake: () => this.pump(),
          })
    this.#requeue = new Requeue({ ...parts, schedule: this.schedule })
  }

  /** Documents that were sent again, or will be. */
  get retryCount(): number {
    return this.#requeue.retryCount
  }

  /** Takes documents in. */
  add(parcel: Parcel): void {
    this.schedule.fresh.push(parcel)
    this.pump()
  }

  /** From now on requests do not wait to be filled. */
  set isFlushing(isFlushing: boolean) {
    this.#isFlushing = isFlushing
    this.pump()
  }

  /** Sends nothing more; answers that still come are not looked at. */
  stop(): void {
    this.#isStopped = true
    this.#requeue.stop()
    this.overspill?.stop()
    this.#cancelTimer()
  }

  /** Sends what may be sent now, and sets the timer for what may be sent later. */
  pump(): void {
    if (this.#isStopped) return
    this.overspill?.pump()
    for (let request = this.#nextRequest(); request !== null; request = this.#nextRequest()) {
      void this.#send(request)
    }
    this.#setTimer()
  }

  #nextRequest(): BulkRequest | null {
    const nowMs = this.#clock.monotonicMs()
    if (this.#inFlight >= this.#limit) return null
    const bytesMax = this.concurrency.bytes
    if (this.health.state !== 'up') {
      return nowMs >= this.health.nextProbeMs ? this.schedule.probe(bytesMax) : null
    }
    return this.schedule.next({ nowMs, bytesMax, isFlushing: this.#isFlushing })
  }

  get #limit(): number {
    return this.health.state === 'up' ? this.concurrency.limit : 1
  }

  #setTimer(): void {
    this.#cancelTimer()
    this.#cancelTimer = () => undefined
    // Without room for a request the next answer is what wakes us.
    if (this.#inFlight >= this.#limit) return
    const spillMs = this.overspill?.nextMs ?? Infinity
    const waitingMs = this.schedule.nextMs()
    const isUp = this.health.state === 'up' || waitingMs === Infinity
    const dueMs = Math.min(spillMs, isUp ? waitingMs : this.health.nextProbeMs)
    if (dueMs === Infinity) return
    const delayMs = Math.max(0, dueMs - this.#clock.monotonicMs())
    this.#cancelTimer = this.#clock.after(delayMs, () => this.pump())
  }

  async #send(request: BulkRequest): Promise<void> {
    this.#inFlight++
    const learning = this.#targets.learn(indicesOf(request))
    if (learning !== null) await learning
    const flight = {
      request,
      startedMs: this.#clock.monotonicMs(),
      wasAtLimit: this.#inFlight >= this.#limit,
    }
    let buffer: Buffer | null = null
    const body = bodyOf(
      request,
      (byteCount) => (buffer = this.#buffers.take(byteCount)),
      (index) => this.#targets.isDataStream(index),
    )
    const reply = await this.#parts.transport.send(body)
    this.#inFlight--
    if (this.#isStopped) return
    // Who does not account for every document may not have read them: some are still to be sent.
    const isRead = this.#handle(flight, reply)
    if (buffer !== null && isRead) this.#buffers.giveBack(buffer)
    this.pump()
  }

  /** @returns whether the server has accounted for every document. */
  #handle(flight: Flight, reply: BulkReply): boolean {
    const nowMs = this.#clock.monotonicMs()
    const { request, startedMs } = flight
    if (reply.kind === 'timeout') {
      this.concurrency.timedOut(startedMs, nowMs)
      this.health.timedOut(reply.message)
      this.#requeue.again(request)
    } else if (reply.kind === 'unreachable') {
      this.concurrency.broken()
      this.health.failed(reply.node, reply.message, nowMs)
      this.#requeue.again(request)
    } else {
      const answer = readBulkAnswer(reply.status, reply.text, request.documentCount)
      if (answer.kind !== 'refused') {
        this.#answered(flight, reply.node, answer)
        return true
      }
      this.#refused(flight, reply.node, answer)
    }
    return false
  }

  #answered(
    flight: Flight,
    node: string,
    answer: Exclude<BulkAnswer, { readonly kind: 'refused' }>,
  ): void {
    const { request } = flight
    const nowMs = this.#clock.monotonicMs()
    this.#goodCount++
    this.health.succeeded(node)
    let rejectedCount = 0
    let isStillHeld = false
    if (answer.kind === 'written') {
      for (const { load, from, to } of request.parcels) load.settle(from, to, 'indexed')
    } else {
      const overrides = this.#parts.settings.answerOverrides
      const tally = applyItems(request, answer.items, overrides, this.#requeue)
      rejectedCount = tally.rejectedCount
      isStillHeld = tally.heldCount > 0
    }
    this.rejectedCount += rejectedCount
    this.concurrency.answered({
      startedMs: flight.startedMs,
      endedMs: nowMs,
      tookMs: answer.tookMs,
      documentCount: request.documentCount,
      byteCount: request.byteCount,
      rejectedCount,
      wasAtLimit: flight.wasAtLimit,
    })
    if (request.lane === null) return
    if (isStillHeld) this.schedule.lanes.postpone(request.lane, nowMs)
    else this.#requeue.releaseLane(request.lane)
  }

  #refused(
    flight: Flight,
    node: string,
    answer: Extract<BulkAnswer, { readonly kind: 'refused' }>,
  ): void {
    const { request, startedMs } = flight
    const nowMs = this.#clock.monotonicMs()
    const row = judge({ scope: 'request', ...answer }, [])
    const message = `${answer.status} ${answer.errorType} ${answer.reason}`.slice(0, 300)
    switch (row.verdict) {
      case 'retry':
        this.rejectedCount += request.documentCount
        this.concurrency.refused(startedMs, nowMs)
        this.health.succeeded(node)
        break
      case 'congestion':
        this.concurrency.timedOut(startedMs, nowMs)
        if (this.health.state !== 'up') this.health.failed(node, message, nowMs)
        break
      case 'too_large':
        this.concurrency.tooLarge(request.byteCount)
        if (request.documentCount > 1) return this.#requeue.split(request, null)
        return this.#requeue.deadLetterAll(request, answer)
      case 'bisect':
        if (this.#bisect(request, answer, row.reason !== undefined)) return
        this.health.refused(node, message, nowMs)
        return this.#requeue.suspect(request, this.#goodCount)
      case 'halt':
        this.health.refused(node, message, nowMs)
        break
      case 'down':
        this.health.failed(node, message, nowMs)
        break
      case 'indexed':
      case 'duplicate':
      case 'drop':
      case 'hold':
      case 'dead_letter':
        assert.fail(`the table says ${row.verdict} of a whole request`)
    }
    this.#requeue.again(request)
  }

  /**
   * Looks for the document that makes a request invalid. It is not believed to be the document's
   * fault unless the reason says so (`isCertain`) or other requests go well meanwhile: if
   * everything is refused, the configuration is wrong and every document would be thrown out.
   * @returns whether something was done about it.
   */
  #bisect(request: BulkRequest, refusal: Refusal, isCertain: boolean): boolean {
    const since = request.suspectSince ?? this.#goodCount
    const isAlone = request.documentCount === 1
    const isInDoubt = isAlone && !isCertain && this.#goodCount === since
    if (isInDoubt || (!isAlone && this.health.state === 'halted')) return false
    if (isAlone) this.#requeue.deadLetterAll(request, refusal)
    else this.#requeue.split(request, since)
    return true
  }
}
