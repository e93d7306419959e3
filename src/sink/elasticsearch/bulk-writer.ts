/**
 * Sends waiting documents and acts on the answers, until every document is settled.
 *
 * ```
 *             +------------------- again, after a backoff -------------------+
 *             v                                                              |
 *   add --> Schedule --next--> request --transport--> reply --else--> DocumentRetries
 *                                                       |                    |
 *                                                       +--all written----> settled
 * ```
 *
 * Concurrency sets the number of requests in flight, their size and their timeout; Health decides
 * whether to send at all; retries.ts decides about documents that were not written. One timer wakes
 * the writer for the next due event; everything else happens when a batch or an answer arrives.
 *
 * While answers are late, the timeout grows up to a minute, so a server that answers again would
 * go unnoticed for that long. Therefore one document goes beside the requests that wait, every
 * BESIDE_EVERY_MS. Once a later request is answered, those still waiting are probably lost with
 * their connection: they hold no place any more, and count as beside until they time out.
 *
 * Bound. The sink bounds the documents here; ES_CONCURRENCY the requests in flight, plus half as
 * many for pieces of failed requests, plus BESIDE_MAX. Retries are not bounded in number, only in
 * rate (core/backoff.ts).
 */
import type { Clock } from '../../core/clock.ts'
import type { Outcome } from '../sink.ts'
import { classifyRequest, type Refusal } from './answers.ts'
import { readBulkAnswer, type BulkAnswer, type BulkItem } from './bulk-response.ts'
import { type BulkReply, type BulkTransport, BodyBuffers } from './bulk-transport.ts'
import { Concurrency } from './concurrency.ts'
import { answersOf, CLUSTER, Evidence } from './evidence.ts'
import { Health } from './health.ts'
import { Lanes } from './index-lanes.ts'
import { type InFlightBooks, countOf, partOf, type BatchSlice } from './batch.ts'
import type { DeadLetter, DeadLetters } from '../dead-letters/contract.ts'
import type { SpillQueue } from '../spill/contract.ts'
import { SpillOverflow } from './overflow.ts'
import { bodyOf, indicesOf, type BulkRequest } from './request.ts'
import { DocumentRetries, type Sent } from './retries.ts'
import { Schedule } from './send-queue.ts'
import type { ElasticsearchSettings } from './settings.ts'
import { Targets } from './targets.ts'

export interface WriterParts {
  readonly settings: ElasticsearchSettings
  readonly clock: Clock
  readonly transport: BulkTransport
  /** From 0 up to 1, for jitter. */
  readonly random: () => number
  /** Null: a document that is refused for good ends the run. */
  readonly deadLetters: DeadLetters | null
  /** The spill; null: what does not fit into the queue waits in Kafka. */
  readonly spill: SpillQueue | null
  readonly books: InFlightBooks
  /** How a document ended that was settled when it went to the spill. */
  readonly leftSpill: (topic: string, partition: number, outcome: Outcome) => void
  /**
   * How many documents the memory holds above this share of its bounds; Infinity: above that of
   * bytes.
   */
  readonly excess: (share: number) => number
  /** Something that an operator should know, in one line. */
  readonly notice: (message: string) => void
  /** The writer cannot go on. Called once. */
  readonly fail: (error: Error) => void
}

/** How a request in flight counts: as one of ES_CONCURRENCY, as a piece, or beside these. */
type Place = 'whole' | 'piece' | 'beside'

/** A request in flight, with the conditions when it left. */
interface Flight extends Sent {
  place: Place
  readonly wasAtLimit: boolean
  readonly timeoutMs: number
}

/** A document that was written, sent again to see whether requests succeed. */
interface Canary {
  readonly body: Buffer
  readonly writtenMs: number
}

