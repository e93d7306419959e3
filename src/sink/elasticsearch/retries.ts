/**
 * Decides about documents that were not written. Every answer other than "all written" ends here,
 * and only here is a document given up.
 *
 * One rule: a request that fails while others succeed is halved until each document is alone; a
 * document that still fails alone while others succeed becomes a dead letter with its last answer;
 * while nothing succeeds, all wait.
 *
 * ```
 * A request fails as a whole: any status, reset, timeout, page of a proxy, a missing item.
 *
 *     several documents ---> its halves, each sent separately (pieces)
 *     one document --------> sent alone again, later each time; the success of others meanwhile is
 *                            weighed against it (evidence.ts), until it is a dead letter
 *
 *   This does not depend on the cluster's health: while nothing succeeds, the writer sends one
 *   small piece now and then, and no evidence adds up.
 *
 * An item is rejected for a reason that the table does not know (unclear). W: its index.
 *
 *     W accepted documents of the same answer ----------------------> dead letter
 *     W accepted documents since its first rejection; rejected again,
 *       and not together with all other documents for W ------------> dead letter
 *     W accepted one lately; several for W, all rejected alike -----> halves, as above: a document
 *                                        may spoil the others (OpenSearch with a pipeline)
 *     W accepted one lately, else -----------------------------------> again, with others
 *     else ----------------------------------------------------------> waits in the lane of W
 *
 * An item is rejected for now (retry).
 *
 *     again, with others, later each time
 *     from the fourth time on, while W answers for others: halves, then alone, and weighed as above
 * ```
 *
 * Bound. Its documents are part of the memory queue. Retries are bounded in rate, not in number.
 */
import assert from 'node:assert/strict'
import { backoffMs } from '../../core/backoff.ts'
import type { Clock } from '../../core/clock.ts'
import { LogpipeError } from '../../core/errors.ts'
import type { Outcome } from '../sink.ts'
import { classifyItem, type AnswerRow, type ItemVerdict, type Refusal } from './answers.ts'
import type { BulkItem } from './bulk-response.ts'
import { answersOf, CLUSTER, isGuilty, type Evidence } from './evidence.ts'
import type { DeadLetter, DeadLetters } from '../dead-letters/contract.ts'
import { countOf, detached, partOf, type BatchSlice } from './batch.ts'
import { halvesOf, requestOf, type BulkRequest } from './request.ts'
import type { Schedule } from './send-queue.ts'
import { RETRY_TIMES } from './settings.ts'

export interface RetriesParts {
  readonly clock: Clock
  readonly random: () => number
  readonly schedule: Schedule
  readonly evidence: Evidence
  readonly answerOverrides: readonly AnswerRow<ItemVerdict>[]
  /** Null: a document that is refused for good ends the run. */
  readonly deadLetters: DeadLetters | null
  readonly fail: (error: Error) => void
  /** A document of this index failed alone: watch how others do until its next attempt. */
  readonly wantsOthers: (asked: string) => void
}

/** A request as it was sent. */
export interface Sent {
  readonly request: BulkRequest
  readonly startedMs: number
  /** The same, as a place in the sequence of evidence. */
  readonly startedAt: number
}

/** The status of a letter that no server has seen. */
export const NOT_SENT = 0

/** Attempts with others, for documents that are rejected for now. */
const TOGETHER_TRIES = 3
/** How long the answers of requests are read item by item after one was refused. */
const CURIOUS_MS = 60_000
/** A data stream answers with its backing index, or with that of its failure store. */
const BACKING_INDEX = /^\.[df]s-(.+)-\d{4}\.\d{2}\.\d{2}-\d{6}$/

/** Neighbours of a request with one answer. */
interface Refused {
  readonly slice: BatchSlice
  readonly item: BulkItem
  readonly where: string
}

export class DocumentRetries {
  readonly #parts: RetriesParts
  readonly #schedule: Schedule
  readonly #evidence: Evidence
  #isStopped = false
  #curiousMs = -Infinity
  /** Documents that were sent again, or will be. */
  retryCount = 0

  constructor(parts: RetriesParts) {
    this.#parts = parts
    this.#schedule = parts.schedule
    this.#evidence = parts.evidence
  }

  /** Dead letters that become durable after this settle nothing: they are read again. */
  stop(): void {
    this.#isStopped = true
  }

  /** Whether it matters which index took which document. */
  get isCurious(): boolean {
    return this.#schedule.lanes.size > 0 || this.#nowMs < this.#curiousMs
  }

