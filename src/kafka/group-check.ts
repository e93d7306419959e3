/**
 * Who else reads with the group, and who did: asked before it is joined.
 *
 *   live members of another pipeline      the start is refused (or `--take-over`)
 *   live members of other programs        told
 *   offsets that another has committed    told, with how far it came: this one goes on from there
 *
 * A group whose coordinator does not answer is joined all the same: the join then says what is
 * wrong. Bound. Two requests of REQUEST_MS_MAX.
 */
import type { Bridge, BridgeId, PartitionError, PartitionOffset } from '../bridge/bridge.ts'
import { fingerprintOf, identityIn, type PipelineIdentity } from './pipeline-identity.ts'
import type { Problem, TopicSize } from './preflight.ts'

/** A coordinator that is being elected is there within it, or librdkafka says what is wrong. */
const REQUEST_MS_MAX = 5000
/** Partitions, hosts and programs named in one line. */
const SHOWN_MAX = 4

export interface GroupQuestion {
  readonly groupId: string
  readonly identity: PipelineIdentity
  /** This process's names as static members: theirs are places that it takes over. */
  readonly instanceIds: readonly string[]
  readonly topics: readonly TopicSize[]
}

export interface GroupReaders {
  /** Another pipeline is live in the group: what to say of it. */
  readonly conflict: string | null
  /**
   * Of two pipelines that found an empty group at the same moment the one with the greater
   * fingerprint gives way.
   */
  readonly givesWay: boolean
  /** How many members are of this same pipeline. */
  readonly ownCount: number
  /** What a user should know although nothing is in the way. */
  readonly notices: readonly string[]
  /** What the group has committed of the topics; empty where it did not say. */
  readonly committed: readonly PartitionError[]
}

type Asked = Pick<Bridge, 'consumerGroupMembers' | 'consumerCommitted'>
type Member = ReturnType<Bridge['consumerGroupMembers']>[number]

export function askReaders(
  bridge: Asked,
  consumer: BridgeId,
  question: GroupQuestion,
): GroupReaders {
  const { groupId, identity, instanceIds } = question
  const all = attempt(() => bridge.consumerGroupMembers(consumer, groupId, REQUEST_MS_MAX))
  if (all === null) return NOBODY
  const members = all.filter(
    ({ instanceId }) => instanceId === null || !instanceIds.includes(instanceId),
  )
  const own = members.filter(({ clientId }) => fingerprintOf(clientId) === identity.fingerprint)
  const foreign = members.filter(({ clientId }) => fingerprintOf(clientId) === undefined)
  const others = members.filter((one) => !own.includes(one) && !foreign.includes(one))
  const committed = askCommitted(bridge, consumer, question.topics)
  const former = otherPipelines(committed, identity)
  const notices = foreign.length === 0 ? [] : [foreignText(groupId, foreign)]
  if (others.length === 0 && own.length === 0 && former.length > 0) {
    notices.push(formerText(groupId, former))
  }
  const conflict = others.length === 0 ? null : conflictText(question, others, former)
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
  const own = 'give this one a group of its own (--group NAME)'
  const over = 'or start it beside the other, until that has ended (--take-over)'
  return { code: 'GROUP_SHARED', message: `${conflict}; ${own}, ${over}` }
}

function attempt<Answer>(ask: () => Answer): Answer | null {
  try {
    return ask()
  } catch {
    // What is wrong with the coordinator is told by the join.
    return null
  }
}

function askCommitted(bridge: Asked, consumer: BridgeId, topics: readonly TopicSize[]) {
  const partitions = topics.flatMap(({ topic, partitions: count }) =>
    Array.from({ length: count }, (_, partition) => ({ topic, partition, offset: 0 })),
  )
  if (partitions.length === 0) return []
  return attempt(() => bridge.consumerCommitted(consumer, partitions, REQUEST_MS_MAX)) ?? []
}

interface Former {
  readonly identity: PipelineIdentity
  readonly at: PartitionError
}

function otherPipelines(committed: readonly PartitionError[], own: PipelineIdentity): Former[] {
  return committed.flatMap((at) => {
    const identity = identityIn(at.metadata ?? '')
    const isOther = identity !== undefined && identity.fingerprint !== own.fingerprint
    return isOther && at.offset >= 0 ? [{ identity, at }] : []
  })
}

function conflictText(
  { groupId, identity }: GroupQuestion,
  others: readonly Member[],
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
  const who = `group ${groupId} is read by another pipeline, ${shown([...names])}`
  const self = `this one is ${identity.label} (${identity.fingerprint})`
  const why = 'each would get a part of the partitions, and commit as filtered what the other wants'
  return `${who}, from ${hostsOf(others)}; ${self}: ${why}`
}

function foreignText(groupId: string, members: readonly Member[]): string {
  const names = shown([...new Set(members.map(({ clientId }) => clientId || 'unnamed'))])
  const count = `${members.length} ${members.length === 1 ? 'member' : 'members'}`
  const share = 'they get a part of the partitions, of which nothing is read here'
  const who = `${count} of another program (${names}, from ${hostsOf(members)})`
  return `group ${groupId} has ${who}: ${share}`
}

function formerText(groupId: string, former: readonly Former[]): string {
  const names = shown([...new Set(former.map(({ identity }) => identity.label))])
  const upTo = shown(former.map(({ at }) => `${at.topic} [${at.partition}] at ${at.offset}`))
  const again = 'to read it again, name another group (--group NAME) or use logpipe replay'
  const who = `group ${groupId} was used by another pipeline before (${names})`
  return `${who}, which read up to ${upTo}: this one goes on from there; ${again}`
}

/**
 * What is said where everything was read before.
 * @param groupId null: no group has a say in where it begins.
 * @param ends of the partitions that are read.
 */
export function atEndText(groupId: string | null, ends: readonly PartitionOffset[]): string {
  const topics = shown([...new Set(ends.map(({ topic }) => topic))])
  if (ends.every(({ offset }) => offset === 0)) return `nothing to read yet: ${topics} is empty`
  if (groupId === null) return `nothing to read yet: --start begins at the end of ${topics}`
  const again =
    'another group (--group NAME) begins at --start, and logpipe replay reads a span again'
  return `nothing to read: group ${groupId} is at the end of ${topics}; ${again}`
}

function hostsOf(members: readonly Member[]): string {
  return shown([...new Set(members.map(({ host }) => host.replace(/^\//, '')))])
}

function shown(list: readonly string[]): string {
  const rest = list.length - SHOWN_MAX
  return `${list.slice(0, SHOWN_MAX).join(', ')}${rest > 0 ? ` and ${rest} more` : ''}`
}
