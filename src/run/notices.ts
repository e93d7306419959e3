/**
 * What people are told of the ingress threads' messages, and which of them end the pipeline.
 */
import { ERRORS, LogpipeError, type ErrorCode } from '../core/errors.ts'
import type { Log } from '../core/log.ts'
import type { PartitionOffset } from '../bridge/bridge.ts'
import { atEndText } from '../kafka/group-check.ts'
import type { FromIngress, Position } from '../kafka/ingress-messages.ts'
import type { KafkaSettings } from './settings.ts'

/** What a group answers to a commit while it is being rebalanced. */
const REFUSED_BY_REBALANCE = new Set(['REBALANCE_IN_PROGRESS', 'ILLEGAL_GENERATION'])

/** Partitions named in one line; a large assignment is counted. */
const PARTITIONS_SHOWN = 8

/** The error with which the pipeline must end, or null. */
export function errorOf(message: FromIngress): LogpipeError | null {
  if (message.kind === 'failed') {
    const code = message.code in ERRORS ? (message.code as ErrorCode) : 'BRIDGE_CALL'
    return new LogpipeError(code, message.message)
  }
  if (message.kind === 'trouble' && message.fatal) {
    return new LogpipeError('KAFKA_FATAL', troubleText(message))
  }
  return null
}

/** How often one kind of trouble is told; in between it is counted. */
const TELL_EVERY_MS = 10_000

/** Kinds of trouble that are told apart; beyond it they share one line. */
const KINDS_MAX = 200

/**
 * Says once, after the start, that there is nothing to read: all that this process was given has
 * been read before. A record ends it.
 */
class AtEnd {
  readonly #positions = new Map<number, readonly Position[]>()
  #isOver = false

  /** @returns the ends of what was given, when everything is at its end for the first time. */
  look(message: FromIngress): readonly PartitionOffset[] | null {
    if (message.kind === 'first') this.#isOver = true
    if (message.kind !== 'positions' || this.#isOver) return null
    this.#positions.set(message.ingressIndex, message.positions)
    const all = [...this.#positions.values()].flat()
    if (all.length === 0 || all.some((one) => one.endOffset < 0 || one.offset < one.endOffset)) {
      return null
    }
    this.#isOver = true
    return all.map(({ topic, partition, endOffset }) => ({ topic, partition, offset: endOffset }))
  }
}

export class Notices {
  readonly #log: Log
  readonly #groupId: string | null
  readonly #atEnd: AtEnd | null
  readonly #nowMs: () => number
  /** Until a broker has answered, the start itself reports what is wrong, in one line. */
  #isReached = false
  readonly #told = new Map<string, { atMs: number; suppressed: number }>()

  constructor(
    log: Log,
    { membership, groupId }: Pick<KafkaSettings, 'membership' | 'groupId'>,
    nowMs: () => number,
  ) {
    this.#log = log
    this.#groupId = membership === 'alone' ? null : groupId
    // Otherwise what is read is known before: a replay's ranges, or what the demo is going to make.
    this.#atEnd = membership === 'static' ? null : new AtEnd()
    this.#nowMs = nowMs
  }

  tell(message: FromIngress): void {
    const log = this.#log
    const ends = this.#atEnd?.look(message) ?? null
    if (ends !== null) log.info(atEndText(this.#groupId, ends))
    switch (message.kind) {
      case 'opened':
        this.#isReached = true
        break
      case 'closed':
        if (!message.inTime) log.warn('a consumer did not leave its group in time')
        break
      case 'trouble':
        if (!message.fatal) this.#tellTrouble(message)
        break
      case 'commitFailed':
        // A rebalance refuses commits for a moment; the next second's is accepted.
        if (REFUSED_BY_REBALANCE.has(message.error)) log.debug('a commit waits for a rebalance')
        else this.#warn(`commit ${message.error}`, `a commit failed: ${message.error}`)
        break
      case 'log':
        log.debug(`librdkafka: ${message.facility}: ${message.message}`)
        break
      case 'assign':
        log.info(partitionsText('assigned', message.partitions))
        break
      case 'revoke':
        log.info(partitionsText(message.lost ? 'lost' : 'revoked', message.positions))
        break
      case 'restart':
        log.warn(restartText(message))
        break
      case 'paused':
        log.warn('no free slot for too long: reading is paused until the output catches up')
        break
      case 'resumed':
        log.info('the output has caught up: reading goes on')
        break
      default:
        // The rest is between the threads.
        break
    }
  }

  #tellTrouble(message: Extract<FromIngress, { kind: 'trouble' }>): void {
    const text = `kafka: ${message.code}: ${troubleText(message)}`
    if (!this.#isReached) this.#log.debug(text)
    else this.#warn(`${message.code} ${message.topic} ${message.partition}`, text)
  }

  /** At most one line of a kind in TELL_EVERY_MS. */
  #warn(kind: string, text: string): void {
    const key = this.#told.has(kind) || this.#told.size < KINDS_MAX ? kind : 'other'
    const told = this.#told.get(key)
    const nowMs = this.#nowMs()
    if (told !== undefined && nowMs - told.atMs < TELL_EVERY_MS) {
      told.suppressed++
      return
    }
    const before = told?.suppressed ?? 0
    this.#told.set(key, { atMs: nowMs, suppressed: 0 })
    this.#log.warn(before === 0 ? text : `${text} (and ${before} times since it was told last)`)
  }
}

function troubleText(message: Extract<FromIngress, { kind: 'trouble' }>): string {
  const where = message.topic === null ? '' : ` (${message.topic} [${message.partition}])`
  return `${message.message}${where}`
}

function partitionsText(
  what: string,
  list: readonly { topic: string; partition: number; offset: number }[],
): string {
  const names = list.map((one) => `${one.topic} [${one.partition}] at ${one.offset}`)
  const more = names.length > PARTITIONS_SHOWN ? ', ...' : ''
  return `${what} ${names.length} partitions: ${names.slice(0, PARTITIONS_SHOWN).join(', ')}${more}`
}

function restartText(message: Extract<FromIngress, { kind: 'restart' }>): string {
  const { position, partitions } = message
  const [{ offset }] = partitions
  const { topic, partition, offset: expected } = position
  const came = `offset ${offset} came where ${expected} was expected`
  const why = 'the log was truncated or made anew'
  return `${topic} [${partition}]: ${came}: ${why}; read from ${offset} on`
}
