/**
 * The typed face of the add-on: what the C++ bridge offers, and nothing more.
 *
 * The bridge is mechanism without policy. It moves record batches from librdkafka into slots, scans
 * slots for patterns, and passes on what librdkafka says. Which partition starts where, when
 * to commit, when to pause: all of that is decided in TypeScript.
 *
 * Threads. The add-on is loaded in every thread, and its registries are process-wide: an id made in
 * one thread is valid in all. A consumer is used by one thread at a time (the one that opened it);
 * slots change hands only by their state word (pool/layout.ts). No callback of librdkafka reaches
 * JavaScript: what happened is queued (bounded) and fetched with `consumerEvents`.
 *
 * Errors. Every argument is checked: a wrong type, an unknown or closed id, or an index out of
 * range throws a TypeError or RangeError; what librdkafka refuses throws an Error whose `code` is
 * librdkafka's name for it (`_INVALID_ARG`, `UNKNOWN_TOPIC_OR_PART`). No call crashes the process.
 */

/** Names a thing in one of the bridge's registries; never used again after its close. */
export type BridgeId = number

/**
 * A partition, with the offset that the call needs: where to start, what to commit, what was found.
 */
export interface PartitionOffset {
  readonly topic: string
  readonly partition: number
  /** The next offset to read, or to commit; OFFSET_NONE where there is none. */
  readonly offset: number
}

/** An offset with the epoch of its partition's leader (KIP-320), by which a truncation shows. */
export interface EpochOffset extends PartitionOffset {
  /** -1 or absent: unknown. */
  readonly leaderEpoch?: number
}

/** What a commit says of a partition. */
export interface CommitOffset extends EpochOffset {
  /** Kept beside the offset by the group's coordinator; null or absent: none. */
  readonly metadata?: string | null
}

/**
 * What was read of a partition's log so far. A record of a later leader epoch than all of that, at
 * an offset below its end, shows that the log was cut off: records of that epoch and of later ones
 * are marked by their epoch (RunEntry.markEpoch), for their offsets name other records, too.
 */
export interface LogPast {
  /** The latest leader epoch of a record that was read; -1: unknown. */
  readonly epoch: number
  /** From this offset on nothing was read. */
  readonly readTo: number
  /** Records of this leader epoch and of later ones are marked; -1: the log was never cut off. */
  readonly markFrom: number
}

/**
 * A partition as it is assigned: records carry `assignmentId`, which is never used twice in a
 * process.
 */
export interface Assignment extends EpochOffset {
  readonly assignmentId: number
  /** Nothing from this offset on is delivered; the last run, or an `end`, says that it was met. */
  readonly stopOffset?: number
  /** Absent: nothing was read of it. */
  readonly past?: LogPast
}

/** A partition in a broker's answer to a question. */
export interface CommittedOffset extends PartitionOffset {
  readonly leaderEpoch: number
  /** Of a committed offset. */
  readonly metadata: string | null
  readonly error: string | null
}

/** A broker's answer to one of the questions that do not block; only what was asked is there. */
export interface BrokerAnswer {
  readonly question: number
  /** Of the whole question: librdkafka's name of it, or null. */
  readonly error: string | null
  readonly partitions: readonly CommittedOffset[]
  readonly topics: readonly {
    readonly topic: string
    /** 32 hex digits: a topic that was made anew has another. Null: the broker has none. */
    readonly topicId: string | null
    /** 0: unknown. */
    readonly partitions: number
    readonly error: string | null
  }[]
  readonly members: readonly GroupMember[]
}

export interface GroupMember {
  readonly clientId: string
  readonly host: string
  /** Of a static member. */
  readonly instanceId: string | null
}

export interface PartitionError extends PartitionOffset {
  /** librdkafka's name of the error for this partition, or null. */
  readonly error: string | null
}

