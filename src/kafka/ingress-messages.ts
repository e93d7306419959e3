/**
 * The messages between an ingress thread and main. All are rare: one a rebalance, a second, or an
 * error; records never travel this way.
 *
 *   ingress --> main    assign, revoke, and news: IngressMessage
 *   main --> ingress    assigned (answers assign), revoked (answers revoke), and orders: ToIngress
 *
 * The thread blocks in the bridge or in Atomics.wait, so it reads its port between two steps.
 */
import {
  OFFSET_NONE,
  type Assignment,
  type ConsumerEvent,
  type PartitionOffset,
} from '../bridge/bridge.ts'
import type { OffsetRange } from '../core/topic-partition.ts'
import type { WindowMark } from '../core/window-mark.ts'

/** 32 hex digits by topic; null: the broker gives none. */
export type TopicIds = Readonly<Record<string, string | null>>

/** A partition of this process that is not read yet: answers of brokers are missing. */
export interface WaitingPartition {
  readonly topic: string
  readonly partition: number
  /** The missing answer, and why; null: they were asked just now. */
  readonly problem: string | null
}

/** A partition that stands still although its log goes on. */
export interface StuckPartition {
  readonly topic: string
  readonly partition: number
  /** Nothing came from here on. */
  readonly offset: number
  readonly reason: string
  /** Whether --skip-unreadable helps. */
  readonly canSkip: boolean
  /** Whether to log it now: not each time that another partition is. */
  readonly isDue: boolean
}

/** Where the thread's fetching of an assignment stands: everything below went into slots. */
export interface Position {
  readonly assignmentId: number
  readonly topic: string
  readonly partition: number
  readonly offset: number
  /** The partition's end as last heard; -1 unknown. */
  readonly endOffset: number
}

/** An offset to begin at or to commit, and which windows of metrics are written by then. */
export interface MarkedOffset extends PartitionOffset {
  /** Null: none were ever; absent: as before. */
  readonly windows?: WindowMark | null
}

/** An error, as the log states it. */
type Trouble = Omit<Extract<ConsumerEvent, { kind: 'error' }>, 'kind'>

