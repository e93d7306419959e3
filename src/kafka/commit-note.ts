/**
 * What is kept beside each committed offset, as one line of text:
 *
 *   logpipe FINGERPRINT topic=ID started=MS partitions=N LABEL
 *
 *   FINGERPRINT, LABEL      the pipeline that committed (pipeline-identity.ts)
 *   topic                   Kafka's id of the topic that the offset is of, or `none`
 *   started, partitions     the group's first start of it (start-offsets.ts), or `started=none`
 *
 * Whatever is not exactly that was committed by another program. Bound: METADATA_BYTES_MAX.
 */
import { LABEL_MAX, type PipelineIdentity } from './pipeline-identity.ts'

/** When a group first read a topic, and how many partitions that had. */
export interface GroupStart {
  /** ms since 1970. */
  readonly atMs: number
  /** 0: unknown. */
  readonly partitions: number
}

/** Of one partition. */
export interface PartitionNote {
  /** Null: the broker had no ids. */
  readonly topicId: string | null
  /** Null: the group was begun by something else. */
  readonly group: GroupStart | null
}

export interface CommitNote extends PartitionNote {
  readonly pipeline: PipelineIdentity
}

/** A label has at most three bytes a character. Brokers keep 4096 (offset.metadata.max.bytes). */
export const METADATA_BYTES_MAX = 120 + 3 * LABEL_MAX

const NOTE = new RegExp(
  '^logpipe ([0-9a-f]{12}) topic=(none|[0-9a-f]{32}) ' +
    String.raw`started=(?:none|(\d{1,16}) partitions=(\d{1,16})) (.*)$`,
  's',
)

/** @param note its label has at most LABEL_MAX characters. */
export function encodeNote({ pipeline, topicId, group }: CommitNote): string {
  const start = group === null ? 'none' : `${group.atMs} partitions=${group.partitions}`
  const { fingerprint, label } = pipeline
  return `logpipe ${fingerprint} topic=${topicId ?? 'none'} started=${start} ${label}`
}

/** Null: committed by something else. */
export function decodeNote(metadata: string | null): CommitNote | null {
  const [, fingerprint, topic, atMs, partitions, label] = NOTE.exec(metadata ?? '') ?? []
  if (fingerprint === undefined || label === undefined) return null
  return {
    pipeline: { fingerprint, label },
    topicId: topic === undefined || topic === 'none' ? null : topic,
    group: atMs === undefined ? null : { atMs: Number(atMs), partitions: Number(partitions) },
  }
}
