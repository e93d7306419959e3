/**
 * What people are told of the ingress threads' messages, and which of them end the pipeline.
 */
import { ERRORS, LogpipeError, type ErrorCode } from '../core/errors.ts'
import type { Log } from '../core/log.ts'
import type { PartitionOffset } from '../bridge/bridge.ts'
import { REFUSED_BY_REBALANCE } from '../kafka/commits.ts'
import { atEndText } from '../kafka/group-check.ts'
import type { Of, Position, StuckPartition, WaitingPartition } from '../kafka/ingress-messages.ts'
import { propertyOf } from '../options/kafka-properties.ts'
import type { KafkaSettings } from './settings.ts'

type Trouble = Of<'trouble' | 'refused'>

/** Partitions named in one line; a large assignment is counted. */
const PARTITIONS_SHOWN = 8

/** What to do about a consumer that is shut out for good, where that is known. */
const ADVICE: Readonly<Record<string, string>> = {
  FENCED_INSTANCE_ID:
    'another process joined the group with the same instance id; ' +
    'give each process its own --group-instance-id',
  UNRELEASED_INSTANCE_ID:
    'another member with this instance id is still in the group; stop it, or, if it was ' +
    'killed, start again once its session has timed out',
  GROUP_MAX_SIZE_REACHED: 'the group is full (group.max.size of the brokers)',
  GROUP_AUTHORIZATION_FAILED: 'allow READ on the group, or use another with --group',
}

/** A thread cannot go on, and the pipeline with it. */
export function failureOf({ code, message }: Of<'failed'>): LogpipeError {
  return new LogpipeError(code in ERRORS ? (code as ErrorCode) : 'BRIDGE_CALL', message)
}

/** A consumer with a fatal error reads nothing more, so whatever the reason, the process ends. */
export function fatalErrorOf(
  { code, message, ingressIndex }: Trouble,
  { groupId, properties }: Pick<KafkaSettings, 'groupId' | 'properties'>,
): LogpipeError {
  const instanceId = propertyOf(properties[ingressIndex] ?? [], 'group.instance.id')
  const instance = instanceId === undefined ? '' : `, instance id ${instanceId}`
  const advice = ADVICE[code] ?? "restart it; if that does not help, check the brokers' logs"
  const who = `group ${groupId}${instance}`
  const text = `Kafka fenced this consumer: ${code}: ${message} (${who}); ${advice}`
  return new LogpipeError('KAFKA_FATAL', text)
}

/** How often one kind of trouble is told; in between it is counted. */
const TELL_EVERY_MS = 10_000

/** A cluster may be away for hours: a line a minute. */
const WAITING_EVERY_MS = 60_000

/** Kinds of trouble that are told apart; beyond it they share one line. */
const KINDS_MAX = 200

const TOPIC_IS_GONE = /UNKNOWN_TOPIC/
/**
 * Says once, after the start, that there is nothing to read: all that this process was given has
 * been read before. A record ends it.
 */
class AtEnd {
  readonly #threadCount: number
  /** By thread. */
  readonly #positions = new Map<number, readonly Position[]>()
  readonly #waiting = new Map<number, number>()
  #isOver = false

  constructor(threadCount: number) {
    this.#threadCount = threadCount
  }

  first(): void {
    this.#isOver = true
  }

  waiting({ ingressIndex, partitions }: Of<'waiting'>): void {
    this.#waiting.set(ingressIndex, partitions.length)
  }

