/**
 * Who else reads with the group, and who did: asked before it is joined.
 *
 *   live members of another pipeline      the start is refused (or `--take-over`)
 *   live members of other programs        reported
 *   offsets that another has committed    reported, with how far it came; this one goes on there
 *
 * A group whose coordinator does not answer is joined all the same: the join then reports the
 * problem. Bound. Two requests of REQUEST_MS_MAX, in flight together.
 */
import type { CommittedOffset, GroupMember, PartitionOffset } from '../bridge/bridge.ts'
import { topicsMeant } from '../options/topic-expression.ts'
import type { BrokerQueries, GroupFacts } from './broker-queries.ts'
import { decodeNote } from './commit-note.ts'
import { fingerprintOf, type PipelineIdentity } from './pipeline-identity.ts'
import type { Problem } from './preflight.ts'

/** A coordinator is elected within this time, or librdkafka reports the problem. */
const REQUEST_MS_MAX = 5000
/** Partitions, hosts and programs named in one line. */
const SHOWN_MAX = 4

export interface GroupQuestion {
  readonly groupId: string
  readonly identity: PipelineIdentity
  /** This process's names as static members: theirs are places that it takes over. */
  readonly instanceIds: readonly string[]
  /** Names, or ^regular expressions. */
  readonly topics: readonly string[]
}

/** Asks beside reading who reads with the group. */
export type AskReaders = (question: GroupQuestion, done: (readers: GroupReaders) => void) => void

export interface GroupReaders {
  /** Text about another pipeline that is live in the group; null: there is none. */
  readonly conflict: string | null
  /**
   * Of two pipelines that found an empty group at the same moment the one with the greater
   * fingerprint gives way.
   */
  readonly givesWay: boolean
  /** How many members are of this same pipeline. */
  readonly ownCount: number
  /** Facts that a user should know, although nothing prevents the start. */
  readonly notices: readonly string[]
  /** The group's committed offsets of the topics; empty if it did not answer. */
  readonly committed: readonly CommittedOffset[]
}

/** Of the queries' own group. */
export function askReaders(
  queries: BrokerQueries,
  question: GroupQuestion,
  done: (readers: GroupReaders) => void,
): void {
  queries.askGroup(question.groupId, REQUEST_MS_MAX, (facts) => done(readersOf(question, facts)))
}

export function readersOf(
  question: GroupQuestion,
  { members: all, committed: rows }: GroupFacts,
): GroupReaders {
  const { groupId, identity, instanceIds } = question
  if (all === null) return NOBODY
  const members = all.filter(
    ({ instanceId }) => instanceId === null || !instanceIds.includes(instanceId),
  )
  const own = members.filter(({ clientId }) => fingerprintOf(clientId) === identity.fingerprint)
  const foreign = members.filter(({ clientId }) => fingerprintOf(clientId) === undefined)
  const others = members.filter((one) => !own.includes(one) && !foreign.includes(one))
  const committed = topicsMeant(question.topics, rows ?? [])
  const former = otherPipelines(committed, identity)
  const notices = foreign.length === 0 ? [] : [foreignText(groupId, foreign)]
  if (others.length === 0 && own.length === 0 && former.length > 0) {
    notices.push(formerText(groupId, former))
  }
  const conflict =
    others.length === 0
      ? null
      : conflictText(question, others, otherPipelines(rows ?? [], identity))
  const givesWay = others.some(
    ({ clientId }) => (fingerprintOf(clientId) ?? '') < identity.fingerprint,
  )
  return { conflict, givesWay, ownCount: own.length, notices, committed }
}

const NOBODY: GroupReaders = {
  conflict: null,
  givesWay: false,
  ownCount: 0,
  notices: [],
  committed: [],
}

/** Refuses the start because of a conflict. */
export function conflictProblem(conflict: string): Problem {
  const own = 'use another group (--group NAME)'
  const over = 'or --take-over to run both until the other stops'
  return { code: 'GROUP_SHARED', message: `${conflict}; ${own}, ${over}` }
}

interface Former {
  readonly identity: PipelineIdentity
  readonly at: CommittedOffset
}

function otherPipelines(committed: readonly CommittedOffset[], own: PipelineIdentity): Former[] {
  return committed.flatMap((at) => {
    const identity = decodeNote(at.metadata)?.pipeline
    const isOther = identity !== undefined && identity.fingerprint !== own.fingerprint
    return isOther && at.offset >= 0 ? [{ identity, at }] : []
  })
}

function conflictText(
  { groupId, identity }: GroupQuestion,
  others: readonly GroupMember[],
  former: readonly Former[],
): string {
  const labels = new Map(former.map((one) => [one.identity.fingerprint, one.identity.label]))
  const names = new Set(
    others.map(({ clientId }) => {
      const fingerprint = fingerprintOf(clientId) ?? ''
      const label = labels.get(fingerprint)
      return label === undefined ? clientId : `${label} (${clientId})`
    }),
  )
  const who = `group ${groupId} is in use by another pipeline, ${shown([...names])}`
  const self = `this one is ${identity.label} (${identity.fingerprint})`
  const why = 'each would get only part of the partitions, and commit records the other wants'
  return `${who}, from ${hostsOf(others)}; ${self}; ${why}`
}

function foreignText(groupId: string, members: readonly GroupMember[]): string {
  const names = shown([...new Set(members.map(({ clientId }) => clientId || 'unnamed'))])
  const count = `${members.length} ${members.length === 1 ? 'member' : 'members'}`
  const share = 'logpipe does not see the partitions assigned to them'
  const who = `${count} of another program (${names}, from ${hostsOf(members)})`
  return `group ${groupId} has ${who}: ${share}`
}

function formerText(groupId: string, former: readonly Former[]): string {
  const names = shown([...new Set(former.map(({ identity }) => identity.label))])
  const upTo = shown(former.map(({ at }) => `${at.topic} [${at.partition}] at ${at.offset}`))
  const again = 'to read earlier records, use another group (--group NAME) or logpipe replay'
  const who = `group ${groupId} was used by another pipeline before (${names})`
  return `${who}, which committed ${upTo}; this one continues from there; ${again}`
}

/**
 * The text for a start at which everything was read before.
 * @param groupId null: no group has a say in where it begins.
 * @param ends of the partitions that are read.
 */
export function atEndText(groupId: string | null, ends: readonly PartitionOffset[]): string {
  const topics = shown([...new Set(ends.map(({ topic }) => topic))])
  if (ends.every(({ offset }) => offset === 0)) return `nothing to read yet: ${topics} is empty`
  if (groupId === null) return `nothing to read yet: --start begins at the end of ${topics}`
  const again =
    'use another group (--group NAME) to begin at --start, or logpipe replay for a time range'
  return `nothing to read: group ${groupId} is at the end of ${topics}; ${again}`
}

function hostsOf(members: readonly GroupMember[]): string {
  return shown([...new Set(members.map(({ host }) => host.replace(/^\//, '')))])
}

function shown(list: readonly string[]): string {
  const rest = list.length - SHOWN_MAX
  return `${list.slice(0, SHOWN_MAX).join(', ')}${rest > 0 ? ` and ${rest} more` : ''}`
}
