/**
 * Who hears what of the ingress threads: each kind of message is met here, and nowhere else.
 *
 *   coordinator   what changes the ledger and the books
 *   ingress       how far each thread has come, and whether it reads
 *   notices       what people are told
 *   topics        what the names of topics mean for the output
 *
 * A message that ends the pipeline says so first: what is heard after `fail` changes nothing more,
 * and no record of a topic that is refused is read.
 */
import type { LogpipeError } from '../core/errors.ts'
import type { FromIngress } from '../kafka/ingress-messages.ts'
import type { Coordinator } from './coordinator.ts'
import { failureOf, fatalErrorOf, type Notices } from './notices.ts'
import type { KafkaSettings } from './settings.ts'
import type { RecordTimes } from './status.ts'
import type { IngressStates } from './threads.ts'
import type { TopicWatch } from './topic-identity.ts'

export interface Hearers {
  readonly coordinator: Pick<
    Coordinator,
    'assign' | 'revoke' | 'restart' | 'unassigned' | 'skipped' | 'marked' | 'assignments'
  >
  readonly notices: Notices
  readonly ingress: IngressStates
  readonly topics: TopicWatch
  readonly times: Pick<RecordTimes, 'noteFirst'>
  readonly kafka: Pick<KafkaSettings, 'groupId' | 'properties'>
  readonly fail: (error: LogpipeError) => void
}

/** The group gives partitions, or takes some. */
const REGROUPS: ReadonlySet<FromIngress['kind']> = new Set([
  'assign',
  'standby',
  'revoke',
  'unassigned',
])

export function dispatch(message: FromIngress, hearers: Hearers): void {
  const { coordinator, notices, ingress, topics, times, kafka, fail } = hearers
  const { kind, ingressIndex } = message
  if (REGROUPS.has(kind)) ingress.regrouped(message)
  switch (kind) {
    case 'opened':
      ingress.reachable(ingressIndex, true)
      notices.opened()
      return failFor(hearers, topics.opened(message))
    case 'awaitingBroker':
      ingress.reachable(ingressIndex, false)
      return notices.awaitingBroker(message)
    case 'reachable':
      return ingress.reachable(ingressIndex, message.isReachable)
    case 'standby':
      return ingress.standby(ingressIndex)
    case 'waiting':
      ingress.waiting(message)
      return notices.waiting(message)
    case 'assign':
      ingress.joined(ingressIndex)
      notices.assign(message)
      failFor(hearers, topics.assign(message))
      return coordinator.assign(message)
    case 'revoke':
      if (message.lost) ingress.lost(ingressIndex)
      notices.revoke(message)
      return coordinator.revoke(message)
    case 'restart':
      notices.restart(message)
      return coordinator.restart(message)
    case 'unassigned':
      return coordinator.unassigned(message)
    case 'marked':
      return coordinator.marked(message)
    case 'skipped':
      return coordinator.skipped(message)
    case 'stuck':
      ingress.stuck(message)
      return notices.stuck(message)
    case 'positions':
      notices.positions(message)
      return coordinator.assignments.note(message.positions)
    case 'first':
      times.noteFirst(message)
      return notices.first()
    case 'refused':
      ingress.refused(message)
      return notices.trouble(message)
    case 'trouble':
      if (message.fatal) return fail(fatalErrorOf(message, kafka))
      return notices.trouble(message)
    case 'commitFailed':
      return notices.commitFailed(message)
    case 'paused':
    case 'resumed':
      return notices[kind]()
    case 'log':
      return notices.log(message)
    case 'finished':
    case 'stopped':
      coordinator.assignments.note(message.positions)
      return ingress[kind](ingressIndex)
    case 'failed':
      return fail(failureOf(message))
    case 'closed':
      notices.closed(message)
      return ingress.closed(ingressIndex)
  }
}

function failFor({ fail }: Pick<Hearers, 'fail'>, error: LogpipeError | null): void {
  if (error !== null) fail(error)
}
