/**
 * The metadata of each committed offset, as one line of text:
 *
 *   logpipe FINGERPRINT topic=ID started=MS partitions=N read=OFFSET@EPOCH marked=EPOCH
 *           closed=MS@OFFSET closing=MS@OFFSET LABEL
 *
 *   FINGERPRINT, LABEL      the pipeline that committed (pipeline-identity.ts)
 *   topic                   Kafka's id of the topic that the offset is of, or `none`
 *   started, partitions     the group's first start of it (start-offsets.ts), or `started=none`
 *   read                    up to where the group has read, in the leader epoch of the last record:
 *                           a later epoch that begins below it shows that the log was cut off, also
 *                           to a process that was not there
 *   marked                  it was cut off: records of this leader epoch and later ones are marked
 *                           by their epoch (bridge/native/log-past.h); or `marked=none`
 *
 *   closed, closing         the windows of metrics that are written, and that are about to be
 *                           (core/window-mark.ts), or `closing=none`; or both: `closed=none`
 *
 * Older notes end before `read`, or before `closed`. Any other text was committed by another
 * program. Bound: METADATA_BYTES_MAX.
 */
import assert from 'node:assert/strict'
import type { LogPast } from '../bridge/bridge.ts'
import type { WindowMark } from '../core/window-mark.ts'
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
  readonly past: LogPast
  /** Null: no windows were written for it. */
  readonly windows: WindowMark | null
}

/** Of a log of which nothing was read. */
export const NO_PAST: LogPast = { epoch: -1, readTo: 0, markFrom: -1 }

/** Of a partition of which nothing is known. */
export const NO_NOTE: PartitionNote = {
  topicId: null,
  group: null,
  past: NO_PAST,
  windows: null,
}

export interface CommitNote extends PartitionNote {
  readonly pipeline: PipelineIdentity
}

/** A label has at most three bytes a character. Brokers keep 4096 (offset.metadata.max.bytes). */
export const METADATA_BYTES_MAX = 280 + 3 * LABEL_MAX

const NOTE = new RegExp(
  '^logpipe ([0-9a-f]{12}) topic=(none|[0-9a-f]{32}) ' +
    String.raw`started=(?:none|(\d{1,16}) partitions=(\d{1,16})) ` +
    String.raw`(?:read=(\d{1,16})@(-1|\d{1,10}) marked=(?:none|(\d{1,10})) )?` +
    String.raw`(?:closed=(?:none|(-1|\d{1,16})@(\d{1,16}) ` +
    String.raw`closing=(?:none|(\d{1,16})@(\d{1,16}))) )?(.*)$`,
  's',
)

/** @param note its label has at most LABEL_MAX characters. */
export function encodeNote({ pipeline, topicId, group, past, windows }: CommitNote): string {
  const start = group === null ? 'none' : `${group.atMs} partitions=${group.partitions}`
  const { fingerprint, label } = pipeline
  const marked = past.markFrom < 0 ? 'none' : past.markFrom
  const read = `read=${past.readTo}@${past.epoch} marked=${marked}`
  const closed = windows === null ? 'closed=none' : windowsText(windows)
  const topic = topicId ?? 'none'
  const note = `logpipe ${fingerprint} topic=${topic} started=${start} ${read} ${closed} ${label}`
  assert(Buffer.byteLength(note) <= METADATA_BYTES_MAX, 'a broker keeps it')
  return note
}

function windowsText({ closedTo, closedAt, closing }: WindowMark): string {
  const next = closing === null ? 'none' : `${closing.to}@${closing.at}`
  return `closed=${closedTo}@${closedAt} closing=${next}`
}

/** Null: committed by something else. */
export function decodeNote(metadata: string | null): CommitNote | null {
  const match = NOTE.exec(metadata ?? '') ?? []
  const [, fingerprint, topic, atMs, partitions, readTo, epoch, markFrom] = match
  const [closedTo, closedAt, closingTo, closingAt, label] = match.slice(8)
  if (fingerprint === undefined || label === undefined) return null
  const closing =
    closingTo === undefined ? null : { to: Number(closingTo), at: Number(closingAt ?? 0) }
  return {
    pipeline: { fingerprint, label },
    topicId: topic === undefined || topic === 'none' ? null : topic,
    group: atMs === undefined ? null : { atMs: Number(atMs), partitions: Number(partitions) },
    past: {
      epoch: Number(epoch ?? NO_PAST.epoch),
      readTo: Number(readTo ?? NO_PAST.readTo),
      markFrom: Number(markFrom ?? NO_PAST.markFrom),
    },
    windows:
      closedTo === undefined
        ? null
        : { closedTo: Number(closedTo), closedAt: Number(closedAt ?? 0), closing },
  }
}
