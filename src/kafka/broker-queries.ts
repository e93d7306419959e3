/**
 * Questions to brokers: where partitions begin and end, the group's committed offsets, the ids of
 * topics.
 *
 *   BrokerQueries   beside reading: nothing blocks. Every question is answered once, by a broker or
 *                   with an error when its time is over, and so is a commit; an answer is per
 *                   partition, so that one without a leader holds up nobody else. Whoever asks
 *                   decides what is asked again, and when.
 *   askOffsets      before there is anything to read: blocks, and asks again until a deadline.
 *
 * Bound. Questions in flight are as many as the caller asked; librdkafka ends each in its time.
 */
import assert from 'node:assert/strict'
import {
  OFFSET_BEGINNING,
  OFFSET_END,
  OFFSET_NONE,
  type BrokerAnswer,
  type CommitOffset,
  type CommittedOffset,
  type GroupMember,
  type PartitionError,
  type PartitionOffset,
} from '../bridge/bridge.ts'
import { LogpipeError, messageOf } from '../core/errors.ts'
import { keyOf, type TopicPartition } from '../core/topic-partition.ts'
import { decodeNote, NO_PAST } from './commit-note.ts'
import type { Consumer } from './consumer.ts'

/** An offset and the epoch of the leader that gave it; offset below 0: there is none. */
export interface FoundOffset {
  readonly offset: number
  /** -1: unknown. */
  readonly leaderEpoch: number
}

/** The questions to ask about each partition. */
export interface Want {
  /** Its committed offset in the group. */
  readonly committed?: boolean
  /** The group's committed offsets of all topics. */
  readonly group?: boolean
  readonly first?: boolean
  readonly end?: boolean
  /** The first offset at or after this time (ms since 1970). */
  readonly timeMs?: number
  /** The topic's id, and how many partitions it has. */
  readonly topic?: boolean
}

/** The brokers' answers about one partition; an answer that was not asked for is absent. */
export interface Facts {
  readonly committed?: CommittedOffset
  readonly group?: readonly CommittedOffset[]
  readonly first?: FoundOffset
  readonly end?: FoundOffset
  readonly atTime?: FoundOffset
  /** 32 hex digits; null: the broker has no ids. */
  readonly topicId?: string | null
  /** 0: unknown. */
  readonly partitionCount?: number
  /** Why something is missing; null: everything that was asked for is there. */
  readonly problem: string | null
}

/** The coordinator's answer about a group. */
export interface GroupFacts {
  /** Null: it did not say. */
  readonly members: readonly GroupMember[] | null
  /** Of all topics; of the consumer's own group. Null: it did not say. */
  readonly committed: readonly CommittedOffset[] | null
}

type Part = 'commit' | 'committed' | 'group' | 'first' | 'end' | 'atTime' | 'topic' | 'members'

type Answers = ReadonlyMap<Part, BrokerAnswer>

/** One call: its questions are in flight together, and it ends with the last of them. */
interface Round {
  readonly answers: Map<Part, BrokerAnswer>
  readonly done: (answers: Answers) => void
  left: number
}

/** A broker that does not know the question has no ids either. */
const UNSUPPORTED = /UNSUPPORTED/

export class BrokerQueries {
  readonly #consumer: Consumer
  readonly #inFlight = new Map<number, { readonly round: Round; readonly part: Part }>()

  constructor(consumer: Consumer) {
    this.#consumer = consumer
  }

  get isBusy(): boolean {
    return this.#inFlight.size > 0
  }

  /**
   * Asks; `done` is called by a later `serve`, within timeoutMs or a little more, with one entry a
   * partition, in their order.
   * @param partitions one or more, each once.
   */
  ask(
    partitions: readonly TopicPartition[],
    want: Want,
    timeoutMs: number,
    done: (facts: readonly Facts[]) => void,
  ): void {
    assert(partitions.length > 0 && timeoutMs > 0, 'a question about something, with an end')
    const round: Round = {
      answers: new Map(),
      done: (answers) => done(factsOf(partitions, answers)),
      left: 0,
    }
    const at = (offset: number) =>
      partitions.map(({ topic, partition }) => ({ topic, partition, offset }))
    const consumer = this.#consumer
    const offsets = (part: Part, offset: number) =>
      this.#send(round, part, () => consumer.askOffsets(at(offset), timeoutMs))
    const committed = (part: Part, rows: readonly PartitionOffset[] | null) =>
      this.#send(round, part, () => consumer.askCommitted(rows, timeoutMs))
    if (want.committed === true) committed('committed', at(OFFSET_NONE))
    if (want.group === true) committed('group', null)
    if (want.first === true) offsets('first', OFFSET_BEGINNING)
    if (want.end === true) offsets('end', OFFSET_END)
    if (want.timeMs !== undefined) offsets('atTime', want.timeMs)
    if (want.topic === true) {
      const topics = [...new Set(partitions.map((one) => one.topic))]
      const ask = () => consumer.askTopics(topics, timeoutMs)
      this.#send(round, 'topic', ask)
    }
  }