/** What happened since the last call, in order. */
export type ConsumerEvent =
  /**
   * The group wants these partitions assigned or revoked; the caller answers with
   * consumerAssign/Unassign.
   */
  | {
      readonly kind: 'assign' | 'revoke'
      readonly lost: boolean
      readonly partitions: readonly PartitionOffset[]
    }
  /**
   * An error of the client or the group (topic null), of a topic, or of one partition. For a topic,
   * librdkafka gives partition 0. `fatal`: this consumer gets nothing more; once, whatever else is
   * dropped.
   */
  | {
      readonly kind: 'error'
      readonly code: string
      readonly message: string
      readonly fatal: boolean
      readonly topic: string | null
      readonly partition: number
      readonly offset: number
    }
  /** The end of a partition was reached; `offset` is the next one to come. Once for each time. */
  | { readonly kind: 'end'; readonly assignmentId: number; readonly offset: number }
  /** A commit was answered; `error` is null when it was accepted. */
  | {
      readonly kind: 'commit'
      readonly error: string | null
      readonly partitions: readonly PartitionError[]
    }
  /**
   * A record came with an offset below one already delivered, or below the start: the log was
   * truncated or made anew. Or a scan met a damaged batch, which `damage` names: what lies behind
   * may be in slots already. Nothing more of the partition comes until consumerRestart, and what is
   * damaged is `unreadable` from then on.
   */
  | {
      readonly kind: 'rewind'
      readonly assignmentId: number
      readonly damage: string | null
      readonly expected: number
      readonly offset: number
    }
  /**
   * An error came where a record was due: a damaged batch, say, or a broker that refuses to read it.
   * Nothing more of the partition comes until it is paused and resumed, sought, or probed. `offset`
   * is the first of the batch, as far as librdkafka knows.
   */
  | {
      readonly kind: 'unreadable'
      readonly assignmentId: number
      readonly code: string
      readonly message: string
      readonly offset: number
    }
  /** Answers a probe: a record of this offset came, or the partition's end. */
  | { readonly kind: 'readable'; readonly assignmentId: number; readonly offset: number }
  /** The queue of events was full (EVENTS_MAX); this many were dropped. */
  | { readonly kind: 'dropped'; readonly count: number }

export interface LogLine {
  /** syslog's level, 0 (emergency) to 7 (debug). */
  readonly level: number
  /** librdkafka's facility, for example FAIL or GETSUBSCRIPTIONS. */
  readonly facility: string
  readonly message: string
}

export interface ConsumerOptions {
  /** librdkafka properties, name and value, in order. */
  readonly config: readonly (readonly [name: string, value: string])[]
  /** Names of topics to subscribe to at once. Empty: none, until consumerSubscribe or consumerAssign. */
  readonly topics: readonly string[]
}

/** How much a fill may take. */
export interface FillLimits {
  /** A slot is closed when it has as many records (BATCH_MSGS) ... */
  readonly recordsMax: number
  /** ... or bytes of batches (BATCH_BYTES); it takes a batch that goes beyond as a whole. */
  readonly bytesMax: number
  /** Batches asked of librdkafka in one call at most (BATCH_PULL_SIZE). */
  readonly pullMax: number
  /** How long to wait for the first batch, in ms, 0 to 50. */
  readonly timeoutMs: number
  /** Takes nothing while the slots of the pool hold as many bytes of batches. */
  readonly heldMax: number
}

export interface PoolShape {
  readonly slotCount: number
  /** Payload bytes of a slot (BUFFER_BYTES). */
  readonly bufferBytes: number
  /** Hits that a slot can index (BATCH_MSGS). */
  readonly recordsMax: number
}

/** What is kept: by an expression, or by patterns alone. */
export type MatcherOptions = PatternOptions | { readonly expression: string }

/** Why a regular expression cannot be used. */
export interface RegexFault {
  /** A sentence without a full stop. */
  readonly message: string
  /** The byte of the source that it is about. */
  readonly at: number | null
}

export interface PatternOptions {
  /** Any of these; each one byte or more. None: every record matches. */
  readonly patterns: readonly Uint8Array[]
  /** Fold ASCII letters. */
  readonly ignoreCase: boolean
  /** Keep what does not match. */
  readonly invertMatch: boolean
}

export interface PlainLoopOptions {
  /** librdkafka's properties; group.id is among them, and no group is joined. */
  readonly config: readonly (readonly [name: string, value: string])[]
  readonly topic: string
  readonly pattern: Uint8Array
  /** Whole batches, and nothing searched: what fetching alone costs. */
  readonly isRaw: boolean
  /** Ends here, or with the last partition's end, or when the time is over. */
  readonly recordsMax: number
  readonly secondsMax: number
  /** Threads, each with a consumer of its own and its share of the partitions. */
  readonly consumers: number
}

export interface PlainLoopTotals {
  readonly records: number
  /** Of the values; raw: of the batches. */
  readonly bytes: number
  readonly matched: number
  /** From the first record to the last, and the CPU of the whole process in that time. */
  readonly seconds: number
  readonly cpuSeconds: number
}