  /** @param waitMs that the server asked for. */
  failed(sent: Sent, refusal: Refusal, waitMs: number): void {
    const { lane, slices, documentCount, isPiece } = sent.request
    this.retryCount += documentCount
    if (lane !== null && this.#schedule.lanes.of(lane.index) === lane) {
      for (const slice of slices.toReversed()) lane.line.unshift(slice)
      this.#schedule.lanes.postpone(lane, this.#nowMs)
      return
    }
    // Pieces fail because of their documents; other requests may fail because of the cluster.
    if (!isPiece) this.#evidence.bad(CLUSTER, 1)
    if (documentCount === 1) return this.#alone(sent.request, CLUSTER, refusal, waitMs)
    const isOurs = refusal.status === 413 || this.#evidence.isGoodSince(CLUSTER, sent.startedAt)
    // Its other half may be answered in a moment.
    const isLikely = isPiece && this.#evidence.isGoodLately(CLUSTER, sent.startedMs)
    const delayMs = isOurs ? 0 : this.#delayMs(isLikely ? [] : slices)
    this.#split(sent.request, Math.max(waitMs, delayMs))
  }

  /** Settles, or keeps, every document of an answered request. */
  answered(sent: Sent, items: readonly BulkItem[]): void {
    const { lane } = sent.request
    const waitingCount = lane?.line.documentCount ?? 0
    const refused: Refused[] = []
    const taking = this.#settleTaken(sent, items, refused)
    if (refused.length > 0) this.#curiousMs = this.#nowMs + CURIOUS_MS
    const again: Refused[] = []
    for (const [where, ofIndex] of Map.groupBy(refused, (each) => each.where)) {
      const unclear = ofIndex.filter((each) => !this.#isClear(sent, each, again))
      if (unclear.length === 0) continue
      if (taking.has(where)) this.#giveUp(where, unclear)
      else this.#judge(sent, where, unclear, ofIndex.length === unclear.length)
    }
    for (const [where, ofIndex] of Map.groupBy(again, (each) => each.where)) {
      this.#again(sent, where, ofIndex)
    }
    if (lane === null || this.#schedule.lanes.of(lane.index) !== lane) return
    if (lane.line.documentCount > waitingCount) this.#schedule.lanes.postpone(lane, this.#nowMs)
    else this.release(lane.index)
  }

  /** What waits in a lane goes back to the queue. */
  release(where: string): void {
    const { lanes } = this.#schedule
    for (const slice of lanes.release(where)) this.#schedule.retryAt(slice, this.#nowMs)
  }

  /**
   * Neighbours with one answer are handled as one range.
   * @param refused gets those that were not written. @returns the indices that took documents.
   */
  #settleTaken(
    { request, startedMs }: Sent,
    items: readonly BulkItem[],
    refused: Refused[],
  ): Set<string> {
    assert.equal(items.length, request.documentCount)
    const taking = new Set<string>()
    let first = 0
    for (const slice of request.slices) {
      for (let from = slice.from; from < slice.to;) {
        const item = items[first + from - slice.from]!
        const where = whereOf(item, slice, from)
        let to = from + 1
        for (; to < slice.to; to++) {
          const next = items[first + to - slice.from]!
          if (!isSame(next, item) || whereOf(next, slice, to) !== where) break
        }
        const part = partOf(slice, from, to)
        if (item.status >= 300) refused.push({ slice: part, item, where })
        else {
          taking.add(where)
          this.#taken(part, item, where, startedMs)
        }
        from = to
      }
      first += countOf(slice)
    }
    return taking
  }

  #taken(part: BatchSlice, item: BulkItem, where: string, startedMs: number): void {
    const { lanes } = this.#schedule
    this.#evidence.good(where, countOf(part), this.#nowMs)
    this.#evidence.good(answersOf(where), countOf(part), this.#nowMs)
    if (lanes.size > 0) {
      for (let at = part.from; at < part.to; at++) lanes.taken(part.batch.indexOf(at))
      const lane = lanes.of(where)
      if (lane !== undefined && lane.sinceMs < startedMs) this.release(where)
    }
    part.batch.settle(part.from, part.to, writtenAs(item))
  }

  /** Applies the table. @returns whether it knows the answer. */
  #isClear(sent: Sent, refused: Refused, again: Refused[]): boolean {
    const { slice, item, where } = refused
    const { verdict } = classifyItem(item, this.#parts.answerOverrides)
    switch (verdict) {
      case 'duplicate':
      case 'indexed':
        slice.batch.settle(slice.from, slice.to, verdict)
        return true
      case 'drop':
        slice.batch.settle(slice.from, slice.to, 'dropped')
        return true
      case 'dead_letter':
        this.#deadLetter(slice, item)
        return true
      case 'hold':
        this.#hold(sent, where, slice, item, true)
        return true
      case 'retry':
        again.push(refused)
        return true
      case 'unclear':
        return false
    }
  }