export type IngressMessage =
  /** A broker has answered, and the topics are there. Once, from the first thread. */
  | {
      readonly kind: 'opened'
      /** Those that are there now, an expression's matches among them. */
      readonly topics: readonly string[]
    }
  /** No broker has answered yet; it is asked again. */
  | { readonly kind: 'awaitingBroker'; readonly message: string }
  | {
      readonly kind: 'assign'
      /** With the offset to start from, resolved. */
      readonly partitions: readonly MarkedOffset[]
      readonly lost: readonly OffsetRange[]
      /** Of their topics. */
      readonly topicIds: TopicIds
    }
  /** The partitions that wait for answers of brokers, each time that they change. */
  | {
      readonly kind: 'waiting'
      readonly partitions: readonly WaitingPartition[]
    }
  /** Ready, with nothing more to read: others have the partitions, or no topic is there yet. */
  | { readonly kind: 'standby' }
  | {
      readonly kind: 'revoke'
      readonly positions: readonly Position[]
      /** The group has given them away already: nothing may be committed. */
      readonly lost: boolean
    }
  /**
   * The partition is to be read on as a new assignment: its log was truncated or recreated; or,
   * with `damage`, it is read again from a damaged batch on.
   */
  | {
      readonly kind: 'restart'
      /** How far the old log was read. */
      readonly position: Position
      /** The first offset of the new log that came. */
      readonly partitions: readonly [PartitionOffset]
      /** Of its topic: a recreated one has another. */
      readonly topicIds: TopicIds
      readonly damage: string | null
    }
  /** The partitions were given back; their ledgers may be closed. */
  | {
      readonly kind: 'unassigned'
      readonly assignmentIds: readonly number[]
    }
  | {
      readonly kind: 'positions'
      readonly positions: readonly Position[]
    }
  /** The first record came: when, and the process's CPU time until then. */
  | {
      readonly kind: 'first'
      readonly atNs: bigint
      readonly cpuMicros: number
    }
  | ({ readonly kind: 'trouble' } & Trouble)
  /** A broker's answer to what this member asked of its group. */
  | ({ readonly kind: 'refused' } & Trouble)
  | {
      readonly kind: 'log'
      readonly level: number
      readonly facility: string
      readonly message: string
    }
  /**
   * The partitions that cannot be read on now, and those of which no broker says where they end:
   * when they change, and for reminders.
   */
  | {
      readonly kind: 'stuck'
      readonly partitions: readonly StuckPartition[]
      readonly unanswered: readonly WaitingPartition[]
    }
  /** Offsets [from, to) cannot be read, and reading goes on behind them. */
  | {
      readonly kind: 'skipped'
      readonly assignmentId: number
      readonly topic: string
      readonly partition: number
      readonly from: number
      readonly to: number
      readonly reason: string
    }
  /** The last broker has gone, or one is back. */
  | {
      readonly kind: 'reachable'
      readonly isReachable: boolean
    }
  | { readonly kind: 'commitFailed'; readonly error: string }
  /** The group has a commit with this mark, or a later one. */
  | { readonly kind: 'marked'; readonly assignmentId: number; readonly windows: WindowMark }
  | { readonly kind: 'paused' | 'resumed' }
  /** Everything up to the end that was asked for went into slots; again after each assign. */
  | {
      readonly kind: 'finished'
      readonly positions: readonly Position[]
    }
  /** Intake has stopped; records below `positions` are in slots. */
  | {
      readonly kind: 'stopped'
      readonly positions: readonly Position[]
    }
  | { readonly kind: 'closed'; readonly inTime: boolean }
  /** The thread cannot go on. */
  | {
      readonly kind: 'failed'
      readonly code: string
      readonly message: string
    }

/** As main hears it: which thread says so, counting from 0. */
export type FromIngress = IngressMessage & { readonly ingressIndex: number }

/** Those of one kind. */
export type Of<Kind extends FromIngress['kind']> = Extract<FromIngress, { kind: Kind }>

/** librdkafka's, as the consumer was opened with. */
type Properties = readonly (readonly [name: string, value: string])[]

export type ToIngress =
  | { readonly kind: 'assigned'; readonly assignments: readonly Assignment[] }
  /**
   * Everything of the revoked partitions that could be settled is; commit this and give them back.
   */
  | { readonly kind: 'revoked'; readonly commits: readonly MarkedOffset[] }
  | { readonly kind: 'commit'; readonly commits: readonly MarkedOffset[] }
  /** As in PartitionState.isPausedByMain. */
  | { readonly kind: 'pause' | 'resume'; readonly assignmentIds: readonly number[] }
  /** Sign in with what these properties say from now on; a token is read from its file again. */
  | { readonly kind: 'credentials'; readonly properties: Properties }
  /** Commit this, leave the group, end. */
  | {
      readonly kind: 'finish'
      readonly commits: readonly MarkedOffset[]
      readonly timeoutMs: number
    }

/**
 * An error as main receives it. One that a broker gave (librdkafka's own codes begin with an
 * underscore) and that names no topic is the group's answer: to JoinGroup, to a heartbeat, or to
 * the question who coordinates it.
 */
export function errorMessage(error: Extract<ConsumerEvent, { kind: 'error' }>): IngressMessage {
  const isRefusal = error.topic === null && !error.fatal && !error.code.startsWith('_')
  return { ...error, kind: isRefusal ? 'refused' : 'trouble' }
}

/** librdkafka had more events than the bridge could keep until it was asked. */
export function droppedEvents(count: number): IngressMessage {
  const message = `${count} events of librdkafka were dropped`
  const where = { topic: null, partition: -1, offset: OFFSET_NONE } as const
  return { kind: 'trouble', code: 'DROPPED', message, fatal: false, ...where }
}