/** A record larger than a slot, copied out. */
export interface OversizeRecord {
  readonly value: Uint8Array | null
  readonly key: Uint8Array | null
  /** Encoded as in a slot: see pool/layout.ts. Empty when there are none. */
  readonly headers: Uint8Array
  /** Of a set: the alternatives that hold, by their numbers. */
  readonly alternatives: readonly number[]
}

/** So many records of a run would be kept by an alternative but for its `drop`, and by no other. */
export interface DroppedRecords {
  /** The place of the run in the slot. */
  readonly run: number
  readonly alternative: number
  readonly records: number
}

/** What a set of alternatives says of one record. */
export interface Judgement {
  /** The alternatives that hold, by their numbers over all groups, ascending; none: not kept. */
  readonly hits: readonly number[]
  /** Of the first group, where none of it holds: who would, but for its `drop`; -1: nobody. */
  readonly droppedBy: number
}

export interface Bridge {
  /**
   * librdkafka's version, whether it hands on whole batches (src/bridge/librdkafka), and the layout
   * constants the add-on was compiled with (pool/layout.ts compares).
   */
  version(): {
    readonly librdkafka: string
    readonly wholeBatches: boolean
    readonly layout: Readonly<Record<string, number>>
  }

  /**
   * Tunes malloc for librdkafka's receive buffers (glibc only; elsewhere it does nothing). Once,
   * before any consumer.
   */
  tuneAllocator(): void

  /** Makes a pool's memory known. The caller keeps `memory` referenced until poolClose. */
  poolOpen(memory: SharedArrayBuffer, shape: PoolShape): BridgeId
  /**
   * Releases what slots still hold, and forgets the pool. Throws while a call in another thread
   * uses it.
   */
  poolClose(pool: BridgeId): void
  /** Bytes of batches that slots hold now. */
  poolBytes(pool: BridgeId): number

  consumerOpen(options: ConsumerOptions): BridgeId
  /**
   * Moves batches into a slot that the caller owns (state FILLING). Waits at most timeoutMs for the
   * first one and not at all for more: what is there by then is taken, up to the limits.
   * @returns records put in the slot (0 or more), plus FILL_EVENTS when consumerEvents has
   * something, plus FILL_FULL when the slots of the pool hold as many bytes as they may.
   */
  consumerFill(consumer: BridgeId, pool: BridgeId, slotIndex: number, limits: FillLimits): number
  /** Serves librdkafka without taking records: keeps the group membership while no slot is free. */
  consumerPoll(consumer: BridgeId, timeoutMs: number): number
  consumerEvents(consumer: BridgeId): ConsumerEvent[]
  consumerLogs(consumer: BridgeId): LogLine[]