  /** The index took others of the same answer: the refusal is each document's own. */
  #giveUp(where: string, refused: readonly Refused[]): void {
    for (const { slice, item } of refused) {
      this.#evidence.recordOwn(where, keyOf(item))
      this.#deadLetter(slice, item)
    }
  }

  /** The index accepted none of this answer. @param isAll all its documents got the same answer. */
  #judge(sent: Sent, where: string, unclear: readonly Refused[], isAll: boolean): void {
    const { request, startedMs, startedAt } = sent
    const evidence = this.#evidence
    const count = countAll(unclear)
    const { item: first } = unclear[0]!
    const isAlike = isAll && count > 1 && unclear.every(({ item }) => isSame(item, first))
    const mayBeSpoiled = isAlike && !evidence.isOwn(where, keyOf(first))
    const waiting: Refused[] = []
    for (const each of unclear) {
      const { slice, item } = each
      const refusedAt = slice.refusedAt < 0 ? startedAt : slice.refusedAt
      const isRefusedAgain = slice.refusedAt >= 0 && evidence.isGoodSince(where, refusedAt)
      if (isRefusedAgain && !mayBeSpoiled) this.#deadLetter(slice, item)
      else waiting.push({ ...each, slice: { ...slice, refusedAt } })
    }
    const isTaking = request.lane === null && evidence.isGoodLately(where, startedMs)
    if (isTaking && mayBeSpoiled) {
      this.retryCount += count
      const slices = waiting.map(({ slice }) => slice)
      return this.#split({ slices, isProbe: request.isProbe }, 0)
    }
    for (const { slice, item } of waiting) {
      if (isTaking) this.#retry(slice)
      else this.#hold(sent, where, slice, item, false)
    }
  }

  /** Documents of one index, refused for the moment. */
  #again({ request, startedMs }: Sent, where: string, refused: readonly Refused[]): void {
    const scope = answersOf(where)
    if (!request.isPiece) this.#evidence.bad(scope, countAll(refused))
    const isTaking = this.#evidence.isGoodLately(scope, startedMs) && request.lane === null
    const apart: BatchSlice[] = []
    for (const { slice, item } of refused) {
      if (!isTaking || slice.tries < TOGETHER_TRIES) this.#retry(slice)
      else if (request.documentCount > 1) apart.push(slice)
      else {
        this.retryCount++
        this.#alone(request, scope, item, 0)
      }
    }
    if (apart.length === 0) return
    this.retryCount += apart.reduce((sum, slice) => sum + countOf(slice), 0)
    this.#split({ slices: apart, isProbe: request.isProbe }, this.#delayMs(apart))
  }

  /** Sends these documents again, later each time, with others. */
  #retry(slice: BatchSlice): void {
    const tries = slice.tries + 1
    this.retryCount += countOf(slice)
    const delayMs = backoffMs(RETRY_TIMES, tries, this.#parts.random())
    // Once is chance and soon over; who is refused again may wait for minutes.
    const waiting = tries > 1 ? detached(slice) : slice
    this.#schedule.retryAt({ ...waiting, tries }, this.#nowMs + delayMs)
  }

  /** Sends both halves, each by itself; one document goes alone. */
  #split({ slices, isProbe }: Pick<BulkRequest, 'slices' | 'isProbe'>, delayMs: number): void {
    const whole = requestOf(slices.map((slice) => ({ ...slice, tries: slice.tries + 1 })))
    const halves = whole.documentCount === 1 ? [whole.slices] : halvesOf(whole)
    for (const half of halves) {
      const piece = requestOf(half, { isPiece: true, isProbe })
      this.#schedule.sendPiece(piece, this.#nowMs + delayMs)
    }
  }

  /** @param scope those whose fate is weighed against it. */
  #alone({ slices, isProbe }: BulkRequest, scope: string, refusal: Refusal, waitMs: number): void {
    const slice = slices[0]!
    const suspicion = this.#evidence.failedAlone(slice.suspicion, scope, refusal.status)
    if (isGuilty(suspicion)) return this.#deadLetter(slice, refusal)
    const tries = scope === CLUSTER ? suspicion.tries : slice.tries + 1
    const delayMs = backoffMs(RETRY_TIMES, tries, this.#parts.random())
    const waiting = { ...detached(slice), tries: slice.tries + 1, suspicion }
    const piece = requestOf([waiting], { isPiece: true, isProbe })
    this.#schedule.sendPiece(piece, this.#nowMs + Math.max(delayMs, waitMs))
    this.#parts.wantsOthers(waiting.batch.indexOf(waiting.from))
  }

  /** @param isCertain the index is to blame, whatever its other documents met. */
  #hold(sent: Sent, where: string, slice: BatchSlice, item: BulkItem, isCertain: boolean): void {
    const { lanes } = this.#schedule
    const reason = `${item.status} ${item.errorType}: ${item.reason}`.slice(0, 200)
    // The items of a range go to one index, but may ask for several.
    for (let from = slice.from; from < slice.to;) {
      const asked = slice.batch.indexOf(from)
      let to = from + 1
      while (to < slice.to && slice.batch.indexOf(to) === asked) to++
      const part = { ...partOf(slice, from, to), tries: slice.tries + 1 }
      const cause = { where, asked, reason, isCertain, startedMs: sent.startedMs }
      const isHeld = lanes.hold(part, cause, this.#nowMs)
      if (!isHeld) this.#retry(part)
      from = to
    }
  }

  #deadLetter(slice: BatchSlice, refusal: Refusal): void {
    this.refuse(slice, lettersOf(slice, refusal))
  }

  /** Documents that are refused for good become these letters; without --dlq the run fails. */
  refuse(slice: BatchSlice, letters: readonly DeadLetter[]): void {
    const { deadLetters, fail } = this.#parts
    if (deadLetters === null) return fail(refusedError(letters[0]!))
    deadLetters.put(letters).then(
      () => {
        if (!this.#isStopped) slice.batch.settle(slice.from, slice.to, 'dead_lettered')
      },
      // It names the store, the letter's size and the cause.
      (error: unknown) => fail(error instanceof Error ? error : assert.fail(String(error))),
    )
  }

  #delayMs(slices: readonly BatchSlice[]): number {
    const tries = slices.reduce((most, slice) => Math.max(most, slice.tries), 0) + 1
    return backoffMs(RETRY_TIMES, tries, this.#parts.random())
  }

  get #nowMs(): number {
    return this.#parts.clock.monotonicMs()
  }
}

