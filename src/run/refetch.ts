/**
 * Reads ranges of offsets from Kafka again, beside the group: what was damaged in the spill.
 *
 * A consumer of its own takes the partition by hand and commits nothing, whoever owns the partition
 * in the group. Records go the same way as any other: into a slot, through the filter and the
 * encoder, so that a document read again is the document that was lost, with its `_id`.
 *
 * It runs on the main thread, which it holds up for FILL_MS at most: damage is rare and its ranges
 * are short (spill/format.ts). Bound. One consumer, one slot, and what matches in it.
 */
import assert from 'node:assert/strict'
import { type Bridge, type BridgeId, FILL_EVENTS } from '../bridge/bridge.ts'
import type { Clock } from '../core/clock.ts'
import { LogpipeError, messageOf } from '../core/errors.ts'
import { parseLogId } from '../core/log-id.ts'
import { type MatchedBatch, SlotFilter } from '../filter/slot-filter.ts'
import { askMarks } from '../kafka/broker-queries.ts'
import { besideGroup } from '../kafka/consumer-settings.ts'
import { SignIn } from '../kafka/sign-in.ts'
import type { RecordEncoder } from '../pool/record-encoder.ts'
import { SlotReader, TIMESTAMP_TYPES } from '../pool/slot-reader.ts'
import { Slots } from '../pool/slots.ts'
import { keyOf, type OffsetRange } from '../core/topic-partition.ts'
import type { PlacedDocument } from '../sink/elasticsearch/batch.ts'
import type { PipelineSettings } from './settings.ts'
import { askIdPrefix } from './topic-identity.ts'

interface RefetchParts {
  readonly bridge: Bridge
  readonly settings: Pick<PipelineSettings, 'kafka' | 'filter' | 'pool' | 'output'>
  readonly encoder: RecordEncoder
  readonly clock: Clock
  readonly warn: (message: string) => void
}

/** What one slot gave. */
export interface Refetched {
  /** Of the range, in ascending order; copies. */
  readonly documents: readonly PlacedDocument[]
  /** Records beside them that did not match, and matches that are not of the range. */
  readonly filteredCount: number
  readonly behindCount: number
}

/** Part of a range that was not read. */
export interface Unread extends OffsetRange {
  /** Its offsets are of other records now: the log was cut off, or its topic made anew. */
  readonly isOtherLog?: true
}

/** One fill; main's other work waits as long. */
const FILL_MS = 10
/** Between two fills that found nothing. */
const IDLE_MS = 50
/** Nothing comes: a broker is away. The caller tries again later. */
const STALL_MS = 20_000
const CLOSE_MS = 1000
const RECORDS_MAX = 4096
/** Far from the ids of the group's assignments, which count from 0. */
const FIRST_ASSIGNMENT_ID = 1 << 30

