/**
 * Reads ranges of offsets from Kafka again, beside the group: what was damaged in the spill.
 *
 * A consumer of its own takes the partition by hand and commits nothing, whoever owns the partition
 * in the group. Records go the same way as any other: into a slot, through the filter and the
 * encoder, so that a document read again is the document that was lost, with its `_id`.
 *
 * It runs on the main thread, which it holds up for FILL_MS at most: damage is rare and its ranges
 * are short (spill/format.ts). A thread with a pool of its own, as a replay has, would take longer
 * to start than most ranges take to read. Bound. One consumer, one slot, and what matches in it.
 */
import assert from 'node:assert/strict'
import type { Bridge } from '../bridge/bridge.ts'
import { type Clock, sleep } from '../core/clock.ts'
import { LogpipeError } from '../core/errors.ts'
import { parseLogId } from '../core/log-id.ts'
import { type MatchedBatch, unpackMatches } from '../filter/matches.ts'
import { BrokerQueries, type Facts, markFromOf, type Want } from '../kafka/broker-queries.ts'
import { Consumer } from '../kafka/consumer.ts'
import { besideGroup } from '../kafka/consumer-settings.ts'
import type { RecordEncoder } from '../pool/record-encoder.ts'
import { TIMESTAMP_TYPES } from '../pool/slot-reader.ts'
import { keyOf, type OffsetRange, type TopicPartition } from '../core/topic-partition.ts'
import type { PlacedDocument } from '../sink/elasticsearch/batch.ts'
import type { PipelineSettings } from './settings.ts'
import { SlotFeed } from './slot-feed.ts'
import { idPrefixOf, idPrefixSetting } from './topic-identity.ts'

interface RefetchParts {
  readonly bridge: Bridge
  readonly settings: Pick<
    PipelineSettings,
    'kafka' | 'filter' | 'rules' | 'edits' | 'pool' | 'output'
  >
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
/** Far from the ids of the group's assignments, which count from 0. */
const FIRST_ASSIGNMENT_ID = 1 << 30

export class Refetcher {
  readonly #parts: RefetchParts
  readonly #feed: SlotFeed
  readonly #consumer: Consumer
  readonly #watermarks: BrokerWatermarks
  #nextAssignmentId = FIRST_ASSIGNMENT_ID
  #range: OffsetRange = { topic: '', partition: 0, from: 0, to: 0 }
  #idPrefix = ''
  /** Of the records that are wanted; and from where on the log has those of another. */
  #markEpoch = -1
  #otherFrom = Infinity
  #documents: PlacedDocument[] = []
  #filteredCount = 0
  #behindCount = 0
  #isClosed = false