function countAll(refused: readonly Refused[]): number {
  return refused.reduce((sum, { slice }) => sum + countOf(slice), 0)
}

function isSame(left: BulkItem, right: BulkItem): boolean {
  return (
    left.status === right.status &&
    left.failureStore === right.failureStore &&
    left.isDropped === right.isDropped &&
    left.errorType === right.errorType &&
    left.reason === right.reason
  )
}

/** What became of a document that was answered well. */
function writtenAs({ failureStore, isDropped }: BulkItem): Outcome {
  if (isDropped) return 'pipeline_dropped'
  return failureStore ? 'failure_store' : 'indexed'
}

function keyOf({ status, errorType, reason }: BulkItem): string {
  return `${status} ${errorType} ${reason}`
}

/** The index that a document was going to; the one asked for, where the answer names none. */
function whereOf(item: BulkItem, slice: BatchSlice, documentIndex: number): string {
  if (item.index === '') return slice.batch.indexOf(documentIndex)
  return BACKING_INDEX.exec(item.index)?.[1] ?? item.index
}

function lettersOf(slice: BatchSlice, refusal: Refusal): DeadLetter[] {
  const letters: DeadLetter[] = []
  for (let index = slice.from; index < slice.to; index++) {
    letters.push({
      reason: refusal.reason,
      errorType: refusal.errorType,
      status: refusal.status,
      index: slice.batch.indexOf(index),
      ...slice.batch.originOf(index),
      payload: slice.batch.documentOf(index),
    })
  }
  return letters
}

function refusedError(letter: DeadLetter): LogpipeError {
  const { topic, partition, offset, status, errorType, reason, index } = letter
  const record = `the record at ${topic}-${partition} offset ${offset}`
  const why = reason.slice(0, 300)
  const message =
    status === NOT_SENT
      ? `${record} cannot be sent: ${why}. Set --dlq to keep such records`
      : `Elasticsearch permanently rejected ${record} for the index ${index} ` +
        `(${status} ${errorType}: ${why}). ` +
        'Set --dlq to keep such records, or fix the mapping or the pipeline'
  return new LogpipeError('ES_REFUSED', message)
}