/** Only small documents are kept for that, of at most this many indices. */
const CANARY_BYTES_MAX = 4096
const CANARIES_MAX = 64
/** A new one is kept so often, and asked no later: its index may have been rolled over by then. */
const CANARY_EVERY_MS = 1000
const CANARY_AGE_MAX_MS = 5 * 60_000
/** While answers are late: a mended server is noticed, and shown, within ten seconds. */
const BESIDE_EVERY_MS = 4000
/** A minute of patience, and one document in flight every four seconds. */
const BESIDE_MAX = 16
/** How often people hear that answers are late. */
const NOTICE_EVERY_MS = 60_000

export class BulkWriter {
  readonly schedule: Schedule
  readonly health: Health
  readonly concurrency: Concurrency
  readonly overflow: SpillOverflow | null
  readonly #parts: WriterParts
  readonly #clock: Clock
  readonly #retries: DocumentRetries
  readonly #evidence = new Evidence()
  readonly #buffers: BodyBuffers
  readonly #targets: Targets
  readonly #flights = new Set<Flight>()
  readonly #inFlight: Record<Place, number> = { whole: 0, piece: 0, beside: 0 }
  /** When a request left last, or there was none to leave. */
  #sentMs = -Infinity
  /** By the index asked for. */
  readonly #canaries = new Map<string, Canary>()
  #canaryMs = -Infinity
  #isCanaryInFlight = false
  #noticeMs = -Infinity
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
      timeoutMaxMs: Math.max(settings.timeoutMs, settings.timeoutMaxMs),
    })
    this.overflow =
      parts.spill === null
        ? null
        : new SpillOverflow({
            ...parts,
            spill: parts.spill,
            schedule: this.schedule,
            health: this.health,
            wake: () => this.pump(),
          })
    this.#retries = new DocumentRetries({
      ...parts,
      schedule: this.schedule,
      evidence: this.#evidence,
      answerOverrides: settings.answerOverrides,
      wantsOthers: (asked) => void this.#askCanary(asked),
    })
  }

  /** Documents that were sent again, or will be. */
  get retryCount(): number {
    return this.#retries.retryCount
  }

  /** Takes documents in. */
  add(slice: BatchSlice): void {
    this.schedule.fresh.push(slice)
    this.pump()
  }

  /** Documents that nothing can be sent of become these letters. */
  refuse(slice: BatchSlice, letters: readonly DeadLetter[]): void {
    this.#retries.refuse(slice, letters)
  }

  /** From now on requests do not wait to be filled. */
  set isFlushing(isFlushing: boolean) {
    this.#isFlushing = isFlushing
    this.pump()
  }

  /** Sends nothing more; later answers are ignored. */
  stop(): void {
    this.#isStopped = true
    this.#retries.stop()
    this.overflow?.stop()
    this.#cancelTimer()
  }

  /** Sends what may be sent now, and sets the timer for what may be sent later. */
  pump(): void {
    if (this.#isStopped) return
    this.overflow?.pump()
    for (let next = this.#nextRequest(); next !== null; next = this.#nextRequest()) {
      void this.#send(...next)
    }
    if (this.#parts.settings.dropWhenFull) this.#dropExcess()
    this.#setTimer()
  }

  /**
   * Drops the newest of what waits where the spill has no room for it. Each time that anything
   * changes, not only when a batch comes: at the bound the filter threads wait, and none comes.
   */
  #dropExcess(): void {
    const { fresh } = this.schedule
    while (this.overflow?.isFull !== false) {
      const excess = this.#parts.excess(1)
      const slice = excess > 0 ? fresh.pop() : undefined
      if (slice === undefined) return
      const { batch, from, to } = slice
      const keptTo = Math.max(from, to - excess)
      if (keptTo > from) fresh.push(partOf(slice, from, keptTo))
      if (batch.isReplay) batch.giveBack(keptTo, to)
      else batch.settle(keptTo, to, 'dropped')
    }
  }

  #nextRequest(): [request: BulkRequest, place: Place] | null {
    const nowMs = this.#clock.monotonicMs()
    if (nowMs < this.health.nextSendMs) return null
    const room = { nowMs, bytesMax: this.concurrency.bytes, isFlushing: this.#isFlushing }
    const at = (request: BulkRequest, place: Place): [BulkRequest, Place] => [request, place]
    if (this.health.state !== 'up') {
      const probe = this.#isIdle ? this.schedule.probe(this.health.probeDocuments, room) : null
      return probe && at(probe, probe.isPiece ? 'piece' : 'whole')
    }
    const piece = this.#hasPieceRoom ? this.schedule.nextPiece(nowMs) : null
    if (piece !== null) return at(piece, 'piece')
    const whole = this.#hasRoom ? this.schedule.next(room) : null
    if (whole !== null) return at(whole, 'whole')
    if (nowMs < this.#besideMs) return null
    this.#sentMs = nowMs // Where nothing waits, the next look is as far away.
    const beside = this.schedule.probe(1, room)
    return beside && at(beside, 'beside')
  }

  get #isIdle(): boolean {
    return this.#inFlight.whole + this.#inFlight.piece === 0
  }

  get #hasRoom(): boolean {
    return this.#inFlight.whole < this.concurrency.limit
  }

  /** Pieces go beside the others, so that those keep their pace. */
  get #hasPieceRoom(): boolean {
    return this.#inFlight.piece < Math.max(1, this.concurrency.limit >>> 1)
  }

  /** When one more may look beside those that wait; Infinity: that is not needed. */
  get #besideMs(): number {
    const isNeeded = this.health.isSlow && !this.#isIdle && this.#inFlight.beside < BESIDE_MAX
    return isNeeded ? this.#sentMs + BESIDE_EVERY_MS : Infinity
  }

  #setTimer(): void {
    this.#cancelTimer()
    this.#cancelTimer = () => undefined
    const dueMs = this.#dueMs()
    if (dueMs === Infinity) return
    const delayMs = Math.max(0, dueMs - this.#clock.monotonicMs())
    this.#cancelTimer = this.#clock.after(delayMs, () => this.pump())
  }

  /** When there may be something to do; Infinity: when an answer or a batch comes. */
  #dueMs(): number {
    const isUp = this.health.state === 'up'
    const hasRoom = isUp ? this.#hasRoom : this.#isIdle
    const hasPieceRoom = isUp ? this.#hasPieceRoom : this.#isIdle
    const besideMs = this.#besideMs
    // Without room for a request the next answer is what wakes us.
    if (!hasRoom && !hasPieceRoom) return besideMs
    const waitingMs = Math.min(
      hasRoom ? this.schedule.nextMs() : Infinity,
      hasPieceRoom ? this.schedule.nextPieceMs : Infinity,
    )
    const sendMs = this.health.nextSendMs
    const nextMs = isUp || waitingMs === Infinity ? Math.max(waitingMs, sendMs) : sendMs
    return Math.min(nextMs, besideMs, this.overflow?.nextMs ?? Infinity)
  }

  async #send(request: BulkRequest, place: Place): Promise<void> {
    this.#inFlight[place]++
    this.#sentMs = this.#clock.monotonicMs()
    const learning = this.#targets.learn(indicesOf(request))
    if (learning !== null) await learning
    const { timeoutMs } = this.concurrency
    const flight: Flight = {
      request,
      place,
      startedMs: this.#clock.monotonicMs(),
      startedAt: this.#evidence.at,
      wasAtLimit: place === 'whole' && !this.#hasRoom,
      timeoutMs,
    }
    this.#flights.add(flight)
    let buffer: Buffer | null = null
    const body = bodyOf(
      request,
      (byteCount) => (buffer = this.#buffers.acquire(byteCount)),
      (index) => this.#targets.isDataStream(index),
    )
    const reply = await this.#parts.transport.send(body, timeoutMs, request.documentCount)
    this.#flights.delete(flight)
    this.#inFlight[flight.place]--
    if (this.#isStopped) return
    const answer = this.#read(reply, request.documentCount)
    if (answer.kind === 'refused') this.#failed(flight, reply, answer)
    else {
      this.#answered(flight, reply.node, answer)
      // Who does not account for every document may not have read them: it is not given back then.
      if (buffer !== null) this.#buffers.giveBack(buffer)
    }
    this.pump()
  }

  #read(reply: BulkReply, documentCount: number): BulkAnswer {
    if (reply.kind === 'answer') {
      return readBulkAnswer(reply.status, reply.text, documentCount, this.#retries.isCurious)
    }
    const errorType = reply.kind === 'timeout' ? 'timeout' : 'connection_error'
    return { kind: 'refused', status: 0, errorType, reason: reply.message }
  }

  #answered(
    flight: Flight,
    node: string,
    answer: Exclude<BulkAnswer, { readonly kind: 'refused' }>,
  ): void {
    const { request } = flight
    const nowMs = this.#clock.monotonicMs()
    const items = answer.kind === 'items' ? answer.items : []
    this.#evidence.good(CLUSTER, 1, nowMs)
    if (this.health.isSlow) this.#passOver(flight.startedMs)
    this.health.succeeded(node)
    const rejectedCount = items.filter(({ status }) => status === 429).length
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
    this.#recordLate(flight, items.filter(({ status }) => status === 409).length, nowMs)
    this.#keepCanary(request, answer.kind === 'items' ? items.findIndex(isThere) : 0, nowMs)
    if (answer.kind === 'items') return this.#retries.answered(flight, items)
    for (const { batch, from, to } of request.slices) batch.settle(from, to, 'indexed')
    if (request.lane !== null) this.#retries.release(request.lane.index)
  }

  /** A request that left now is answered: those before it hold up no others. */
  #passOver(startedMs: number): void {
    for (const flight of this.#flights) {
      if (flight.startedMs >= startedMs || this.#inFlight.beside >= BESIDE_MAX) continue
      this.#inFlight[flight.place]--
      flight.place = 'beside'
      this.#inFlight.beside++
    }
  }

  /** Documents that got no answer once, and are there: the answers are late, not the documents. */
  #recordLate({ request, startedMs }: Flight, duplicateCount: number, nowMs: number): void {
    const areThere = duplicateCount * 2 >= request.documentCount
    const waitedMs = request.slices.reduce((most, slice) => Math.max(most, slice.lateMs), 0)
    if (areThere && waitedMs > 0) this.concurrency.arrivedLate(waitedMs)
    const lateMs = Math.max(areThere ? waitedMs : 0, nowMs - startedMs)
    if (lateMs < this.#parts.settings.timeoutMs || nowMs - this.#noticeMs < NOTICE_EVERY_MS) return
    this.#noticeMs = nowMs
    const seconds = (ms: number) => `${(ms / 1000).toFixed(1)} s`
    this.#parts.notice(
      `Elasticsearch indexes documents but responds only after ${seconds(lateMs)}: ` +
        `raising the timeout to ${seconds(this.concurrency.timeoutMs)}`,
    )
  }

  /** The fate of its documents is unknown, or all must be sent again. */
  #failed(flight: Flight, reply: BulkReply, refusal: Refusal): void {
    const { request, startedMs, startedAt } = flight
    const nowMs = this.#clock.monotonicMs()
    const waitMs = reply.kind === 'answer' ? reply.waitMs : 0
    const { status, errorType, reason } = refusal
    const message =
      reply.kind === 'answer' ? `${status} ${errorType} ${reason}`.slice(0, 300) : reply.message
    const verdict = reply.kind === 'timeout' ? 'slow' : classifyRequest(refusal).verdict
    // While others succeed, the documents in the request are at fault.
    const isPiece = request.isPiece && this.health.state === 'up'
    const isOurs =
      this.#evidence.isGoodSince(CLUSTER, startedAt) ||
      (isPiece && this.#evidence.isGoodLately(CLUSTER, startedMs))
    if (verdict === 'too_large' && request.documentCount > 1) {
      this.concurrency.tooLarge(request.byteCount, nowMs)
    } else if (verdict === 'busy') {
      this.rejectedCount += request.documentCount
      this.concurrency.refused(startedMs, nowMs)
    } else if (verdict === 'slow' && !(isOurs && request.isPiece)) {
      this.concurrency.timedOut(startedMs, nowMs)
    }
    if (reply.kind === 'unreachable' && !isOurs) this.concurrency.broken()
    if (!isOurs) {
      const isBeside = flight.place === 'beside'
      if (reply.kind === 'timeout' && !isBeside) this.concurrency.beMorePatient()
      if (waitMs > 0) this.health.pause(nowMs + waitMs)
      // If one document is too large, and nothing else succeeds, the limit is ours.
      const isSplit = verdict === 'too_large' && request.documentCount > 1
      if (!isSplit) this.#blame(verdict, reply.node, message)
    }
    const late = reply.kind === 'timeout' ? lateOf(request, flight.timeoutMs) : request
    this.#retries.failed({ request: late, startedMs, startedAt }, refusal, waitMs)
  }

  #blame(
    verdict: ReturnType<typeof classifyRequest>['verdict'],
    node: string,
    message: string,
  ): void {
    const nowMs = this.#clock.monotonicMs()
    switch (verdict) {
      case 'busy':
        return this.health.busy(message, nowMs)
      case 'down':
        return this.health.failed(node, message, nowMs)
      case 'too_large':
      case 'refuses':
        return this.health.refused(node, message, nowMs)
      case 'slow':
        return this.health.timedOut(message, nowMs)
    }
  }

  /** @param place of a document that is there; -1: none is. */
  #keepCanary({ slices }: BulkRequest, place: number, nowMs: number): void {
    // Without an _id it would be written twice.
    if (place < 0 || this.#parts.settings.documentId === 'none') return
    if (nowMs - this.#canaryMs < CANARY_EVERY_MS) return
    let left = place
    const slice = slices.find((each) => left < countOf(each) || (left -= countOf(each)) < 0)!
    const { batch, from } = { batch: slice.batch, from: slice.from + left }
    const document = batch.documentOf(from)
    if (document.length > CANARY_BYTES_MAX) return
    this.#canaryMs = nowMs
    if (this.#canaries.size >= CANARIES_MAX) this.#canaries.clear()
    this.#canaries.set(batch.indexOf(from), { body: Buffer.from(document), writtenMs: nowMs })
  }

  /** Shows how others fare that are sent to this index, or to any. */
  async #askCanary(asked: string): Promise<void> {
    const [any] = this.#canaries.keys()
    const index = this.#canaries.has(asked) ? asked : any
    const canary = index === undefined ? undefined : this.#canaries.get(index)
    if (index === undefined || canary === undefined || this.#isCanaryInFlight) return
    const startedMs = this.#clock.monotonicMs()
    if (startedMs - canary.writtenMs > CANARY_AGE_MAX_MS) return
    this.#isCanaryInFlight = true
    const reply = await this.#parts.transport.send(canary.body, this.concurrency.timeoutMs, 1)
    this.#isCanaryInFlight = false
    if (this.#isStopped) return
    const answer = this.#read(reply, 1)
    const items = answer.kind === 'items' ? answer.items : []
    const nowMs = this.#clock.monotonicMs()
    if (answer.kind === 'refused') this.#evidence.bad(CLUSTER, 1)
    else {
      this.#evidence.good(CLUSTER, 1, nowMs)
      this.health.succeeded(reply.node)
      if (items.every(isThere)) this.#evidence.good(answersOf(index), 1, nowMs)
      else this.#evidence.bad(answersOf(index), 1)
    }
    this.pump()
  }
}

function isThere({ status }: BulkItem): boolean {
  return status < 300 || status === 409
}

/** The request, with the time that its documents waited in vain. */
function lateOf(request: BulkRequest, timeoutMs: number): BulkRequest {
  const slices = request.slices.map((slice) => ({ ...slice, lateMs: timeoutMs }))
  return { ...request, slices }
}
