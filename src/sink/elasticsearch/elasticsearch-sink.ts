/**
 * The Elasticsearch output: implements sink.ts for the pipeline, and accounts for its memory.
 *
 * A batch becomes an InFlightBatch; the writer does the rest. The pipeline reads `gauges` and stops
 * filtering while the queue is above its limits, so the queue holds at most ES_QUEUE_CAP documents
 * or ES_QUEUE_BYTES, plus the batches in flight when the limit was reached.
 */
import type { Clock } from '../../core/clock.ts'
import { systemClock } from '../../core/clock.ts'
import type { Sighting } from '../../core/trouble.ts'
import { formatBytes } from '../../core/units.ts'
import type { OffsetRange, TopicPartition } from '../../core/topic-partition.ts'
import type { Auth, Outcome, Sink, Delivery, SinkEvents, SinkGauges } from '../sink.ts'
import type { SourceRange, SpillQueue } from '../spill/contract.ts'
import { ElasticTransport, type BulkTransport } from './bulk-transport.ts'
import { BulkWriter } from './bulk-writer.ts'
import { parseIndexPattern } from './index-name.ts'
import { partitionsOverQuota } from './index-lanes.ts'
import { isStubAt, readStub } from './unsendable.ts'
import {
  type BatchSlice,
  type DocumentKey,
  InFlightBatch,
  type InFlightBooks,
  partOf,
  wholeOf,
} from './batch.ts'
import { NOT_SENT } from './retries.ts'
import type { DeadLetters } from '../dead-letters/contract.ts'
import type { ElasticsearchSettings } from './settings.ts'

export interface ElasticsearchParts {
  readonly events: SinkEvents
  /** Null: a document that is refused for good ends the run. */
  readonly deadLetters: DeadLetters | null
  /** The spill; null: back-pressure holds what does not fit into the queue. */
  readonly overflow: SpillQueue | null
  /**
   * How a document ended that lay in the spill, settled as `spilled` by this process or left by an
   * earlier one (--commit-on spill).
   */
  readonly leftSpill?: (topic: string, partition: number, outcome: Outcome) => void
  /** Something that an operator should know, in one line. */
  readonly notice?: (message: string) => void
  /** For tests. */
  readonly clock?: Clock
  readonly transport?: BulkTransport
  readonly random?: () => number
}

export interface HeldIndex {
  readonly index: string
  /** Why, in one line. */
  readonly reason: string
  readonly documentCount: number
}

export class ElasticsearchSink implements Sink, InFlightBooks {
  readonly #settings: ElasticsearchSettings
  readonly #events: SinkEvents
  readonly #clock: Clock
  readonly #transport: BulkTransport
  readonly #writer: BulkWriter
  readonly #overflow: SpillQueue | null
  #queuedDocuments = 0
  #queuedBytes = 0
  #writtenDocuments = 0
  #writtenBytes = 0
  #failure: Error | null = null
  #isClosed = false
  /** Called when the memory is empty. */
  #waiters: (() => void)[] = []