  /** @returns the ends of what was given, when everything is at its end for the first time. */
  positions({ ingressIndex, positions }: Of<'positions'>): readonly PartitionOffset[] | null {
    if (this.#isOver) return null
    this.#positions.set(ingressIndex, positions)
    const hasAll = this.#positions.size === this.#threadCount
    if (!hasAll || [...this.#waiting.values()].some((count) => count > 0)) return null
    const all = [...this.#positions.values()].flat()
    if (all.length === 0 || all.some((one) => one.endOffset < 0 || one.offset < one.endOffset)) {
      return null
    }
    this.#isOver = true
    return all.map(({ topic, partition, endOffset }) => ({ topic, partition, offset: endOffset }))
  }
}

/** Records that were not indexed by their own date: a line a minute, with their number. */
export class RedatedNotice {
  readonly #log: Log
  #toldCount = 0
  #toldMs = -Infinity

  constructor(log: Log) {
    this.#log = log
  }

  /** @param count since the start */
  look(count: number, nowMs: number): void {
    if (count === this.#toldCount || nowMs - this.#toldMs < WAITING_EVERY_MS) return
    this.#log.warn(
      `${count - this.#toldCount} records are dated outside of --es-index-date-span: they go to ` +
        'the index of the day that they are read; "off" takes all by their own date',
    )
    this.#toldCount = count
    this.#toldMs = nowMs
  }
}

export class Notices {
  readonly #log: Log
  readonly #groupId: string | null
  readonly #atEnd: AtEnd | null
  readonly #nowMs: () => number
  /** Until a broker has answered, the start itself reports what is wrong, in one line. */
  #isReached = false
  /** Topics that were deleted, until they are assigned anew. */
  readonly #gone = new Set<string>()
  readonly #told = new Map<string, { atMs: number; suppressed: number }>()

  constructor(
    log: Log,
    {
      membership,
      groupId,
      properties,
    }: Pick<KafkaSettings, 'membership' | 'groupId' | 'properties'>,
    nowMs: () => number,
  ) {
    this.#log = log
    this.#groupId = membership === 'alone' ? null : groupId
    // Otherwise what is read is known before: a replay's ranges, or what the demo is going to make.
    this.#atEnd = membership === 'static' ? null : new AtEnd(properties.length)
    this.#nowMs = nowMs
  }

  opened(): void {
    this.#isReached = true
  }

  first(): void {
    this.#atEnd?.first()
  }

  positions(message: Of<'positions'>): void {
    const ends = this.#atEnd?.positions(message) ?? null
    if (ends !== null) this.#log.info(atEndText(this.#groupId, ends))
  }

  awaitingBroker({ message }: Of<'awaitingBroker'>): void {
    this.#warn('waiting', `${message}; retrying until it answers`, WAITING_EVERY_MS)
  }

  waiting(message: Of<'waiting'>): void {
    this.#atEnd?.waiting(message)
    for (const one of message.partitions) this.#tellWaiting(one)
  }

  assign({ partitions }: Of<'assign'>): void {
    for (const { topic } of partitions) this.#gone.delete(topic)
    this.#log.info(partitionsText('assigned', partitions))
  }

  revoke({ lost, positions }: Of<'revoke'>): void {
    this.#log.info(partitionsText(lost ? 'lost' : 'revoked', positions))
  }

  restart(message: Of<'restart'>): void {
    this.#log.warn(restartText(message))
  }

  commitFailed({ error }: Of<'commitFailed'>): void {
    // A rebalance refuses commits for a moment; the next second's is accepted.
    if (REFUSED_BY_REBALANCE.has(error))
      this.#log.debug('commit postponed until the rebalance ends')
    else this.#warn(`commit ${error}`, `commit failed: ${error}; retrying`)
  }

  log({ facility, message }: Of<'log'>): void {
    this.#log.debug(`librdkafka: ${facility}: ${message}`)
  }

  paused(): void {
    this.#log.warn('output too slow: pool exhausted, consumption paused until slots are free')
  }

  resumed(): void {
    this.#log.info('the output has caught up: consumption resumed')
  }

  closed({ inTime }: Of<'closed'>): void {
    if (!inTime) this.#log.warn('a consumer did not leave its group in time')
  }

  #tellWaiting({ topic, partition, problem }: WaitingPartition): void {
    if (problem === null) return
    const name = `${topic} [${partition}]`
    const text = `kafka: ${name} is not consumed yet: ${problem}; retrying`
    this.#warn(`waiting ${name} ${problem}`, text)
  }

  /** What is fatal ends the pipeline instead. */
  trouble(message: Trouble): void {
    const { code, topic } = message
    const text = `kafka: ${code}: ${troubleText(message)}`
    if (!this.#isReached) return this.#log.debug(text)
    if (topic !== null && TOPIC_IS_GONE.test(code)) {
      // librdkafka says it twice a second for each partition, until the group takes them back.
      if (this.#gone.has(topic) || this.#gone.size >= KINDS_MAX) return
      this.#gone.add(topic)
      this.#log.warn(
        `kafka: topic ${topic} no longer exists (${code}); waiting until it is recreated`,
      )
      return
    }
    this.#warn(`${code} ${topic} ${message.partition}`, text)
  }

  /** Each once a minute (kafka/unreadable.ts). */
  stuck({ partitions, unanswered }: Of<'stuck'>): void {
    const [first] = unanswered
    if (first !== undefined) {
      const others = unanswered.length === 1 ? '' : ` (and ${unanswered.length - 1} more)`
      const text = `${first.topic} [${first.partition}]${others} is not read: ${first.problem}`
      this.#warn('unanswered', `kafka: ${text}; asking every second`, WAITING_EVERY_MS)
    }
    const due = partitions.filter(({ isDue }) => isDue)
    for (const one of due.slice(0, PARTITIONS_SHOWN)) this.#log.warn(stuckText(one))
    const more = due.length - PARTITIONS_SHOWN
    if (more > 0) this.#log.warn(`${more} more partitions are stuck (kafka_stuck_partitions)`)
  }

  /** At most one line of a kind in this time. */
  #warn(kind: string, text: string, everyMs = TELL_EVERY_MS): void {
    const key = this.#told.has(kind) || this.#told.size < KINDS_MAX ? kind : 'other'
    const told = this.#told.get(key)
    const nowMs = this.#nowMs()
    if (told !== undefined && nowMs - told.atMs < everyMs) {
      told.suppressed++
      return
    }
    const before = told?.suppressed ?? 0
    this.#told.set(key, { atMs: nowMs, suppressed: 0 })
    this.#log.warn(before === 0 ? text : `${text} (and ${before} more since the last such line)`)
  }
}

function troubleText(message: Trouble): string {
  const where = message.topic === null ? '' : ` (${message.topic} [${message.partition}])`
  return `${message.message}${where}`
}

function stuckText({ topic, partition, offset, reason, canSkip }: StuckPartition): string {
  const next = canSkip
    ? 'retrying every 5 s; --skip-unreadable skips it and counts it as lost'
    : 'retrying'
  return `${topic} [${partition}] is stuck at offset ${offset}: ${reason}; ${next}`
}

function partitionsText(
  what: string,
  list: readonly { topic: string; partition: number; offset: number }[],
): string {
  const names = list.map((one) => `${one.topic} [${one.partition}] at ${one.offset}`)
  const more = names.length > PARTITIONS_SHOWN ? ', ...' : ''
  return `${what} ${names.length} partitions: ${names.slice(0, PARTITIONS_SHOWN).join(', ')}${more}`
}

function restartText(message: Of<'restart'>): string {
  const { position, partitions } = message
  const [{ offset }] = partitions
  const { topic, partition, offset: expected } = position
  const came = `expected offset ${expected}, got ${offset}`
  if (message.damage !== null)
    return `${topic} [${partition}]: ${message.damage}; reading again from there`
  const why = 'log truncated or topic recreated'
  return `${topic} [${partition}]: ${came}: ${why}; continuing from ${offset}`
}