  /** As ask, of the consumer's group. */
  askGroup(groupId: string, timeoutMs: number, done: (facts: GroupFacts) => void): void {
    const consumer = this.#consumer
    const round: Round = {
      answers: new Map(),
      done: (answers) => {
        const [members, group] = [answers.get('members'), answers.get('group')]
        done({
          members: members?.error === null ? members.members : null,
          committed: group?.error === null ? group.partitions : null,
        })
      },
      left: 0,
    }
    assert(timeoutMs > 0, 'a question with an end')
    this.#send(round, 'members', () => consumer.askMembers(groupId, timeoutMs))
    this.#send(round, 'group', () => consumer.askCommitted(null, timeoutMs))
  }

  /**
   * Commits these offsets, one or more; `done` gets each one's error, in their order: librdkafka's
   * name of it, or null.
   */
  commit(
    offsets: readonly CommitOffset[],
    done: (errors: readonly (string | null)[]) => void,
  ): void {
    assert(offsets.length > 0, 'something to commit')
    const round: Round = {
      answers: new Map(),
      done: (answers) => {
        const { error = 'no answer', partitions = [] } = answers.get('commit') ?? {}
        const rows = new Map(partitions.map((row) => [keyOf(row), row.error]))
        done(offsets.map((one) => error ?? rows.get(keyOf(one)) ?? null))
      },
      left: 0,
    }
    this.#send(round, 'commit', () => this.#consumer.askCommit(offsets))
  }

  /** Hands out the answers that are there; waits at most waitMs (0 to 50) for the first. */
  serve(waitMs: number): void {
    if (!this.isBusy) return
    assert(waitMs >= 0 && waitMs <= WAIT_MS_MAX, 'one wait is short')
    for (const answer of this.#consumer.answers(waitMs)) {
      const question = this.#inFlight.get(answer.question)
      if (question === undefined) continue
      this.#inFlight.delete(answer.question)
      const { round, part } = question
      assert(round.left > 0 && !round.answers.has(part), 'each question is answered once')
      round.answers.set(part, answer)
      round.left--
      if (round.left === 0) round.done(round.answers)
    }
  }

  #send(round: Round, part: Part, ask: () => number): void {
    const question = ask()
    assert(!this.#inFlight.has(question), 'each question has a number of its own')
    round.left++
    this.#inFlight.set(question, { round, part })
  }
}

const PART_NAMES: Readonly<Record<Exclude<Part, 'members' | 'commit'>, string>> = {
  committed: 'committed offset',
  group: "group's offsets",
  first: 'first offset',
  end: 'end offset',
  atTime: 'offset by time',
  topic: "topic's id",
}

function factsOf(partitions: readonly TopicPartition[], answers: Answers): Facts[] {
  const rows = new Map<Part, ReadonlyMap<string, CommittedOffset>>()
  for (const [part, answer] of answers) {
    rows.set(part, new Map(answer.partitions.map((row) => [keyOf(row), row])))
  }
  return partitions.map((one) => {
    let problem: string | null = null
    const fail = (part: keyof typeof PART_NAMES, error: string) => {
      problem ??= `${PART_NAMES[part]}: ${error}`
    }
    const rowOf = (part: keyof typeof PART_NAMES): CommittedOffset | undefined => {
      const answer = answers.get(part)
      if (answer === undefined) return undefined
      const row = rows.get(part)?.get(keyOf(one))
      const error = answer.error ?? (row === undefined ? 'no answer' : row.error)
      if (error !== null) fail(part, error)
      return error === null ? row : undefined
    }
    const facts: { -readonly [Key in keyof Facts]: Facts[Key] } = { problem: null }
    for (const part of ['committed', 'first', 'end', 'atTime'] as const) {
      const row = rowOf(part)
      if (row !== undefined) facts[part] = row
    }
    const group = answers.get('group')
    if (group !== undefined) {
      if (group.error !== null) fail('group', group.error)
      facts.group = group.partitions
    }
    const topics = answers.get('topic')
    if (topics !== undefined) {
      const found = topics.topics.find(({ topic }) => topic === one.topic)
      const error = topics.error ?? (found === undefined ? 'no answer' : found.error)
      if (error !== null && !UNSUPPORTED.test(error)) fail('topic', error)
      facts.topicId = found?.topicId ?? null
      facts.partitionCount = found?.partitions ?? 0
    }
    return { ...facts, problem }
  })
}

