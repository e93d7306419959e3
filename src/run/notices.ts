/**
 * What people are told of the ingress threads' messages, and which of them end the pipeline.
 */
import { ERRORS, LogpipeError, type ErrorCode } from '../core/errors.ts'
import type { Log } from '../core/log.ts'
import type { FromIngress } from '../kafka/ingress-messages.ts'

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

export function tellOf(message: FromIngress, log: Log): void {
  switch (message.kind) {
    case 'closed':
      if (!message.inTime) log.warn('a consumer did not leave its group in time')
      break
    case 'trouble':
      if (!message.fatal) log.warn(`kafka: ${message.code}: ${troubleText(message)}`)
      break
    case 'commitFailed':
      // A rebalance refuses commits for a moment; the next second's is accepted.
      if (REFUSED_BY_REBALANCE.has(message.error)) log.debug('a commit waits for a rebalance')
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