  /** @throws LogpipeError KAFKA_CONFIG, KAFKA_AUTH. */
  constructor(parts: RefetchParts) {
    const { bridge, settings, encoder } = parts
    this.#parts = parts
    const { kafka } = settings
    const [first = []] = kafka.properties
    const properties = besideGroup(first)
    this.#consumer = new Consumer(bridge, { ...parts, properties, tokenFile: kafka.tokenFile })
    this.#watermarks = new BrokerWatermarks({ ...parts, consumer: this.#consumer })
    this.#feed = new SlotFeed({
      bridge,
      consumer: this.#consumer,
      filter: settings.filter,
      bufferBytes: settings.pool.bufferBytes,
      fillMs: FILL_MS,
      encoder,
      rules: settings.rules,
      edits: settings.edits,
      nameOf: () => ({ ...this.#range, idPrefix: this.#idPrefix }),
      report: ({ recordCount }) => (this.#filteredCount += recordCount),
      deliver: (batch) => this.#collect(unpackMatches(batch)),
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
    const facts = await this.#watermarks.believed(range)
    const from = Math.max(range.from, facts?.first?.offset ?? 0)
    const to = Math.min(range.to, facts?.end?.offset ?? 0)
    if (facts === null || from >= to) return [range]
    this.#range = range
    this.#idPrefix = idPrefixOf(idPrefixSetting(this.#parts.settings.output), facts.topicId)
    const { prefix, markEpoch } = parseLogId(range.log ?? '')
    const isOther = range.log !== undefined && this.#idPrefix !== '' && prefix !== this.#idPrefix
    if (isOther) return [{ ...range, isOtherLog: true }]
    const { topic, partition } = range
    const markFrom = markEpoch < 0 ? markFromOf(facts) : markEpoch
    assert(markFrom !== null, 'the group was asked for it')
    const past = { epoch: -1, readTo: 0, markFrom }
    this.#markEpoch = markEpoch
    this.#otherFrom = Infinity
    const assignmentId = this.#nextAssignmentId++
    this.#consumer.assign([{ topic, partition, offset: from, assignmentId, past }])
    try {
      await this.#readTo(to, assignmentId, take)
    } finally {
      if (!this.#isClosed) this.#consumer.unassign([])
    }
    const otherFrom = Math.max(from, Math.min(to, this.#otherFrom))
    const gone: Unread[] = [
      { ...range, to: from },
      { ...range, from: otherFrom, to, isOtherLog: true },
      { ...range, from: to },
    ]
    return gone.filter((one) => one.from < one.to)
  }

  /** What the group has committed; null: nothing. Throws as `read` does. */
  async committed(topic: string, partition: number): Promise<number | null> {
    const facts = await this.#watermarks.ask({ topic, partition }, { committed: true })
    const offset = facts?.committed?.offset ?? -1
    return offset < 0 ? null : offset
  }

  /** Idempotent; a `read` under way ends. */
  close(): void {
    if (this.#isClosed) return
    this.#isClosed = true
    this.#watermarks.close()
    this.#consumer.close(CLOSE_MS)
    this.#feed.close()
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
        const [filteredCount, behindCount] = [this.#filteredCount, this.#behindCount]
        const documents = this.#documents
        this.#documents = []
        this.#filteredCount = 0
        this.#behindCount = 0
        await take({ documents, filteredCount, behindCount })
        // Afterwards: while the output takes its time, nobody waits for Kafka.
        movedMs = clock.monotonicMs()
      }
      if (position >= to) return
      if (clock.monotonicMs() - movedMs > STALL_MS) {
        const { lastFault } = this.#feed
        const why = lastFault === null ? '' : `: ${lastFault}`
        const message = `no broker returned the spill's offsets in ${STALL_MS / 1000} s${why}`
        throw new LogpipeError('KAFKA_UNREACHABLE', message)
      }
      await sleep(this.#parts.clock, position > 0 ? 0 : IDLE_MS)
      this.#watermarks.assertOpen()
    }
  }

  /** @returns below which offset all was read; 0: nothing came. */
  #fill(assignmentId: number): number {
    const { runs, ends } = this.#feed.fill()
    for (const { markEpoch, coverFrom } of runs) {
      if (markEpoch !== this.#markEpoch) this.#otherFrom = Math.min(this.#otherFrom, coverFrom)
    }
    // The end as the leader knows it: one that leads no more knows too little.
    const ours = ends.filter((end) => end.assignmentId === assignmentId)
    return Math.max(0, ...runs.map(({ coverTo }) => coverTo), ...ours.map(({ offset }) => offset))
  }

  #collect({ body, ends, runs }: MatchedBatch): void {
    const { topic, log, partition, from, to } = this.#range
    let first = 0
    for (const run of runs) {
      const { offsets, timestampsMs, timestampTypes, markEpoch, rules } = run
      const isOther = markEpoch !== this.#markEpoch
      this.#filteredCount += run.recordCount + run.copies - offsets.length
      for (const [index, offset] of offsets.entries()) {
        const document = first + index
        if (isOther || offset < from || offset >= to) this.#behindCount++
        else {
          this.#documents.push({
            topic,
            log,
            partition,
            offset,
            timestampMs: timestampsMs[index]!,
            timestampType: TIMESTAMP_TYPES[timestampTypes[index]!] ?? 'none',
            rule: rules[index],
            document: body.subarray(document === 0 ? 0 : ends[document - 1], ends[document]),
          })
        }
      }
      first += offsets.length
    }
  }
}

/*
 * What Kafka holds of a partition, asked of its brokers beside everything else.
 *
 * Owns how long an answer is asked for, and when one is believed: that records are gone is said for
 * good, so one broker's word is not enough for it.
 */

interface WatermarksParts {
  readonly consumer: Consumer
  readonly clock: Clock
  readonly warn: (message: string) => void
}

/** Of one round of questions, and how often their answers are looked for. */
const REQUEST_MS = 2000
const ANSWER_MS = 50
const ATTEMPTS_MAX = 5
const ATTEMPT_PAUSE_MS = 1000
/**
 * So long Kafka must say that a partition ends below what was read from it before, or is not there:
 * a broker that is starting, or that does not know yet that it leads no more, says so too. It is
 * more than `broker.session.timeout.ms` (9 s) and an election. A partition's start only moves up,
 * so that is believed at once.
 */
const BELIEVED_MS = 60_000
const TOPIC_IS_GONE = /UNKNOWN_TOPIC|UNKNOWN_PARTITION/
/** The group's offset has a note beside it: from where on its records are marked. */
const OF_A_RANGE: Want = { committed: true, first: true, end: true, topic: true }

class BrokerWatermarks {
  readonly #parts: WatermarksParts
  readonly #queries: BrokerQueries
  /** Since when Kafka tells of too little, by partition: its next range need not wait again. */
  readonly #shortSinceMs = new Map<string, number>()
  #isClosed = false

  constructor(parts: WatermarksParts) {
    this.#parts = parts
    this.#queries = new BrokerQueries(parts.consumer)
  }

  /** What is being asked ends with DEADLINE. */
  close(): void {
    this.#isClosed = true
  }

  /**
   * What Kafka has of a partition: with the range's end, or BELIEVED_MS long without it.
   * @returns null: there is no such partition.
   * @throws LogpipeError KAFKA_UNREACHABLE when no broker answers for long; DEADLINE after close.
   */
  async believed({ topic, partition, to }: OffsetRange): Promise<Facts | null> {
    const { clock } = this.#parts
    const key = keyOf({ topic, partition })
    for (;;) {
      const facts = await this.ask({ topic, partition }, OF_A_RANGE)
      const end = facts?.end?.offset ?? 0
      const isShort = end < to
      if (!isShort) this.#shortSinceMs.delete(key)
      const sinceMs = this.#shortSinceMs.get(key) ?? clock.monotonicMs()
      if (!isShort || clock.monotonicMs() - sinceMs >= BELIEVED_MS) return facts
      if (!this.#shortSinceMs.has(key)) this.#tellShort(topic, partition, end, to)
      this.#shortSinceMs.set(key, sinceMs)
      await sleep(this.#parts.clock, ATTEMPT_PAUSE_MS)
    }
  }

  /** Up to ATTEMPTS_MAX times. Returns and throws as `believed` does. */
  async ask(place: TopicPartition, want: Want): Promise<Facts | null> {
    for (let attempt = 1; ; attempt++) {
      const facts = await this.#answer(place, want)
      if (facts.problem === null) return facts
      if (TOPIC_IS_GONE.test(facts.problem)) return null
      if (attempt === ATTEMPTS_MAX) {
        const message = `no broker answered about the spill's offsets: ${facts.problem}`
        throw new LogpipeError('KAFKA_UNREACHABLE', message)
      }
      await sleep(this.#parts.clock, ATTEMPT_PAUSE_MS)
    }
  }

  async #answer(place: TopicPartition, want: Want): Promise<Facts> {
    this.assertOpen()
    const { promise, resolve } = Promise.withResolvers<Facts>()
    this.#queries.ask([place], want, REQUEST_MS, ([facts]) => {
      resolve(facts ?? { problem: 'no answer' })
    })
    while (this.#queries.isBusy) {
      await sleep(this.#parts.clock, ANSWER_MS)
      this.assertOpen()
      this.#queries.serve(0)
    }
    return promise
  }

  #tellShort(topic: string, partition: number, end: number, to: number): void {
    this.#parts.warn(
      `${topic} [${partition}]: brokers report end offset ${end}, but offset ${to - 1} was ` +
        `already read; waiting ${BELIEVED_MS / 1000} s before treating the records as gone`,
    )
  }

  assertOpen(): void {
    if (this.#isClosed) throw new LogpipeError('DEADLINE', 'stopped before everything was re-read')
  }
}