  constructor(settings: ElasticsearchSettings, parts: ElasticsearchParts) {
    this.#settings = settings
    this.#events = parts.events
    this.#clock = parts.clock ?? systemClock
    this.#transport = parts.transport ?? new ElasticTransport(settings, this.#clock)
    this.#overflow = parts.overflow
    this.#writer = new BulkWriter({
      settings,
      clock: this.#clock,
      transport: this.#transport,
      random: parts.random ?? Math.random,
      deadLetters: parts.deadLetters,
      spill: parts.overflow,
      leftSpill: parts.leftSpill ?? (() => undefined),
      books: this,
      excess: (share) => this.#excess(share),
      notice: parts.notice ?? (() => undefined),
      fail: (error) => this.#fail(error),
    })
  }

  /**
   * Elasticsearch may start later: this sends no request.
   * @throws LogpipeError USAGE for an index pattern that can give no name.
   */
  open(): Promise<void> {
    parseIndexPattern(this.#settings.index)
    // What an earlier process left in the spill need not wait for a record.
    this.#writer.pump()
    return Promise.resolve()
  }

  write(batch: Delivery): void {
    if (batch.ends.length === 0) return
    const inFlight = new InFlightBatch(batch, this)
    const whole = wholeOf(inFlight, this.#clock.monotonicMs())
    const { body, documentCount: end } = inFlight
    for (let from = 0; from < end;) {
      let to = from
      while (to < end && !isStubAt(body, inFlight.startOf(to))) to++
      if (to > from) this.#writer.add(partOf(whole, from, to))
      if (to < end) this.#refuse(partOf(whole, to, ++to))
      from = to
    }
  }

  /** A record of which no document was made is a dead letter. */
  #refuse(slice: BatchSlice): void {
    const origin = slice.batch.originOf(slice.from)
    const stub = readStub(slice.batch.documentOf(slice.from))
    const { index, errorType, reason, bytes, head } = stub
    const why = { index, errorType, reason, status: NOT_SENT }
    this.#writer.refuse(slice, [{ ...origin, ...why, payload: head, payloadBytes: bytes }])
  }

  held(documents: number, bytes: number): void {
    this.#queuedDocuments += documents
    this.#queuedBytes += bytes
    if (documents > 0) return
    if (this.#isIdle) this.#wake()
  }

  settled(documents: number, bytes: number, outcome: Outcome): void {
    if (outcome !== 'indexed' && outcome !== 'failure_store') return
    this.#writtenDocuments += documents
    this.#writtenBytes += bytes
  }

  /**
   * Drops the spill's documents of a revoked partition: its new owner reads them again.
   * Nothing is settled. Under `--commit-on spill` its offsets are committed: it stays, and is sent.
   * @returns how many documents that were.
   */
  dropPartition(topic: string, partition: number): number {
    if (this.#settings.commitOn === 'spill') return 0
    const count = this.#writer.overflow?.dropPartition(topic, partition) ?? 0
    if (this.#isIdle) this.#wake()
    return count
  }

  /** How to settle documents of a range that moved to the spill and are unsettled. */
  movedOutIn(range: OffsetRange): Map<DocumentKey, (outcome: Outcome) => void> {
    return this.#writer.overflow?.movedOutIn(range) ?? new Map()
  }

  /** Where all of those lie. */
  movedOutRanges(): readonly SourceRange[] {
    return this.#writer.overflow?.movedOutRanges() ?? []
  }

  partitionsOverQuota(): readonly TopicPartition[] {
    return partitionsOverQuota(this.#writer.schedule.lanes, this.#overflow, this.#settings)
  }

  /** Indices that take nothing for now, and the documents that wait for each. */
  heldIndices(): readonly HeldIndex[] {
    return [...this.#writer.schedule.lanes.all].map((lane) => ({
      index: lane.index,
      reason: lane.reason,
      documentCount: lane.documentCount,
    }))
  }

  async flush(timeoutMs: number): Promise<void> {
    if (timeoutMs <= 0 || this.#isIdle) return
    if (this.#failure !== null || this.#isClosed) return
    this.#writer.isFlushing = true
    await new Promise<void>((resolve) => {
      const cancel = this.#clock.after(timeoutMs, resolve)
      this.#waiters.push(() => {
        cancel()
        resolve()
      })
    })
    this.#writer.isFlushing = false
  }

  setAuth(auth: Auth): void {
    this.#transport.setAuth(auth)
  }

  gauges(): SinkGauges {
    return {
      queuedDocuments: this.#queuedDocuments,
      queuedBytes: this.#queuedBytes,
      spillBytes: this.#overflow?.bytes ?? 0,
      writtenDocuments: this.#writtenDocuments,
      writtenBytes: this.#writtenBytes,
      retries: this.#writer.retryCount,
      rejected429: this.#writer.rejectedCount,
      replaying: this.#writer.overflow?.isReplaying ?? false,
      trouble: this.#trouble(),
      troubles: this.#troubles(),
    }
  }

  async close(timeoutMs: number): Promise<void> {
    if (this.#isClosed) return
    await this.flush(timeoutMs)
    this.#isClosed = true
    this.#writer.stop()
    await this.#transport.close()
    this.#wake()
  }

  #trouble(): string | null {
    if (this.#writer.health.trouble !== null) return this.#writer.health.trouble
    const [first] = this.#writer.schedule.lanes.all
    if (first === undefined) return null
    const others = this.#writer.schedule.lanes.size - 1
    const more = others === 0 ? '' : `, and ${others} more`
    return `documents wait for the index ${first.index}${more}: ${first.reason}`
  }

  #troubles(): readonly Sighting[] {
    const { health, schedule } = this.#writer
    const text = health.trouble
    const whole: Sighting[] = text === null ? [] : [{ kind: health.troubleKind, place: null, text }]
    if (this.#writer.overflow?.isFull === true) {
      const { spillBytesMax, dropWhenFull } = this.#settings
      const text =
        `the spill is full (${formatBytes(spillBytesMax)}): ` +
        (dropWhenFull ? 'what comes is dropped' : 'reading waits')
      whole.push({ kind: 'spill_full', place: null, text })
    }
    const lanes = [...schedule.lanes.all].map(({ index, reason }): Sighting => {
      return { kind: 'index_waits', place: index, text: `the index ${index} waits: ${reason}` }
    })
    return [...whole, ...lanes]
  }

  /**
   * Nothing is unsettled: in memory, or in the spill where it is but a cache. Where the spill keeps
   * them, documents that were read back to look for a cluster that is away need not come to an end.
   */
  get #isIdle(): boolean {
    const { overflow, health } = this.#writer
    const isKept = this.#settings.commitOn === 'spill' && health.isAway
    const keptCount = isKept ? (overflow?.inHandCount ?? 0) : 0
    return this.#queuedDocuments === keptCount && (overflow?.isSettled ?? true)
  }

  #excess(share: number): number {
    const { queueCap, queueBytes } = this.#settings
    if (this.#queuedBytes > queueBytes * share) return Infinity
    return Math.max(0, Math.ceil(this.#queuedDocuments - queueCap * share))
  }

  #fail(error: Error): void {
    if (this.#failure !== null) return
    this.#failure = error
    this.#writer.stop()
    this.#events.fail(error)
    this.#wake()
  }

  #wake(): void {
    const waiters = this.#waiters
    this.#waiters = []
    for (const wake of waiters) wake()
  }
}