  /**
   * Reads these topics with the group from now on, in place of those before. Empty: none, and the
   * group is left.
   */
  consumerSubscribe(consumer: BridgeId, topics: readonly string[]): void
  /**
   * Starts reading these partitions at these offsets: incrementally when the protocol is
   * cooperative.
   */
  consumerAssign(consumer: BridgeId, partitions: readonly Assignment[]): void
  /** Takes partitions over as consumerAssign does, and reads none: consumerBegin starts each. */
  consumerHold(consumer: BridgeId, partitions: readonly PartitionOffset[]): void
  /** Starts reading held partitions. With a leader epoch, a log that was cut off is a `rewind`. */
  consumerBegin(consumer: BridgeId, partitions: readonly Assignment[]): void
  /**
   * The epoch (KIP-320) to commit with any offset of this assignment that was read; -1: unknown.
   */
  consumerLeaderEpoch(consumer: BridgeId, assignmentId: number): number
  /** The past that the assignment began with, and the records that it put into slots since. */
  consumerPast(consumer: BridgeId, assignmentId: number): LogPast
  /**
   * Stops reading them; later records of their assignmentIds are thrown away. Empty list: all of
   * them.
   */
  consumerUnassign(consumer: BridgeId, partitions: readonly PartitionOffset[]): void
  /** Whether the group has given this member's partitions away already. */
  consumerAssignmentLost(consumer: BridgeId): boolean
  /**
   * Pausing throws away what was fetched; resuming goes on at the next offset not yet delivered.
   */
  consumerPause(consumer: BridgeId, assignmentIds: readonly number[]): void
  consumerResume(consumer: BridgeId, assignmentIds: readonly number[]): void
  consumerSeek(consumer: BridgeId, assignmentId: number, offset: number): void
  /**
   * Asks whether anything can be read from this offset on: `readable` or `unreadable` follows, once,
   * or nothing while no broker answers. Delivers nothing; the next offset to deliver stays, until
   * consumerPause and consumerResume go on there, or consumerSeek elsewhere.
   */
  consumerProbe(consumer: BridgeId, assignmentId: number, offset: number): void
  /**
   * Goes on at this offset as another assignment: the answer to a `rewind`.
   * @param isOther the topic was made anew: the partition's past says nothing about this log.
   */
  consumerRestart(
    consumer: BridgeId,
    assignmentId: number,
    newAssignmentId: number,
    offset: number,
    isOther: boolean,
  ): void
  /** PLAIN and SCRAM: for connections that are made from now on. */
  consumerSetPassword(consumer: BridgeId, username: string, password: string): void
  /**
   * OAUTHBEARER: the token for connections that are made from now on; without one none is made.
   * @param expiresMs since 1970, in the future.
   */
  consumerSetToken(consumer: BridgeId, token: string, expiresMs: number, principal: string): void
  /** Commits these offsets. timeoutMs 0 does not wait: a `commit` event follows. */
  consumerCommit(
    consumer: BridgeId,
    offsets: readonly CommitOffset[],
    timeoutMs: number,
  ): PartitionError[]
  /** What the group has committed. */
  consumerCommitted(
    consumer: BridgeId,
    partitions: readonly PartitionOffset[],
    timeoutMs: number,
  ): PartitionError[]
  /**
   * For each partition, the first offset at or after the time in `offset` (ms), or OFFSET_BEGINNING
   * / OFFSET_END.
   */
  consumerOffsetsForTimes(
    consumer: BridgeId,
    partitions: readonly PartitionOffset[],
    timeoutMs: number,
  ): PartitionError[]
  /**
   * Low and high watermarks; timeoutMs 0 answers from what the last fetch said, without asking a
   * broker.
   */
  consumerWatermarks(
    consumer: BridgeId,
    partition: PartitionOffset,
    timeoutMs: number,
  ): { readonly low: number; readonly high: number }
  /** Topics, their partitions and brokers, as a broker tells. Empty list: all topics. */
  consumerMetadata(
    consumer: BridgeId,
    topic: string | null,
    timeoutMs: number,
  ): {
    readonly brokers: readonly {
      readonly id: number
      readonly host: string
      readonly port: number
    }[]
    readonly topics: readonly {
      readonly topic: string
      readonly partitions: number
      readonly error: string | null
    }[]
  }
  /**
   * Questions that do not block: each returns its number, and its answer comes by consumerAnswers,
   * once, within timeoutMs or a little more. An answer has an entry a partition: one without a
   * leader does not hold up the others.
   * @param partitions null: all that the group has committed. Otherwise not empty.
   */
  consumerAskCommitted(
    consumer: BridgeId,
    partitions: readonly PartitionOffset[] | null,
    timeoutMs: number,
  ): number
  /** Each `offset` is a time (ms), OFFSET_BEGINNING or OFFSET_END. */
  consumerAskOffsets(
    consumer: BridgeId,
    partitions: readonly PartitionOffset[],
    timeoutMs: number,
  ): number
  consumerAskTopics(consumer: BridgeId, topics: readonly string[], timeoutMs: number): number
  /**
   * Commits these offsets, not empty. The answer has each one's error; it comes when the group has
   * answered, or librdkafka has waited long enough for a coordinator. A `commit` event comes too.
   */
  consumerAskCommit(consumer: BridgeId, offsets: readonly CommitOffset[]): number
  /** The members of any group, joined or not; none where there is no such group. */
  consumerAskMembers(consumer: BridgeId, group: string, timeoutMs: number): number
  /** Waits at most timeoutMs (0 to 50) for the first. */
  consumerAnswers(consumer: BridgeId, timeoutMs: number): BrokerAnswer[]
  /**
   * Leaves the group and destroys the client; true when that was done within the time, false when
   * it goes on in the background.
   */
  consumerClose(consumer: BridgeId, timeoutMs: number): boolean

  /**
   * The baseline of benchmarks: reads a topic from its beginning as a plain program would, a record
   * at a time, and blocks until it is done. For a process of its own.
   */
  plainLoop(options: PlainLoopOptions): PlainLoopTotals