/** When to give up asking, by the monotonic clock. */
export interface Deadline {
  nowMs(): number
  readonly atMs: number
}

/** Each request may take this long; a broker that restarts is back within a few of them. */
const REQUEST_TIMEOUT_MS = 10_000
/** Short against an election (about a second), long against a busy loop. */
const RETRY_PAUSE_MS = 100

/**
 * Calls until no partition has an error, or the deadline has passed. Each call is bounded in time.
 * @throws LogpipeError KAFKA_UNREACHABLE.
 */
function askUntil(
  what: string,
  call: () => PartitionError[],
  deadline: Deadline,
): PartitionError[] {
  for (;;) {
    let problem: string
    try {
      const answer = call()
      const failed = answer.find((one) => one.error !== null)
      if (failed === undefined) return answer
      problem = `${failed.topic} [${failed.partition}]: ${failed.error}`
    } catch (thrown) {
      problem = messageOf(thrown)
    }
    if (deadline.nowMs() >= deadline.atMs) {
      throw new LogpipeError('KAFKA_UNREACHABLE', `no broker returned the ${what}: ${problem}`)
    }
    // An error may come back at once; without this the loop would spin. The thread has nothing
    // else to do.
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, RETRY_PAUSE_MS)
  }
}

/**
 * The offset of each partition at a time (ms since 1970) or at OFFSET_END, in the partitions'
 * order; below 0 where there is none. Blocks.
 * @throws LogpipeError KAFKA_UNREACHABLE when no answer came until the deadline.
 */
export function askOffsets(
  consumer: Consumer,
  what: string,
  partitions: readonly PartitionOffset[],
  at: number,
  deadline: Deadline,
): number[] {
  const asked = partitions.map((one) => ({ ...one, offset: at }))
  const answer = askUntil(what, () => consumer.offsetsForTimes(asked, REQUEST_TIMEOUT_MS), deadline)
  const offsets = new Map(answer.map((one) => [keyOf(one), one.offset]))
  return partitions.map((one) => offsets.get(keyOf(one)) ?? -1)
}

/** One wait for an answer: bridge.ts. */
const WAIT_MS_MAX = 50

/** Asks, and blocks until everything is answered; on a consumer with no other question. */
export function awaitAnswers(consumer: Consumer, ask: (queries: BrokerQueries) => void): void {
  const queries = new BrokerQueries(consumer)
  ask(queries)
  while (queries.isBusy) queries.serve(WAIT_MS_MAX)
}

/**
 * From which leader epoch on the consumer's group marks the records of each partition, in their
 * order (commit-note.ts); -1: their logs were never cut off. Blocks for `requestMs` at most, on a
 * consumer with no other question.
 * @returns null where nobody answered.
 */
export function askMarks(
  consumer: Consumer,
  partitions: readonly TopicPartition[],
  requestMs: number,
): (number | null)[] {
  let found: readonly Facts[] = []
  awaitAnswers(consumer, (queries) => {
    const want = { committed: true, topic: true }
    queries.ask(partitions, want, requestMs, (facts) => (found = facts))
  })
  return found.map(markFromOf)
}

/** As askMarks, from facts that were asked for with `committed` and `topic`. */
export function markFromOf({ committed, topicId, problem }: Facts): number | null {
  if (committed === undefined || problem !== null) return null
  const note = decodeNote(committed.metadata)
  // If the topic was recreated since, the note says nothing about it.
  const isOfThis = note !== null && note.topicId === topicId
  return (isOfThis ? note.past : NO_PAST).markFrom
}