export class Refetcher {
  readonly #parts: RefetchParts
  readonly #slots: Slots
  readonly #reader: SlotReader
  readonly #filter: SlotFilter
  readonly #ids: {
    readonly pool: BridgeId
    readonly matcher: BridgeId
    readonly consumer: BridgeId
  }
  readonly #held: HeldOffsets
  #nextAssignmentId = FIRST_ASSIGNMENT_ID
  #range: OffsetRange = { topic: '', partition: 0, from: 0, to: 0 }
  #idPrefix = ''
  /** Of the records that are wanted; and from where on the log has those of another. */
  #markEpoch = -1
  #otherFrom = Infinity
  #documents: PlacedDocument[] = []
  #filteredCount = 0
  #behindCount = 0
  /** The last error that librdkafka gave. */
  #lastFault: string | null = null
  #isClosed = false

  /** @throws Error when librdkafka refuses its configuration; LogpipeError KAFKA_AUTH. */
  constructor(parts: RefetchParts) {
    const { bridge, settings, encoder } = parts
    this.#parts = parts
    const { bufferBytes } = settings.pool
    const shape = { slotCount: 1, bufferBytes, recordsMax: RECORDS_MAX }
    this.#slots = new Slots(Slots.allocate(shape, 1))
    const { slots } = this.#slots.memory
    this.#reader = new SlotReader(slots, shape)
    const pool = bridge.poolOpen(slots, shape)
    const matcher = bridge.matcherOpen(settings.filter)
    const [first = []] = settings.kafka.properties
    const config = besideGroup(first)
    this.#ids = { pool, matcher, consumer: bridge.consumerOpen({ config, topics: [] }) }
    this.#held = new HeldOffsets({ ...parts, consumer: this.#ids.consumer })
    this.#signIn()
    this.#filter = new SlotFilter({
      bridge,
      pool,
      reader: this.#reader,
      recordsMax: RECORDS_MAX,
      encoder,
      // Whoever asks for a range has seen in the spill that its records were wanted.
      span: null,
      nameOf: () => ({ ...this.#range, idPrefix: this.#idPrefix }),
      report: ({ recordCount }) => (this.#filteredCount += recordCount),
      deliver: (batch) => this.#collect(batch),
    })
  }

  /**
   * Reads a range, as far as Kafka has it; waits long when it has no such end.
   * @param take is given what a slot held, and waited for.
   * @returns the parts of the range that Kafka has no more.
   * @throws LogpipeError KAFKA_UNREACHABLE when no broker answers for long; DEADLINE after close.
   */
  async read(
    range: OffsetRange,
    take: (refetched: Refetched) => Promise<void>,
  ): Promise<readonly Unread[]> {
    const held = await this.#held.believed(range)
    const from = Math.max(range.from, held.low)
    const to = Math.min(range.to, held.high)
    if (from >= to) return [range]
    this.#range = range
    const { bridge, settings } = this.#parts
    this.#idPrefix = await this.#held.ask(() =>
      askIdPrefix(bridge, this.#ids.consumer, settings.output, range.topic, REQUEST_MS),
    )
    const { prefix, markEpoch } = parseLogId(range.log ?? '')
    const isOther = range.log !== undefined && this.#idPrefix !== '' && prefix !== this.#idPrefix
    if (isOther) return [{ ...range, isOtherLog: true }]
    const { topic, partition } = range
    const markFrom = markEpoch < 0 ? await this.#held.markFrom(topic, partition) : markEpoch
    const past = { epoch: -1, readTo: 0, markFrom }
    this.#markEpoch = markEpoch
    this.#otherFrom = Infinity
    const assignmentId = this.#nextAssignmentId++
    bridge.consumerAssign(this.#ids.consumer, [
      { topic, partition, offset: from, assignmentId, past },
    ])
    try {
      await this.#readTo(to, assignmentId, take)
    } finally {
      if (!this.#isClosed) bridge.consumerUnassign(this.#ids.consumer, [])
    }
    const otherFrom = Math.max(from, Math.min(to, this.#otherFrom))
    const gone: Unread[] = [
      { ...range, to: from },
      { ...range, from: otherFrom, to, isOtherLog: true },
      { ...range, from: to },
    ]
    return gone.filter((one) => one.from < one.to)
  }

  /** What the group has committed; null: nothing. */
  committed(topic: string, partition: number): Promise<number | null> {
    return this.#held.committed(topic, partition)
  }

  /** Idempotent; a `read` under way ends. */
  close(): void {
    if (this.#isClosed) return
    this.#isClosed = true
    this.#held.close()
    const { bridge } = this.#parts
    bridge.consumerClose(this.#ids.consumer, CLOSE_MS)
    bridge.poolClose(this.#ids.pool)
    bridge.matcherClose(this.#ids.matcher)
  }

  #signIn(): void {
    const { bridge, clock, settings, warn } = this.#parts
    const { consumer } = this.#ids
    const { tokenFile } = settings.kafka
    const nowMs = () => clock.wallMs()
    try {
      new SignIn({ bridge, consumer, tokenFile, nowMs, warn }).begin()
    } catch (error) {
      this.close()
      throw error
    }
  }

  async #readTo(
    to: number,
    assignmentId: number,
    take: (refetched: Refetched) => Promise<void>,
  ): Promise<void> {
    const { clock } = this.#parts
    let movedMs = clock.monotonicMs()
    for (;;) {
      const position = this.#fill(assignmentId)
      if (position > 0) {
        movedMs = clock.monotonicMs()
        const [filteredCount, behindCount] = [this.#filteredCount, this.#behindCount]
        const documents = this.#documents
        this.#documents = []
        this.#filteredCount = 0
        this.#behindCount = 0
        await take({ documents, filteredCount, behindCount })
      }
      if (position >= to) return
      if (clock.monotonicMs() - movedMs > STALL_MS) {
        const why = this.#lastFault === null ? '' : `: ${this.#lastFault}`
        const message = `no broker returned the spill's offsets in ${STALL_MS / 1000} s${why}`
        throw new LogpipeError('KAFKA_UNREACHABLE', message)
      }
      await this.#pause(position > 0 ? 0 : IDLE_MS)
      this.#assertOpen()
    }
  }

  /** @returns below which offset all was read; 0: nothing came. */
  #fill(assignmentId: number): number {
    const { bridge, settings } = this.#parts
    const { consumer, pool, matcher } = this.#ids
    const slotIndex = this.#slots.acquire(0)
    assert(slotIndex !== undefined, 'its only slot')
    const bytesMax = settings.pool.bufferBytes
    const limits = {
      recordsMax: RECORDS_MAX,
      bytesMax,
      pullMax: 1024,
      timeoutMs: FILL_MS,
      heldMax: bytesMax,
    }
    const result = bridge.consumerFill(consumer, pool, slotIndex, limits)
    let position = 0
    if ((result & ~FILL_EVENTS) > 0) {
      this.#slots.claimOwn(slotIndex)
      this.#reader.open(slotIndex)
      for (let index = 0; index < this.#reader.runCount; index++) {
        const run = this.#reader.run(index)
        position = Math.max(position, run.coverTo)
        const isOther = run.markEpoch !== this.#markEpoch
        if (isOther) this.#otherFrom = Math.min(this.#otherFrom, run.coverFrom)
      }
      this.#filter.process(slotIndex, matcher, () => this.#slots.release(slotIndex))
    } else this.#slots.giveBack(slotIndex)
    if ((result & FILL_EVENTS) !== 0) {
      for (const event of bridge.consumerEvents(consumer)) {
        if (event.kind === 'error' || event.kind === 'unreadable') this.#lastFault = event.message
        if (event.kind === 'rewind') this.#lastFault = event.damage
        // The end as the leader knows it: one that leads no more knows too little.
        const isEnd = event.kind === 'end' && event.assignmentId === assignmentId
        if (isEnd) position = Math.max(position, event.offset)
      }
    }
    return position
  }

  #collect({ body, ends, runs }: MatchedBatch): void {
    const { topic, partition, from, to } = this.#range
    let first = 0
    for (const { offsets, timestampsMs, timestampTypes, recordCount, markEpoch } of runs) {
      const isOther = markEpoch !== this.#markEpoch
      this.#filteredCount += recordCount - offsets.length
      for (const [index, offset] of offsets.entries()) {
        const document = first + index
        if (isOther || offset < from || offset >= to) this.#behindCount++
        else {
          this.#documents.push({
            topic,
            partition,
            offset,
            timestampMs: timestampsMs[index]!,
            timestampType: TIMESTAMP_TYPES[timestampTypes[index]!] ?? 'none',
            document: body.subarray(document === 0 ? 0 : ends[document - 1], ends[document]),
          })
        }
      }
      first += offsets.length
    }
  }

  #pause(delayMs: number): Promise<void> {
    return new Promise((resolve) => this.#parts.clock.after(delayMs, resolve))
  }

  #assertOpen(): void {
    if (this.#isClosed) throw new LogpipeError('DEADLINE', 'stopped before everything was re-read')
  }
}

/*
 * What Kafka holds of a partition, asked of its brokers: its offsets, and what the group committed.
 *
 * Owns how long an answer is asked for, and when one is believed: that records are gone is said for
 * good, so one broker's word is not enough for it.
 */

interface HeldOffsetsParts {
  readonly bridge: Bridge
  readonly consumer: BridgeId
  readonly clock: Clock
  readonly warn: (message: string) => void
}

/** The offsets [low, high) of a partition; equal when it has none. */
interface Watermarks {
  readonly low: number
  readonly high: number
}

/** Of one request. */
export const REQUEST_MS = 2000
/** A topic that is just being made known is unknown for a moment. */
const ATTEMPTS_MAX = 5
const ATTEMPT_PAUSE_MS = 1000
/**
 * So long Kafka must say that a partition ends below what was read from it before, or is not there:
 * a broker that is starting, or that does not know yet that it leads no more, says so too. It is
 * more than `broker.session.timeout.ms` (9 s) and an election. A partition's start only moves up,
 * so that is believed at once.
 */
const BELIEVED_MS = 60_000
const TOPIC_IS_GONE = /UNKNOWN_TOPIC|UNKNOWN_PARTITION|UNKNOWN_TOPIC_OR_PART/

class HeldOffsets {
  readonly #parts: HeldOffsetsParts
  /** Since when Kafka tells of too little, by partition: its next range need not wait again. */
  readonly #shortSinceMs = new Map<string, number>()
  #isClosed = false

  constructor(parts: HeldOffsetsParts) {
    this.#parts = parts
  }

  /** What is being asked ends with DEADLINE. */
  close(): void {
    this.#isClosed = true
  }

  /**
   * The offsets that Kafka has: with the range's end, or BELIEVED_MS long without it.
   * @throws LogpipeError KAFKA_UNREACHABLE when no broker answers for long; DEADLINE after close.
   */
  async believed({ topic, partition, to }: OffsetRange): Promise<Watermarks> {
    const { clock } = this.#parts
    const key = keyOf({ topic, partition })
    for (;;) {
      const held = await this.#told(topic, partition)
      const isShort = held.high < to
      if (!isShort) this.#shortSinceMs.delete(key)
      const sinceMs = this.#shortSinceMs.get(key) ?? clock.monotonicMs()
      if (!isShort || clock.monotonicMs() - sinceMs >= BELIEVED_MS) return held
      if (!this.#shortSinceMs.has(key)) this.#tellShort(topic, partition, held, to)
      this.#shortSinceMs.set(key, sinceMs)
      await this.#pause()
    }
  }

  /** What the group has committed; null: nothing. Throws as `believed` does. */
  async committed(topic: string, partition: number): Promise<number | null> {
    const { bridge, consumer } = this.#parts
    const asked = { topic, partition, offset: 0 }
    const [answer] = await this.ask(() => {
      const answers = bridge.consumerCommitted(consumer, [asked], REQUEST_MS)
      const error = answers[0]?.error ?? null
      if (error !== null) throw new LogpipeError('KAFKA_UNREACHABLE', error)
      return answers
    })
    return answer === undefined || answer.offset < 0 ? null : answer.offset
  }

  /** From which leader epoch on the group marks the records; -1: the log was never cut off. */
  async markFrom(topic: string, partition: number): Promise<number> {
    const { bridge, consumer } = this.#parts
    return this.ask(() => {
      const [markFrom] = askMarks(bridge, consumer, [{ topic, partition }], REQUEST_MS)
      if (typeof markFrom === 'number') return markFrom
      throw new LogpipeError('KAFKA_UNREACHABLE', `no answer about ${topic} [${partition}]`)
    })
  }

  /** Calls until it does not throw, ATTEMPTS_MAX times. Throws as `believed` does. */
  async ask<Answer>(call: () => Answer): Promise<Answer> {
    for (let attempt = 1; ; attempt++) {
      this.#assertOpen()
      try {
        return call()
      } catch (cause) {
        if (attempt === ATTEMPTS_MAX) {
          const message = `no broker answered about the spill's offsets: ${messageOf(cause)}`
          throw new LogpipeError('KAFKA_UNREACHABLE', message, { cause })
        }
      }
      await this.#pause()
    }
  }

  #tellShort(topic: string, partition: number, { high }: Watermarks, to: number): void {
    this.#parts.warn(
      `${topic} [${partition}]: brokers report end offset ${high}, but offset ${to - 1} was ` +
        `already read; waiting ${BELIEVED_MS / 1000} s before treating the records as gone`,
    )
  }

  /** The offsets that a broker tells of: none of a topic that it does not know. */
  async #told(topic: string, partition: number): Promise<Watermarks> {
    const { bridge, consumer } = this.#parts
    const asked = { topic, partition, offset: 0 }
    try {
      return await this.ask(() => bridge.consumerWatermarks(consumer, asked, REQUEST_MS))
    } catch (thrown) {
      const cause = thrown instanceof Error ? thrown.cause : null
      if (!TOPIC_IS_GONE.test(`${codeOf(cause)} ${messageOf(cause)}`)) throw thrown
      return { low: 0, high: 0 }
    }
  }

  #pause(): Promise<void> {
    return new Promise((resolve) => this.#parts.clock.after(ATTEMPT_PAUSE_MS, resolve))
  }

  #assertOpen(): void {
    if (this.#isClosed) throw new LogpipeError('DEADLINE', 'stopped before everything was re-read')
  }
}

function codeOf(thrown: unknown): string {
  const code: unknown = thrown instanceof Error && 'code' in thrown ? thrown.code : ''
  return typeof code === 'string' ? code : ''
}