  /**
   * `expression`: the JSON text of a Program or a ProgramSet (core/expression/ast.ts). Throws a
   * RangeError where it is none, or a regular expression in it cannot be used.
   */
  matcherOpen(options: MatcherOptions): BridgeId
  matcherClose(matcher: BridgeId): void
  /**
   * Whether one record is kept, outside of any pool.
   * @param headers as a slot has them (pool/layout.ts).
   * @param timestampMs -1: none.
   */
  matcherTest(
    matcher: BridgeId,
    value: Uint8Array | null,
    key: Uint8Array | null,
    headers: Uint8Array,
    topic: string,
    partition: number,
    offset: number,
    timestampMs: number,
  ): boolean
  /** The same of a set; a Misuse otherwise. */
  matcherJudge(
    matcher: BridgeId,
    value: Uint8Array | null,
    key: Uint8Array | null,
    headers: Uint8Array,
    topic: string,
    partition: number,
    offset: number,
    timestampMs: number,
  ): Judgement
  /** How batches are searched, for people: "candidates by Vectorscan 5.4.9". */
  matcherDescribe(matcher: BridgeId): string
  /**
   * What Vectorscan says of a regular expression; null: it can be used. On a processor that it
   * cannot run on, none can.
   */
  regexCheck(source: string, ignoreCase: boolean): RegexFault | null
  /**
   * Paths of fields, to be read of many documents.
   * @param paths each with one part or more, as in an expression (core/expression/ast.ts).
   */
  fieldsOpen(paths: readonly (readonly string[])[]): BridgeId
  fieldsClose(fields: BridgeId): void
  /**
   * The text of the scalar at each path, in the order of the paths; of an array that of its first
   * element that has one. Null: nothing of it is there, or the value is not one valid JSON object.
   */
  fieldsOf(fields: BridgeId, value: Uint8Array): (string | null)[]
  /**
   * Scans a slot that the caller owns (state FILTERING, or FILLING in direct mode), and leaves in
   * it the hits, by runs, and the runs as far as the scan came. With SLOT_FLAG_MORE it has to be
   * called again, for the rest, by the same matcher; otherwise what the slot held of librdkafka's
   * memory was given back.
   * @returns how many hits.
   */
  slotScan(pool: BridgeId, slotIndex: number, matcher: BridgeId): number
  /** Copies out the only hit of a scan that set the OVERSIZE flag; until the next one. */
  slotOversize(pool: BridgeId, slotIndex: number): OversizeRecord
  /** Of the last scan of a slot, where it set the DROPPED flag; until the next one. */
  slotDropped(pool: BridgeId, slotIndex: number): readonly DroppedRecords[]
  /**
   * Gives up what the slot holds, unscanned. Always legal for the owner; slotScan then sees no
   * records.
   */
  slotDiscard(pool: BridgeId, slotIndex: number): void

  /**
   * flock(2), exclusive, without waiting; the file is made if need be (0600). @returns an id, or
   * null when another holds it.
   */
  fileLock(path: string): BridgeId | null
  fileUnlock(lock: BridgeId): void
  /** From now on this process is sent SIGTERM when its parent dies (Linux only). */
  endWithParent(): void

  /** A Kafka in this process: librdkafka's mock cluster, on loopback. */
  mockOpen(options: {
    readonly brokerCount: number
    readonly topics: readonly { readonly topic: string; readonly partitions: number }[]
  }): { readonly id: BridgeId; readonly bootstrapServers: string }
  /**
   * The next requests of this kind (Kafka's API key) are answered with these error codes, in order.
   */
  mockPushErrors(mock: BridgeId, apiKey: number, errorCodes: readonly number[]): void
  mockBrokerDown(mock: BridgeId, brokerId: number): void
  mockBrokerUp(mock: BridgeId, brokerId: number): void
  mockBrokerDelay(mock: BridgeId, brokerId: number, delayMs: number): void
  /** Makes this broker the partition's leader, with the next leader epoch. */
  mockElect(mock: BridgeId, topic: string, partition: number, brokerId: number): void
  mockClose(mock: BridgeId): void
}

/** Added to consumerFill's and consumerPoll's result when consumerEvents has something to tell. */
export const FILL_EVENTS = 0x4000_0000
/** Added to consumerFill's result when it took nothing because slots hold too many bytes. */
export const FILL_FULL = 0x2000_0000

/** librdkafka's logical offsets (rdkafka.h). */
export const OFFSET_BEGINNING = -2
export const OFFSET_END = -1
export const OFFSET_NONE = -1001
